"""Decode bytes to text: UTF-8, UTF-16 with a byte-order mark, or the encoding that the user names.

Nothing is guessed and nothing is replaced: bytes that do not decode are an error with the file and
the byte offset. Line ends stay as they are.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Final

from octavo.errors import InputError, UsageError
from octavo.loaders._support.file_format import detect_format, is_disguised

__all__ = ["check_encoding", "decode", "decode_lines"]


_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

# A UTF-32 mark may begin like one of UTF-16; it is told apart first and asks for --encoding.
_UTF32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    *((mark, "utf-16") for mark in _UTF16),
)
_WITHOUT_MARK: Final = frozenset({"utf-8-sig", "utf-16", "utf-32"})  # these codecs take it off


def check_encoding(name: str) -> str:
    """Return a text encoding's canonical name; raise UsageError when Python has none like it."""
    try:
        found = codecs.lookup(name).name
        " ".encode(found)  # refuses codecs that are not of text, such as hex
    except (LookupError, ValueError) as error:
        raise UsageError(
            f"unknown text encoding {name!r}",
            hint="name one as Python does, for example --encoding latin-1 or cp1252",
        ) from error
    return found


def decode(data: bytes, source: str, encoding: str | None = None) -> str:
    """Return the text of a file's bytes, without its byte-order mark.

    A mark decides; without one `encoding` does, and UTF-8 when it is None. Raises InputError
    with the byte offset for bytes that are not text in that encoding, UsageError for an unknown
    encoding.
    """
    codec = check_encoding(encoding) if encoding else "utf-8"
    if data.startswith(_UTF32):
        if not encoding:
            raise InputError("this is UTF-32 text", source=source, hint="add --encoding utf-32")
    else:
        codec = next((name for mark, name in _MARKS if data.startswith(mark)), codec)
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise _build_format_error(data, source) or _build_decode_error(
            data, source, codec, error
        ) from error
    except UnicodeError as error:  # a few codecs say no more than this
        raise InputError(f"not {codec} text: {error}", source=source) from error
    if "\0" in text or is_disguised(data):
        raise _build_format_error(data, source) or _build_binary_error(text, source, codec)
    return text if codec in _WITHOUT_MARK else text.removeprefix("\ufeff")


def decode_lines(file: BinaryIO, source: str, encoding: str | None = None) -> Iterator[str]:
    """Yield a file's lines with their ends, each as it is needed.

    Raises InputError, whose source has the line's number, where `decode` would.
    """
    start = file.readline()
    if start.startswith(_UTF16) or "\n".encode(encoding or "utf-8") != b"\n":
        yield from io.StringIO(decode(start + file.read(), source, encoding), newline="\n")
        return
    for number, line in enumerate(chain([start], file), 1):
        # A whole file of another format is told by its name, not by its first line.
        yield decode(line, source if number == 1 else f"{source}:{number}", encoding)


def _build_format_error(data: bytes, source: str) -> InputError | None:
    if kind := detect_format(data):
        hint = "convert it to text first"
        return InputError(f"this is {kind.name}, not text", source=source, hint=hint)
    return None


def _build_decode_error(
    data: bytes, source: str, encoding: str, error: UnicodeDecodeError
) -> InputError:
    byte = f"byte 0x{data[error.start]:02x}" if error.start < len(data) else "the end"
    name = {"utf-8": "UTF-8", "utf-16": "UTF-16"}.get(encoding, encoding)
    return InputError(
        f"not {name} text: {byte} at offset {error.start} ({error.reason})",
        source=source,
        hint="name its encoding, for example --encoding latin-1",
    )


def _build_binary_error(text: str, source: str, encoding: str) -> InputError:
    offset = len(text[: text.index("\0")].encode(encoding, "surrogatepass"))
    return InputError(
        f"not text: a zero byte at offset {offset}",
        source=source,
        hint="if it is text, name its encoding, for example --encoding utf-16-le",
    )
