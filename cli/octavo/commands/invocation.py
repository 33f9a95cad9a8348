"""How the program was started, for the commands that record or repeat it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Invocation"]


@dataclass(frozen=True, slots=True)
class Invocation:
    """The arguments after the program's name; `generation` goes on with an earlier fresh run."""

    command: tuple[str, ...] = ()
    generation: int = 0
