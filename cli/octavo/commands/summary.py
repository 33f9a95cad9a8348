"""The table at the end of a batch: what became of each document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from octavo.commands.table import aligned
from octavo.commands.terminal import one_line
from octavo.engine.report import Outcome, Result

__all__ = ["Batch"]

_MOST = 40
"""Rows of the table; of a larger batch, those come first that are not as they should be."""


@dataclass(frozen=True, slots=True)
class _Row:
    source: str
    status: str
    calls: int
    kept: int
    prompt: int | None
    completion: int | None


class Batch:
    """Takes note of results and draws the table; holds a few rows however many there are."""

    def __init__(self) -> None:
        self.documents = 0
        self._good: list[_Row] = []
        self._odd: list[_Row] = []
        self._order: dict[_Row, int] = {}

    def add(self, result: Result) -> None:
        """Take note of a result."""
        self.documents += 1
        totals = result.totals
        status = "failed" if result.error is not None else "done"
        if status == "done" and result.coverage < 1:
            status = f"{result.coverage:.1%} read"
        kept = totals.outcomes.get(Outcome.CACHED, 0)
        row = _Row(result.source, status, totals.calls, kept, totals.prompt, totals.completion)
        rows = self._good if status == "done" else self._odd
        if len(rows) < _MOST:
            rows.append(row)
            self._order[row] = self.documents

    def lines(self) -> Iterator[str]:
        """Yield the table's lines, in the order of the documents."""
        shown = [*self._odd, *self._good][:_MOST]
        shown.sort(key=self._order.__getitem__)
        head = ("document", "status", "calls", "kept", "tokens in", "tokens out")
        rows = [
            (
                one_line(row.source),
                row.status,
                f"{row.calls:,}",
                f"{row.kept:,}",
                _count(row.prompt),
                _count(row.completion),
            )
            for row in shown
        ]
        yield from aligned([head, *rows], right=(2, 3, 4, 5))
        if self.documents > len(shown):
            yield f"… and {self.documents - len(shown):,} more"


def _count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
