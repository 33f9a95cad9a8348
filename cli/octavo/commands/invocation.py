"""How the program was started, for the commands that record or repeat it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Invocation"]


@dataclass(frozen=True, slots=True)
class Invocation:
    """The arguments after the program's name; `generation` and `base` are an earlier run's."""

    command: tuple[str, ...] = ()
    generation: int = 0
    base: int | None = None
