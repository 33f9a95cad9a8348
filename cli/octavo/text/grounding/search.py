"""Search for many pieces of text in one pass over a text.

Searching for each piece by itself takes the text's length times the number of pieces, and comparing
by differences more than that; here the two lengths are added. The pieces are searched for with the
automaton of Aho and Corasick 1975, "Efficient string matching: an aid to bibliographic search",
Communications of the ACM 18(6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import regex

from octavo.text.normalize import UNSPACED_SCRIPTS, normalize_for_match
from octavo.text.span import Span

__all__ = ["AhoCorasick", "PieceLocation", "find_pieces"]


_MAX_TRIES = 8
"""How often a piece may be met inside of words before it is given up."""

_WORD_CHARACTER = regex.compile(rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{UNSPACED_SCRIPTS}]]", regex.V1)


class PieceLocation(NamedTuple):
    """Where a piece stands, and whether it stands there to the letter."""

    span: Span
    exact: bool


def find_pieces(text: str, pieces: Sequence[str]) -> list[PieceLocation | None]:
    """Return the first place of each piece, whole words only; None for one that is nowhere.

    A piece that does not stand in the text to the letter is looked for without regard to case,
    white space and typography. An empty piece is nowhere.
    """
    found: list[PieceLocation | None] = [
        None if span is None else PieceLocation(span, exact=True)
        for span in _find_first(text, pieces)
    ]
    missing = [number for number, place in enumerate(found) if place is None]
    if missing:
        source = normalize_for_match(text)
        normalized = [normalize_for_match(pieces[number]).text.strip() for number in missing]
        for number, span in zip(missing, _find_first(source.text, normalized), strict=True):
            if span is not None:
                found[number] = PieceLocation(source.to_source_span(*span), exact=False)
    return found


def _find_first(text: str, pieces: Sequence[str]) -> list[Span | None]:
    """Return the first place of each piece between the edges of words."""
    found: list[Span | None] = [None] * len(pieces)
    tries = [0] * len(pieces)
    automaton = AhoCorasick(pieces)
    node = 0
    for end, character in enumerate(text, start=1):
        if not automaton.remaining:
            break
        node = automaton.step(node, character)
        if not node or not _is_word_edge(text, end):
            continue
        for number in automaton.iter_matches(node):
            start = end - len(pieces[number])
            tries[number] += 1
            if _is_word_edge(text, start):
                found[number] = Span(start, end)
            elif tries[number] < _MAX_TRIES:
                continue
            automaton.drop(number)
    for number, first in automaton.duplicates.items():
        found[number] = found[first]
    return found


def _is_word_edge(text: str, position: int) -> bool:
    """Tell whether neither a word nor a number goes on at a position."""
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if before in ".,":
        return not (after.isdecimal() and text[max(0, position - 2)].isdecimal())
    if after in ".,":
        return not (before.isdecimal() and text[position + 1 : position + 2].isdecimal())
    return not (_is_word_character(before) and _is_word_character(after))


@lru_cache(maxsize=4096)
def _is_word_character(character: str) -> bool:
    """Tell whether a character is one of words that something divides."""
    return _WORD_CHARACTER.match(character) is not None


class AhoCorasick:
    """The pieces as a trie of their characters, each node linked to its longest proper suffix.

    A piece is reported until it is dropped. All reports of a text take its length and that of the
    pieces together, and one step more for each report.
    """

    def __init__(self, pieces: Sequence[str]) -> None:
        self._children: list[dict[str, int]] = [{}]
        self._pieces: list[int | None] = [None]
        self._nodes: dict[int, int] = {}
        self.duplicates: dict[int, int] = {}
        """Pieces that are there twice: only the first is reported, of which this is the number."""
        for number, piece in enumerate(pieces):
            if piece:
                self._add_piece(number, piece)
        self._failure_links = [0] * len(self._children)
        self._link_failures()
        # Where to look for a piece that ends at a node: there, else at its suffix's. What was
        # passed over once is jumped over from then on.
        self._output_links = list(self._failure_links)
        self.remaining = len(self._nodes)
        """How many pieces are still looked for."""

    def step(self, node: int, character: str) -> int:
        """Return the node after a character; the first node is 0."""
        while node and character not in self._children[node]:
            node = self._failure_links[node]
        return self._children[node].get(character, 0)

    def iter_matches(self, node: int) -> Iterator[int]:
        """Yield the pieces that end at a node, the longest first; each may be dropped meanwhile."""
        while node := self._find_match_node(node):
            number = self._pieces[node]
            assert number is not None
            yield number
            node = self._failure_links[node]

    def drop(self, number: int) -> None:
        """Stop searching for a piece."""
        self._pieces[self._nodes[number]] = None
        self.remaining -= 1

    def _find_match_node(self, node: int) -> int:
        passed: list[int] = []
        while node and self._pieces[node] is None:
            passed.append(node)
            node = self._output_links[node]
        for each in passed:
            self._output_links[each] = node
        return node

    def _add_piece(self, number: int, piece: str) -> None:
        node = 0
        for character in piece:
            following = self._children[node].get(character)
            if following is None:
                following = self._children[node][character] = len(self._children)
                self._children.append({})
                self._pieces.append(None)
            node = following
        first = self._pieces[node]
        if first is None:
            self._pieces[node] = number
            self._nodes[number] = node
        else:
            self.duplicates[number] = first

    def _link_failures(self) -> None:
        queue = deque(self._children[0].values())
        while queue:
            node = queue.popleft()
            for character, child in self._children[node].items():
                self._failure_links[child] = self.step(self._failure_links[node], character)
                queue.append(child)
