"""`octavo check`: what can be checked without a model, a key or a network."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from octavo.commands.findings import FindingsFormat, format_findings, summarize_for_github
from octavo.commands.lock import LOCK_NAME
from octavo.commands.render import encode
from octavo.commands.staleness import find_stale_results
from octavo.commands.terminal import print_stderr
from octavo.errors import RunFailed, SpecErrors, UsageError
from octavo.pipeline.lookup import MAX_BYTES
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.text.finding import Finding

__all__ = ["check"]

_YAML_SUFFIXES = (".yaml", ".yml")
_PIPELINE_HEAD = re.compile(rb"^octavo[ \t]*:", re.MULTILINE)
"""What makes a YAML file a pipeline."""


def check(
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PATHS]...",
            help="Pipelines, octavo.lock files, and directories with such; by default this one.",
            show_default=False,
        ),
    ] = None,
    output_format: Annotated[
        FindingsFormat,
        typer.Option("--output-format", help="Lines, JSON, or GitHub's annotations."),
    ] = FindingsFormat.TEXT,
    exit_zero: Annotated[
        bool, typer.Option("--exit-zero", help="End with 0 whatever is found.")
    ] = False,
) -> None:
    """Check pipelines, prompts and whether committed results are stale; asks no model.

    Ends with 1 when something is found.
    """
    registry = Registry()
    findings: list[Finding] = []
    checked = 0
    for path in _find_files(paths or ["."]):
        checked += 1
        findings += find_stale_results(path, registry) if path.name == LOCK_NAME else _check_pipeline(path, registry)
    sys.stdout.buffer.write(encode(format_findings(findings, output_format)))
    sys.stdout.flush()
    if output_format is FindingsFormat.GITHUB:
        summarize_for_github(findings, "octavo check")
    files = f"{checked:,} file{'s' if checked != 1 else ''}"
    print_stderr(
        f"{files} checked, {len(findings):,} found"
        if findings
        else f"{files} checked, all good"
        if checked
        else f"nothing to check: no pipelines and no {LOCK_NAME} here"
    )
    if findings and not exit_zero:
        raise typer.Exit(RunFailed.exit_code)


def _find_files(paths: Sequence[str]) -> Iterator[Path]:
    """Yield pipelines and locks, each once, in the order of the arguments and of names."""
    seen: set[Path] = set()
    for argument in paths:
        path = Path(argument)
        if path.is_dir():
            found = list(_walk_folder(path))
        elif path.name == LOCK_NAME or path.suffix in _YAML_SUFFIXES:
            found = [path]
        elif not path.exists():
            raise UsageError(f"there is no file or directory {argument}")
        else:
            raise UsageError(
                f"{argument} is neither a pipeline nor an {LOCK_NAME}",
                hint="name YAML files, lock files, or directories with such",
            )
        for each in found:
            if each.resolve() not in seen:
                seen.add(each.resolve())
                yield each


def _walk_folder(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if name == LOCK_NAME or (path.suffix in _YAML_SUFFIXES and _is_pipeline(path)):
                yield path


def _is_pipeline(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _PIPELINE_HEAD.search(file.read(MAX_BYTES)) is not None
    except OSError:
        return False  # whoever names it is told why it cannot be read


def _check_pipeline(path: Path, registry: Registry) -> Iterator[Finding]:
    try:
        load_pipeline(str(path), registry)
    except SpecErrors as group:
        for error in group.errors:
            at = error.position
            yield Finding(at.path, at.line, at.column, error.code, error.message, hint=error.hint)
