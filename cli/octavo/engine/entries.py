"""What the calls of a step leave behind: rows of the ledger, sums, and word to who watches."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from octavo.engine.ledger import RunningTotals, Ledger
from octavo.engine.report import CallWatch, CallEnded, Outcome, Watch
from octavo.protocols import JsonSchema, Usage

__all__ = ["CallRecorder"]


@dataclass
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
