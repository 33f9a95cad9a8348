"""Documents through a pipeline: a window of them is open, and none waits for its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from octavo.engine.dispatch.dispatcher import Dispatcher
from octavo.engine.dispatch.embeddings import EmbeddingDispatcher
from octavo.engine.dispatch.run_limiter import RunLimiter, RunStopped
from octavo.engine.report import Result, Sink
from octavo.engine.run.pipeline import DocumentRun
from octavo.engine.run.primary_error import primary_error
from octavo.engine.run.run_context import RunContext
from octavo.errors import BackendError, BudgetReached, InputError, JournalError, OctavoError
from octavo.pipeline.spec import Pipeline
from octavo.protocols import Backend, Embedding
from octavo.text.document import Document
from octavo.text.quote import to_row_id

if TYPE_CHECKING:
    from octavo.engine.dispatch.hedging import Hedger
    from octavo.engine.run.gather import GatheredDocument, GatherRun
    from octavo.engine.run.lanes import Lanes

__all__ = ["DocumentStream"]


_RunInput = Document | InputError


@dataclass(eq=False, repr=False)
class DocumentStream:
    """Reads inputs one at a time, folds several documents at once, gives results in input order.

    A new document is opened while fewer calls wait than may fly, so that the limit is always used
    and memory holds a few documents however many there are, also while a slow `sink` takes their
    results. After a failure no new document is opened unless `keep_going`; a result that covers
    less than `min_coverage`, a share of its document, is a failure too.
    """

    engine: RunContext
    backend: Backend
    pipeline: Pipeline
    params: Mapping[str, object]
    limiter: RunLimiter
    open_lanes: Callable[[], Lanes]
    """Returns the lanes, the same ones each time."""
    sink: Sink
    hedger: Hedger | None = None
    keep_going: bool = False
    min_coverage: float = 1.0
    retry_failed: bool = False
    partial: int = 0
    embedding: Embedding | None = None
    measured: bool = False
    give_up: Callable[[], None] | None = None
    """Tells a backend that nothing will be sent any more."""
    documents: int = 0
    failed: int = 0
    end_error: OctavoError | None = None
    unopened: bool = False
    _results: dict[int, Result | None] = field(default_factory=dict[int, Result | None])
    _gathered: dict[int, GatheredDocument] = field(default_factory=dict[int, "GatheredDocument"])
    _next: int = 0
    _is_handing_over: bool = False
    _may_continue: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    async def run(self, inputs: Iterable[_RunInput]) -> None:
        """Fold all inputs. Ends early with `end_error` set when the backend is unusable.

        Cancelled, it sends nothing more, lets what is in flight reach the journal, and ends.
        """
        self._may_continue.set()
        task = asyncio.ensure_future(self._run_all(iter(inputs)))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self.limiter.stop()
            if self.give_up is not None:
                self.give_up()
            self._may_continue.set()
            await task
            raise

    async def _run_all(self, inputs: Iterator[_RunInput]) -> None:
        async with asyncio.TaskGroup() as calls:
            journal, embedder = self.engine.journal, None
            if self.embedding is not None:
                embedder = EmbeddingDispatcher(
                    self.embedding, journal, lambda: self.open_lanes().embedding, calls
                )
            dispatcher = Dispatcher(
                self.backend,
                journal,
                lambda: self.open_lanes().chat,
                calls,
                self.engine.require_fit,
                embedder,
                self.hedger,
                self.retry_failed,
            )
            async with asyncio.TaskGroup() as group:
                number, exhausted = 0, False
                while await self._wait_until_may_open():
                    document = await asyncio.to_thread(next, inputs, None)
                    if document is None:
                        exhausted = True
                        break
                    self._results[number] = None
                    self._open += 1
                    group.create_task(self._run_document(number, document, dispatcher, group))
                    number += 1
                    await asyncio.sleep(0)  # the new document queues its calls first
            if self._has_failures and not (exhausted or self.limiter.stopped or self.end_error):
                self.unopened = await asyncio.to_thread(next, inputs, None) is not None
            await self._gather(dispatcher)
        # What was stopped gave nothing; those that finished behind it still have results.
        for number in sorted(self._results):
            if (result := self._results[number]) is not None:
                await self._hand_over(result)

    async def _gather(self, dispatcher: Dispatcher) -> None:
        """Fold what all documents gave, unless something ended the run before."""
        stopped = (
            self.limiter.stopped or self.end_error or (self._has_failures and not self.keep_going)
        )
        if not self.pipeline.gather or stopped or not self.documents:
            return
        from octavo.engine.run.gather import (  # noqa: PLC0415 - few pipelines gather
            GATHERED,
            GatherRun,
        )

        gathering = GatherRun(
            self.engine,
            lambda _: dispatcher,
            self.pipeline,
            self.params,
            [self._gathered[number] for number in sorted(self._gathered)],
        )
        self.engine.watch.document_started(GATHERED)
        try:
            result = await self._collect_result(GATHERED, gathering)
        except RunStopped:
            return
        self.failed += result.error is not None
        self.engine.watch.document_done(result)
        await self._hand_over(result)

    @property
    def _has_failures(self) -> bool:
        """Whether a document failed, or too much of one is missing."""
        return bool(self.failed or self.partial)

    async def _wait_until_may_open(self) -> bool:
        while True:
            if (
                self.limiter.stopped
                or self.end_error
                or (self._has_failures and not self.keep_going)
            ):
                return False
            capacity = self.limiter.capacity
            idle = self.limiter.waiting < capacity and self._open < 2 * capacity
            room = len(self._results) < max(64, 4 * capacity)
            if room and (idle or self._open < 2):
                return True
            self._may_continue.clear()
            self.limiter.on_idle = self._may_continue.set
            await self._may_continue.wait()

    async def _run_document(
        self, number: int, document: _RunInput, dispatcher: Dispatcher, group: asyncio.TaskGroup
    ) -> None:
        source = document.source
        self.engine.watch.document_started(source)
        try:
            result = await self._read_document(number, document, dispatcher)
            if self.measured:
                totals = self.engine.ledger.add_ideal_rate(
                    result.totals, self.engine.counter, source
                )
                result = replace(result, totals=totals)
        except RunStopped:
            del self._results[number]
            return
        finally:
            self._open -= 1
            self._may_continue.set()
        self.documents += 1
        self.failed += result.error is not None
        self.partial += result.error is None and result.coverage < self.min_coverage
        self.engine.watch.document_done(result)
        self._results[number] = result
        if not self._is_handing_over and number == self._next:
            self._is_handing_over = True
            group.create_task(self._hand_over_ready())

    async def _read_document(
        self, number: int, document: _RunInput, dispatcher: Dispatcher
    ) -> Result:
        if isinstance(document, InputError):
            return Result(document.source, None, error=document)
        reading = DocumentRun(
            self.engine, lambda _: dispatcher, self.pipeline, self.params, document, number
        )
        result = await self._collect_result(document.source, reading)
        if result.error is not None:
            result = replace(result, hash=document.hash, metadata=document.metadata)
        if self.pipeline.gather:
            from octavo.engine.run.gather import (  # noqa: PLC0415 - few pipelines gather
                GatheredDocument,
            )

            gathered = GatheredDocument.from_document(document, reading.given, result.coverage)
            self._gathered[number] = gathered
            if gathered.has_quotes:
                self.engine.journal.keep_text(to_row_id(document.hash), document.text)
        return result

    async def _collect_result(self, source: str, work: DocumentRun | GatherRun) -> Result:
        """Return what came of a document or of all, or the error that ended it."""
        try:
            return await work.run()
        except BaseExceptionGroup as group:
            error = primary_error(group)
        except OctavoError as single:
            error = single
        if isinstance(error, (BackendError, BudgetReached, JournalError)):
            self.end_error = self.end_error or error
            self.limiter.stop()
        if not isinstance(error, OctavoError):
            raise error
        return Result(source, None, totals=work.account.to_totals(), error=error)

    async def _hand_over_ready(self) -> None:
        """Hand over the results that nothing earlier waits for, one when the other was taken."""
        while (result := self._results.get(self._next)) is not None:
            await self._hand_over(result)
            del self._results[self._next]
            self._next += 1
            self._may_continue.set()
        self._is_handing_over = False

    async def _hand_over(self, result: Result) -> None:
        """Hand over a result; what is gathered is no result of its own, its failure is."""
        if self.pipeline.gather and result.error is None and not result.members:
            return
        taken = self.sink(result)
        if taken is not None:
            await taken
