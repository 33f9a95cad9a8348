"""A memory as prompts show it: an append-only log, or the whole memory as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from octavo.steps.memory.revisions import MemoryState, Revision, replay_log, to_revisions

__all__ = ["MemoryLog", "MemorySheet", "find_shown_memory"]


_SHOWN = re.compile(r"<(log|memory)>\n(.*?)^</\1>", re.MULTILINE | re.DOTALL)

TokenCount = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class MemoryLog:
    """A memory as its revisions, a line of JSON each; later lines override earlier ones.

    Lines are never rewritten, so that what stands before a new one stays byte for byte, until the
    log takes more than `max_tokens`. Then it is compacted: the state is written once again. The
    state may take half of that, so a compaction makes room for as many tokens as it writes at most.
    """

    max_tokens: int
    count: TokenCount
    state: MemoryState = field(default_factory=dict[str, object])
    lines: tuple[str, ...] = ()
    tokens: int = 0

    @property
    def text(self) -> str:
        """The log between its marks, each on a line of its own; no value can end its line."""
        return _wrap_in_tag("log", self.lines)

    def with_revisions(self, state: MemoryState, applied: Sequence[Revision]) -> MemoryLog | None:
        """Return the log with revisions that lead to a state, or None when it would be full."""
        lines = [revision.line for revision in applied]
        tokens = self.tokens + self._count_tokens(lines)
        if 2 * tokens > self.max_tokens:
            compacted = replace(self, state=state).compact()
            if 2 * compacted.tokens > self.max_tokens:
                return None
            if tokens > self.max_tokens:
                return compacted
        return replace(self, state=state, lines=(*self.lines, *lines), tokens=tokens)

    def compact(self) -> MemoryLog:
        """Return the same memory written once again, without what was overridden."""
        lines = tuple(revision.line for revision in to_revisions(self.state))
        return replace(self, lines=lines, tokens=self._count_tokens(lines))

    def pad(self, tokens: int) -> MemoryLog:
        """Return the log with so many tokens more, as far as there is room: a plan's guess."""
        added = min(tokens, self.max_tokens - self.tokens)
        if added <= 0:
            return self
        line = _make_filler(added, self.count)
        return replace(self, lines=(*self.lines, line), tokens=self.tokens + added)

    def _count_tokens(self, lines: Sequence[str]) -> int:
        return sum(self.count(f"{line}\n") for line in lines)


@dataclass(frozen=True, slots=True)
class MemorySheet:
    """A memory as one JSON object of at most `max_tokens` tokens, rewritten at every change."""

    max_tokens: int
    count: TokenCount
    state: MemoryState = field(default_factory=dict[str, object])
    padding: int = 0

    @property
    def text(self) -> str:
        """The object between its marks, on a line of its own."""
        padding = (_make_filler(self.padding, self.count),) if self.padding else ()
        return _wrap_in_tag("memory", (json.dumps(self.state, ensure_ascii=False), *padding))

    def with_revisions(self, state: MemoryState, applied: Sequence[Revision]) -> MemorySheet | None:
        """Return the memory in a state, or None when it would be full."""
        del applied
        if self.count(json.dumps(state, ensure_ascii=False)) > self.max_tokens:
            return None
        return replace(self, state=state)

    def compact(self) -> MemorySheet:
        """Return the memory as it is."""
        return self

    def pad(self, tokens: int) -> MemorySheet:
        """Return the memory with so many tokens more, as far as there is room: a plan's guess."""
        return replace(self, padding=min(self.padding + tokens, self.max_tokens))


def find_shown_memory(prompt: str) -> MemoryState | None:
    """Return the memory that a prompt shows, or None if it shows none."""
    match = _SHOWN.search(prompt)
    if match is None:
        return None
    lines = match[2].split("\n")[:-1]
    try:
        return replay_log(lines) if match[1] == "log" else json.loads(lines[0])
    except (IndexError, KeyError, TypeError, ValueError):
        return None  # a document's own marks, around something else


def _make_filler(tokens: int, count: TokenCount) -> str:
    """Return words that take about so many tokens, and no more."""
    text = "word " * tokens
    return "word " * max(1, tokens * tokens // max(tokens, count(text)))


def _wrap_in_tag(tag: str, lines: Sequence[str]) -> str:
    return "\n".join((f"<{tag}>", *lines, f"</{tag}>"))
