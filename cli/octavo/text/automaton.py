"""Several pieces looked for in one pass over a text.

Aho and Corasick 1975, "Efficient string matching: an aid to bibliographic search", Communications
of the ACM 18(6).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

__all__ = ["AhoCorasick"]


class AhoCorasick:
    """The pieces as a tree of their characters, each node with its longest proper suffix's.

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
        """Look for a piece no more."""
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
