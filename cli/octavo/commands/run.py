"""`octavo run`: fold documents through a pipeline."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.commands._cli.build_job import build_job, may_have_several_results, reads_only_stdin
from octavo.commands._cli.error_report import find_exit_code
from octavo.commands._cli.options.pipeline_commands import build_pipeline_group
from octavo.commands._cli.options.run_options import FindingsFormat, ProgressMode, RunOptions
from octavo.commands._cli.output.destinations import MirroredTree, open_destination
from octavo.commands._cli.output.result_format import (
    FrontMatter,
    choose_result_format,
    open_formatter,
)
from octavo.commands._cli.output.result_writer import ResultWriter
from octavo.commands._cli.progress.display import Display
from octavo.commands._cli.progress.watch import CallLogger, combine_watches, open_display
from octavo.commands._cli.signals import run_interruptibly
from octavo.commands._cli.terminal import encode, format_duration, pluralize
from octavo.engine.journal.database import find_journal_path
from octavo.engine.report import Report, Watch
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.errors import Outcome, RunFailed
from octavo.pipeline.registry import Registry

if TYPE_CHECKING:
    from octavo.commands._cli.output.event_log import EventLog
    from octavo.commands._cli.output.lock_file import LockRecorder

__all__ = ["run"]


_REFRESH_SECONDS = 0.5
"""Seconds between two updates of the display."""


def _run_pipeline(order: RunOptions) -> int:
    """Run the order and return the exit code; what ends the whole run is raised."""
    if order.dry_run:
        from octavo.commands.plan import print_plan  # noqa: PLC0415 - a run needs no plan

        return print_plan(order)
    if order.events is None:
        return _run_with_events(order, None)
    from octavo.commands._cli.output.event_log import EventLog  # noqa: PLC0415 - rarely wanted

    events = EventLog(order.events)
    try:
        code = _run_with_events(order, events)
    except BaseException as error:
        events.write_end(find_exit_code(error), error)
        raise
    events.write_end(code)
    return code


def _run_with_events(order: RunOptions, events: EventLog | None) -> int:
    kind = choose_result_format(order.format, order.output)
    registry = Registry()
    several = may_have_several_results(order, registry) and not order.pipeline.gather
    lines = any(use.type.finds for use in order.pipeline.steps)
    output = open_destination(order.output, several=several, format=kind, lines=lines)
    display = open_display(order.progress, sys.stderr, quiet=order.quiet)
    verbose = [CallLogger(display)] if order.verbose and not order.quiet else []
    watch = combine_watches(display, *verbose, *([events] if events else []))
    inventory: LockRecorder | None = None
    try:
        job = build_job(order, watch, output, registry)
        if order.changed_since is not None and job.inputs == ():
            watch.notice(f"no document has changed since {order.changed_since}")
            return 0
        if verbose:
            watch.notice(f"model {job.profile.model}, {_describe_journal(order)}")
        if events is not None:
            events.run_facts = _as_run_facts(job)
        front_matter = _build_front_matter(order, job) if order.front_matter else None
        form = open_formatter(
            kind, alone=isinstance(output, MirroredTree), front_matter=front_matter
        )
        deferred = order.output_format is not FindingsFormat.TEXT
        delivery = ResultWriter(
            form, output, display, deferred=deferred, accepted=order.allow_partial
        )
        if order.lock and not order.private and output.folder is not None:
            from octavo.commands._cli.output.lock_file import (  # noqa: PLC0415 - rarely wanted
                LockRecorder,
            )

            inventory = delivery.lock_recorder = LockRecorder(order, job, output.folder)
        report = run_interruptibly(
            _execute_job(job, display, watch, delivery),
            first=lambda: display.write_line(
                "interrupted; waiting for the calls in flight. Again to stop at once"
            ),
            second=display.close,
        )
    except BaseException as error:
        display.close()
        if not isinstance(error, BrokenPipeError):
            _explain_resume(order, display, display.run)
        raise
    finally:
        output.discard()
        if inventory is not None:
            inventory.save()
    display.close()
    if events is not None:
        events.report = report
    return _conclude(order, display, delivery, report)


def _describe_journal(order: RunOptions) -> str:
    return "no journal" if order.private else f"journal {find_journal_path()}"


def _as_run_facts(job: Job) -> dict[str, str]:
    from importlib.metadata import version as installed  # noqa: PLC0415 - for events alone

    return {
        "octavo": installed("octavo"),
        "pipeline": job.pipeline.name,
        "pipeline_sha256": job.pipeline.digest,
        "model": job.profile.model,
    }


def _build_front_matter(order: RunOptions, job: Job) -> FrontMatter:
    kind, _, name = job.profile.model.partition(":")
    is_file = name.endswith((".gguf", ".yaml", ".yml"))
    return FrontMatter(
        pipeline=job.pipeline.name,
        digest=job.pipeline.digest,
        # Where the file lies says nothing of the result.
        model=f"{kind}:{Path(name).name}" if is_file else job.profile.model,
        params={name: job.params[name] for name in order.params},
    )


async def _execute_job(job: Job, display: Display, watch: Watch, delivery: ResultWriter) -> Report:
    async def refresh_display() -> None:
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            display.refresh()

    delivery.set_task(asyncio.current_task())
    ticker = asyncio.create_task(refresh_display())
    try:
        report = await execute(job, watch=watch, sink=delivery)
    except asyncio.CancelledError:
        if delivery.write_error is not None:
            raise delivery.write_error from None
        raise
    finally:
        ticker.cancel()
    await delivery.finish()
    if delivery.write_error is not None:
        raise delivery.write_error
    return report


def _conclude(order: RunOptions, display: Display, delivery: ResultWriter, report: Report) -> int:
    if report.documents > 1:
        for line in () if order.progress is ProgressMode.NONE else delivery.summary.format_lines():
            display.notice(line)
        display.notice(_format_summary(report))
    if order.verbose and (line := _format_reuse(report)) is not None:
        display.notice(line)
    if report.error is not None:
        _explain_resume(order, display, report.run)
        raise report.error
    _write_findings(order, delivery)
    if report.unopened:
        display.notice("no further document was started after the failure; -k starts them all")
    failed = report.partial or any(finding.fails for finding in delivery.findings)
    if order.exit_zero or not (report.failed or failed):
        return 0
    if not report.failed and not report.partial:
        return RunFailed.exit_code
    nothing_ran = report.failed == report.documents and not report.totals.calls
    if nothing_ran and {error.exit_code for error in delivery.failures} == {2}:
        return 2
    _explain_resume(order, display, report.run, failed=True)
    return RunFailed.exit_code


def _write_findings(order: RunOptions, delivery: ResultWriter) -> None:
    """Write what stands for all documents together."""
    if order.output_format is FindingsFormat.TEXT or not any(
        use.type.finds for use in order.pipeline.steps
    ):
        return
    from octavo.commands._cli.output.findings_format import (  # noqa: PLC0415 - for reviews alone
        format_findings,
        summarize_for_github,
    )

    sys.stdout.buffer.write(encode(format_findings(delivery.findings, order.output_format)))
    sys.stdout.flush()
    if order.output_format is FindingsFormat.GITHUB:
        summarize_for_github(delivery.findings, f"octavo run {order.pipeline.name}")


def _format_summary(report: Report) -> str:
    totals = report.totals
    counts = {"failed": report.failed, "partial": report.partial}
    flaws = ", ".join(f"{count:,} {flaw}" for flaw, count in counts.items() if count)
    failed = f" ({flaws})" if flaws else ""
    kept = totals.outcomes.get(Outcome.CACHED, 0)
    parts = [
        f"{pluralize(report.documents, 'document')}{failed}",
        pluralize(totals.calls, "call") + (f" ({kept:,} from the journal)" if kept else ""),
    ]
    if totals.prompt is not None:
        parts.append(f"{totals.prompt:,} tokens in, {totals.completion or 0:,} out")
    return f"{', '.join(parts)}, {format_duration(report.seconds)}"


def _format_reuse(report: Report) -> str | None:
    """Return how much of the prompts the server had computed before, if it tells."""
    totals = report.totals
    if totals.hit_rate is None:
        return None
    ideal = "" if totals.ideal_rate is None else f", at best {totals.ideal_rate:.1%}"
    return (
        f"prompts: {totals.prompt:,} tokens, {totals.cached:,} cached"
        f" ({totals.hit_rate:.1%}{ideal})"
    )


def _explain_resume(order: RunOptions, display: Display, run: str, *, failed: bool = False) -> None:
    if not run or order.private:
        return
    if reads_only_stdin(order.inputs):
        display.notice("the same command goes on; what was answered is not asked again")
    elif failed:
        display.notice(f"`octavo runs retry {run}` asks again for what failed, and nothing else")
    else:
        display.notice(f"`octavo runs resume {run}` goes on; what was answered is not asked again")


run = build_pipeline_group(
    "run", "Run a pipeline over files, directories or standard input.", _run_pipeline
)
