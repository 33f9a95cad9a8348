"""Everything a step's calls need, over a scripted backend and a journal in memory."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from tests.support.clock import run_virtually

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.calls.ask import Asker
from octavo.engine.calls.call import CallSender
from octavo.engine.dispatch.budget import Budget
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.dispatcher import Dispatcher
from octavo.engine.dispatch.embeddings import EmbeddingDispatcher
from octavo.engine.dispatch.hedging import Hedger
from octavo.engine.dispatch.lane import Lane
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.dispatch.run_limiter import RunLimiter
from octavo.engine.journal.ledger import CallRecorder, Ledger, RunningTotals
from octavo.engine.journal.run_entry import begin_run
from octavo.engine.journal.runs import list_calls
from octavo.engine.journal.store import Journal
from octavo.engine.report import Silence
from octavo.protocols import Capabilities, Message

__all__ = ["Desk", "Line"]


@dataclass(frozen=True)
class Line:
    """A prompt of one line with str.format fields."""

    text: str = "{text}"
    name: str = "line"
    digest: str = "ab" * 32

    def render(self, variables):
        return (Message("user", self.text.format(**variables)),)


class Heard(Silence):
    def __init__(self):
        self.notices = []

    def notice(self, message):
        self.notices.append(message)


ALL = Capabilities(logprobs=True, embeddings=True)


@dataclass
class Desk:
    """`ask(...)` runs `scenario(asker)` on virtual time and returns its value."""

    handler: object
    path: object = None
    jobs: int = 8
    fits: object = lambda _: None
    patience: RetryPolicy = field(default_factory=lambda: RetryPolicy(jitter=lambda: 1.0))
    account: RunningTotals = field(default_factory=RunningTotals)
    embedding: object = None
    known: Capabilities = ALL
    heard: Heard = field(default_factory=Heard)
    hedge: Hedger | None = None
    limit: ConcurrencyLimiter | None = None
    embedding_limit: ConcurrencyLimiter | None = None
    budget: Budget | None = None
    seconds: float = 0.0

    def __post_init__(self):
        self.backend = ScriptedBackend(self.handler, identity="scripted:test")

    def run(self, scenario):
        async def work():
            with Journal(self.path) as journal:
                run = begin_run(journal, pipeline="p", model="m", command=())
                ledger = Ledger(journal, run)
                chat = self.limit or ConcurrencyLimiter(self.jobs, run=RunLimiter(self.jobs))
                embeddings = self.embedding_limit or ConcurrencyLimiter(self.jobs, run=chat.run)
                lane, embedding_lane = (
                    Lane(limiter, journal, self.patience, self.budget)
                    for limiter in (chat, embeddings)
                )
                async with asyncio.TaskGroup() as calls:
                    embedding = self.embedding or self.backend
                    dispatcher = Dispatcher(
                        self.backend,
                        journal,
                        lambda: lane,
                        calls,
                        self.fits,
                        EmbeddingDispatcher(embedding, journal, lambda: embedding_lane, calls),
                        self.hedge,
                    )
                    outcome = await asyncio.gather(
                        self._document(scenario, dispatcher, ledger), return_exceptions=True
                    )
                return outcome[0]

        value, self.seconds = run_virtually(work())
        if isinstance(value, BaseException):
            raise value
        return value

    def attempts(self, node):
        """Return how often the call of a node was sent, as the ledger on disk has it."""
        with Journal(self.path) as journal:
            (row,) = (row for row in list_calls(journal, 1) if row.node == node)
        return row.attempts

    async def _document(self, scenario, dispatcher, ledger):
        async with asyncio.TaskGroup() as group:
            attempts = CallSender(dispatcher, self.backend.identity, self.backend.model, "map", {})
            entries = CallRecorder(
                ledger, self.account, self.heard, "book.txt", "map", b"model---", params={}
            )
            return await scenario(Asker(attempts, entries, dispatcher, group, 0, self.known))
