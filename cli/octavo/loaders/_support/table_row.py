"""Make a document of a table's row: one column is the text, the others are its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from octavo.errors import InputError
from octavo.text.document import Document

__all__ = ["build_row_document"]


_TEXT_COLUMN: Final = "text"
_MAX_SHOWN: Final = 12


def build_row_document(row: Mapping[str, object], source: str, column: str | None) -> Document:
    """Return a row's document; its text is in `column`, else in `text`, else in the only one.

    Raises InputError for a row without that column, and for one whose text is no string.
    """
    name = column or _TEXT_COLUMN
    if column is None and name not in row and len(row) == 1:
        (name,) = row
    if name not in row:
        columns = ", ".join(list(row)[:_MAX_SHOWN])
        raise InputError(
            f"the row has no column {name!r}",
            source=source,
            hint=f"name the column of the text with --text-column: {columns}",
        )
    text = row[name]
    if not isinstance(text, str):
        raise InputError(f"{name!r} is not text", source=source, hint="write a string")
    return Document(text, source, metadata={key: row[key] for key in row if key != name})
