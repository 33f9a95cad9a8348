"""Where documents and chunks come from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from octavo.protocols.ask import Ask
from octavo.protocols.steps import Options
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["ChunkerType", "LoaderType"]


@dataclass(frozen=True, slots=True)
class ChunkerType:
    """One way to split. `version` changes when borders would; spans cover the document, in order.

    `run(document, options, counter, ask)` returns chunks that join to the document's text, none
    over `options.tokens`.
    """

    name: str
    about: str
    version: int
    options: type[Options]
    run: Callable[[Document, Any, Counter, Ask | None], Awaitable[tuple[Chunk, ...]]]


@dataclass(frozen=True, slots=True)
class LoaderType:
    """One format. `suffixes` are lower case with their dot.

    `load(data, source, encoding)` raises InputError when the bytes cannot be read. A file of more
    than `limit` bytes is refused before it is read.
    """

    name: str
    suffixes: frozenset[str]
    load: Callable[[bytes, str, str | None], Document]
    limit: int | None = None
