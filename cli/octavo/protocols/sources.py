"""Where documents and chunks come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from octavo.errors import InputError
from octavo.protocols.options import Options
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["ChunkerType", "LoaderType"]


@dataclass(frozen=True, slots=True)
class ChunkerType:
    """One way to split. `version` changes when borders would; spans cover the document, in order.

    `run(document, options, counter, work)` returns chunks that join to the document's text, none
    over `options.tokens`. `work` is the step's, or None where a program or a command splits without
    a run. A chunker that `asks` a model, always or with some options, needs it: its calls go
    through `work.ask`, and its prompts are options of their own, marked with the names that each
    may use. What the others return depends on the document, the options and the counter alone, so
    it is kept and not done again.
    """

    name: str
    about: str
    version: int
    options: type[Options]
    run: Callable[[Document, Any, Counter, Work | None], Awaitable[tuple[Chunk, ...]]]
    asks: Callable[[Any], bool] = lambda _: False


@dataclass(frozen=True, slots=True)
class LoaderType:
    """One format, of one document a file or of many. `suffixes` are lower case with their dot.

    `load(data, source, encoding)` raises InputError when the bytes cannot be read. A file of more
    than `limit` bytes is refused before it is read.

    A table, whose rows are documents, has `rows`: `rows(file, source, encoding, column)` yields a
    document for each row, in order, or an InputError in its place. A row's source is `source:line`,
    its text what stands in `column` (by default in `text`), and the other columns are its
    metadata. A format that has `load` too is one document unless somebody names the column.
    """

    name: str
    suffixes: frozenset[str]
    load: Callable[[bytes, str, str | None], Document] | None = None
    rows: (
        Callable[[BinaryIO, str, str | None, str | None], Iterator[Document | InputError]] | None
    ) = None
    limit: int | None = None

    def is_table(self, column: str | None) -> bool:
        """Tell whether each row is a document, given the column that somebody names."""
        return self.rows is not None and (self.load is None or column is not None)
