"""How much of a run's prompts a server's prefix cache could have answered, and how much it did.

A server with a prefix cache computes each beginning that prompts share once. Laid one over another,
the prompts of a run form a tree; what lies in it more than once is the most that such a cache can
save: with prompts laid out well, all but the document, the instructions and the replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from octavo.engine.journal.store import DAMAGE, Journal
from octavo.protocols import Counter

__all__ = ["PrefixReuse", "measure_reuse"]


_COMPARED = 4
"""Texts that a new one is compared with: one that grows begins with the last, and those that differ
in a mark do so alike."""

_SAMPLE = 20_000
"""Characters of a text that tell how many of them a token has."""

_PromptPart = str | int | tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class PrefixReuse:
    """Tokens of the prompts that a run sent: all, those the server had cached, and those it could.

    `ideal` is told from the shares of tokens that prompts have in common. Without a tokenizer it is
    told from those of characters, and is too high where instructions take fewer tokens for their
    length than the document: by a sixth where that has many rare words.
    """

    prompt: int
    cached: int
    ideal: int

    @property
    def rate(self) -> float:
        """The share that was cached, 0 to 1."""
        return self.cached / self.prompt if self.prompt else 0.0

    @property
    def ideal_rate(self) -> float:
        """The share that could have been cached, 0 to 1."""
        return self.ideal / self.prompt if self.prompt else 0.0


def measure_reuse(
    journal: Journal, run: int, source: str | None = None, counter: Counter | None = None
) -> PrefixReuse | None:
    """Return the reuse of a run's calls, or of one source's; None if it is not known.

    Calls answered by the journal are left out, and so are those whose server told no tokens.
    `counter` is the model's tokenizer, which reads the beginning of each text; an estimate is of
    no use.
    """
    journal.flush()
    rows = journal.query(
        "SELECT ledger.rowid, usage, body FROM sites JOIN ledger ON ledger.site = sites.id"
        " JOIN calls ON calls.id = ledger.call JOIN prompts ON prompts.id = calls.prompt"
        " WHERE sites.run = ? AND ledger.attempts > 0 AND (? IS NULL OR source = ?)"
        " ORDER BY ledger.rowid, generation",
        (run, source, source),
    )
    newest = {row: (usage, body) for row, usage, body in rows}
    tree = _PromptTree(journal, counter if counter is not None and counter.exact else None)
    prompt = cached = 0
    ideal = 0.0
    told = False
    for usage, body in newest.values():
        try:
            tokens, _, kept, *_ = orjson.loads(usage) if usage else (None, None, None)
            parts = _parse_parts(body)
            if "assistant" in parts:  # asked again, below a reply that was no good
                tree.add(parts[: parts.index("assistant")])
            shared, whole = tree.add(parts)
        except DAMAGE:  # or the run was killed before the text was stored
            return None
        if not tokens or not whole:
            continue
        told = told or kept is not None
        prompt += tokens
        cached += kept or 0
        ideal += tokens * shared / whole
    return PrefixReuse(prompt, cached, int(ideal)) if told else None


@dataclass
class _PromptNode:
    """A place in the tree: what follows it, and of that the texts, and how long its quotes are."""

    children: dict[_PromptPart, _PromptNode] = field(
        default_factory=dict[_PromptPart, "_PromptNode"]
    )
    texts: list[str | int] = field(default_factory=list[str | int])
    quoted: dict[tuple[int, int, int], int] = field(default_factory=dict[tuple[int, int, int], int])


class _PromptTree:
    """The prompts so far, laid one over another, piece by piece as they are stored."""

    def __init__(self, journal: Journal, counter: Counter | None = None) -> None:
        self._journal = journal
        self._counter = counter
        self._root = _PromptNode()
        self._lengths: dict[int, int] = {}
        self._densities: dict[str | int, float] = {}

    def add(self, parts: Sequence[_PromptPart]) -> tuple[float, float]:
        """Add a prompt; return how much of it an earlier one begins with, and all.

        In tokens, or in characters without a counter.
        """
        node = self._root
        shared = whole = 0.0
        alike = True
        for part in parts:
            size = self._measure_size(part)
            density = self._estimate_density(part)
            whole += size * density
            child = node.children.get(part)
            if child is not None and alike:
                shared += size * density
            else:
                if alike:
                    shared += self._count_common(node, part) * density
                alike = False
                child = node.children[part] = _PromptNode()
                if isinstance(part, tuple):
                    begin = part[:3]
                    node.quoted[begin] = max(size, node.quoted.get(begin, 0))
                else:
                    node.texts.append(part)
            node = child
        return shared, whole

    def _measure_size(self, part: _PromptPart) -> int:
        match part:
            case str():
                return len(part)
            case int():
                if part not in self._lengths:
                    self._lengths[part] = len(self._journal.read_text(0, part))
                return self._lengths[part]
            case _:
                return part[3]

    def _estimate_density(self, part: _PromptPart) -> float:
        """Return the tokens of a character, the same in a whole text however much is quoted."""
        if self._counter is None:
            return 1.0
        kind, name = part[:2] if isinstance(part, tuple) else (0, part)
        place = f"{kind} {name}" if isinstance(part, tuple) else part
        if place not in self._densities:
            text = name if isinstance(name, str) else self._journal.read_text(kind, name)
            sample = text[:_SAMPLE]
            self._densities[place] = self._counter.count(sample) / max(1, len(sample))
        return self._densities[place]

    def _count_common(self, node: _PromptNode, part: _PromptPart) -> int:
        """Return how many characters of a piece begin another one at this place."""
        if isinstance(part, tuple):
            return min(part[3], node.quoted.get(part[:3], 0))
        text = self._read_text(part)
        others = map(self._read_text, node.texts[-_COMPARED:])
        return max((_count_common_prefix(text, other) for other in others), default=0)

    def _read_text(self, part: str | int) -> str:
        return part if isinstance(part, str) else self._journal.read_text(0, part)


def _parse_parts(body: bytes) -> list[_PromptPart]:
    """Return the pieces of a packed prompt, the roles of its messages among them."""
    return [_parse_part(part) for message in orjson.loads(body) for part in message]


def _parse_part(part: Any) -> _PromptPart:  # noqa: ANN401 - as stored
    return part if isinstance(part, (str, int)) else tuple(part)


def _count_common_prefix(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
