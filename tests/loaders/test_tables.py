"""JSON Lines and CSV: a row is a document, its other columns are its metadata."""

from __future__ import annotations

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.errors import InputError
from octavo.loaders.csv import LOADER as CSV
from octavo.loaders.jsonl import LOADER as JSONL


def rows(loader, data, column=None, encoding=None):
    data = data.encode() if isinstance(data, str) else data
    found = loader.rows(io.BytesIO(data), "t", encoding, column)
    return [str(each) if isinstance(each, InputError) else each for each in found]


def test_a_line_is_a_document_with_its_place_and_its_other_columns():
    found = rows(JSONL, '{"id": 7, "text": "One.", "tags": ["a"]}\n\n"Two."\n')
    assert [(each.source, each.text, each.metadata) for each in found] == [
        ("t:1", "One.", {"id": 7, "tags": ["a"]}),
        ("t:3", "Two.", {}),
    ]


def test_a_row_of_csv_may_have_lines_in_it():
    found = rows(CSV, 'id,text\n1,"two\nlines"\n2,one\n')
    assert [(each.source, each.text, each.metadata) for each in found] == [
        ("t:2", "two\nlines", {"id": "1"}),
        ("t:4", "one", {"id": "2"}),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_seen_in_the_names(separator):
    (found,) = rows(CSV, separator.join(["id", "text"]) + "\n" + separator.join(["1", "x"]))
    assert (found.text, found.metadata) == ("x", {"id": "1"})


def test_a_file_of_tabs_is_one_whatever_its_names_hold():
    data = "name, first\ttext\nx\tOne.\n"
    (found,) = CSV.rows(io.BytesIO(data.encode()), "t.tsv", None, None)
    assert (found.text, found.metadata) == ("One.", {"name, first": "x"})


def test_the_column_of_the_text_is_named_or_the_only_one():
    assert rows(JSONL, '{"body": "x", "id": 1}', "body")[0].text == "x"
    assert rows(CSV, "body\nx\n")[0].text == "x"
    (error,) = rows(JSONL, '{"body": "x", "id": 1}')
    assert error == "t:1: the row has no column 'text'"


def test_a_long_field_is_no_fault():
    assert len(rows(CSV, "text\n" + "x" * 300_000)[0].text) == 300_000


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_are_no_part_of_the_first_name(encoding):
    (found,) = rows(CSV, "text,id\ncaf\u00e9\u2028,1\n".encode(encoding))
    assert (found.text, found.metadata) == ("caf\u00e9\u2028", {"id": "1"})


def test_a_wrong_row_is_an_error_in_its_place_and_the_others_go_on():
    found = rows(JSONL, '{"text": 5}\n{"text": \n[1]\n{"text": "x"}\n')
    assert found[:3] == [
        "t:1: 'text' is not text",
        "t:2: not JSON: expecting value",
        "t:3: neither an object nor a string",
    ]
    assert found[3].text == "x"
    found = rows(CSV, "text,id\na\nb,2\n")
    assert found[0] == "t:2: the row has 1 fields and there are 2 columns"
    assert found[1].text == "b"


def test_wrong_files_are_errors():
    assert rows(CSV, "a,a\n1,2\n") == ["t: two columns are called 'a'"]
    open_quote = rows(CSV, 'text\none\n"open\ntwo\n')
    assert open_quote[0].text == "one"
    assert open_quote[1].startswith("t:3: not CSV from here on: ")
    assert rows(JSONL, b'{"text": "a"}\n{"text": "\xe9"}\n')[1].startswith("t:2: not UTF-8 text")
    assert rows(JSONL, b"%PDF-1.7 \xff\n") == ["t: this is a PDF document, not text"]
    assert rows(JSONL, '{"text": ' + "[" * 100_000)[0].startswith("t:1: not JSON: ")
    assert rows(CSV, "") == []


def test_half_a_character_and_an_endless_number_cost_only_their_rows():
    data = r"""{"text": "a\ud83d"}
{"text": "a", "of": ["\uDE00"]}
{"text": "\ud83d\ude00 \\ud83d"}
{"text": "a", "of": 1%s}
"b"
"""
    found = rows(JSONL, data % ("0" * 5000))
    assert found[:2] == [f"t:{at}: half of a surrogate pair is no character" for at in (1, 2)]
    assert found[2].text == "\U0001f600 \\ud83d"
    assert found[3] == "t:4: not JSON: a number in it has too many digits"
    assert found[4].text == "b"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=2),
    max_leaves=3,
)


@given(st.lists(st.tuples(st.text(), st.dictionaries(st.text(), VALUES, max_size=3)), max_size=5))
def test_json_lines_come_back_as_they_were(items):
    lines = [{**metadata, "text": text} for text, metadata in items]
    data = "".join(json.dumps(line) + "\n" for line in lines)
    if "\0" in data:
        return
    found = rows(JSONL, data)
    assert [{**each.metadata, "text": each.text} for each in found] == lines


CELL = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]))


@given(st.lists(st.tuples(CELL, CELL), max_size=5))
def test_csv_comes_back_as_it_was(items):
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([("text", "note"), *items])
    found = rows(CSV, buffer.getvalue())
    assert [(each.text, each.metadata["note"]) for each in found] == items
