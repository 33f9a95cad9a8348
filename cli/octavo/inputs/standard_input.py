"""The loader for standard input that has no name: a whole HTML page, Markdown or plain text.

Of Markdown and plain text, the one that finds more headings is taken; the text is the same in both.
"""

from __future__ import annotations

import re
from typing import Final

from octavo.errors import InputError
from octavo.loaders._support.book_headings import find_book_headings
from octavo.loaders._support.decoding import decode
from octavo.loaders._support.file_format import detect_format
from octavo.loaders.html import LOADER as HTML
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document

__all__ = ["LOADER"]


_PAGE: Final = re.compile(
    r"\s*(?:<!--.{0,1000}?-->\s*)?<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL
)


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    try:
        text = decode(data, source, encoding)
    except InputError as error:
        kind = detect_format(data)
        if kind is None or kind.suffix is None:
            raise
        raise _build_format_error(kind.name, kind.suffix, source) from error
    assert HTML.load is not None
    assert MARKDOWN.load is not None
    if _PAGE.match(text):
        return HTML.load(data, source, encoding)
    chapters = find_book_headings(text)
    marked = MARKDOWN.load(data, source, encoding)
    return marked if len(marked.outline) > len(chapters) else Document(text, source, chapters)


def _build_format_error(kind: str, suffix: str, source: str) -> InputError:
    hint = f"say so with a name: --stdin-filename x{suffix}"
    return InputError(f"this is {kind}, not text", source=source, hint=hint)


LOADER = LoaderType(name="piped", suffixes=frozenset(), load=_load)
