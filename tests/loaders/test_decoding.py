"""Bytes become text or an error, never something in between."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from octavo.errors import InputError, UsageError
from octavo.loaders._support.decoding import check_encoding, decode

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(TEXT)
def test_utf8_comes_through_with_or_without_a_mark(text):
    assume(not text.startswith("\ufeff"))
    assert decode(text.encode(), "a.txt") == text
    assert decode(codecs.BOM_UTF8 + text.encode(), "a.txt") == text


@given(TEXT, st.sampled_from(["utf-16-le", "utf-16-be"]))
def test_utf16_comes_through_by_its_mark_or_its_name(text, encoding):
    mark = codecs.BOM_UTF16_LE if encoding.endswith("le") else codecs.BOM_UTF16_BE
    data = text.encode(encoding)
    assert decode(mark + data, "a.txt") == text
    assume(not data.startswith((b"\xff\xfe", b"\xfe\xff", codecs.BOM_UTF8)))
    assume(not data.startswith(codecs.BOM_UTF32_BE))
    assert decode(data, "a.txt", encoding) == text


def test_lines_keep_their_ends():
    assert decode(b"a\r\nb\rc\n", "a.txt") == "a\r\nb\rc\n"


def test_other_bytes_are_an_error_with_the_file_and_the_offset():
    with pytest.raises(InputError) as caught:
        decode("naïve café".encode("latin-1"), "old.txt")
    assert str(caught.value).startswith("old.txt: not UTF-8 text: byte 0xef at offset 2")
    assert "--encoding" in caught.value.hint
    assert decode("naïve café".encode("latin-1"), "old.txt", "latin-1") == "naïve café"


def test_offsets_count_the_mark():
    with pytest.raises(InputError, match=r"at offset 5"):
        decode(codecs.BOM_UTF8 + b"ab\xff", "a.txt")


def test_cut_utf16_is_an_error():
    with pytest.raises(InputError, match="UTF-16"):
        decode(codecs.BOM_UTF16_LE + b"a\0b", "a.txt")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"abc\0def", "zero byte at offset 3"),
        ("text".encode("utf-16-le"), "zero byte at offset 1"),
        (b"%PDF-1.7\n\xe2", "a PDF document"),
        (b"PK\x03\x04\0...", "a ZIP archive"),
        (b"{\\rtf1 text}", "an RTF document"),
        ("text".encode("utf-32"), "UTF-32"),
    ],
)
def test_what_is_not_text_is_named(data, word):
    with pytest.raises(InputError, match=word) as caught:
        decode(data, "x.bin")
    assert caught.value.source == "x.bin"
    assert caught.value.hint


def test_utf32_is_read_when_it_is_named():
    assert decode("text".encode("utf-32"), "a.txt", "utf-32") == "text"


@pytest.mark.parametrize("name", ["utf-9", "hex", "rot13", "undefined", "a\0b", "é"])
def test_an_unknown_encoding_is_a_usage_error(name):
    with pytest.raises(UsageError):
        check_encoding(name)
    with pytest.raises(UsageError):
        decode(b"text", "a.txt", name)


@pytest.mark.parametrize("start", ["%PDF-", "GGUF", "GIF89a", "PK", "SQLite format 3"])
def test_a_text_may_speak_of_a_format(start):
    assert decode(f"{start} is a format.".encode(), "a.txt") == f"{start} is a format."


@given(st.binary(max_size=40), st.sampled_from([None, "cp1252", "utf-16", "shift_jis", "utf-7"]))
def test_any_bytes_give_text_or_an_input_error(data, encoding):
    try:
        text = decode(data, "a", encoding)
    except InputError:
        return
    assert "\0" not in text
