"""From what a command line asks to a job that the engine can run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from octavo.commands._cli.options.run_options import RunOptions
from octavo.commands._cli.output.destinations import Destination, MirroredTree
from octavo.commands._cli.terminal import redact
from octavo.engine.report import Watch
from octavo.engine.run.job import Job
from octavo.errors import InputError, UsageError
from octavo.inputs.changed_files import ChangedFiles
from octavo.inputs.discovery import STDIN, Input, InputSelection, can_be_many, find_inputs
from octavo.inputs.reading import InputReader
from octavo.pipeline.params import resolve_params
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

__all__ = ["build_job", "may_have_several_results", "reads_only_stdin"]


def build_job(
    order: RunOptions,
    watch: Watch,
    output: Destination | None = None,
    registry: Registry | None = None,
) -> Job:
    """Return the job; inputs whose results have no place in `output` become errors in their place.

    Raises UsageError, SpecError or InputError for what is wrong before anything runs.
    """
    limits = {f"--max-{name}": value for name, value in asdict(order.allowance).items()}
    for option, value in {"--jobs": order.jobs, "--timeout": order.timeout, **limits}.items():
        if value is not None and not value > 0:  # which not-a-number is not, either
            raise UsageError(f"{option} {value} is not above 0", hint="give more, or leave it out")
    if order.hedge is not None and not order.hedge > 1:
        hint = "write how many times as long as usual a call may take, for example --hedge 2.5"
        raise UsageError(f"--hedge {order.hedge:g} is not above 1", hint=hint)
    pipeline = order.pipeline.truncate_after(order.until) if order.until else order.pipeline
    share = order.allow_partial
    if share is not None and not 0 < share <= 1:
        hint = "write the share of a document that is enough, for example --allow-partial 0.98"
        raise UsageError(f"--allow-partial {share:g} is not between 0 and 1", hint=hint)
    params = resolve_params(order.pipeline.params, order.params)
    profile = _choose_profile(order, watch)
    reading = InputReader(order.encoding, order.text_column)
    registry = registry or Registry()
    found = _find_inputs(order, output, registry)
    inputs: Iterable[Document | InputError] = (
        _read_documents(found, reading, output) if found else ()
    )
    if reads_only_stdin(order.inputs):
        # Read before the run starts: a thread that waits for the keyboard cannot be interrupted.
        inputs = tuple(inputs)
    return Job(
        pipeline=pipeline,
        params=params,
        inputs=inputs,
        profile=profile,
        jobs=order.jobs,
        keep_going=order.keep_going,
        fresh=order.fresh,
        generation=order.invocation.generation,
        base=order.invocation.base,
        retry=order.invocation.retry,
        allowance=order.allowance,
        allow_partial=order.allow_partial,
        private=order.private,
        measured=order.json or order.format is not None or order.verbose,
        command=_to_repeatable_command(order.invocation.command),
        registry=registry,
    )


def may_have_several_results(order: RunOptions, registry: Registry) -> bool:
    """Return whether there may be several results, by the inputs' names and kinds."""
    loaders = registry.list_loaders()
    return len(order.inputs) > 1 or any(
        can_be_many(each, loaders, order.text_column)
        for each in (*order.inputs, *filter(None, [order.stdin_filename]))
    )


def reads_only_stdin(inputs: tuple[str, ...]) -> bool:
    """Return whether standard input is the only input."""
    return inputs in {(), (STDIN,)}


def _find_inputs(
    order: RunOptions, output: Destination | None, registry: Registry
) -> Iterable[Input | InputError]:
    changed = ChangedFiles(order.changed_since) if order.changed_since is not None else None
    selection = InputSelection(
        include=order.glob,
        exclude=order.exclude,
        gitignore=order.gitignore,
        changed=changed,
        stdin_name=order.stdin_filename,
        # What an earlier run has written there is no input of this one.
        leave_out=output.root if isinstance(output, MirroredTree) else None,
    )
    found = find_inputs(order.inputs, selection, loaders=registry.list_loaders())
    # Git is asked before anything runs, so that it can refuse.
    return found if changed is None else list(found)


def _read_documents(
    found: Iterable[Input | InputError], reading: InputReader, output: Destination | None
) -> Iterator[Document | InputError]:
    for item in found:
        for each in [item] if isinstance(item, InputError) else reading.read(item):
            if isinstance(each, InputError):
                yield each
            else:
                place, document = each
                error = output.reserve(place) if output is not None else None
                yield document if error is None else error


def _choose_profile(order: RunOptions, watch: Watch) -> Profile:
    from octavo.config.profiles import resolve_model  # noqa: PLC0415 - reads configuration files

    choice = resolve_model(order.model, cwd=Path.cwd(), env=os.environ)
    for notice in choice.notices:
        watch.notice(notice)
    asked = {"timeout": order.timeout, "hedge": order.hedge}
    given = {name: value for name, value in asked.items() if value is not None}
    return choice.profile.model_copy(update=given) if given else choice.profile


def _to_repeatable_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command line that does the same from any directory, without keys."""
    rest = list(command)
    kept = ["-C", str(Path.cwd())]
    while rest and rest[0].startswith("-"):  # options of the program itself
        name, equals, value = rest.pop(0).partition("=")
        if name in {"-C", "--env-file", "--journal"} and not equals:
            value = rest.pop(0)
        if name in {"--env-file", "--journal"}:
            kept += [name, str(Path.cwd() / value)]
    return (*kept, *(redact(word) for word in rest)) if rest else ()
