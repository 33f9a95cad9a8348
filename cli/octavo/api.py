"""Running, planning and splitting from a program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from octavo.backends.profiles import resolve
from octavo.engine.budget import Allowance
from octavo.engine.execute import Job, execute, forecast
from octavo.engine.plan import Plan
from octavo.engine.report import Report, Result, Silence, Watch
from octavo.engine.wait import wait
from octavo.errors import InputError, UsageError
from octavo.loaders.inputs import find
from octavo.loaders.reading import documents
from octavo.pipeline.params import resolve as resolve_params
from octavo.pipeline.reader import load
from octavo.pipeline.registry import Registry
from octavo.protocols import Backend, Profile
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.tokens.choose import counter

__all__ = ["RunResult", "plan", "run", "split"]

Source = str | Path | Document
"""An input: the path of a file or a directory, or a document that a program made."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """What `octavo.run` returns: a result for each document, in order, and the run's report.

    A document that failed has an `error` and no value; the others are complete.
    """

    results: tuple[Result, ...]
    report: Report

    @property
    def text(self) -> str:
        """The texts of all results, with a blank line between them; records are left out.

        Raises the error of the first document that failed.
        """
        for result in self.results:
            if result.error is not None:
                raise result.error
        return "\n\n".join(r.value for r in self.results if isinstance(r.value, str))


def run(
    pipeline: str | Path,
    *inputs: Source,
    model: str | Backend | None = None,
    params: Mapping[str, object] | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    fresh: bool = False,
    private: bool = False,
    until: str | None = None,
    allow_partial: float | None = None,
    max_calls: int | None = None,
    max_tokens: int | None = None,
    max_cost: float | None = None,
    max_minutes: float | None = None,
    watch: Watch | None = None,
) -> RunResult:
    """Fold documents through a pipeline and return what came out.

    `pipeline` is a name or a path. `model` is `BACKEND:NAME`, a profile's name, a Backend, or None
    for the configured one. `params` are the pipeline's parameters. `jobs` fixes how many calls are
    in flight. Without `keep_going` no new document is started after one failed. `fresh` asks
    everything anew; `private` keeps the journal in memory. `until` names the step whose notes are
    the result, instead of the last one's. With `allow_partial`, a share of a document, what cannot
    be answered is left out, and the report counts results that cover less. The run ends before it
    sends more than `max_calls` calls or `max_tokens` tokens of prompts and replies, spends
    `max_cost` dollars or takes `max_minutes` minutes; run again, it goes on. `watch` is told what
    happens.

    Raises BudgetReached when it ended so, UsageError or SpecErrors for what is wrong before
    anything runs, BackendError when the backend is unusable, JournalError when the journal is.
    """
    watch = watch or Silence()
    job = _job(
        pipeline,
        inputs,
        model,
        params,
        watch=watch,
        jobs=jobs,
        keep_going=keep_going,
        fresh=fresh,
        private=private,
        until=until,
        allow_partial=allow_partial,
        allowance=Allowance(max_calls, max_tokens, max_cost, max_minutes),
    )
    results: list[Result] = []
    report = wait(execute(job, watch=watch, sink=results.append))
    if report.error is not None:
        raise report.error
    return RunResult(tuple(results), report)


def plan(
    pipeline: str | Path,
    *inputs: Source,
    model: str | Backend | None = None,
    params: Mapping[str, object] | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    private: bool = False,
    until: str | None = None,
) -> Plan:
    """Return what `octavo.run` would do with the same arguments; sends nothing.

    Raises FitError when a prompt cannot fit the model's window, UsageError or SpecErrors for wrong
    arguments or pipelines.
    """
    job = _job(
        pipeline, inputs, model, params, jobs=jobs, fresh=fresh, private=private, until=until
    )
    return wait(forecast(job))


def split(
    document: Source,
    *,
    by: str = "structure",
    tokens: int = 2000,
    tokenizer: str = "o200k_base",
    **options: object,
) -> tuple[Chunk, ...]:
    """Split a document into chunks of at most `tokens` tokens; they join to its text.

    `options` are the chunker's own. Raises InputError for an unreadable file, UsageError for an
    unknown chunker or an option that it does not have.
    """
    loaded = next(_documents([document]))
    if isinstance(loaded, InputError):
        raise loaded
    chunker = Registry().chunker(by)
    if chunker.asks:
        raise UsageError(
            f"the chunker {by!r} asks a model", hint="put it into a pipeline, and run that"
        )
    try:
        checked = chunker.options.model_validate({"tokens": tokens, **options})
    except ValueError as error:
        raise UsageError(f"the chunker {by!r} does not take these options: {error}") from error
    return wait(chunker.run(loaded, checked, counter(tokenizer), None))


def _job(
    pipeline: str | Path,
    inputs: Sequence[Source],
    model: str | Backend | None,
    params: Mapping[str, object] | None,
    *,
    watch: Watch | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    fresh: bool = False,
    private: bool = False,
    until: str | None = None,
    allow_partial: float | None = None,
    allowance: Allowance | None = None,
) -> Job:
    registry = Registry()
    spec = load(str(pipeline), registry)
    spec = spec.until(until) if until else spec
    backend = None if model is None or isinstance(model, str) else model
    if backend is not None:
        profile = Profile(model=backend.model)
    else:
        name = model if isinstance(model, str) else None
        choice = resolve(name, cwd=Path.cwd(), env=os.environ)
        profile = choice.profile
        if watch is not None:
            for notice in choice.notices:
                watch.notice(notice)
    return Job(
        pipeline=spec,
        params=resolve_params(spec.params, params or {}),
        inputs=_documents(inputs),
        profile=profile,
        jobs=jobs,
        keep_going=keep_going,
        fresh=fresh,
        private=private,
        allowance=allowance or Allowance(),
        allow_partial=allow_partial,
        registry=registry,
        backend=backend,
    )


def _documents(inputs: Sequence[Source]) -> Iterator[Document | InputError]:
    for item in inputs:
        if isinstance(item, Document):
            yield item
        else:
            yield from documents(find([str(item)], loaders=Registry().loaders()))
