"""Read documents from inputs, with one in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from octavo.errors import InputError
from octavo.inputs.discovery import Input, to_input_error
from octavo.loaders._support.decoding import check_encoding
from octavo.text.document import Document

__all__ = ["InputReader", "read_documents"]


@dataclass(slots=True, eq=False, repr=False)
class InputReader:
    """How inputs are read: the encoding of those that do not state one, and tables' text column.

    Raises UsageError for an unknown encoding.
    """

    encoding: str | None = None
    column: str | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown encoding before anything is read."""
        if self.encoding:
            check_encoding(self.encoding)

    def read(self, item: Input) -> Iterator[tuple[Input, Document] | InputError]:
        """Yield what an input holds, each with the input that it is: a table's rows are many.

        A row's `relative` path is that of its table and the row's line: `people.csv/3`.
        """
        try:
            if not item.loader.is_table(self.column) or item.loader.rows is None:
                with item.open() as file:
                    data = file.read()
                assert item.loader.load is not None
                yield item, item.loader.load(data, item.source, self.encoding)
                return
            with item.open() as file:
                for row in item.loader.rows(file, item.source, self.encoding, self.column):
                    yield row if isinstance(row, InputError) else (_to_row_input(item, row), row)
        except OSError as error:
            yield to_input_error(item.source, error)
        except InputError as error:
            yield error


def read_documents(
    found: Iterable[Input | InputError], reading: InputReader | None = None
) -> Iterator[Document | InputError]:
    """Yield each input's documents when they are asked for, or the error in their place."""
    reading = reading or InputReader()
    for item in found:
        if isinstance(item, InputError):
            yield item
        else:
            for each in reading.read(item):
                yield each if isinstance(each, InputError) else each[1]


def _to_row_input(table: Input, row: Document) -> Input:
    line = row.source.removeprefix(f"{table.source}:")
    return table._replace(source=row.source, relative=f"{table.relative}/{line}")
