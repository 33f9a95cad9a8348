"""`octavo run`: fold documents through a pipeline."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.commands._cli.build_job import build_job, may_have_several_results, reads_only_stdin
from octavo.commands._cli.error_report import find_exit_code
from octavo.commands._cli.options.pipeline_commands import build_pipeline_group
from octavo.commands._cli.options.run_options import RunRequest
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
from octavo.config.run_options import FindingsFormat, ProgressMode
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


def _run_pipeline(request: RunRequest) -> int:
    """Run the request and return the exit code; what ends the whole run is raised."""
    options = request.options
    if options.dry_run:
        from octavo.commands.plan import print_plan  # noqa: PLC0415 - a run needs no plan

        return print_plan(request)
    if options.events is None:
        return _run_with_events(request, None)
    from octavo.commands._cli.output.event_log import EventLog  # noqa: PLC0415 - rarely wanted

    events = EventLog(options.events)
    try:
        code = _run_with_events(request, events)
    except BaseException as error:
        events.write_end(find_exit_code(error), error)
        raise
    events.write_end(code)
    return code


def _run_with_events(request: RunRequest, events: EventLog | None) -> int:
    options = request.options
    kind = choose_result_format(options.format, options.output)
    registry = Registry()
    several = may_have_several_results(options, registry) and not request.pipeline.gather
    lines = any(use.type.finds for use in request.pipeline.steps)
    output = open_destination(options.output, several=several, format=kind, lines=lines)
    display = open_display(options.progress, sys.stderr, quiet=options.quiet)
    verbose = [CallLogger(display)] if options.verbose and not options.quiet else []
    watch = combine_watches(display, *verbose, *([events] if events else []))
    inventory: LockRecorder | None = None
    try:
        job = build_job(request, watch, output, registry)
        if options.changed_since is not None and job.inputs == ():
            watch.notice(f"no document has changed since {options.changed_since}")
            return 0
        if verbose:
            watch.notice(f"model {job.profile.model}, {_describe_journal(request)}")
        if events is not None:
            events.run_facts = _as_run_facts(job)
        front_matter = _build_front_matter(request, job) if options.front_matter else None
        form = open_formatter(
            kind,
            alone=isinstance(output, MirroredTree),
            front_matter=front_matter,
            csv_safe=options.csv_safe,
        )
        delivery = ResultWriter(
            form,
            output,
            display,
            findings_later=options.output_format is not FindingsFormat.TEXT,
            required_share=options.allow_partial,
        )
        if options.lock and not options.private and output.folder is not None:
            from octavo.commands._cli.output.lock_file import (  # noqa: PLC0415 - rarely wanted
                LockRecorder,
            )

            inventory = delivery.lock_recorder = LockRecorder(request, job, output.folder)
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
            _explain_resume(request, display, display.run)
        raise
    finally:
        output.discard()
        if inventory is not None:
            inventory.save()
    display.close()
    if events is not None:
        events.report = report
    return _conclude(request, display, delivery, report)


def _describe_journal(request: RunRequest) -> str:
    return "no journal" if request.options.private else f"journal {find_journal_path()}"


def _as_run_facts(job: Job) -> dict[str, str]:
    from importlib.metadata import version as installed  # noqa: PLC0415 - for events alone

    return {
        "octavo": installed("octavo"),
        "pipeline": job.pipeline.name,
        "pipeline_sha256": job.pipeline.digest,
        "model": job.profile.model,
    }


def _build_front_matter(request: RunRequest, job: Job) -> FrontMatter:
    kind, _, name = job.profile.model.partition(":")
    is_file = name.endswith((".gguf", ".yaml", ".yml"))
    return FrontMatter(
        pipeline=job.pipeline.name,
        digest=job.pipeline.digest,
        # Where the file lies says nothing of the result.
        model=f"{kind}:{Path(name).name}" if is_file else job.profile.model,
        params={name: job.params[name] for name in request.params},
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


def _conclude(request: RunRequest, display: Display, delivery: ResultWriter, report: Report) -> int:
    options = request.options
    if report.documents > 1:
        for line in (
            () if options.progress is ProgressMode.NONE else delivery.summary.format_lines()
        ):
            display.notice(line)
        display.notice(_format_summary(report))
    if options.verbose and (line := _format_reuse(report)) is not None:
        display.notice(line)
    if report.error is not None:
        _explain_resume(request, display, report.run)
        raise report.error
    _write_findings(request, delivery)
    if report.unopened:
        display.notice("no further document was started after the failure; -k starts them all")
    failed = report.partial or any(finding.fails for finding in delivery.findings)
    if options.exit_zero or not (report.failed or failed):
        return 0
    if not report.failed and not report.partial:
        return RunFailed.exit_code
    nothing_ran = report.failed == report.documents and not report.totals.calls
    if nothing_ran and {error.exit_code for error in delivery.failures} == {2}:
        return 2
    _explain_resume(request, display, report.run, failed=True)
    return RunFailed.exit_code


def _write_findings(request: RunRequest, delivery: ResultWriter) -> None:
    """Write what stands for all documents together."""
    options = request.options
    if options.output_format is FindingsFormat.TEXT or not any(
        use.type.finds for use in request.pipeline.steps
    ):
        return
    from octavo.commands._cli.output.findings_format import (  # noqa: PLC0415 - for reviews alone
        format_findings,
        summarize_for_github,
    )

    sys.stdout.buffer.write(encode(format_findings(delivery.findings, options.output_format)))
    sys.stdout.flush()
    if options.output_format is FindingsFormat.GITHUB:
        summarize_for_github(delivery.findings, f"octavo run {request.pipeline.name}")


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


def _explain_resume(
    request: RunRequest, display: Display, run: str, *, failed: bool = False
) -> None:
    options = request.options
    if not run or options.private:
        return
    if reads_only_stdin(options.inputs):
        display.notice("the same command goes on; what was answered is not asked again")
    elif failed:
        display.notice(f"`octavo runs retry {run}` asks again for what failed, and nothing else")
    else:
        display.notice(f"`octavo runs resume {run}` goes on; what was answered is not asked again")


run = build_pipeline_group(
    "run", "Run a pipeline over files, directories or standard input.", _run_pipeline
)
