"""Running, planning and splitting from a program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from octavo.config.profiles import resolve_model
from octavo.config.run_options import RunOptions, check_numbers
from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.plan.plan import Plan, forecast
from octavo.engine.report import Report, Result, Silence, Watch
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.engine.run.runtime import run_blocking
from octavo.engine.splitting import SplitMethod, score_methods
from octavo.errors import InputError, UsageError
from octavo.inputs.discovery import find_inputs
from octavo.inputs.reading import read_documents
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Backend, ContextOptions, Options, Profile
from octavo.scoring import Scores
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.tokens.choose import get_counter

__all__ = ["RunResult", "plan", "run", "score", "split"]


AnyOptions = TypeVar("AnyOptions", bound=Options)

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
    options = RunOptions(
        jobs=jobs,
        keep_going=keep_going,
        fresh=fresh,
        private=private,
        until=until,
        allow_partial=allow_partial,
        max_calls=max_calls,
        max_tokens=max_tokens,
        max_cost=max_cost,
        max_minutes=max_minutes,
    )
    job = _build_job(pipeline, inputs, model, params, options, watch=watch)
    results: list[Result] = []
    report = run_blocking(execute(job, watch=watch, sink=results.append))
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
    options = RunOptions(jobs=jobs, fresh=fresh, private=private, until=until)
    return run_blocking(forecast(_build_job(pipeline, inputs, model, params, options)))


def split(
    document: Source,
    *,
    by: str = "structure",
    tokens: int = 2000,
    tokenizer: str = "o200k_base",
    context: Mapping[str, object] | None = None,
    previous: Sequence[Chunk] | None = None,
    **options: object,
) -> tuple[Chunk, ...]:
    """Split a document into chunks of at most `tokens` tokens; they join to its text.

    `options` are the chunker's own. `context` says what the chunks shall have beside them, as in a
    pipeline: `{"before": 100, "title": True}`. `previous` are the chunks of an earlier version, by
    structure: borders stay where they were, so that an edit changes fewer of them.

    Raises InputError for an unreadable file, UsageError for an unknown chunker or an option that it
    does not have.
    """
    beside = None if context is None else _validate_options("`context`", ContextOptions, context)
    splitting = _build_splitting(by, tokens, tokenizer, options, context=beside, previous=previous)
    return run_blocking(splitting.split_document(_load_document(document)))


def score(
    document: Source,
    *,
    by: str = "structure",
    tokens: int = 2000,
    tokenizer: str = "o200k_base",
    model: str | Backend | None = None,
    private: bool = False,
    **options: object,
) -> Scores:
    """Split a document, and return how good the chunks are.

    `options` are the chunker's own. With a `model` (`BACKEND:NAME`, a profile's name or a Backend)
    its embeddings and log probabilities are asked for, as far as it has them; what was asked for
    once is kept in the journal, or in memory if `private`.

    Raises InputError for an unreadable file, UsageError for an unknown chunker or an option that it
    does not have, BackendError when the model is unusable.
    """
    splitting = _build_splitting(by, tokens, tokenizer, options)
    loaded = _load_document(document)
    if model is None:
        return run_blocking(splitting.score_document(loaded))
    if isinstance(model, str):
        choice = resolve_model(model, cwd=Path.cwd(), env=os.environ)
        backend = Registry().get_backend(choice.backend).open(choice.model, choice.profile)
    else:
        backend = model
    return run_blocking(score_methods([splitting], loaded, backend, private=private))[0]


def _build_splitting(
    by: str,
    tokens: int,
    tokenizer: str,
    options: Mapping[str, object],
    *,
    context: ContextOptions | None = None,
    previous: Sequence[Chunk] | None = None,
) -> SplitMethod:
    chunker = Registry().get_chunker(by)
    checked = _validate_options(
        f"the chunker {by!r}", chunker.options, {"tokens": tokens, **options}
    )
    return SplitMethod(chunker, checked, tokens, get_counter(tokenizer), context, previous)


def _validate_options(
    owner: str, model: type[AnyOptions], values: Mapping[str, object]
) -> AnyOptions:
    try:
        return model.model_validate(values)
    except ValueError as error:
        raise UsageError(f"{owner} does not take these options: {error}") from error


def _load_document(source: Source) -> Document:
    loaded = next(_iter_documents([source]))
    if isinstance(loaded, InputError):
        raise loaded
    return loaded


def _build_job(
    pipeline: str | Path,
    inputs: Sequence[Source],
    model: str | Backend | None,
    params: Mapping[str, object] | None,
    options: RunOptions,
    *,
    watch: Watch | None = None,
) -> Job:
    check_numbers(options)
    registry = Registry()
    spec = load_pipeline(str(pipeline), registry)
    spec = spec.truncate_after(options.until) if options.until else spec
    backend = None if model is None or isinstance(model, str) else model
    if backend is not None:
        profile = Profile(model=backend.model)
    else:
        name = model if isinstance(model, str) else None
        choice = resolve_model(name, cwd=Path.cwd(), env=os.environ)
        profile = choice.profile
        if watch is not None:
            for notice in choice.notices:
                watch.notice(notice)
    return Job(
        pipeline=spec,
        params=resolve_params(spec.params, params or {}),
        inputs=_iter_documents(inputs),
        profile=profile,
        jobs=options.jobs,
        keep_going=options.keep_going,
        fresh=options.fresh,
        private=options.private,
        allowance=Allowance(
            options.max_calls, options.max_tokens, options.max_cost, options.max_minutes
        ),
        allow_partial=options.allow_partial,
        registry=registry,
        backend=backend,
    )


def _iter_documents(inputs: Sequence[Source]) -> Iterator[Document | InputError]:
    for item in inputs:
        if isinstance(item, Document):
            yield item
        else:
            yield from read_documents(find_inputs([str(item)], loaders=Registry().list_loaders()))
