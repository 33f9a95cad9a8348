"""What earlier runs say about the next one: why calls would be sent, and what they usually take."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import fmean

import orjson

from octavo.engine.journal.runs import decode_command
from octavo.engine.journal.store import DAMAGE, Journal
from octavo.text.quote import to_row_id

__all__ = ["CallSite", "History", "SendReason", "TypicalCalls", "find_typical_calls"]


_MAX_RUNS = 5
_MAX_CALLS = 500
"""How many of the last runs, and of the calls of each, an estimate rests on."""


class SendReason(StrEnum):
    """Why a call would be sent, by comparison with the last run of its source and pipeline."""

    NEW = "new"
    INPUT = "input changed"
    PROMPT = "prompt changed"
    MODEL = "model changed"
    OPTIONS = "options changed"
    UNANSWERED = "not answered yet"
    FRESH = "asked afresh"


@dataclass(frozen=True, slots=True)
class CallSite:
    """What the calls of a step share beside their input: hashes of prompt, model and options."""

    step: str
    prompt: bytes
    model: bytes
    options: bytes


@dataclass(frozen=True, slots=True)
class _LastRun:
    """The last run of one source: its sites, its calls, and whether it went to its end."""

    sites: Sequence[CallSite]
    calls: frozenset[int]
    complete: bool


@dataclass
class History:
    """The last runs of a pipeline, looked up when they are asked for.

    `command` is the command line of the run to come: runs in other directories, whose sources may
    have the same names, are no part of its history.
    """

    journal: Journal
    pipeline: str
    command: Sequence[str] = ()
    fresh: bool = False
    _last_runs: dict[str, _LastRun | None] = field(default_factory=dict[str, "_LastRun | None"])

    def find_reason(self, source: str, site: CallSite, key: bytes) -> SendReason:
        """Return why a call that the journal does not answer would be sent."""
        if self.fresh:
            return SendReason.FRESH
        if source not in self._last_runs:
            self._last_runs[source] = self._find_last_run(source)
        last = self._last_runs[source]
        if last is None:
            return SendReason.NEW
        if to_row_id(key) in last.calls:
            return SendReason.UNANSWERED
        same = [each for each in last.sites if each.step == site.step]
        if not same:
            return SendReason.NEW if last.complete else SendReason.UNANSWERED
        for reason, part in _COMPARED_PARTS:
            same = [each for each in same if getattr(each, part) in {getattr(site, part), b""}]
            if not same:
                return reason
        return SendReason.INPUT if last.complete else SendReason.UNANSWERED

    def _find_last_run(self, source: str) -> _LastRun | None:
        rows = self.journal.query(
            "SELECT DISTINCT runs.id, runs.status, runs.command FROM sites"
            " JOIN runs ON runs.id = sites.run WHERE sites.source = ? AND runs.pipeline = ?"
            " ORDER BY runs.id DESC LIMIT 20",
            (source, self.pipeline),
        )
        here = _get_directory(self.command)
        run, status = next(
            (row[:2] for row in rows if _get_directory(decode_command(row[2])) == here),
            (None, None),
        )
        if run is None:
            return None
        sites = self.journal.query(
            "SELECT step, prompt, model, options FROM sites WHERE run = ? AND source = ?",
            (run, source),
        )
        calls = self.journal.query(
            "SELECT call FROM ledger JOIN sites ON sites.id = ledger.site"
            " WHERE sites.run = ? AND sites.source = ?",
            (run, source),
        )
        found = frozenset(call for (call,) in calls)
        return _LastRun([CallSite(*row) for row in sites], found, status == "complete")


_COMPARED_PARTS = (
    (SendReason.MODEL, "model"),
    (SendReason.PROMPT, "prompt"),
    (SendReason.OPTIONS, "options"),
)


@dataclass(frozen=True, slots=True)
class TypicalCalls:
    """What calls to a model usually took, by step and over all: seconds, and tokens of replies.

    `calls` is how many calls this rests on; the maps lack steps that never ran.
    """

    calls: int
    seconds: float
    step_seconds: Mapping[str, float]
    step_tokens: Mapping[str, float]


def find_typical_calls(journal: Journal, *, model: str, pipeline: str) -> TypicalCalls | None:
    """Return what calls took in a model's last runs, or None when there were none."""
    times: dict[str, list[float]] = defaultdict(list)
    tokens: dict[str, list[int]] = defaultdict(list)
    everything: list[float] = []
    runs = journal.query(
        "SELECT id, pipeline FROM runs WHERE model = ? ORDER BY id DESC LIMIT ?", (model, _MAX_RUNS)
    )
    for run, name in runs:
        for step, seconds, usage in journal.query(
            "SELECT step, seconds, usage FROM sites JOIN ledger ON ledger.site = sites.id"
            " JOIN calls ON calls.id = ledger.call"
            " WHERE sites.run = ? AND ledger.attempts > 0 AND typeof(seconds) = 'real' LIMIT ?",
            (run, _MAX_CALLS),
        ):
            everything.append(seconds)
            if name != pipeline:
                continue
            times[step].append(seconds)
            with suppress(*DAMAGE):  # of which calls, if any, are known otherwise
                if usage and (completion := orjson.loads(usage)[1]) is not None:
                    tokens[step].append(int(completion))
    if not everything:
        return None
    return TypicalCalls(
        calls=len(everything),
        seconds=fmean(everything),
        step_seconds={step: fmean(each) for step, each in times.items()},
        step_tokens={step: fmean(each) for step, each in tokens.items()},
    )


def _get_directory(command: Sequence[str]) -> str:
    return command[1] if len(command) > 1 and command[0] == "-C" else ""
