"""A whole run, from the journal's opening to its report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache

from octavo.engine.budget import Allowance, Budget, MeteredBackend, MeteredEmbedding
from octavo.engine.contact import fetch_capabilities, cached_capabilities
from octavo.engine.counting import JournalCounter
from octavo.engine.engine import RunContext
from octavo.engine.garbage import reduce_garbage_collection
from octavo.engine.hedge import Hedger
from octavo.engine.history import History, find_typical_calls
from octavo.engine.journal import Journal
from octavo.engine.ledger import Ledger
from octavo.engine.limit import ConcurrencyLimiter
from octavo.engine.pace import RateLimiter
from octavo.engine.patience import RetryPolicy
from octavo.engine.plan import PlanFacts, Plan, build_plan
from octavo.engine.price import Price, find_price
from octavo.engine.report import Report, Silence, Sink, Watch
from octavo.engine.run import DocumentStream
from octavo.engine.runs import begin_run, finish_run, find_fresh_generation
from octavo.engine.storage import find_journal_path
from octavo.errors import InputError, UsageError
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Pipeline
from octavo.protocols import Backend, Capabilities, Embedding, Fetching, Profile, Served, Starting
from octavo.text.document import Document
from octavo.tokens.choose import get_counter as counter_named
from octavo.tokens.choose import find_tokenizer

__all__ = ["Job", "execute", "forecast"]

_DEFAULT_PARALLEL = 8
"""Calls in flight at first, for a backend that does not say what it takes."""


@dataclass(frozen=True, slots=True)
class Job:
    """Everything that a run needs to know.

    `inputs` is read lazily, on a thread of its own. `jobs` fixes how many calls are in flight;
    None lets the limit adapt. `fresh` asks everything anew; `generation` and `base` go on with
    those of an earlier run (see Journal); with `retry`, replies that fail are asked for anew. With
    `allow_partial`, a share of a document, what cannot be answered is left out, and a result that
    covers so much is complete. `allowance` is what may be spent. `private` keeps the journal in
    memory. `measured` finds out, too, what of the prompts a server could have had computed before,
    which takes a look at each of them. `command` is what `octavo runs resume` runs again.
    `backend`, when given, answers instead of the profile's.
    """

    pipeline: Pipeline
    params: Mapping[str, object]
    inputs: Iterable[Document | InputError]
    profile: Profile
    jobs: int | None = None
    keep_going: bool = False
    fresh: bool = False
    generation: int = 0
    base: int | None = None
    retry: bool = False
    private: bool = False
    measured: bool = False
    command: tuple[str, ...] = ()
    registry: Registry = field(default_factory=Registry)
    backend: Backend | None = None
    allowance: Allowance = field(default_factory=Allowance)
    allow_partial: float | None = None

    @property
    def effective_pipeline(self) -> Pipeline:
        """The pipeline, leaving out what fails where a partial result may be accepted."""
        return self.pipeline if self.allow_partial is None else self.pipeline.skip_errors()


async def execute(job: Job, *, watch: Watch, sink: Sink) -> Report:
    """Run a job; `sink` receives each document's result, in the order of the inputs, when durable.

    Returns a report with `error` set when the backend became unusable or a budget was reached.
    Raises what shows before the first call. Cancelled, it lets what is in flight reach the journal.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    with open_journal(job) as journal, reduce_garbage_collection():
        async with open_job_backend(job, watch) as backend, open_job_embedding(job, backend, watch) as embedding:
            price = require_chat_price(job, backend) if job.allowance.cost is not None else None
            known = await fetch_capabilities(backend, job.profile, journal, watch)
            opened = JobSession(job, journal, backend, known, embedding)
            limit = opened.build_limiter()
            model = name_model(backend)
            journal.prepare()
            number = begin_run(journal, pipeline=job.pipeline.name, model=model, command=job.command)
            watch.run_started(str(number))
            ledger = Ledger(journal, number)
            engine = opened.build_context(ledger, watch)
            budget = Budget(job.allowance, price, lambda r: engine.counts.count_prompt_once(r.messages))
            if isinstance(backend, Starting) and not (job.jobs or job.profile.parallel):
                backend.capacity = limit.raise_to
            stream = DocumentStream(
                engine=engine,
                backend=MeteredBackend(backend, budget) if job.allowance else backend,
                pipeline=job.effective_pipeline,
                params=job.params,
                limiter=limit,
                retry_policy=RetryPolicy(sleep=lambda seconds: limit.pause(min(seconds, budget.seconds_left))),
                sink=sink,
                hedger=Hedger(job.profile.hedge) if job.profile.hedge else None,
                keep_going=job.keep_going,
                retry_failed=job.retry,
                min_coverage=1.0 if job.allow_partial is None else job.allow_partial,
                embedding=meter_embedding(job, embedding, budget),
                measured=job.measured,
                give_up=backend.give_up if isinstance(backend, Starting) else None,
            )
            status = "failed"
            try:
                await stream.run(job.inputs)
                status = _name_status(stream)
            except asyncio.CancelledError:
                status = "stopped"
                raise
            finally:
                totals = ledger.account.to_totals()
                report = Report(
                    run=str(number),
                    documents=stream.documents,
                    failed=stream.failed,
                    totals=ledger.add_ideal_rate(totals, engine.counter) if job.measured else totals,
                    seconds=clock() - started,
                    error=stream.end_error,
                    partial=stream.partial,
                    unopened=stream.unopened,
                )
                finish_run(journal, number, status, report)
    return report


