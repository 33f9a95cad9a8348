"""A run's ledger: the account of every call.

Each call of a step leaves a row in the ledger, adds to the sums of its document and of the run, and
is reported to the watch.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from octavo.engine.journal.store import Journal
from octavo.engine.report import CallEnded, CallWatch, Totals, Watch
from octavo.errors import Outcome
from octavo.protocols import Counter as TokenCounter
from octavo.protocols import JsonSchema, Usage
from octavo.text.quote import to_row_id

__all__ = ["CallRecorder", "Ledger", "RunningTotals"]


@dataclass(eq=False, repr=False)
class RunningTotals:
    """Sums over calls: of a document, or of a run."""

    outcomes: Counter[Outcome] = field(default_factory=Counter[Outcome])
    sent: int = 0
    prompt: int | None = None
    completion: int | None = None
    cached: int | None = None

    def add_usage(self, usage: Usage) -> None:
        """Add what the backend says one sent call took."""
        self.prompt = _add_known(self.prompt, usage.prompt)
        self.completion = _add_known(self.completion, usage.completion)
        self.cached = _add_known(self.cached, usage.cached)

    def to_totals(self) -> Totals:
        """Return the sums as they stand."""
        return Totals(dict(self.outcomes), self.sent, self.prompt, self.completion, self.cached)


class Ledger:
    """Writes one row for every call a run asked for, and keeps the run's sums.

    `run` is the journal's number of the run, or None when nothing is to be written (a plan).
    """

    def __init__(self, journal: Journal, run: int | None) -> None:
        self.account = RunningTotals()
        self._journal = journal
        self._run = run
        self._sites = 0

    def add_ideal_rate(
        self, totals: Totals, counter: TokenCounter, source: str | None = None
    ) -> Totals:
        """Return totals of the run, or of one source, with what a server could have kept.

        `counter` is the model's tokenizer, or an estimate where it is not known.
        """
        if self._run is None or totals.cached is None:
            return totals
        from octavo.engine.journal.prefix_reuse import (  # noqa: PLC0415 - nothing cached reports it
            measure_reuse,
        )

        reuse = measure_reuse(self._journal, self._run, source, counter)
        return totals if reuse is None else replace(totals, ideal_rate=reuse.ideal_rate)

    def open_site(
        self, source: str, step: str, *, prompt: str, model: bytes, options: bytes
    ) -> int:
        """Open the site of a step of one document under one prompt and options; return its number.

        `prompt` is the prompt's digest; `model` and `options` are hashes.
        """
        if self._run is None:
            return 0
        self._sites += 1
        # Sites are numbered by the run, so that no row waits for an id from the database.
        number = self._run * 2**32 + self._sites
        self._journal.write(
            "site",
            (number, self._run, source, step, bytes.fromhex(prompt[:16]), model[:8], options[:8]),
        )
        return number

    def record(self, site: int, node: str, key: bytes, outcome: Outcome, attempts: int) -> None:
        """Enter how a call ended, and after how many attempts."""
        self.account.outcomes[outcome] += 1
        if self._run is not None:
            self._journal.write(
                "ledger",
                (site, node, to_row_id(key), outcome.value, attempts),
            )


def _add_known(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more


@dataclass(eq=False, repr=False)
class CallRecorder:
    """Enters the calls of one step of one document.

    `account` has the document's sums and the ledger the run's; `model` is a hash of the model, and
    `params` are those of the pipeline: both tell the ledger's sites apart.
    """

    ledger: Ledger
    account: RunningTotals
    watch: Watch
    source: str
    step: str
    model: bytes
    params: Mapping[str, object]

    def __post_init__(self) -> None:
        """Ask once, and not at every call, what the watch wants to know."""
        self._call_watch = self.watch if isinstance(self.watch, CallWatch) else None
        self._accounts = (self.account, self.ledger.account)
        self._sites: dict[tuple[object, ...], int] = {}

    def announce_call(self) -> None:
        """Tell that there will be one call more."""
        self.watch.call_planned(self.source, self.step)

    def make_sent_callback(self, node: str, key: bytes) -> Callable[[], None] | None:
        """Return what is to be told each time that an attempt is sent, if anybody wants to know."""
        if self._call_watch is None:
            return None
        return partial(self._call_watch.call_sent, self.source, self.step, node, key)

    def add_sent(self, times: int) -> None:
        """Add how many requests were sent."""
        for account in self._accounts:
            account.sent += times

    def add_usage(self, usage: Usage) -> None:
        """Add what the backend says that a request took."""
        for account in self._accounts:
            account.add_usage(usage)

    def count_skipped(self) -> None:
        """Count a part of the document that was left out."""
        for account in self._accounts:
            account.outcomes[Outcome.SKIPPED] += 1

    def notify(self, node: str, said: str) -> None:
        """Say one line about a call that the user should see."""
        self.watch.notice(f"{self.source}: {node} of step {self.step!r} {said}")

    def find_site(self, prompt: str, *options: object, schema: JsonSchema | None = None) -> int:
        """Return the number of the site: calls that differ in their inputs only share one.

        `prompt` is the prompt's digest.
        """
        key = (prompt, *options, schema is not None)
        if key not in self._sites:
            said = json.dumps([options, schema, self.params], sort_keys=True, default=str)
            self._sites[key] = self.ledger.open_site(
                self.source,
                self.step,
                prompt=prompt,
                model=self.model,
                options=hashlib.sha256(said.encode()).digest(),
            )
        return self._sites[key]

    def record(self, site: int, node: str, key: bytes, outcome: Outcome, sent: int) -> None:
        """Enter how a call ended, and how often it was sent."""
        self.account.outcomes[outcome] += 1
        self.ledger.record(site, node, key, outcome, sent)
        self.watch.call_done(self.source, self.step, outcome)
        if self._call_watch is not None:
            self._call_watch.call_ended(CallEnded(self.source, self.step, node, key, outcome, sent))
