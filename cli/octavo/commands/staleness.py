"""Whether committed results are still what their sources and pipelines would give."""

from __future__ import annotations

import hashlib
import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from octavo.commands.lock import Locked, read_lock
from octavo.errors import InputError, SpecErrors, UsageError
from octavo.loaders.inputs import STDIN, find
from octavo.loaders.reading import Reading, documents
from octavo.pipeline.lookup import BUILT_IN
from octavo.pipeline.reader import load
from octavo.pipeline.registry import Registry
from octavo.text.finding import Finding

__all__ = ["stale"]


def stale(lock: Path, registry: Registry) -> Iterator[Finding]:
    """Yield what of a lock's results no longer holds; reads files and asks nobody.

    Raises UsageError when the file is no lock.
    """
    entries = read_lock(lock)
    folder = lock.parent
    lines = lock.read_text(encoding="utf-8", errors="replace").splitlines()
    for name, entry in entries.items():
        line = next((at for at, text in enumerate(lines, 1) if text.startswith(f'    "{name}"')), 1)
        result = _at(folder, name)
        there = result.is_file()
        for rule, message in _reasons(folder, name, entry, registry):
            yield Finding(
                str(result if there else lock),
                1 if there else line,
                1,
                rule,
                message,
                hint=_command(folder, name, entry),
            )


def _reasons(
    folder: Path, name: str, entry: Locked, registry: Registry
) -> Iterator[tuple[str, str]]:
    result = _at(folder, name)
    if not result.is_file():
        yield "missing-result", f"the result {result} is not there"
    elif hashlib.sha256(result.read_bytes()).hexdigest() != entry.result_hash:
        yield "edited-result", "the result is not what the pipeline wrote"
    for source, text in entry.sources.items():
        if (reason := _source(folder, source, text, entry.encoding, registry)) is not None:
            yield "stale-result", reason
    if (reason := _pipeline(folder, entry, registry)) is not None:
        yield "stale-result", reason


def _source(
    folder: Path, source: str, text: str, encoding: str | None, registry: Registry
) -> str | None:
    """Return why a source has no longer the text of this hash."""
    if source == STDIN:
        return None
    path = _at(folder, source)
    file, colon, row = source.rpartition(":")
    if not path.exists() and colon and row.isdigit() and (_at(folder, file)).exists():
        path = _at(folder, file)  # a row of a table: `table.csv:3`
    if not path.is_file():
        return f"its source {path} is not there"
    found = documents(find([str(path)], loaders=registry.loaders()), Reading(encoding))
    for document in found:
        if isinstance(document, InputError):
            return f"its source cannot be read: {document.message}"
        if document.hash == text:
            return None
    return f"its source {path} has changed"


def _pipeline(folder: Path, entry: Locked, registry: Registry) -> str | None:
    """Return why the pipeline is no longer what made the result."""
    name = _named(folder, entry)
    try:
        pipeline = load(name, registry)
    except SpecErrors:
        return f"its pipeline {name} has errors"
    except UsageError as error:
        return f"its pipeline is gone: {error.message}"
    if pipeline.digest != entry.pipeline_hash:
        return f"its pipeline {name}, or a prompt or schema of it, has changed"
    return None


def _named(folder: Path, entry: Locked) -> str:
    if entry.pipeline.startswith(BUILT_IN):
        return entry.pipeline.removeprefix(BUILT_IN)
    return str(_at(folder, entry.pipeline))


def _command(folder: Path, name: str, entry: Locked) -> str:
    """Return the command that makes the result anew."""
    sources = ["-" if each == STDIN else str(_at(folder, each)) for each in entry.sources]
    words = ["octavo", "run", _named(folder, entry), "-m", entry.model]
    for key, value in entry.params.items():
        values = cast("list[object]", value) if isinstance(value, list) else [value]
        for each in values:
            words += ["-p", f"{key}={each}"]
    if entry.encoding:
        words += ["--encoding", entry.encoding]
    return shlex.join([*words, *sources, "-o", str(_at(folder, name))])


def _at(folder: Path, path: str) -> Path:
    return Path(os.path.normpath(folder / path))