async def forecast(job: Job, *, watch: Watch | None = None) -> Plan:
    """Return what `execute` would do with a job; sends nothing and writes no run.

    Raises FitError when a prompt cannot fit, and what else a run would raise before its first call.
    """
    quiet = watch or Silence()
    with open_journal(job) as journal:
        async with open_job_backend(job, quiet) as backend, open_job_embedding(job, backend, quiet) as embedding:
            known = cached_capabilities(backend, job.profile, journal) or backend.known
            opened = JobSession(job, journal, backend, known, embedding)
            engine = opened.build_context(Ledger(journal, None), quiet)
            name = job.pipeline.name
            expected = PlanFacts(
                History(journal, name, job.command, fresh=job.fresh),
                price=cache(lambda: find_chat_price(job, backend)),
                price_embedding=cache(lambda: find_embedding_price(job, embedding)),
                usual=find_typical_calls(journal, model=f"{backend.identity} {backend.model}", pipeline=name),
                jobs=opened.build_limiter().size,
            )
            return await build_plan(engine, job.pipeline, job.params, job.inputs, expected)


def open_journal(job: Job) -> Journal:
    journal = Journal(
        None if job.private else find_journal_path(),
        generation=job.generation,
        base=job.base,
    )
    if job.retry:
        journal.generation = find_fresh_generation(journal)
    elif job.fresh and not job.generation:
        journal.generation = journal.base = find_fresh_generation(journal)
    return journal


def find_chat_price(job: Job, backend: Backend) -> Price | None:
    return find_price(job.profile, backend.place if isinstance(backend, Served) else None)


def require_chat_price(job: Job, backend: Backend) -> Price:
    price = find_chat_price(job, backend)
    if price is None:
        raise UsageError(
            f"--max-cost: the price of {job.profile.model} is not known",
            hint="set price_in and price_out, in dollars per million tokens, in its profile",
        )
    return price


def meter_embedding(job: Job, embedding: Embedding | None, budget: Budget) -> Embedding | None:
    if embedding is None or not job.allowance:
        return embedding
    price = find_embedding_price(job, embedding) if job.allowance.cost is not None else None
    return MeteredEmbedding(embedding, budget, price)


def find_embedding_price(job: Job, embedding: Embedding | None) -> Price | None:
    profile, named = job.profile, job.profile.embeddings
    if isinstance(named, Profile):
        profile = named
    elif named is not None:
        kind, _, _ = profile.model.partition(":")
        # What the profile says of prices is said of the model that replies.
        changes = {"model": f"{kind}:{named}", "price_in": None, "price_out": None}
        profile = profile.model_copy(update=changes)
    return find_price(profile, embedding.place if isinstance(embedding, Served) else None)


@asynccontextmanager
async def open_job_backend(job: Job, watch: Watch) -> AsyncGenerator[Backend]:
    if job.backend is not None:
        yield job.backend
        return
    async with _open_backend(job, job.profile, watch) as backend:
        yield backend


@asynccontextmanager
async def open_job_embedding(job: Job, backend: Backend, watch: Watch) -> AsyncGenerator[Embedding | None]:
    """Open what embeds: the backend itself, or that of a profile of its own."""
    profile = job.profile.embeddings
    if not isinstance(profile, Profile):
        yield backend if isinstance(backend, Embedding) and backend.known.embeddings else None
        return
    _, _, name = profile.model.partition(":")
    async with _open_backend(job, profile.model_copy(update={"embeddings": name}), watch) as embedding:
        if not isinstance(embedding, Embedding):
            raise UsageError(f"{profile.model} embeds nothing", hint="name a model that does")
        yield embedding


@asynccontextmanager
async def _open_backend(job: Job, profile: Profile, watch: Watch) -> AsyncGenerator[Backend]:
    kind, _, name = profile.model.partition(":")
    backend = job.registry.get_backend(kind).open(name, profile)
    if isinstance(backend, Fetching):
        backend.progress = watch.fetching
    if isinstance(backend, Starting):
        backend.stage = watch.waiting
    try:
        yield backend
    finally:
        await backend.close()


@dataclass(frozen=True, slots=True)
class JobSession:
    """A job's journal, backend and what is known of it."""

    job: Job
    journal: Journal
    backend: Backend
    known: Capabilities
    embedding: Embedding | None

    def build_context(self, ledger: Ledger, watch: Watch) -> RunContext:
        backend = self.backend
        counter = counter_named(self.known.tokenizer or find_tokenizer(backend.model), watch.notice)
        return RunContext(
            journal=self.journal,
            ledger=ledger,
            watch=watch,
            registry=self.job.registry,
            counter=counter,
            counts=JournalCounter(counter, self.journal),
            identity=backend.identity,
            model=backend.model,
            window=self.known.window,
            known=replace(self.known, embeddings=self.embedding is not None),
            embedder=self.embedding.embedder if self.embedding is not None else "",
        )

    def build_limiter(self) -> ConcurrencyLimiter:
        size = self.job.jobs or self.known.parallel
        profile = self.job.profile
        stated = {"requests": profile.requests_per_minute, "tokens": profile.tokens_per_minute}
        pace = RateLimiter({kind: limit for kind, limit in stated.items() if limit is not None})
        return ConcurrencyLimiter(size or _DEFAULT_PARALLEL, adapts=size is None, pace=pace)


def name_model(backend: Backend) -> str:
    """Return what the list of runs calls a model."""
    return f"{backend.identity} {backend.model}"


def _name_status(stream: DocumentStream) -> str:
    if stream.end_error is not None:
        return type(stream.end_error).__name__
    if stream.failed:
        return "failed"
    return "partial" if stream.partial else "complete"
