"""Which calls begin as an earlier one does, so that a server need not read their text twice.

Where a pipeline answers several questions, the same text is asked about once for each. The call for
the first question leads: the others are sent once it has started, when a server with a prefix cache
has the text, and before calls on other texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from octavo.engine.flight import Flight
from octavo.protocols import Message

__all__ = ["Leads"]


@dataclass(frozen=True, slots=True)
class _Lead:
    """A call: its flight, and the hash of the first half of its prompt, in characters."""

    flight: Flight
    half: int
    digest: bytes


@dataclass
class Leads:
    """The leading calls of one document."""

    _found: dict[tuple[str, ...], _Lead] = field(default_factory=dict[tuple[str, ...], _Lead])

    def before(self, place: tuple[str, ...], messages: Sequence[Message]) -> Flight | None:
        """Return the call at the same place whose prompt these messages repeat by half or more."""
        lead = self._found.get(place)
        if lead is not None and _digest(_text(messages)[: lead.half]) == lead.digest:
            return lead.flight
        return None

    def enter(self, place: tuple[str, ...], messages: Sequence[Message], flight: Flight) -> None:
        """Let a call lead at its place, unless there is one already."""
        if place not in self._found:
            text = _text(messages)
            half = len(text) // 2
            self._found[place] = _Lead(flight, half, _digest(text[:half]))


def _text(messages: Sequence[Message]) -> str:
    return "\0".join(message.content for message in messages)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
