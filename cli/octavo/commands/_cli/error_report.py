"""Turns errors into messages on standard error and an exit code; no other place does."""

from __future__ import annotations

import errno
import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from typer.core import TyperGroup

from octavo.commands._cli.invocation import to_env_variable
from octavo.commands._cli.signals import Interrupted
from octavo.commands._cli.terminal import clean, clean_line, print_stderr, redact
from octavo.errors import InputError, OctavoError, RunFailed, SpecError, SpecErrors, UsageError

__all__ = ["describe", "find_exit_code", "flush_output", "report", "report_missing_command"]


CLOSED_PIPE = 141
DEFECT = 70
INTERRUPTED = 130
_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_URGENCY = (DEFECT, 3, 4, 1, 2)
"""Which code wins when several errors end a run at once, after the signals."""

_MAX_SOURCE_WIDTH = 160
"""Characters of a source line shown under an error."""


def report(error: BaseException, *, debug: bool = False, private: bool = False) -> int:
    """Print an error on standard error and return the exit code.

    Several errors at once, as a group, are printed each; the most urgent one gives the code. The
    traceback of a defect is saved to a file, with `debug` that of any error, and with `private`
    none: then `debug` prints it.
    """
    leaves = list(_iterate_leaves(error))
    codes = [_find_leaf_code(leaf) for leaf in leaves]
    for leaf in leaves:
        _report_one(leaf)
    if debug or DEFECT in codes:
        _keep_traceback(error, debug=debug, private=private, defect=DEFECT in codes)
    return _choose_most_urgent(codes)


def find_exit_code(error: BaseException) -> int:
    """Return the exit code of an error, or of several at once."""
    return _choose_most_urgent([_find_leaf_code(leaf) for leaf in _iterate_leaves(error)])


def _choose_most_urgent(codes: Sequence[int]) -> int:
    signals = [code for code in codes if code > 128]
    if signals:
        return max(signals)
    return next((code for code in _URGENCY if code in codes), codes[0] if codes else DEFECT)


def describe(error: OctavoError, *, about: str | None = None) -> str:
    """Return the lines that tell the user what is wrong and the one thing to do about it.

    `about` is the document that it happened to, for errors that do not name it themselves.
    """
    if isinstance(error, SpecErrors):
        return "\n".join(describe(each) for each in error.errors)
    if isinstance(error, SpecError):
        lines = [str(error), *_draw_source_line(error)]
    else:
        of = "" if about is None or isinstance(error, InputError) else f"{clean_line(about)}: "
        lines = [f"error: {of}{error.message}"]
    if error.hint:
        lines.append(f"help: {error.hint}")
    return "\n".join(lines)


def report_missing_command(command: TyperGroup) -> int:
    """Print the help on standard error, since it was not asked for, and return 2."""
    with command.make_context("octavo", [], resilient_parsing=True) as context:
        print_stderr(context.get_help())
    return UsageError.exit_code


def flush_output(code: int) -> int:
    """Flush standard output and return the code, or that of what went wrong in flushing."""
    try:
        sys.stdout.flush()
    except OSError as error:
        return report(error)
    return code


def _iterate_leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - the group's type argument is unknown here
            yield from _iterate_leaves(inner)  # pyright: ignore[reportUnknownArgumentType] - same
    else:
        yield error


def _find_leaf_code(error: BaseException) -> int:
    match error:
        case OctavoError() | Interrupted():
            code = error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            code = INTERRUPTED
        case BrokenPipeError():
            code = CLOSED_PIPE
        case OSError(errno=number) if number in _DISK_ERRORS:
            code = RunFailed.exit_code
        case typer.TyperException():
            code = UsageError.exit_code
        case SystemExit():
            code = error.code if isinstance(error.code, int) else int(error.code is not None)
        case _:
            code = DEFECT
    return code


def _report_one(error: BaseException) -> None:
    """Print what the user needs to know of an error; signals and closed pipes are silent."""
    match error:
        case OctavoError():
            print_stderr(describe(error))
        case Interrupted() | KeyboardInterrupt() | typer.Abort() | SystemExit():
            pass
        case BrokenPipeError():
            _discard_output()
        case OSError(errno=number) if number in _DISK_ERRORS:
            print_stderr(f"error: cannot write: {error.strerror}")
            _discard_output()
        case typer.TyperException():
            _report_usage(error)
        case _:
            _report_defect(error)


def _report_usage(error: typer.TyperException) -> None:
    context: typer.Context | None = getattr(error, "ctx", None)
    option, message = getattr(error, "param", None), error.format_message().rstrip(".")
    if context is not None and option is not None and option.name:
        source = context.get_parameter_source(option.name)
        if source is not None and source.name == "ENVIRONMENT":
            message = f"{to_env_variable(option.name)}: {error.message.rstrip('.')}"
    print_stderr(f"error: {message}")
    if context is not None:
        print_stderr(f"help: {context.command_path} --help")


def _draw_source_line(error: SpecError) -> list[str]:
    """Return the source line with a caret under the place, cut to what a terminal shows."""
    source, column = error.position.source, error.position.column
    if not source.strip():
        return []
    start = max(0, column - _MAX_SOURCE_WIDTH // 2) if len(source) > _MAX_SOURCE_WIDTH else 0
    shown = clean(source[start : start + _MAX_SOURCE_WIDTH].expandtabs(1))
    gutter = f"{error.position.line:>4} | "
    caret = " " * (len(gutter) - 2) + "| " + " " * max(0, column - 1 - start) + "^"
    return [gutter + shown, caret]


def _report_defect(error: BaseException) -> None:
    name = type(error).__name__
    first = next(iter(str(error).splitlines()), "")
    print_stderr(f"error: unexpected {name}{': ' if first else ''}{first[:200]}")


def _keep_traceback(error: BaseException, *, debug: bool, private: bool, defect: bool) -> None:
    text = redact("".join(traceback.format_exception(error)))
    if private and debug:
        print_stderr(text.rstrip("\n"))
        return
    path = None if private else _save_traceback(text)
    if not defect:
        print_stderr(f"traceback: {path}" if path else text.rstrip("\n"))
    elif path is not None:
        print_stderr(f"help: this is a defect of Octavo; report it with the traceback in {path}")
    else:
        print_stderr(
            "help: this is a defect of Octavo; `octavo --debug COMMAND` shows the traceback"
        )


def _save_traceback(text: str) -> Path | None:
    """Save a traceback, which never holds the values of variables, in the state directory."""
    from platformdirs import user_state_path  # noqa: PLC0415 - costs time that --help need not pay

    folder = user_state_path("octavo") / "crashes"
    path = folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, opened for its mode
            file.write(text)
    except OSError:
        return None
    return path


def _discard_output() -> None:
    """Redirect standard output to nowhere, so that the interpreter's own flush stays silent."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError, AttributeError):
        pass  # no descriptor: nothing is left to flush
