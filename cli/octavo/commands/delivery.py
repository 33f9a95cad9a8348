"""Takes a run's results as they become durable, and writes them or says what went wrong."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Awaitable

from octavo.commands.failure import describe
from octavo.commands.form import Form, Piece
from octavo.commands.inventory import Inventory
from octavo.commands.output import Output, Stream
from octavo.commands.progress import Display
from octavo.commands.summary import Batch
from octavo.engine.report import Result
from octavo.errors import BackendError, BudgetReached, JournalError, OctavoError
from octavo.text.finding import Finding

__all__ = ["Delivery"]


class Delivery:
    """The sink of a run.

    When nothing can be written any more, because the reader went away or the disk is full, the run
    is cancelled in order: what is in flight still reaches the journal. `broken` then says why.
    `inventory`, when set, is told which file holds which result. `findings` are all that reviews
    found; `deferred` leaves them for whoever writes what stands for all documents together.
    `accepted` is the share of a document that is enough, if one was named.
    """

    def __init__(
        self,
        form: Form,
        output: Output,
        display: Display,
        *,
        deferred: bool = False,
        accepted: float | None = None,
    ) -> None:
        self.failures: list[OctavoError] = []
        self.broken: Exception | None = None
        self.findings: list[Finding] = []
        self.inventory: Inventory | None = None
        self.batch = Batch()
        self._accepted = accepted
        self._form = form
        self._output = output
        self._display = display
        self._task: asyncio.Task[object] | None = None
        self._shared = isinstance(output, Stream) and sys.stdout.isatty()
        # Annotations are capped over all documents, and JSON is one array: both are written last.
        self._deferred = isinstance(output, Stream) and deferred

    def cancels(self, task: asyncio.Task[object] | None) -> None:
        """Name the task that is cancelled when nothing can be written any more."""
        self._task = task

    def __call__(self, result: Result) -> Awaitable[None] | None:
        """Write one result, or the error that ended its document.

        A pipe that nobody reads from blocks a thread and not the run.
        """
        if result.error is not None:
            self._failed(result, result.error)
        elif result.coverage < 1:
            self._display.notice(_partial(result, self._accepted))
        self.batch.add(result)
        if self.broken is not None:
            return None
        self.findings.extend(result.findings or ())
        if result.findings is not None and self._deferred:
            return None
        piece = self._form.piece(result, self._display.run)
        return self._write(result.source, piece, result) if piece is not None else None

    async def finish(self) -> None:
        """Write what comes after the last result; `broken` may be set after it."""
        for text in self._form.rest():
            if self.broken is None:
                await self._write("", Piece(text, ""))
        if self.broken is None:
            try:
                await asyncio.to_thread(self._output.finish)
            except (OctavoError, OSError) as error:
                self.broken = error

    async def _write(self, source: str, piece: Piece, result: Result | None = None) -> None:
        try:
            if self._shared:
                with self._display.paused():
                    path = self._output.put(source, piece.text, piece.suffix)
            else:
                path = await asyncio.to_thread(self._output.put, source, piece.text, piece.suffix)
            if path is not None and result is not None and self.inventory is not None:
                self.inventory.enter(path, piece.text, result)
        except (OctavoError, OSError) as error:
            self.broken = error
            if self._task is not None:
                self._task.cancel()

    def _failed(self, result: Result, error: OctavoError) -> None:
        self.failures.append(error)
        # What ends the whole run is said once, at its end.
        if not isinstance(error, (BackendError, BudgetReached, JournalError)):
            self._display.line(describe(error, about=result.source))


def _partial(result: Result, accepted: float | None) -> str:
    """Return the line for a result that lacks something; the share is never rounded up."""
    share = f"{math.floor(result.coverage * 1000) / 10:.1f} %"
    said = f"{result.source}: the result covers {share} of the text"
    if accepted is None:
        return said
    enough = "enough for" if result.coverage >= accepted else "less than"
    return f"{said}, {enough} --allow-partial {accepted:g}"
