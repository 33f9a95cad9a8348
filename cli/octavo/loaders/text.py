"""Plain text, with the chapter headings that printed books have."""

from __future__ import annotations

from octavo.loaders._support.book_headings import find_book_headings
from octavo.loaders._support.decoding import decode
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

__all__ = ["LOADER"]


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    text = decode(data, source, encoding)
    return Document(text, source, outline=find_book_headings(text))


LOADER = LoaderType(
    name="text",
    suffixes=frozenset(
        {".txt", ".text", ".rst", ".adoc", ".asciidoc", ".org", ".tex", ".log", ".srt", ".vtt"}
    ),
    load=_load,
)
