"""The `octavo` application: what it lists without importing, and loads when asked to run.

A command `NAME` is the module `octavo.commands.NAME` with an attribute `NAME`: a function with
Typer annotations, or a Typer application for a command with commands of its own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from octavo.commands._cli.invocation import (
    Invocation,
    bind_defaults,
    load_env_file,
    read_settings_files,
)
from octavo.errors import UsageError

__all__ = ["COMMANDS", "app", "build_root_command", "load_command"]


COMMANDS = {
    "run": "Run a pipeline over files, directories or standard input.",
    "plan": "Say what a run would do: calls, tokens, cost, time. Sends nothing.",
    "ls": "List the pipelines.",
    "show": "Print a pipeline and where it comes from.",
    "eject": "Copy a pipeline and its prompts here, to edit them.",
    "check": "Check pipelines, and whether committed results are stale. Asks no model.",
    "split": "Split documents into chunks, one JSON object a line.",
    "tokens": "Count the tokens of documents.",
    "schema": "Print the JSON Schema of pipeline files, for editors.",
    "runs": "List, show, resume and retry earlier runs.",
    "cache": "Tell what is kept of earlier runs, and take it out.",
    "config": "Show the settings and where each comes from.",
    "doctor": "Check the configuration, the model, the journal and the disk.",
    "version": "Print the version.",
}

_WITHOUT_SETTINGS = {"ls", "show", "eject", "schema", "version", "doctor"}
"""Commands that take no defaults from files, or tell themselves what is wrong with them."""

_EPILOG = """\
Every option can be set by an environment variable, --keep-going by OCTAVO_KEEP_GOING, and most in
octavo.toml; `octavo config show` tells which value comes from where.

Exit codes: 0 complete; 1 finished, but a document failed or lacks parts; 2 nothing ran: wrong
usage, pipeline or input; 3 the model cannot be used; 4 a budget is reached; 70 a defect of
Octavo; 130, 143, 129, 141 interrupted, terminated, terminal closed, output closed.
"""


class LazyGroup(TyperGroup):
    """Lists commands from a table and imports one only to run it."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 - handed on as they are
        super().__init__(**settings)
        for name, about in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=about, rich_markup_mode=None))

    def resolve_command(
        self,
        ctx: Any,  # noqa: ANN401 - the library's type for it is private
        args: list[str],
    ) -> tuple[str | None, TyperCommand | TyperGroup | None, list[str]]:
        name, listed, rest = super().resolve_command(ctx, args)
        if not (name and listed):
            return name, None, rest
        invocation = ctx.find_object(Invocation) or Invocation()
        if not ctx.resilient_parsing and name not in _WITHOUT_SETTINGS:
            invocation.settings = read_settings_files()
        found = {key: each.value for key, each in invocation.settings.items()}
        if (journal := found.get("journal")) and not os.environ.get("OCTAVO_JOURNAL"):
            from octavo.engine.journal.database import (  # noqa: PLC0415 - rarely given
                choose_journal,
            )

            choose_journal(Path(str(journal)))
        return name, load_command(name, found), rest


def load_command(name: str, defaults: Mapping[str, object]) -> TyperCommand | TyperGroup:
    """Import a command; its options have these values where the command line says nothing."""
    found: Any = getattr(import_module(f"octavo.commands.{name}"), name)
    if isinstance(found, typer.Typer):
        application = found
    else:
        application = typer.Typer(rich_markup_mode=None, add_completion=False)
        application.command(name)(found)
    # The model of the files is a matter of profiles, and what counts tokens is not a model.
    return bind_defaults(
        get_command(application), {k: v for k, v in defaults.items() if k != "model"}
    )


app = typer.Typer(
    name="octavo",
    cls=LazyGroup,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="COMMAND ...",
    epilog=_EPILOG,
)


def _print_version(asked: bool) -> None:
    if asked:
        import_module("octavo.commands.version").version()
        raise typer.Exit


def _change_directory(folder: str | None) -> None:
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise UsageError(
                f"cannot work in {folder}: {error.strerror}", hint="name a directory after -C"
            ) from error


def _load_env_file(path: str | None) -> None:
    if path is not None:
        load_env_file(path)


@app.callback()
def apply_global_options(
    directory: Annotated[
        str | None,
        typer.Option(
            "-C",
            metavar="DIR",
            help="Work as if started in this directory.",
            callback=_change_directory,
            is_eager=True,
        ),
    ] = None,
    env_file: Annotated[
        str | None,
        typer.Option(
            "--env-file",
            metavar="FILE",
            help="Set the variables of a file of NAME=value lines; none is read unasked.",
            callback=_load_env_file,
            is_eager=True,
        ),
    ] = None,
    journal: Annotated[
        str | None,
        typer.Option("--journal", metavar="FILE", help="Keep the replies in this file."),
    ] = None,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Save the traceback of any error to a file, and name it."),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Fold documents of any length through a language model."""
    del directory, env_file, debug, version  # read by `run_command_line` and by their callbacks
    if journal:
        from octavo.engine.journal.database import choose_journal  # noqa: PLC0415 - rarely given

        choose_journal(Path(journal))


def build_root_command() -> TyperGroup:
    """Return the command that all others belong to."""
    return cast("TyperGroup", get_command(app))
