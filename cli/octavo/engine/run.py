"""Documents through a pipeline: a window of them is open, and none waits for its neighbours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from octavo.engine.citing import Citing
from octavo.engine.document import Reading
from octavo.engine.engine import Engine
from octavo.engine.failure import blamed
from octavo.engine.flight import Flights
from octavo.engine.gathering import GATHERED, Gathered, Gathering
from octavo.engine.hedge import Hedge
from octavo.engine.limit import Limit, Stopped
from octavo.engine.patience import Patience
from octavo.engine.report import Result, Sink
from octavo.errors import (
    BackendError,
    BudgetReached,
    InputError,
    JournalError,
    OctavoError,
)
from octavo.pipeline.spec import Pipeline
from octavo.protocols import Backend, Embedding
from octavo.text.document import Document
from octavo.text.quote import to_row_id

__all__ = ["Stream"]

_Input = Document | InputError


@dataclass
class Stream:
    """Reads inputs one at a time, folds several documents at once, gives results in input order.

    A new document is opened while fewer calls wait than may fly, so that the limit is always used
    and memory holds a few documents however many there are, also while a slow `sink` takes their
    results. After a failure no new document is opened unless `keep_going`; a result that covers
    less than `accepted`, a share of its document, is a failure too.
    """

    engine: Engine
    backend: Backend
    pipeline: Pipeline
    params: Mapping[str, object]
    limit: Limit
    patience: Patience
    sink: Sink
    hedge: Hedge | None = None
    keep_going: bool = False
    accepted: float = 1.0
    retry: bool = False
    partial: int = 0
    embedding: Embedding | None = None
    measured: bool = False
    give_up: Callable[[], None] | None = None
    """Tells a backend that nothing will be sent any more."""
    documents: int = 0
    failed: int = 0
    ended: OctavoError | None = None
    unopened: bool = False
    _results: dict[int, Result | None] = field(default_factory=dict[int, Result | None])
    _gathered: dict[int, Gathered] = field(default_factory=dict[int, Gathered])
    _next: int = 0
    _giving: bool = False
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _open: int = 0

    async def run(self, inputs: Iterable[_Input]) -> None:
        """Fold all inputs. Ends early with `ended` set when the backend is unusable.

        Cancelled, it sends nothing more, lets what is in flight reach the journal, and ends.
        """
        self._room.set()
        task = asyncio.ensure_future(self._all(iter(inputs)))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            self.limit.stop()
            if self.give_up is not None:
                self.give_up()
            self._room.set()
            await task
            raise

    async def _all(self, inputs: Iterator[_Input]) -> None:
        async with asyncio.TaskGroup() as calls:
            flights = Flights(
                self.backend,
                self.engine.journal,
                self.limit,
                self.patience,
                calls,
                self.engine.fits,
                self.embedding,
                self.hedge,
                self.retry,
            )
            async with asyncio.TaskGroup() as group:
                number, exhausted = 0, False
                while await self._may_open():
                    document = await asyncio.to_thread(next, inputs, None)
                    if document is None:
                        exhausted = True
                        break
                    self._results[number] = None
                    self._open += 1
                    group.create_task(self._one(number, document, flights, group))
                    number += 1
                    await asyncio.sleep(0)  # the new document queues its calls first
            if self._flawed and not (exhausted or self.limit.stopped or self.ended):
                self.unopened = await asyncio.to_thread(next, inputs, None) is not None
            await self._gather(flights)
        # What was stopped gave nothing; those that finished behind it still have results.
        for number in sorted(self._results):
            if (result := self._results[number]) is not None:
                await self._hand_over(result)

    async def _gather(self, flights: Flights) -> None:
        """Fold what all documents gave, unless something ended the run before."""
        stopped = self.limit.stopped or self.ended or (self._flawed and not self.keep_going)
        if not self.pipeline.gather or stopped or not self.documents:
            return
        gathering = Gathering(
            self.engine,
            lambda _: flights,
            self.pipeline,
            self.params,
            [self._gathered[number] for number in sorted(self._gathered)],
        )
        self.engine.watch.document_started(GATHERED)
        try:
            result = await self._outcome(GATHERED, gathering)
        except Stopped:
            return
        self.failed += result.error is not None
        self.engine.watch.document_done(result)
        await self._hand_over(result)

    @property
    def _flawed(self) -> bool:
        """Whether a document failed, or too much of one is missing."""
        return bool(self.failed or self.partial)

    async def _may_open(self) -> bool:
        while True:
            if self.limit.stopped or self.ended or (self._flawed and not self.keep_going):
                return False
            idle = self.limit.waiting < self.limit.size and self._open < 2 * self.limit.size
            room = len(self._results) < max(64, 4 * self.limit.size)
            if room and (idle or self._open < 2):
                return True
            self._room.clear()
            self.limit.on_idle = self._room.set
            await self._room.wait()

    async def _one(
        self, number: int, document: _Input, flights: Flights, group: asyncio.TaskGroup
    ) -> None:
        source = document.source
        self.engine.watch.document_started(source)
        try:
            result = await self._fold(number, document, flights)
            if self.measured:
                totals = self.engine.ledger.measured(result.totals, self.engine.counter, source)
                result = replace(result, totals=totals)
        except Stopped:
            del self._results[number]
            return
        finally:
            self._open -= 1
            self._room.set()
        self.documents += 1
        self.failed += result.error is not None
        self.partial += result.error is None and result.coverage < self.accepted
        self.engine.watch.document_done(result)
        self._results[number] = result
        if not self._giving and number == self._next:
            self._giving = True
            group.create_task(self._give())

    async def _fold(self, number: int, document: _Input, flights: Flights) -> Result:
        if isinstance(document, InputError):
            return Result(document.source, None, error=document)
        citing = Citing(flights, document)
        reading = Reading(
            self.engine, lambda _: citing, self.pipeline, self.params, document, number
        )
        result = await self._outcome(document.source, reading)
        if result.error is not None:
            result = replace(result, hash=document.hash, metadata=document.metadata)
        if self.pipeline.gather:
            gathered = Gathered.of(document, reading.given, result.coverage)
            self._gathered[number] = gathered
            if gathered.quoting:
                self.engine.journal.keep_text(to_row_id(document.hash), document.text)
        return result

    async def _outcome(self, source: str, work: Reading | Gathering) -> Result:
        """Return what came of a document or of all, or the error that ended it."""
        try:
            return await work.result()
        except BaseExceptionGroup as group:
            error = blamed(group)
        except OctavoError as single:
            error = single
        if isinstance(error, (BackendError, BudgetReached, JournalError)):
            self.ended = self.ended or error
            self.limit.stop()
        if not isinstance(error, OctavoError):
            raise error
        return Result(source, None, totals=work.account.totals(), error=error)

    async def _give(self) -> None:
        """Hand over the results that nothing earlier waits for, one when the other was taken."""
        while (result := self._results.get(self._next)) is not None:
            await self._hand_over(result)
            del self._results[self._next]
            self._next += 1
            self._room.set()
        self._giving = False

    async def _hand_over(self, result: Result) -> None:
        """Hand over a result; what is gathered is no result of its own, its failure is."""
        if self.pipeline.gather and result.error is None and not result.members:
            return
        taken = self.sink(result)
        if taken is not None:
            await taken
