"""Takes a run's results as they become durable, and writes them or says what went wrong.

At the end of a batch comes a table: what became of each document.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from octavo.commands._cli.error_report import describe
from octavo.commands._cli.output.destinations import Destination, StandardOutput
from octavo.commands._cli.output.result_format import FormattedResult, ResultFormatter
from octavo.commands._cli.progress.display import Display
from octavo.commands._cli.terminal import align_columns, clean_line
from octavo.engine.report import Result
from octavo.errors import BackendError, BudgetReached, JournalError, OctavoError, Outcome
from octavo.text.finding import Finding

if TYPE_CHECKING:
    from octavo.commands._cli.output.lock_file import LockRecorder

__all__ = ["BatchSummary", "ResultWriter"]


class ResultWriter:
    """Receives the results of a run.

    When nothing can be written any more, because the reader went away or the disk is full, the run
    is cancelled in order: what is in flight still reaches the journal. `write_error` then says why.
    `lock_recorder`, when set, is told which file holds which result. `findings` are all that
    reviews found; `findings_later` leaves them for whoever writes what stands for all documents.
    `required_share` is the share of a document that is enough, if one was named.
    """

    def __init__(
        self,
        form: ResultFormatter,
        output: Destination,
        display: Display,
        *,
        findings_later: bool = False,
        required_share: float | None = None,
    ) -> None:
        self.failures: list[OctavoError] = []
        self.write_error: Exception | None = None
        self.findings: list[Finding] = []
        self.lock_recorder: LockRecorder | None = None
        self.summary = BatchSummary()
        self._required_share = required_share
        self._formatter = form
        self._destination = output
        self._display = display
        self._task: asyncio.Task[object] | None = None
        self._on_terminal = isinstance(output, StandardOutput) and sys.stdout.isatty()
        # Annotations are capped over all documents, and JSON is one array: both are written last.
        self._findings_later = isinstance(output, StandardOutput) and findings_later

    def set_task(self, task: asyncio.Task[object] | None) -> None:
        """Name the task that is cancelled when nothing can be written any more."""
        self._task = task

    def __call__(self, result: Result) -> Awaitable[None] | None:
        """Write one result, or the error that ended its document.

        A pipe that nobody reads from blocks a thread and not the run.
        """
        if result.error is not None:
            self._report_failure(result, result.error)
        elif result.coverage < 1:
            self._display.notice(_describe_partial(result, self._required_share))
        self.summary.add(result)
        if self.write_error is not None:
            return None
        self.findings.extend(result.findings or ())
        if result.findings is not None and self._findings_later:
            return None
        piece = self._formatter.format_result(result, self._display.run)
        return self._write(result.source, piece, result) if piece is not None else None

    async def finish(self) -> None:
        """Write what comes after the last result; `write_error` may be set after it."""
        for text in self._formatter.format_rest():
            if self.write_error is None:
                await self._write("", FormattedResult(text, ""))
        if self.write_error is None:
            try:
                await asyncio.to_thread(self._destination.finish)
            except (OctavoError, OSError) as error:
                self.write_error = error

    async def _write(
        self, source: str, piece: FormattedResult, result: Result | None = None
    ) -> None:
        try:
            if self._on_terminal:
                with self._display.pause():
                    path = self._destination.put(source, piece.text, piece.suffix)
            else:
                path = await asyncio.to_thread(
                    self._destination.put, source, piece.text, piece.suffix
                )
            if path is not None and result is not None and self.lock_recorder is not None:
                self.lock_recorder.record(path, piece.text, result)
        except (OctavoError, OSError) as error:
            self.write_error = error
            if self._task is not None:
                self._task.cancel()

    def _report_failure(self, result: Result, error: OctavoError) -> None:
        self.failures.append(error)
        # What ends the whole run is said once, at its end.
        if not isinstance(error, (BackendError, BudgetReached, JournalError)):
            self._display.write_line(describe(error, about=result.source))


def _describe_partial(result: Result, required_share: float | None) -> str:
    """Return the line for a result that lacks something; the share is never rounded up."""
    share = f"{math.floor(result.coverage * 1000) / 10:.1f} %"
    message = f"{result.source}: the result covers {share} of the text"
    if required_share is None:
        return message
    enough = "enough for" if result.coverage >= required_share else "less than"
    return f"{message}, {enough} --allow-partial {required_share:g}"


_MAX_SUMMARY_ROWS = 40
"""Rows of the table; of a larger batch, those come first that are not as they should be."""


class _SummaryRow(NamedTuple):
    """What the table says of one document."""

    source: str
    status: str
    calls: int
    kept: int
    prompt: int | None
    completion: int | None


class BatchSummary:
    """Collects results and formats the table; holds a few rows whatever the number of documents."""

    def __init__(self) -> None:
        self.documents = 0
        self._good: list[_SummaryRow] = []
        self._flawed: list[_SummaryRow] = []
        self._order: dict[_SummaryRow, int] = {}

    def add(self, result: Result) -> None:
        """Collect a result."""
        self.documents += 1
        totals = result.totals
        status = "failed" if result.error is not None else "done"
        if status == "done" and result.coverage < 1:
            status = f"{result.coverage:.1%} read"
        kept = totals.outcomes.get(Outcome.CACHED, 0)
        row = _SummaryRow(
            result.source, status, totals.calls, kept, totals.prompt, totals.completion
        )
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
