"""Texts as vectors: what a backend may offer beside answering calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from octavo.protocols.calls import Usage
from octavo.text.note import Prediction
from octavo.text.vector import Vector

__all__ = ["Embedded", "Embedding"]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector for each text, in their order; `predicted` is set when a plan made some of them up.

    Vectors of one embedder have the same length; they need not have the length 1.
    """

    vectors: tuple[Vector, ...]
    usage: Usage = field(default_factory=Usage)
    predicted: Prediction | None = None


@runtime_checkable
class Embedding(Protocol):
    """A backend that can embed texts; whether this one does say its capabilities."""

    @property
    def embedder(self) -> str:
        """What embeds, for keys: the server and the model, and nothing of where it runs."""
        ...

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text, by one request.

        Raises Transient for what may be tried again, CallError or BackendError for what may not.
        """
        ...
