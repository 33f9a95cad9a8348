"""Builds the job that the engine runs from what the command line asks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from octavo.commands._cli.options.run_options import RunRequest
from octavo.commands._cli.output.destinations import Destination, MirroredTree
from octavo.commands._cli.terminal import redact
from octavo.config.run_options import DeclaredOption, RunOptions, check_bounds
from octavo.engine.report import Watch
from octavo.engine.run.job import Job
from octavo.errors import InputError
from octavo.inputs.changed_files import ChangedFiles
from octavo.inputs.discovery import STDIN, Input, InputSelection, can_be_many, find_inputs
from octavo.inputs.reading import InputReader
from octavo.pipeline.params import resolve_params
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

__all__ = ["build_job", "may_have_several_results", "reads_only_stdin"]


def build_job(
    request: RunRequest,
    watch: Watch,
    output: Destination | None = None,
    registry: Registry | None = None,
) -> Job:
    """Build the job; an input whose result has no place in `output` becomes an error.

    Raises UsageError, SpecError or InputError for what is wrong before anything runs.
    """
    options, pipeline = request.options, request.pipeline
    check_bounds(options, _write_option)
    if options.until:
        pipeline = pipeline.truncate_after(options.until)
    params = resolve_params(request.pipeline.params, request.params)
    profile = _choose_profile(options, watch)
    reading = InputReader(options.encoding, options.text_column)
    registry = registry or Registry()
    found = _find_inputs(options, output, registry)
    inputs: Iterable[Document | InputError] = (
        _read_documents(found, reading, output) if found else ()
    )
    if reads_only_stdin(options.inputs):
        # Read before the run starts: a thread that waits for the keyboard cannot be interrupted.
        inputs = tuple(inputs)
    return Job(
        pipeline=pipeline,
        params=params,
        inputs=inputs,
        profile=profile,
        jobs=options.jobs,
        keep_going=options.keep_going,
        fresh=options.fresh,
        generation=request.invocation.generation,
        base=request.invocation.base,
        retry=request.invocation.retry,
        allowance=request.allowance,
        allow_partial=options.allow_partial,
        private=options.private,
        measured=options.json or options.format is not None or options.verbose,
        command=_to_repeatable_command(request.invocation.command),
        registry=registry,
    )


def _write_option(declared: DeclaredOption, value: float) -> str:
    short = declared.option.bounds is not None and declared.option.bounds.example is not None
    return f"{declared.flag} {value:g}" if short else f"{declared.flag} {value}"


def may_have_several_results(options: RunOptions, registry: Registry) -> bool:
    """Return whether there may be several results, by the inputs' names and kinds."""
    loaders = registry.list_loaders()
    return len(options.inputs) > 1 or any(
        can_be_many(each, loaders, options.text_column)
        for each in (*options.inputs, *filter(None, [options.stdin_filename]))
    )


def reads_only_stdin(inputs: tuple[str, ...]) -> bool:
    """Return whether standard input is the only input."""
    return inputs in {(), (STDIN,)}


def _find_inputs(
    options: RunOptions, output: Destination | None, registry: Registry
) -> Iterable[Input | InputError]:
    changed = ChangedFiles(options.changed_since) if options.changed_since is not None else None
    selection = InputSelection(
        include=options.glob,
        exclude=options.exclude,
        gitignore=options.gitignore,
        changed=changed,
        stdin_name=options.stdin_filename,
        # What an earlier run has written there is no input of this one.
        leave_out=output.root if isinstance(output, MirroredTree) else None,
    )
    found = find_inputs(options.inputs, selection, loaders=registry.list_loaders())
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


def _choose_profile(options: RunOptions, watch: Watch) -> Profile:
    from octavo.config.profiles import resolve_model  # noqa: PLC0415 - reads configuration files

    choice = resolve_model(options.model, cwd=Path.cwd(), env=os.environ)
    for notice in choice.notices:
        watch.notice(notice)
    given = {"timeout": options.timeout, "hedge": options.hedge}
    overrides = {name: value for name, value in given.items() if value is not None}
    return choice.profile.model_copy(update=overrides) if overrides else choice.profile


def _to_repeatable_command(command: tuple[str, ...]) -> tuple[str, ...]:
    """Return the command line that does the same from any directory, without keys."""
    rest = list(command)
    prefix = ["-C", str(Path.cwd())]
    while rest and rest[0].startswith("-"):  # options of the program itself
        name, equals, value = rest.pop(0).partition("=")
        if name in {"-C", "--env-file", "--journal"} and not equals:
            value = rest.pop(0)
        if name in {"--env-file", "--journal"}:
            prefix += [name, str(Path.cwd() / value)]
    return (*prefix, *(redact(word) for word in rest)) if rest else ()
