"""JSON Lines: an object a line is a document, or a string a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

from octavo.errors import InputError
from octavo.loaders.decode import decoded_lines
from octavo.loaders.row import document_of_row
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

__all__ = ["LOADER"]


def _rows(
    file: BinaryIO, source: str, encoding: str | None, column: str | None
) -> Iterator[Document | InputError]:
    lines = decoded_lines(file, source, encoding)
    number = 0
    while True:
        number += 1
        place = f"{source}:{number}"
        try:
            line = next(lines, None)
        except InputError as error:
            yield error
            return
        if line is None:
            return
        if line.strip():
            try:
                yield _document(line, place, column)
            except InputError as error:
                yield error


def _document(line: str, place: str, column: str | None) -> Document:
    try:
        row: object = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = error.msg if isinstance(error, json.JSONDecodeError) else "it is nested too deeply"
        hint = "write one JSON object a line"
        raise InputError(
            f"not JSON: {said[:1].lower()}{said[1:]}", source=place, hint=hint
        ) from None
    if isinstance(row, str):
        return Document(row, place)
    if not isinstance(row, dict):
        raise InputError("neither an object nor a string", source=place, hint="write an object")
    return document_of_row(cast("dict[str, Any]", row), place, column)


LOADER = LoaderType(
    name="jsonl",
    suffixes=frozenset({".jsonl", ".ndjson"}),
    rows=_rows,
)
