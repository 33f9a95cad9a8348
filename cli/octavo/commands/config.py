"""`octavo config`: what is set, and where each value comes from."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from octavo.commands._cli.invocation import Invocation, to_env_variable
from octavo.commands._cli.options.run_options import (
    CONTEXT_PARAMETER,
    declare_parameter,
    set_parameters,
)
from octavo.commands._cli.terminal import align_columns, clean, redact
from octavo.config.endpoint import resolve_endpoint
from octavo.config.profiles import ModelChoice, read_config_files, resolve_model
from octavo.config.run_options import RUN_OPTIONS
from octavo.engine.journal.database import find_journal_path
from octavo.errors import Position

__all__ = ["ShownSetting", "config", "list_profile_values"]


config = typer.Typer(
    name="config",
    help="Show the settings and where each comes from.",
    rich_markup_mode=None,
    add_completion=False,
    invoke_without_command=True,
)


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """A value with its name and the words for where it comes from."""

    name: str
    value: object
    origin: str


@config.callback()
def show_by_default(context: typer.Context) -> None:
    """Show the settings and where each comes from; alone, show them."""
    if context.invoked_subcommand is None:
        assert isinstance(context.command, TyperGroup)
        shown = context.command.get_command(context, "show")
        assert shown is not None
        with shown.make_context("show", [], parent=context) as inner:
            shown.invoke(inner)


def _show_settings(context: typer.Context, **values: Any) -> None:  # noqa: ANN401 - as parsed
    """Print each value and where it comes from: flag, variable, file and line, or default.

    Takes the options of `octavo run`, to show what they would change. Keys are never shown, only
    whether there is one.
    """
    invocation = context.find_object(Invocation) or Invocation()
    places = {name: each.position for name, each in invocation.settings.items()}
    settings = [
        _describe_option(context, name, values[name], places)
        for name in values
        if RUN_OPTIONS[name].option.in_config
    ]
    choice = resolve_model(values["model"], cwd=Path.cwd(), env=os.environ)
    if values["model"] is None:
        origin = _strip_column(str(places["model"])) if "model" in places else "default"
        settings = [
            ShownSetting("model", choice.name, origin) if o.name == "model" else o for o in settings
        ]
    settings.append(
        ShownSetting(
            "journal",
            str(find_journal_path()),
            _find_journal_origin(context, places.get("journal")),
        )
    )
    profile = list(list_profile_values(choice))
    read = [str(file.path) for file in read_config_files(Path.cwd())]
    if values["json"]:
        text = json.dumps(
            {"settings": _as_object(settings), "profile": _as_object(profile), "files": read},
            ensure_ascii=False,
        )
    else:
        text = "\n".join(_as_lines(settings, profile, read))
    sys.stdout.write(text + "\n")


def list_profile_values(choice: ModelChoice) -> Iterator[ShownSetting]:
    """Yield what is said of the chosen model: its profile's values, its address and its key."""
    profile = choice.profile
    places = {
        name.removeprefix(prefix): position
        for file in reversed(read_config_files(Path.cwd()))
        for name, position in file.positions.items()
        if name.startswith(prefix := f"profiles.{choice.name}.")
    }
    shown = profile.model_dump(mode="json", exclude={"api_key_env", "api_key_cmd", "base_url"})
    for name, value in shown.items():
        if name in profile.model_fields_set and value not in (None, {}):
            origin = str(places[name]) if name in places else "default"
            yield ShownSetting(
                name, "<hidden>" if name == "headers" else value, _strip_column(origin)
            )
    if choice.backend != "openai":
        return
    endpoint = resolve_endpoint(profile, os.environ)
    origin = "env OPENAI_BASE_URL" if os.environ.get("OPENAI_BASE_URL") else "default"
    written = places.get("base_url")
    yield ShownSetting(
        "base_url", endpoint.base_url, _strip_column(str(written)) if written else origin
    )
    source = endpoint.key_source
    if source.env and os.environ.get(source.env):
        yield ShownSetting("key", "set", f"env {source.env}")
    elif source.command:
        yield ShownSetting("key", "asked for", str(places.get("api_key_cmd", "api_key_cmd")))
    else:
        yield ShownSetting("key", "not set", f"env {source.env}" if source.env else "none needed")


def _describe_option(
    context: typer.Context, name: str, value: object, places: Mapping[str, Position]
) -> ShownSetting:
    match getattr(context.get_parameter_source(name), "name", ""):
        case "COMMANDLINE":
            origin = "flag"
        case "ENVIRONMENT":
            origin = f"env {to_env_variable(name)}"
        case "DEFAULT_MAP" if name in places:
            origin = _strip_column(str(places[name]))
        case _:
            origin = "default"
    if isinstance(value, Enum):
        value = value.value
    return ShownSetting(name, value, origin)


def _find_journal_origin(context: typer.Context, place: Position | None) -> str:
    source = getattr(context.find_root().get_parameter_source("journal"), "name", "")
    if source == "COMMANDLINE":
        return "flag"
    if os.environ.get(to_env_variable("journal")):
        return f"env {to_env_variable('journal')}"
    return _strip_column(str(place)) if place else "default"


def _strip_column(position: str) -> str:
    """Return `file:line` of `file:line:column`."""
    return position.rpartition(":")[0] if position.count(":") >= 2 else position


def _as_object(found: list[ShownSetting]) -> dict[str, object]:
    return {
        each.name: {"value": _redact_value(each.value), "origin": each.origin} for each in found
    }


def _as_lines(
    settings: list[ShownSetting], profile: list[ShownSetting], read: list[str]
) -> Iterator[str]:
    rows = [(each.name, _format_value(each.value), each.origin) for each in settings]
    rows += [(f"profile.{each.name}", _format_value(each.value), each.origin) for each in profile]
    yield from (clean(line) for line in align_columns(rows))
    yield ""
    yield clean(f"read: {', '.join(read)}" if read else "no configuration file was found")


def _format_value(value: object) -> str:
    return "-" if value in (None, (), []) else json.dumps(_redact_value(value), ensure_ascii=False)


def _redact_value(value: object) -> object:
    return redact(value) if isinstance(value, str) else value


_PARAMETERS = [
    declare_parameter(each)
    for each in RUN_OPTIONS.values()
    if each.option.in_config or each.name == "json"
]
set_parameters(_show_settings, [*_PARAMETERS, CONTEXT_PARAMETER])
config.command("show")(_show_settings)
