"""`octavo check`: what can be checked without a model, a key or a network.

Two things are checked: whether pipelines are valid, and whether committed results are still what
their sources and pipelines would give. The second reads the lock beside the results, the sources
and the pipelines.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, cast

import typer

from octavo.commands._cli.output.findings_format import format_findings, summarize_for_github
from octavo.commands._cli.output.lock_file import LOCK_NAME, LockEntry, read_lock
from octavo.commands._cli.terminal import encode, print_stderr
from octavo.config.run_options import FindingsFormat
from octavo.errors import InputError, RunFailed, SpecErrors, UsageError
from octavo.inputs.discovery import STDIN, find_inputs
from octavo.inputs.reading import InputReader, read_documents
from octavo.pipeline.lookup import BUILTIN_PREFIX, MAX_BYTES
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.text.finding import Finding

__all__ = ["check", "find_stale_results"]


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
        findings += (
            find_stale_results(path, registry)
            if path.name == LOCK_NAME
            else _check_pipeline(path, registry)
        )
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


_MODEL_SUFFIXES = {".gguf", ".yaml", ".yml"}


def find_stale_results(lock: Path, registry: Registry) -> Iterator[Finding]:
    """Yield each result of a lock that no longer matches; reads files, sends nothing.

    Raises UsageError when the file is no lock.
    """
    entries = read_lock(lock)
    folder = lock.parent
    texts = _SourceHashes(registry)
    lines = lock.read_text(encoding="utf-8", errors="replace").splitlines()
    for name, entry in entries.items():
        line = next((at for at, text in enumerate(lines, 1) if text.startswith(f'    "{name}"')), 1)
        result = _resolve_path(folder, name)
        there = result.is_file()
        for rule, message in _find_reasons(folder, name, entry, texts):
            yield Finding(
                str(result if there else lock),
                1 if there else line,
                1,
                rule,
                message,
                hint=_build_command(folder, name, entry),
            )


def _find_reasons(
    folder: Path, name: str, entry: LockEntry, texts: _SourceHashes
) -> Iterator[tuple[str, str]]:
    result = _resolve_path(folder, name)
    if not result.is_file():
        yield "missing-result", f"the result {result} is not there"
    elif hashlib.sha256(result.read_bytes()).hexdigest() != entry.result_hash:
        yield "edited-result", "the result is not what the pipeline wrote"
    for source, text in entry.sources.items():
        if (reason := _check_source(folder, source, text, entry, texts)) is not None:
            yield "stale-result", reason
    if (reason := _check_locked_pipeline(folder, entry, texts.registry)) is not None:
        yield "stale-result", reason


class _SourceHashes:
    """What files hold, each read once: a table may be the source of many results."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self._read: dict[tuple[Path, str | None, str | None], frozenset[str] | str] = {}

    def read(self, path: Path, entry: LockEntry) -> frozenset[str] | str:
        """Return the hashes of a file's texts, or why they cannot be read."""
        key = (path, entry.encoding, entry.text_column)
        if key not in self._read:
            self._read[key] = self._hash_documents(*key)
        return self._read[key]

    def _hash_documents(
        self, path: Path, encoding: str | None, column: str | None
    ) -> frozenset[str] | str:
        found = find_inputs([str(path)], loaders=self.registry.list_loaders())
        hashes: set[str] = set()
        errors: list[InputError] = []
        for each in read_documents(found, InputReader(encoding, column)):
            if isinstance(each, InputError):
                errors.append(each)
            else:
                hashes.add(each.hash)
        # A row that cannot be read is no reason to doubt those that can.
        return errors[0].message if errors and not hashes else frozenset(hashes)


def _check_source(
    folder: Path, source: str, text: str, entry: LockEntry, texts: _SourceHashes
) -> str | None:
    """Return why a source has no longer the text of this hash."""
    if source == STDIN:
        return None
    path = _find_source_file(folder, source)
    if not path.is_file():
        return f"its source {path} is not there"
    match texts.read(path, entry):
        case str(reason):
            return f"its source cannot be read: {reason}"
        case hashes:
            return None if text in hashes else f"its source {path} has changed"


def _find_source_file(folder: Path, source: str) -> Path:
    """Return the file that a source is, or is a row of: `table.csv:3`."""
    path = _resolve_path(folder, source)
    file, colon, row = source.rpartition(":")
    return _resolve_path(folder, file) if colon and row.isdigit() and not path.exists() else path


def _check_locked_pipeline(folder: Path, entry: LockEntry, registry: Registry) -> str | None:
    """Return why the pipeline is no longer what made the result."""
    name = _name_pipeline(folder, entry)
    try:
        pipeline = load_pipeline(name, registry)
    except SpecErrors:
        return f"its pipeline {name} has errors"
    except UsageError as error:
        return f"its pipeline is gone: {error.message}"
    if pipeline.digest != entry.pipeline_hash:
        return f"its pipeline {name}, or a prompt or schema of it, has changed"
    return None


def _name_pipeline(folder: Path, entry: LockEntry) -> str:
    if entry.pipeline.startswith(BUILTIN_PREFIX):
        return entry.pipeline.removeprefix(BUILTIN_PREFIX)
    return str(_resolve_path(folder, entry.pipeline))


def _build_command(folder: Path, name: str, entry: LockEntry) -> str:
    """Return the command that makes the result anew, and with that of a row those of its table."""
    files = [
        "-" if each == STDIN else str(_find_source_file(folder, each)) for each in entry.sources
    ]
    words = ["octavo", "run", _name_pipeline(folder, entry), "-m", _resolve_model(folder, entry)]
    for key, value in entry.params.items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        for each in values:
            words += ["-p", f"{key}={each}"]
    if entry.encoding:
        words += ["--encoding", entry.encoding]
    if entry.text_column:
        words += ["--text-column", entry.text_column]
    result = str(_resolve_path(folder, name))
    if (
        len(files) == 1
        and files[0] != "-"
        and files[0] != str(_resolve_path(folder, *entry.sources))
    ):
        result = f"{_resolve_path(folder, name).parent.parent}{os.sep}"
    return shlex.join([*words, *dict.fromkeys(files), "-o", result])


def _resolve_model(folder: Path, entry: LockEntry) -> str:
    kind, colon, name = entry.model.partition(":")
    path = _resolve_path(folder, name)
    is_file = ("/" in name or path.suffix in _MODEL_SUFFIXES) and path.is_file()
    return f"{kind}{colon}{path}" if is_file else entry.model


def _resolve_path(folder: Path, path: str) -> Path:
    return Path(os.path.normpath(folder / path))
