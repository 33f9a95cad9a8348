"""`octavo runs`: what was run, how it ended, and going on with it."""

from __future__ import annotations

import shlex
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from json import dumps
from typing import Annotated, Any

import typer

from octavo.commands._cli.memory_states import iterate_seen_states
from octavo.commands._cli.terminal import (
    align_columns,
    clean,
    clean_line,
    format_duration,
    pluralize,
    print_stderr,
)
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.prefix_reuse import PrefixReuse, measure_reuse
from octavo.engine.journal.runs import LedgerRow, RunRow, list_calls
from octavo.engine.journal.runs import list_runs as runs_of
from octavo.engine.journal.store import Journal
from octavo.errors import UsageError

__all__ = ["runs"]


runs = typer.Typer(
    name="runs",
    help="List, show, resume and retry earlier runs.",
    rich_markup_mode=None,
    add_completion=False,
    invoke_without_command=True,
)

_ACCEPTING_OPTIONS = {"allow_extra_args": True, "ignore_unknown_options": True}
_JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@runs.callback()
def list_by_default(context: typer.Context) -> None:
    """List, show, resume and retry earlier runs; alone, list them."""
    if context.invoked_subcommand is None:
        list_runs()


@runs.command("list")
def list_runs(
    last: Annotated[
        int, typer.Option("-n", "--last", metavar="N", min=1, help="At most so many.")
    ] = 20,
    json: _JsonOption = False,
) -> None:
    """List the last runs, newest first."""
    found = _read_last_runs(min(last, sys.maxsize))
    if json:
        _write_stdout("".join(_to_json_line(_as_object(row)) for row in found))
        return
    if not found:
        print_stderr("no runs yet")
        return
    rows = [("run", "started", "pipeline", "status", "documents", "calls", "command")]
    rows += [_as_row(row) for row in found]
    _write_stdout("\n".join(align_columns(rows, right=(0, 4, 5))) + "\n")


@runs.command("show")
def show_run(
    run: Annotated[
        int | None, typer.Argument(help="The run's number; by default the last.")
    ] = None,
    calls: Annotated[bool, typer.Option("--calls", help="List every call.")] = False,
    state: Annotated[
        bool, typer.Option("--state", help="Print the memory before each call, as JSON lines.")
    ] = False,
    json: _JsonOption = False,
) -> None:
    """Show a run: its command, how it ended, and what became of its calls."""
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        row = _find_run(journal, run)
        if state:
            _write_stdout(
                "".join(
                    _to_json_line(asdict(each)) for each in iterate_seen_states(journal, row.id)
                )
            )
            return
        ledger = list_calls(journal, row.id)
        reuse = measure_reuse(journal, row.id)
    if json:
        entries = [_as_call(entry) for entry in ledger] if calls else _count_outcomes(ledger)
        rates = {"hit_rate": reuse.rate, "ideal_hit_rate": reuse.ideal_rate} if reuse else {}
        rates = {name: round(rate, 4) for name, rate in rates.items()}
        row_object = {**_as_object(row), **rates, "calls" if calls else "ledger": entries}
        _write_stdout(_to_json_line(row_object))
        return
    _write_stdout(
        "\n".join([*_format_facts(row, reuse), "", *_format_ledger(ledger, calls=calls)]) + "\n"
    )


@runs.command("resume", context_settings=_ACCEPTING_OPTIONS)
def resume_run(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The run's number; by default the last."),
    ] = None,
) -> None:
    """Run a command again where it was started; what was answered is not asked again.

    Options of `octavo run` after the number win over those of the command: a budget that was
    reached is raised by `octavo runs resume 7 --max-calls 500`.
    """
    from octavo.commands._cli.main import (  # noqa: PLC0415 - which loads this module
        run_command_line,
    )

    number, options = _split_number(run, context.args)
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        row = _require_repeatable(journal, number)
    command = _insert_options(row.command, options)
    raise typer.Exit(run_command_line(command, generation=row.generation, base=row.base))


@runs.command("retry", context_settings=_ACCEPTING_OPTIONS)
def retry_run(
    context: typer.Context,
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="The run's number; by default the last."),
    ] = None,
) -> None:
    """Run a command again, asking anew only what failed.

    A reply that was refused or is no record is in the journal and is not asked for again by
    `resume`; this asks for it again. Options of `octavo run` after the number win over those of
    the command.
    """
    from octavo.commands._cli.main import (  # noqa: PLC0415 - which loads this module
        run_command_line,
    )

    number, options = _split_number(run, context.args)
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        row = _require_repeatable(journal, number)
    if row.status == "complete":
        print_stderr(f"nothing failed in run {row.id}")
        return
    command = _insert_options(row.command, options)
    raise typer.Exit(
        run_command_line(command, generation=row.generation, base=row.base, retry=True)
    )


