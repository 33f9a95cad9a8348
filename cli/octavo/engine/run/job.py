"""A job: everything that a run or a plan needs to know, and how its parts are opened."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.ledger import Ledger
from octavo.engine.journal.run_entry import find_fresh_generation
from octavo.engine.journal.store import Journal
from octavo.engine.journal.token_counts import JournalCounter
from octavo.engine.report import Watch
from octavo.engine.run.run_context import RunContext
from octavo.errors import InputError, UsageError
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Pipeline
from octavo.protocols import Backend, Capabilities, Embedding, Fetching, Profile, Starting
from octavo.text.document import Document
from octavo.tokens.choose import find_tokenizer
from octavo.tokens.choose import get_counter as counter_named

__all__ = ["Job"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
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


def open_journal(job: Job, watch: Watch) -> Journal:
    journal = Journal(
        None if job.private else find_journal_path(),
        generation=job.generation,
        base=job.base,
        notify=watch.notice,
    )
    if job.retry:
        journal.generation = find_fresh_generation(journal)
    elif job.fresh and not job.generation:
        journal.generation = journal.base = find_fresh_generation(journal)
    return journal


@asynccontextmanager
async def open_job_backend(job: Job, watch: Watch) -> AsyncGenerator[Backend]:
    if job.backend is not None:
        yield job.backend
        return
    async with _open_backend(job, job.profile, watch) as backend:
        yield backend


@asynccontextmanager
async def open_job_embedding(
    job: Job, backend: Backend, watch: Watch
) -> AsyncGenerator[Embedding | None]:
    """Open what embeds: the backend itself, or that of a profile of its own."""
    profile = job.profile.embeddings
    if not isinstance(profile, Profile):
        yield backend if isinstance(backend, Embedding) and backend.known.embeddings else None
        return
    _, _, name = profile.model.partition(":")
    async with _open_backend(
        job, profile.model_copy(update={"embeddings": name}), watch
    ) as embedding:
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


@dataclass(slots=True, eq=False, repr=False)
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

    @property
    def parallel(self) -> int | None:
        """How many calls may be in flight, where the user or the backend says so."""
        return self.job.jobs or self.known.parallel


def name_model(backend: Backend) -> str:
    """Return what the list of runs calls a model."""
    return f"{backend.identity} {backend.model}"
