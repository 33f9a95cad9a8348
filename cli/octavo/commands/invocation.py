"""How the program was started, for the commands that record or repeat it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from octavo.backends.profiles import ConfigValue

__all__ = ["Invocation"]


@dataclass(slots=True)
class Invocation:
    """The arguments after the program's name; `generation` and `base` are an earlier run's.

    `retry` asks anew for what failed in it.
    `settings` is what the configuration files say, once they have been read. `debug` and `private`
    become true when an option says so: they decide what is kept of an error.
    """

    command: tuple[str, ...] = ()
    generation: int = 0
    base: int | None = None
    retry: bool = False
    settings: Mapping[str, ConfigValue] = field(default_factory=dict[str, "ConfigValue"])
    debug: bool = False
    private: bool = False