def _split_number(run: str | None, options: Sequence[str]) -> tuple[int | None, Sequence[str]]:
    """Return the number, and the options: the first of them where no number was given."""
    if run is None or run.isdecimal():
        return run if run is None else int(run), options
    if run.startswith("-"):
        return None, (run, *options)
    raise UsageError(f"{run!r} is no number of a run", hint="`octavo runs list` lists them")


def _require_repeatable(journal: Journal, number: int | None) -> RunRow:
    row = _find_run(journal, number)
    if not row.command:
        raise UsageError(f"run {row.id} was not started by a command", hint="`octavo runs list`")
    return row


def _read_last_runs(count: int | None) -> list[RunRow]:
    if not find_journal_path().exists():
        return []
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        return runs_of(journal, last=count)


def _find_run(journal: Journal, number: int | None) -> RunRow:
    found = runs_of(journal, last=1 if number is None else None)
    for row in found:
        if number in {None, row.id}:
            return row
    what = "there are no runs yet" if number is None else f"there is no run {number}"
    raise UsageError(what, hint="`octavo runs list` lists them")


def _insert_options(command: Sequence[str], options: Sequence[str]) -> tuple[str, ...]:
    """Return a command with more options, which go before a `--` that ends options."""
    end = command.index("--") if "--" in command else len(command)
    return (*command[:end], *options, *command[end:])


def _as_row(row: RunRow) -> tuple[str, ...]:
    return (
        str(row.id),
        _format_time(row.started),
        clean(row.pipeline),
        _format_status(row),
        f"{row.summary.get('documents', 0):,}",
        f"{row.summary.get('calls', 0):,}",
        clean(_format_command(row.command)),
    )


def _as_object(row: RunRow) -> dict[str, Any]:
    return {
        "run": str(row.id),
        "started": row.started,
        "ended": row.ended,
        "status": row.status,
        "pipeline": row.pipeline,
        "model": row.model,
        "command": list(row.command),
        "summary": row.summary,
    }


def _format_facts(row: RunRow, reuse: PrefixReuse | None) -> Iterable[str]:
    facts = [
        ("run", str(row.id)),
        ("command", _format_command(row.command)),
        ("pipeline", row.pipeline),
        ("model", row.model),
        ("started", _format_time(row.started)),
        ("status", _format_status(row)),
    ]
    if row.ended is not None:
        facts.append(("took", format_duration(row.ended - row.started)))
    if row.summary.get("prompt_tokens") is not None:
        tokens = row.summary
        told = tokens.get("completion_tokens") or 0
        facts.append(("tokens", f"{tokens['prompt_tokens']:,} in, {told:,} out"))
    if reuse is not None:
        shares = f"{reuse.rate:.1%}, at best {reuse.ideal_rate:.1%}"
        facts.append(("cached", f"{reuse.cached:,} of {reuse.prompt:,} tokens in ({shares})"))
    return align_columns([(name, clean(value)) for name, value in facts])


def _format_ledger(ledger: Sequence[LedgerRow], *, calls: bool) -> Iterable[str]:
    if calls:
        head = ("document", "step", "call", "outcome", "attempts")
        rows = [
            (clean_line(entry.source), entry.step, entry.node, entry.outcome, str(entry.attempts))
            for entry in ledger
        ]
        return align_columns([head, *rows], right=(4,))
    head = ("document", "step", "outcome", "calls")
    rows = [
        (clean_line(each["source"]), each["step"], each["outcome"], f"{each['calls']:,}")
        for each in _count_outcomes(ledger)
    ]
    return align_columns([head, *rows], right=(3,)) if rows else [pluralize(0, "call")]


def _count_outcomes(ledger: Sequence[LedgerRow]) -> list[dict[str, Any]]:
    counted = Counter((entry.source, entry.step, entry.outcome) for entry in ledger)
    return [
        {"source": source, "step": step, "outcome": outcome, "calls": count}
        for (source, step, outcome), count in counted.items()
    ]


def _as_call(entry: LedgerRow) -> dict[str, Any]:
    return {
        "source": entry.source,
        "step": entry.step,
        "node": entry.node,
        "outcome": entry.outcome,
        "attempts": entry.attempts,
    }


def _format_status(row: RunRow) -> str:
    # A killed run cannot say how it ended; nothing else tells it from one that still goes on.
    return "unfinished" if row.status == "running" else row.status


def _format_command(command: Sequence[str]) -> str:
    return shlex.join(command[2:] if command[:1] == ("-C",) else command)


def _format_time(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _to_json_line(value: object) -> str:
    return dumps(value, ensure_ascii=False) + "\n"


def _write_stdout(text: str) -> None:
    sys.stdout.write(text)
