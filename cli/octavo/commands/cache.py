"""`octavo cache`: what is kept of earlier runs, and taking it out."""

from __future__ import annotations

import re
import sys
import time
from dataclasses import asdict
from json import dumps
from math import ceil
from pathlib import Path
from typing import Annotated

import typer

from octavo.commands._cli.terminal import align_columns, clean, pluralize, print_stderr
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.retention import JournalStats, RemovedContent
from octavo.engine.journal.retention import clear as clear_journal
from octavo.engine.journal.retention import collect_stats as stats_of
from octavo.engine.journal.retention import prune as prune_journal
from octavo.engine.journal.store import Journal
from octavo.errors import UsageError

__all__ = ["cache"]


cache = typer.Typer(
    name="cache",
    help="Tell what is kept of earlier runs, and take it out.",
    rich_markup_mode=None,
    add_completion=False,
    no_args_is_help=False,
    invoke_without_command=True,
)

_DAYS_BY_UNIT = {"d": 1, "w": 7, "m": 30, "y": 365}
_MAX_MEASURE = 1e13
"""Days or bytes; more mean the same."""

_BYTES_BY_UNIT = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


@cache.callback()
def print_stats_by_default(context: typer.Context) -> None:
    """Tell what is kept of earlier runs, and take it out; alone, tell."""
    if context.invoked_subcommand is None:
        print_stats()


@cache.command("stats")
def print_stats(
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell where the journal is, its size, and what it holds by pipeline and model."""
    if not find_journal_path().exists():
        print_stderr("nothing is kept yet")
        if json:
            sys.stdout.write("{}\n")
        return
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        stats = stats_of(journal)
    text = dumps(asdict(stats), ensure_ascii=False) if json else "\n".join(_format_stats(stats))
    sys.stdout.write(text + "\n")


@cache.command("prune")
def prune(
    older: Annotated[
        str | None,
        typer.Option("--older", metavar="AGE", help="What no run has wanted so long, as in 30d."),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option("--size", metavar="SIZE", help="The oldest, down to a size, as in 500MB."),
    ] = None,
) -> None:
    """Take out what is old or too much; runs that want it again pay for it again."""
    if older is None and size is None:
        raise UsageError("say what to take out", hint="--older 30d, or --size 500MB")
    days = (
        _parse_measure(older, _DAYS_BY_UNIT, "--older", "30d, 8w, 6m or 1y")
        if older is not None
        else None
    )
    most = (
        _parse_measure(size, _BYTES_BY_UNIT, "--size", "500MB or 2GB") if size is not None else None
    )
    if not find_journal_path().exists():
        print_stderr("nothing is kept yet")
        return
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        _report_removed(prune_journal(journal, days=days, size=most))


@cache.command("clear")
def clear(
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="PATH", help="Only what came of this file or directory."),
    ] = None,
) -> None:
    """Take out everything, or what came of one file or directory: replies, texts and runs."""
    if not find_journal_path().exists():
        print_stderr("nothing is kept yet")
        return
    with Journal(find_journal_path(), notify=print_stderr) as journal:
        removed = clear_journal(journal, source=None if source is None else Path(source))
    if source is not None and not removed.runs and not removed.calls:
        print_stderr(f"nothing is kept of {source}")
    else:
        _report_removed(removed)


def _parse_measure(text: str, units: dict[str, int], option: str, examples: str) -> int:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]?)b?\s*", text.lower())
    if match is None or (match[2] and match[2] not in units) or (not match[2] and "d" in units):
        raise UsageError(f"{option} {text!r} is not understood", hint=f"write {examples}")
    # Rather a day or a byte too much is kept than what was not meant is taken out.
    return ceil(min(float(match[1]) * units.get(match[2], 1), _MAX_MEASURE))


def _format_stats(stats: JournalStats) -> list[str]:
    facts = [
        ("journal", clean(stats.path)),
        ("size", _format_bytes(stats.size)),
        ("replies", f"{stats.calls:,} ({_format_bytes(stats.replies)})"),
        ("texts", f"{stats.texts:,}"),
        ("vectors", f"{stats.vectors:,}"),
        ("runs", f"{stats.runs:,}"),
    ]
    if stats.since is not None:
        facts.append(("since", time.strftime("%Y-%m-%d", time.localtime(stats.since))))
    if not stats.vectors:
        facts = [fact for fact in facts if fact[0] != "vectors"]
    lines = list(align_columns(facts))
    if stats.shares:
        rows = [("pipeline", "model", "runs", "calls")]
        rows += [
            (clean(each.pipeline), _shorten_hashes(each.model), f"{each.runs:,}", f"{each.calls:,}")
            for each in stats.shares
        ]
        lines += ["", *align_columns(rows, right=(2, 3))]
    return lines


def _shorten_hashes(model: str) -> str:
    """Return a model's name with the first letters of the hashes in it."""
    return clean(re.sub(r"\b([0-9a-f]{8})[0-9a-f]{8,}", r"\1…", model))


def _report_removed(removed: RemovedContent) -> None:
    parts = [
        "1 reply" if removed.calls == 1 else f"{removed.calls:,} replies",
        pluralize(removed.texts, "text"),
        pluralize(removed.runs, "run"),
    ]
    print_stderr(f"took out {', '.join(parts)}; {_format_bytes(removed.freed)} freed")
    if removed.held:
        print_stderr(
            "another process uses the journal: its file shrinks the next time, or is filled again"
        )


def _format_bytes(size: int) -> str:
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} B"
