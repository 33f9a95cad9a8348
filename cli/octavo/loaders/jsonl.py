"""JSON Lines: each line is a document, an object or a string."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, cast

from octavo.errors import InputError
from octavo.loaders._support.decoding import decode_lines
from octavo.loaders._support.table_row import build_row_document
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

__all__ = ["LOADER"]


_HALF_PAIR: Final = re.compile(r"\\u[dD][89a-fA-F]")


def _read_rows(
    file: BinaryIO, source: str, encoding: str | None, column: str | None
) -> Iterator[Document | InputError]:
    lines = decode_lines(file, source, encoding)
    number = 0
    while True:
        number += 1
        row_source = f"{source}:{number}"
        try:
            line = next(lines, None)
        except InputError as error:
            yield error
            return
        if line is None:
            return
        if line.strip():
            try:
                yield _parse_line(line, row_source, column)
            except InputError as error:
                yield error


def _parse_line(line: str, row_source: str, column: str | None) -> Document:
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        hint = "write one JSON object a line"
        raise InputError(
            f"not JSON: {_describe_error(error)}", source=row_source, hint=hint
        ) from None
    if _HALF_PAIR.search(line) and _has_half(row):
        raise InputError(
            "half of a surrogate pair is no character",
            source=row_source,
            hint="write both halves of it, or the character itself",
        )
    if isinstance(row, str):
        return Document(row, row_source)
    if not isinstance(row, dict):
        raise InputError(
            "neither an object nor a string", source=row_source, hint="write an object"
        )
    return build_row_document(cast("dict[str, Any]", row), row_source, column)


def _describe_error(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[:1].lower()}{error.msg[1:]}"
    deep = isinstance(error, RecursionError)
    return "it is nested too deeply" if deep else "a number in it has too many digits"


def _has_half(row: object) -> bool:
    """Tell whether a text of a row cannot be written down, as half a surrogate pair cannot."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


LOADER = LoaderType(
    name="jsonl",
    suffixes=frozenset({".jsonl", ".ndjson"}),
    rows=_read_rows,
)
