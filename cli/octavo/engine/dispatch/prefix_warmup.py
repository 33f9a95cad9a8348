"""Prefix warm-up: calls that begin as an earlier one does, so that a server reads no text twice.

Where a pipeline answers several questions, the same text is asked about once for each. The call for
the first question warms the cache: the others are sent once it has started, when a server with a
prefix cache has the text, and before calls on other texts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from octavo.engine.dispatch.in_flight import InFlightCall
from octavo.protocols import Message

__all__ = ["PrefixWarmup"]


class _WarmupCall(NamedTuple):
    """A call in flight, and the hash of the first half of its prompt, in characters."""

    call: InFlightCall
    half: int
    digest: bytes


@dataclass(eq=False, repr=False)
class PrefixWarmup:
    """The leading calls of one document."""

    _calls: dict[tuple[str, ...], _WarmupCall] = field(
        default_factory=dict[tuple[str, ...], _WarmupCall]
    )

    def find_warmup(
        self, place: tuple[str, ...], messages: Sequence[Message]
    ) -> InFlightCall | None:
        """Return the call at the same place whose prompt these messages repeat by half or more."""
        lead = self._calls.get(place)
        if lead is not None and _hash_text(_join_contents(messages)[: lead.half]) == lead.digest:
            return lead.call
        return None

    def register(
        self, place: tuple[str, ...], messages: Sequence[Message], call: InFlightCall
    ) -> None:
        """Register the first call at a place; later ones wait for it."""
        if place not in self._calls:
            text = _join_contents(messages)
            half = len(text) // 2
            self._calls[place] = _WarmupCall(call, half, _hash_text(text[:half]))


def _join_contents(messages: Sequence[Message]) -> str:
    return "\0".join(message.content for message in messages)


def _hash_text(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
