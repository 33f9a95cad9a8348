"""The entry point: runs one command line and turns errors into messages and an exit code."""

from __future__ import annotations

import atexit
import io
import os
import sys
import threading
from collections.abc import Sequence
from contextvars import copy_context
from typing import BinaryIO, NoReturn, cast

import typer
from typer.core import TyperGroup
from typer.main import get_command

from octavo.commands._cli.app import app
from octavo.commands._cli.error_report import flush_output, report, report_missing_command
from octavo.commands._cli.invocation import Invocation, bind_defaults
from octavo.commands._cli.terminal import TerminalOutput
from octavo.errors import UsageError

__all__ = ["main", "run_command_line"]


def run_command_line(
    arguments: Sequence[str],
    *,
    generation: int = 0,
    base: int | None = None,
    retry: bool = False,
) -> int:
    """Run one command line and return its exit code; errors are printed on standard error.

    `generation` and `base` go on with what an earlier run asked; `retry` asks anew for what failed.
    """
    if cast("object", sys.stdout) is None:
        closed = UsageError("standard output is closed", hint="`> /dev/null` discards the result")
        return report(closed)
    if not arguments:
        return report_missing_command(cast("TyperGroup", get_command(app)))
    # What a command line chooses for itself, such as the journal, ends with it.
    return copy_context().run(
        _run_invocation, Invocation(tuple(arguments), generation, base, retry)
    )


def _run_invocation(invocation: Invocation) -> int:
    command = bind_defaults(get_command(app))
    debug = False
    try:
        with command.make_context("octavo", list(invocation.command), obj=invocation) as context:
            debug = bool(context.params.get("debug"))
            command.invoke(context)
            sys.stdout.flush()
    except typer.Exit as end:
        return flush_output(end.exit_code)
    except BaseException as error:  # noqa: BLE001 - the one place where every error ends
        debug = debug or invocation.debug
        return report(error, debug=debug, private=invocation.private)
    return 0


def main() -> None:
    """Run the command line of this process, and end it; `octavo.__main__` calls this."""
    if isinstance(stdout := cast("object", sys.stdout), io.TextIOWrapper):
        # The same bytes whatever the locale.
        stdout.reconfigure(encoding="utf-8", errors="replace", newline="\n")
        if stdout.isatty():  # a document or a model may have written what goes there
            sys.stdout = io.TextIOWrapper(
                cast("BinaryIO", TerminalOutput(sys.stdout.buffer)),
                encoding="utf-8",
                errors="replace",
                newline="\n",
                line_buffering=True,
            )
    if instruction := os.environ.get("_OCTAVO_COMPLETE"):
        from octavo.commands._cli.completion import (  # noqa: PLC0415 - only for the shell
            print_completions,
        )

        if print_completions(instruction):
            sys.exit(0)
        get_command(app)(prog_name="octavo")  # the scripts are Typer's
    _exit_process(run_command_line(sys.argv[1:]))


def _exit_process(code: int) -> NoReturn:
    """End the process without freeing each of its objects, which takes longer than `--help`.

    A profiler, a thread that is still at work, or a stream that cannot be written gets Python's
    ordinary end.
    """
    if sys.getprofile() is None and threading.active_count() == 1:
        atexit._run_exitfuncs()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001 - no public name
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):  # closed, or there is none
            sys.exit(code)
        os._exit(code)
    sys.exit(code)
