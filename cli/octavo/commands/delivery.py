"""Takes a run's results as they become durable, and writes them or says what went wrong."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable

from octavo.commands.failure import describe
from octavo.commands.form import ResultFormatter, FormattedResult
from octavo.commands.inventory import LockRecorder
from octavo.commands.output import Destination, StandardOutput
from octavo.commands.progress import Display
from octavo.commands.summary import BatchSummary
from octavo.engine.report import Result
from octavo.errors import BackendError, BudgetReached, JournalError, OctavoError
from octavo.text.finding import Finding

__all__ = ["ResultWriter"]


class ResultWriter:
    """The sink of a run.

    When nothing can be written any more, because the reader went away or the disk is full, the run
    is cancelled in order: what is in flight still reaches the journal. `broken` then says why.
    `inventory`, when set, is told which file holds which result. `findings` are all that reviews
    found; `deferred` leaves them for whoever writes what stands for all documents together.
    `accepted` is the share of a document that is enough, if one was named.
    """

    def __init__(
        self,
        form: ResultFormatter,
        output: Destination,
        display: Display,
        *,
        deferred: bool = False,
        accepted: float | None = None,
    ) -> None:
        self.failures: list[OctavoError] = []
        self.write_error: Exception | None = None
        self.findings: list[Finding] = []
        self.lock_recorder: LockRecorder | None = None
        self.summary = BatchSummary()
        self._accepted = accepted
        self._formatter = form
        self._destination = output
        self._display = display
        self._task: asyncio.Task[object] | None = None
        self._on_terminal = isinstance(output, StandardOutput) and sys.stdout.isatty()
        # Annotations are capped over all documents, and JSON is one array: both are written last.
        self._deferred = isinstance(output, StandardOutput) and deferred

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
            self._display.notice(_describe_partial(result, self._accepted))
        self.summary.add(result)
        if self.write_error is not None:
            return None
        self.findings.extend(result.findings or ())
        if result.findings is not None and self._deferred:
            return None
        piece = self._formatter.format_result(result, self._display.run)
        return self._write(result.source, piece, result) if piece is not None else None

    async def finish(self) -> None:
        """Write what comes after the last result; `broken` may be set after it."""
        for text in self._formatter.format_rest():
            if self.write_error is None:
                await self._write("", FormattedResult(text, ""))
        if self.write_error is None:
            try:
                await asyncio.to_thread(self._destination.finish)
            except (OctavoError, OSError) as error:
                self.write_error = error

    async def _write(self, source: str, piece: FormattedResult, result: Result | None = None) -> None:
        try:
            if self._on_terminal:
                with self._display.pause():
                    path = self._destination.put(source, piece.text, piece.suffix)
            else:
                path = await asyncio.to_thread(self._destination.put, source, piece.text, piece.suffix)
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


def _describe_partial(result: Result, accepted: float | None) -> str:
    """Return the line for a result that lacks something; the share is never rounded up."""
    share = f"{math.floor(result.coverage * 1000) / 10:.1f} %"
    said = f"{result.source}: the result covers {share} of the text"
    if accepted is None:
        return said
    enough = "enough for" if result.coverage >= accepted else "less than"
    return f"{said}, {enough} --allow-partial {accepted:g}"
