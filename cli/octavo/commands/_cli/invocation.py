"""How the program was started, and where the value of each option comes from.

A value comes from the flag, the environment, the project's file or the user's, in this order. The
variable of an option is derived from its name: `--keep-going` is `OCTAVO_KEEP_GOING`. Several
values are written with blanks between them. A pipeline's own parameters have no variables:
`OCTAVO_PARAM` stands for `-p`. `Invocation` is for the commands that record or repeat how the
program was started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from octavo.errors import UsageError

if TYPE_CHECKING:
    from octavo.config.profiles import ConfigValue

__all__ = [
    "ENV_PREFIX",
    "Invocation",
    "bind_defaults",
    "is_on_command_line",
    "load_env_file",
    "read_settings_files",
    "to_env_variable",
]


ENV_PREFIX = "OCTAVO"
_NOT_SETTABLE = {"help", "version", "install_completion", "show_completion"}
"""Options that ask for something else than the command's work."""


def to_env_variable(option: str) -> str:
    """Return the environment variable of an option, given the name of its parameter."""
    return f"{ENV_PREFIX}_{option.upper()}"


def bind_defaults(command: Any, defaults: Mapping[str, object] | None = None) -> Any:  # noqa: ANN401 - the library's types are private
    """Let a command's options, and those of its commands, be set by variables and by `defaults`.

    Returns the command. Help does not repeat the variables, which follow from the names.
    """
    command.context_settings = {
        **command.context_settings,
        "auto_envvar_prefix": ENV_PREFIX,
        "default_map": dict(defaults or {}),
    }
    for option in command.params:
        if option.param_type_name == "option":
            option.show_envvar = False
            if option.name in _NOT_SETTABLE:
                option.allow_from_autoenv = False
    for inner in getattr(command, "commands", {}).values():
        bind_defaults(inner, defaults)
    return command


def is_on_command_line(context: Any, name: str) -> bool:  # noqa: ANN401 - the same
    """Tell whether the command line itself gives a parameter its value."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def read_settings_files() -> dict[str, ConfigValue]:
    """Return what the configuration files say; raises SpecErrors for wrong ones."""
    from octavo.config.profiles import read_settings  # noqa: PLC0415 - reads configuration files

    return read_settings(Path.cwd())


def load_env_file(path: str) -> None:
    """Set the variables of a file of `NAME=value` lines; variables already set are kept.

    Values are taken as they are: nothing in them is expanded. Raises UsageError with the line for
    what is no assignment.
    """
    from dotenv.parser import parse_stream  # noqa: PLC0415 - only for who asks

    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"--env-file {path} cannot be read: {reason}") from None
    wrong = next((each for each in bindings if each.error), None)
    if wrong is not None:  # the line may hold a key: it is not shown
        raise UsageError(
            f"{path}:{wrong.original.line}:1: this line is no NAME=value",
            hint="write NAME=value, with quotes around a value that has blanks",
        )
    for each in bindings:
        if each.key is not None and each.value is not None:
            os.environ.setdefault(each.key, each.value)


@dataclass(slots=True, eq=False, repr=False)
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
