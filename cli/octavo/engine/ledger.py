"""A run's account of every call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from octavo.engine.journal import Journal
from octavo.engine.report import Outcome, Totals
from octavo.engine.reuse import measure_reuse
from octavo.protocols import Counter as TokenCounter
from octavo.protocols import Usage
from octavo.text.quote import to_row_id

__all__ = ["RunningTotals", "Ledger"]


@dataclass
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

    def add_ideal_rate(self, totals: Totals, counter: TokenCounter, source: str | None = None) -> Totals:
        """Return totals of the run, or of one source, with what a server could have kept.

        `counter` is the model's tokenizer, or an estimate where it is not known.
        """
        if self._run is None or totals.cached is None:
            return totals
        reuse = measure_reuse(self._journal, self._run, source, counter)
        return totals if reuse is None else replace(totals, ideal_rate=reuse.ideal_rate)

    def open_site(self, source: str, step: str, *, prompt: str, model: bytes, options: bytes) -> int:
        """Open the site of a step of one document under one prompt and options; return its number.

        `prompt` is the prompt's digest; `model` and `options` are hashes.
        """
        if self._run is None:
            return 0
        self._sites += 1
        # Sites are numbered by the run, so that no row waits for an id from the database.
        number = self._run * 2**32 + self._sites
        self._journal.write(
            "INSERT INTO sites VALUES (?, ?, ?, ?, ?, ?, ?)",
            (number, self._run, source, step, bytes.fromhex(prompt[:16]), model[:8], options[:8]),
        )
        return number

    def record(self, site: int, node: str, key: bytes, outcome: Outcome, attempts: int) -> None:
        """Enter how a call ended, and after how many attempts."""
        self.account.outcomes[outcome] += 1
        if self._run is not None:
            self._journal.write(
                "INSERT INTO ledger VALUES (?, ?, ?, ?, ?)",
                (site, node, to_row_id(key), outcome.value, attempts),
            )


def _add_known(total: int | None, more: int | None) -> int | None:
    return total if more is None else (total or 0) + more
