"""Running, planning and splitting from a program."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from octavo.backends.profiles import resolve
from octavo.engine.execute import Job, execute, forecast
from octavo.engine.plan import Plan
from octavo.engine.report import Report, Result, Silence, Watch
from octavo.errors import InputError, RunFailed
from octavo.pipeline.params import bind
from octavo.pipeline.registry import Registry
from octavo.protocols import Backend, Profile
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["RunResult", "plan", "run", "split"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What `octavo.run` returns: a result for each input, in order, and the run's report."""

    results: tuple[Result, ...]
    report: Report

    @property
    def text(self) -> str:
        """The results' texts with a blank line between; records are left out."""
        return "\n\n".join(r.value for r in self.results if isinstance(r.value, str))


def run(
    pipeline: str | Path,
    *inputs: str | Path | Document,
    model: str | Backend | None = None,
    params: Mapping[str, object] | None = None,
    jobs: int | None = None,
    keep_going: bool = False,
    fresh: bool = False,
    private: bool = False,
    watch: Watch | None = None,
) -> RunResult:
    """Fold documents through a pipeline and return what came out.

    `pipeline` is a built-in's name or a path; an input is a path or a Document. `model` is
    `BACKEND:NAME`, a profile's name, a Backend, or None for the configured one. `params` are the
    pipeline's parameters.

    Raises OctavoError for what ends the run, and RunFailed, which carries the RunResult as
    `result`, when a document failed.
    """
    job = _job(
        pipeline,
        inputs,
        model,
        params,
        jobs=jobs,
        keep_going=keep_going,
        fresh=fresh,
        private=private,
    )
    results: list[Result] = []
    report = _wait(execute(job, watch=watch or Silence(), sink=results.append))
    if report.error is not None:
        raise report.error
    done = RunResult(tuple(results), report)
    failures = [result.error for result in results if result.error is not None]
    if len(failures) == 1 and len(results) == 1:
        raise failures[0]
    if failures:
        raise RunFailed(f"{len(failures)} of {len(results)} documents failed", result=done)
    return done


def plan(
    pipeline: str | Path,
    *inputs: str | Path | Document,
    model: str | Backend | None = None,
    params: Mapping[str, object] | None = None,
) -> Plan:
    """Return what `octavo.run` would do with the same arguments; sends nothing.

    Raises FitError when a prompt cannot fit the model's window, and UsageError or SpecErrors for
    wrong arguments or pipelines.
    """
    return _wait(forecast(_job(pipeline, inputs, model, params)))


def split(
    document: str | Path | Document,
    *,
    by: str = "structure",
    tokens: int = 2000,
    tokenizer: str = "o200k_base",
    **options: object,
) -> tuple[Chunk, ...]:
    """Split a document into chunks of at most `tokens` tokens; they join to its text.

    `options` are the chunker's own. Raises InputError for an unreadable path, UsageError for an
    unknown chunker or option.
    """
    loaded = document if isinstance(document, Document) else _load(document)
    chunker = Registry().chunker(by)
    checked = chunker.options.model_validate({"tokens": tokens, **options})
    return _wait(chunker.run(loaded, checked, counter_named(tokenizer), None))


def _job(
    pipeline: str | Path,
    inputs: Sequence[str | Path | Document],
    model: str | Backend | None,
    params: Mapping[str, object] | None,
    **rest: Any,  # noqa: ANN401 - the fields of Job
) -> Job:
    from octavo.backends.profiles import resolve  # noqa: PLC0415 - not needed with a Backend

    registry = Registry()
    spec = load_pipeline(str(pipeline), registry)
    backend = model if model is not None and not isinstance(model, str) else None
    profile = (
        Profile(model=backend.model)
        if backend
        else resolve(model if isinstance(model, str) else None)
    )
    return Job(
        pipeline=spec,
        params=bind(spec.params, params or {}),
        inputs=(item if isinstance(item, Document) else _readable(item) for item in inputs),
        profile=profile,
        registry=registry,
        backend=backend,
        **rest,
    )


def _load(path: str | Path) -> Document:
    loaded = _readable(path)
    if isinstance(loaded, InputError):
        raise loaded
    return loaded


def _readable(path: str | Path) -> Document | InputError:
    raise NotImplementedError(path, Inputs, FitError, OctavoError)


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end, beside a running event loop if there is one (as in a notebook)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    done: list[T] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            done.append(asyncio.run(work))
        except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
            failed.append(error)

    thread = threading.Thread(target=target, name="octavo")
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return done[0]
