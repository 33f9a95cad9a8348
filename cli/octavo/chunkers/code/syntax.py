"""Where source code may be cut, by its syntax tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final, NamedTuple

from octavo.errors import UsageError
from octavo.text.grapheme import is_inside_grapheme
from octavo.text.languages import LANGUAGES
from octavo.text.span import Span

__all__ = ["Scope", "SyntaxCuts", "parse_syntax"]


_MAX_DEPTH: Final = 40
"""Levels of the tree that are looked into; what is deeper is cut at lines."""

_SCOPE_NODE: Final = re.compile(
    r"class|function|method|constructor|interface|trait|impl|struct|enum|module|mod_item|namespace"
    r"|object_d|protocol|extension|subroutine|procedure"
)
_MAX_SCOPE_LINE: Final = 200
_MAX_LOOKBACK: Final = 256
"""Bytes before a node in which its line starts, or a sign stands behind which it may be cut off."""

_CUT_AFTER: Final = (b";", b",", b"{", b"}", b"(", b"[")


class Scope(NamedTuple):
    """A class, function or the like: where it is, and its first line."""

    span: Span
    first_line: str


@dataclass(frozen=True, slots=True)
class SyntaxCuts:
    """Where a text may be cut: before the children of the root, of those, and so on.

    `line_cuts` are at the starts of lines, level by level, and `inline_cuts` within lines; each
    level ascends. Only what is too long is looked into. `scopes` ascend by where they start.
    """

    line_cuts: list[list[int]]
    inline_cuts: list[list[int]]
    scopes: list[Scope]


def parse_syntax(text: str, language: str, room: int) -> SyntaxCuts:
    """Return where a text of a programming language may be cut into parts of `room` tokens.

    Raises UsageError when the language is not known, or its parser is not installed.
    """
    # A lone surrogate has no UTF-8; a letter in its place keeps all positions.
    data = re.sub("[\ud800-\udfff]", "x", text).encode()
    tree = _load_parser(language).parse(data)
    places: list[_CutPoint] = []
    scopes: list[tuple[int, int]] = []
    nodes: list[tuple[Any, int]] = [(tree.root_node, 0)]
    while nodes:
        node, level = nodes.pop()
        if node.parent is not None and _SCOPE_NODE.search(node.type):
            scopes.append((node.start_byte, node.end_byte))
        cut_points = list(_find_cut_points(node, level, data))
        places += cut_points
        level += 1 if cut_points else 0
        nodes += [
            (child, level)
            for child in (node.named_children if level < _MAX_DEPTH else ())
            # What has fewer bytes than half of the room's tokens fits for sure.
            if child.end_byte - child.start_byte > room // 2
        ]
    return _build_syntax(text, data, places, scopes)


class _CutPoint(NamedTuple):
    """A byte before which the text may be cut: at a line's start or within, and how deep."""

    byte: int
    level: int
    inside: bool


def _find_cut_points(node: Any, level: int, data: bytes) -> Iterator[_CutPoint]:  # noqa: ANN401 - untyped
    """Yield where the children of a node start; a comment stays with the node below it."""
    comment = -2
    for child in node.named_children:
        row = child.start_point[0]
        follows = comment == row - 1
        comment = child.end_point[0] if "comment" in child.type else -2
        start = child.start_byte
        if follows or start <= node.start_byte:
            continue
        # A line may be the whole text, so nobody looks for its start from every child.
        near = max(start - _MAX_LOOKBACK, 0)
        line = data.rfind(b"\n", near, start) + 1
        if (line or not near) and not data[line:start].strip():
            yield _CutPoint(line, level, inside=False)
        elif data[near:start].rstrip()[-1:] in _CUT_AFTER:
            yield _CutPoint(start, level, inside=True)


def _build_syntax(
    text: str, data: bytes, places: Sequence[_CutPoint], scopes: Sequence[tuple[int, int]]
) -> SyntaxCuts:
    """Turn bytes into characters and sort by level."""
    needed = {place.byte for place in places}.union(*scopes) if scopes else {p.byte for p in places}
    characters = _map_bytes_to_characters(text, data, sorted(needed))
    least: dict[tuple[int, bool], int] = {}
    for byte, level, inside in places:
        at = characters[byte], inside
        least[at] = min(level, least.get(at, level))
    lines: list[list[int]] = []
    inline: list[list[int]] = []
    for (place, inside), level in sorted(least.items()):
        levels = inline if inside else lines
        while len(levels) <= level:
            levels.append([])
        if 0 < place < len(text) and not is_inside_grapheme(text, place):
            levels[level].append(place)
    found: list[Scope] = []
    for start, end in sorted(scopes):
        span = Span(characters[start], characters[end])
        begin = text.rfind("\n", max(span.start - _MAX_SCOPE_LINE, 0), span.start) + 1
        stop = text.find("\n", span.start, span.start + _MAX_SCOPE_LINE)
        if stop < 0 or span.end <= stop:
            continue  # all in one line, or hardly a line for people
        line = text[begin or max(span.start - _MAX_SCOPE_LINE, 0) : stop].rstrip()
        if not found or found[-1].first_line != line:
            found.append(Scope(span, line))
    return SyntaxCuts(lines, inline, found)


def _map_bytes_to_characters(text: str, data: bytes, needed: Sequence[int]) -> dict[int, int]:
    """Return the character at each of several ascending bytes."""
    if len(data) == len(text):
        return {byte: byte for byte in needed}
    found: dict[int, int] = {}
    at = count = 0
    for byte in needed:
        count += len(data[at:byte].decode("utf-8", "replace"))
        found[byte] = count
        at = byte
    return found


def _load_parser(language: str) -> Any:  # noqa: ANN401 - an optional package
    try:
        package: Any = import_module("tree_sitter_language_pack")
    except ImportError as error:
        raise UsageError(
            "splitting by code needs the parsers of tree-sitter",
            hint="pip install 'octavo[code]', or split by structure",
        ) from error
    try:
        return package.get_parser(language)
    except LookupError as error:
        raise UsageError(
            f"there is no parser for the language {language!r}",
            hint=f"name one of {', '.join(sorted(each.parser for each in LANGUAGES))}",
        ) from error
