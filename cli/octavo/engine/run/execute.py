"""A whole run, from the journal's opening to its report."""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING

from octavo.engine.dispatch.capabilities import fetch_capabilities
from octavo.engine.dispatch.run_limiter import RunLimiter
from octavo.engine.journal.ledger import Ledger
from octavo.engine.journal.run_entry import begin_run, finish_run
from octavo.engine.report import Report, Sink, Watch
from octavo.engine.run.job import (
    Job,
    JobSession,
    name_model,
    open_job_backend,
    open_job_embedding,
    open_journal,
)
from octavo.engine.run.runtime import reduce_garbage_collection
from octavo.engine.run.stream import DocumentStream
from octavo.protocols import Backend, Starting

if TYPE_CHECKING:
    from octavo.engine.dispatch.hedging import Hedger
    from octavo.engine.dispatch.pricing import Price
    from octavo.engine.run.lanes import Lanes

__all__ = ["execute"]


async def execute(job: Job, *, watch: Watch, sink: Sink) -> Report:
    """Run a job; `sink` receives each document's result, in the order of the inputs, when durable.

    Returns a report with `error` set when the backend became unusable or a budget was reached.
    Raises what shows before the first call. Cancelled, it lets what is in flight reach the journal.
    """
    clock = asyncio.get_running_loop().time
    started = clock()
    with open_journal(job, watch) as journal, reduce_garbage_collection():
        async with (
            open_job_backend(job, watch) as backend,
            open_job_embedding(job, backend, watch) as embedding,
        ):
            price = _require_price(job, backend)
            known = await fetch_capabilities(backend, job.profile, journal, watch)
            opened = JobSession(job, journal, backend, known, embedding)
            limit = RunLimiter(opened.parallel)
            model = name_model(backend)
            journal.prepare()
            number = begin_run(
                journal, pipeline=job.pipeline.name, model=model, command=job.command
            )
            watch.run_started(str(number))
            ledger = Ledger(journal, number)
            engine = opened.build_context(ledger, watch)

            @cache
            def open_lanes() -> Lanes:
                from octavo.engine.run import lanes  # noqa: PLC0415 - only when something is sent

                return lanes.open_lanes(
                    opened,
                    limit,
                    lambda request: engine.counts.count_prompt_once(request.messages),
                    price,
                )

            if job.allowance:
                open_lanes()  # its minutes begin
            stream = DocumentStream(
                engine=engine,
                backend=backend,
                pipeline=job.effective_pipeline,
                params=job.params,
                limiter=limit,
                open_lanes=open_lanes,
                sink=sink,
                hedger=_build_hedger(job),
                keep_going=job.keep_going,
                retry_failed=job.retry,
                min_coverage=1.0 if job.allow_partial is None else job.allow_partial,
                embedding=embedding,
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
                    totals=ledger.add_ideal_rate(totals, engine.counter)
                    if job.measured
                    else totals,
                    seconds=clock() - started,
                    error=stream.end_error,
                    partial=stream.partial,
                    unopened=stream.unopened,
                )
                finish_run(journal, number, status, report)
    return report


def _require_price(job: Job, backend: Backend) -> Price | None:
    """Return the price of the model that replies, where a run limits its cost."""
    if job.allowance.cost is None:
        return None
    from octavo.engine.run.prices import require_chat_price  # noqa: PLC0415 - rarely wanted

    return require_chat_price(job, backend)


def _build_hedger(job: Job) -> Hedger | None:
    if not job.profile.hedge:
        return None
    from octavo.engine.dispatch.hedging import Hedger  # noqa: PLC0415 - rarely wanted

    return Hedger(job.profile.hedge)


def _name_status(stream: DocumentStream) -> str:
    if stream.end_error is not None:
        return type(stream.end_error).__name__
    if stream.failed:
        return "failed"
    return "partial" if stream.partial else "complete"
