"""Takes a run's results as they become durable, and writes them or says what went wrong."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable

from octavo.commands.failure import describe
from octavo.commands.findings import OutputFormat
from octavo.commands.inventory import Inventory
from octavo.commands.order import Order
from octavo.commands.output import Output, Stream
from octavo.commands.progress import Display
from octavo.commands.render import as_json, as_text
from octavo.engine.report import Result
from octavo.errors import BackendError, BudgetReached, JournalError, OctavoError
from octavo.text.finding import Finding

__all__ = ["Delivery"]


class Delivery:
    """The sink of a run.

    When nothing can be written any more, because the reader went away or the disk is full, the run
    is cancelled in order: what is in flight still reaches the journal. `broken` then says why.
    `inventory`, when set, is told which file holds which result. `findings` are all that reviews
    found.
    """

    def __init__(self, order: Order, output: Output, display: Display) -> None:
        self.failures: list[OctavoError] = []
        self.broken: Exception | None = None
        self.findings: list[Finding] = []
        self.inventory: Inventory | None = None
        self._order = order
        self._output = output
        self._display = display
        self._task: asyncio.Task[object] | None = None
        self._shared = isinstance(output, Stream) and sys.stdout.isatty()
        # Annotations are capped over all documents, and JSON is one array: both are written last.
        self._deferred = isinstance(output, Stream) and order.output_format is not OutputFormat.TEXT

    def cancels(self, task: asyncio.Task[object] | None) -> None:
        """Name the task that is cancelled when nothing can be written any more."""
        self._task = task

    def __call__(self, result: Result) -> Awaitable[None] | None:
        """Write one result, or the error that ended its document.

        A pipe that nobody reads from blocks a thread and not the run.
        """
        if result.error is not None:
            self._failed(result, result.error)
        if self.broken is not None or (result.error is not None and not self._order.json):
            return None
        self.findings.extend(result.findings or ())
        if result.findings is not None and self._deferred:
            return None
        if self._order.json:
            text, suffix = as_json(result, self._display.run), ".json"
        else:
            text = as_text(result)
            lines = isinstance(result.value, str) or result.findings is not None
            suffix = ".md" if lines else ".json"
        return self._write(result, text, suffix)

    async def _write(self, result: Result, text: str, suffix: str) -> None:
        try:
            if self._shared:
                with self._display.paused():
                    path = self._output.put(result.source, text, suffix)
            else:
                path = await asyncio.to_thread(self._output.put, result.source, text, suffix)
            if path is not None and self.inventory is not None:
                self.inventory.enter(path, text, result)
        except (OctavoError, OSError) as error:
            self.broken = error
            if self._task is not None:
                self._task.cancel()

    def _failed(self, result: Result, error: OctavoError) -> None:
        self.failures.append(error)
        # What ends the whole run is said once, at its end.
        if not isinstance(error, (BackendError, BudgetReached, JournalError)):
            self._display.line(describe(error, about=result.source))
