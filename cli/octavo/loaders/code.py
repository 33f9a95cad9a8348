"""Source code: the text as it is; for Python, its classes and functions as the outline."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final

from octavo.loaders._support.decoding import decode
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document, Heading
from octavo.text.languages import LANGUAGE_BY_SUFFIX
from octavo.text.outline import normalize_line_ends, to_heading_label
from octavo.text.span import Span

__all__ = ["LOADER"]


_DEFINITION: Final = re.compile(
    r"^(?P<indent>[ \t]*)(?:async[ \t]+def|def|class)[ \t]+\w+[^\n]*", re.MULTILINE
)


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    text = decode(data, source, encoding)
    language = LANGUAGE_BY_SUFFIX.get(PurePath(source).suffix.lower())
    name = language.name if language else None
    outline = _find_definitions(text) if name == "python" else ()
    return Document(text, source, outline, {"language": name} if name else {})


def _find_definitions(text: str) -> tuple[Heading, ...]:
    """Return Python's classes and functions, their levels by indentation.

    Reads lines, not syntax: a line inside a string that looks like a definition counts too.
    """
    found: list[Heading] = []
    indents: list[int] = []
    for match in _DEFINITION.finditer(normalize_line_ends(text)):
        indent = len(match["indent"].expandtabs(8))
        while indents and indents[-1] >= indent:
            indents.pop()
        indents.append(indent)
        line = match[0].rstrip("\r")
        title = re.split(r"[(:\[]", line, maxsplit=1)[0]
        span = Span(match.start(), match.start() + len(line))
        found.append(Heading(len(indents), to_heading_label(title), span))
    return tuple(found)


LOADER = LoaderType(
    name="code",
    suffixes=frozenset(suffix for suffix, each in LANGUAGE_BY_SUFFIX.items() if each.is_code),
    load=_load,
)
