"""CSV and TSV with a line of column names: one text, or one document for each further row.

The user decides which by naming the column of the text: a table of numbers has none.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from typing import BinaryIO, Final

from octavo.errors import InputError
from octavo.loaders._support.decoding import decode, decode_lines
from octavo.loaders._support.table_row import build_row_document
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

__all__ = ["LOADER"]


_SEPARATORS: Final = ",\t;"


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    return Document(decode(data, source, encoding), source)


def _read_rows(
    file: BinaryIO, source: str, encoding: str | None, column: str | None
) -> Iterator[Document | InputError]:
    # The limit of the module is made for spreadsheets, not for documents.
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    try:
        yield from _parse_rows(decode_lines(file, source, encoding), source, column)
    except InputError as error:
        yield error
    except csv.Error as error:
        yield InputError(f"not CSV: {error}", source=source, hint="quote fields that have quotes")


def _parse_rows(
    lines: Iterator[str], source: str, column: str | None
) -> Iterator[Document | InputError]:
    first = next(lines, "")
    # The separator is the one that the names of the columns have most, unless the file's name says.
    tabs = source.lower().endswith(".tsv")
    separator = "\t" if tabs else max(_SEPARATORS, key=first.count)
    (names,) = csv.reader([first], delimiter=separator, strict=True) if first.strip() else ([],)
    if twice := next((name for name in names if names.count(name) > 1), None):
        hint = "give each column a name of its own"
        raise InputError(f"two columns are called {twice!r}", source=source, hint=hint)
    reader = csv.reader(lines, delimiter=separator, strict=True)
    start = 2
    while True:
        row_source = f"{source}:{start}"
        try:
            row = next(reader, None)
        except csv.Error as error:
            hint = "quote fields that have quotes, and close the quotes"
            raise InputError(
                f"not CSV from here on: {error}", source=row_source, hint=hint
            ) from error
        if row is None:
            return
        start = reader.line_num + 2
        if not row:
            continue
        if len(row) != len(names):
            message = f"the row has {len(row)} fields and there are {len(names)} columns"
            hint = "quote fields that have separators or line ends in them"
            yield InputError(message, source=row_source, hint=hint)
            continue
        try:
            yield build_row_document(dict(zip(names, row, strict=True)), row_source, column)
        except InputError as error:
            yield error


LOADER = LoaderType(
    name="csv",
    suffixes=frozenset({".csv", ".tsv"}),
    load=_load,
    rows=_read_rows,
)
