"""The table at the end of a batch: what became of each document."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from octavo.commands.table import align_columns
from octavo.commands.terminal import clean_line
from octavo.engine.report import Outcome, Result

__all__ = ["BatchSummary"]

_MAX_SUMMARY_ROWS = 40
"""Rows of the table; of a larger batch, those come first that are not as they should be."""


@dataclass(frozen=True, slots=True)
class _SummaryRow:
    source: str
    status: str
    calls: int
    kept: int
    prompt: int | None
    completion: int | None


class BatchSummary:
    """Takes note of results and draws the table; holds a few rows however many there are."""

    def __init__(self) -> None:
        self.documents = 0
        self._good: list[_SummaryRow] = []
        self._flawed: list[_SummaryRow] = []
        self._order: dict[_SummaryRow, int] = {}

    def add(self, result: Result) -> None:
        """Take note of a result."""
        self.documents += 1
        totals = result.totals
        status = "failed" if result.error is not None else "done"
        if status == "done" and result.coverage < 1:
            status = f"{result.coverage:.1%} read"
        kept = totals.outcomes.get(Outcome.CACHED, 0)
        row = _SummaryRow(result.source, status, totals.calls, kept, totals.prompt, totals.completion)
        rows = self._good if status == "done" else self._flawed
        if len(rows) < _MAX_SUMMARY_ROWS:
            rows.append(row)
            self._order[row] = self.documents

    def format_lines(self) -> Iterator[str]:
        """Yield the table's lines, in the order of the documents."""
        shown = [*self._flawed, *self._good][:_MAX_SUMMARY_ROWS]
        shown.sort(key=self._order.__getitem__)
        head = ("document", "status", "calls", "kept", "tokens in", "tokens out")
        rows = [
            (
                clean_line(row.source),
                row.status,
                f"{row.calls:,}",
                f"{row.kept:,}",
                _format_count(row.prompt),
                _format_count(row.completion),
            )
            for row in shown
        ]
        yield from align_columns([head, *rows], right=(2, 3, 4, 5))
        if self.documents > len(shown):
            yield f"… and {self.documents - len(shown):,} more"


def _format_count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"
