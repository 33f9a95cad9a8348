"""`octavo eject`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from octavo.commands._cli.output.atomic_file import write_atomically
from octavo.commands._cli.terminal import encode
from octavo.errors import UsageError
from octavo.pipeline.lookup import BUILTIN_PREFIX, FileOrigin, FoundFile, Lookup
from octavo.pipeline.reader import load_pipeline

__all__ = ["eject"]


def eject(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="A name or a path.")],
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to; names are looked up in ./octavo.")
    ] = Path("octavo"),
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite files that are there and differ.")
    ] = False,
) -> None:
    """Copy a pipeline and its prompts here, to edit them; prints what was written."""
    lookup = Lookup()
    found = lookup.find_pipeline(pipeline)
    if found.origin is FileOrigin.PROJECT:
        lookup, found = _find_original(pipeline, found)
    elif found.origin is not FileOrigin.FILE:
        lookup = Lookup(project=False)
    checked = load_pipeline(found, lookup=lookup)
    files = {directory / "pipelines" / f"{found.name}.yaml": found.text}
    for name, prompt in checked.prompts.found.items():
        if not name.startswith(BUILTIN_PREFIX):
            files[directory / "prompts" / f"{prompt.name}.j2"] = prompt.text
    for name, schema in checked.schemas.found.items():
        if not name.startswith(BUILTIN_PREFIX):
            files[directory / "prompts" / f"{schema.name}.json"] = schema.text
    files = {path: text for path, text in files.items() if not _has_content(path, text)}
    existing = [str(path) for path in files if path.exists()]
    if existing and not force:
        raise UsageError(
            f"there already: {', '.join(existing)}",
            hint="--force overwrites them; what was changed in them is lost",
        )
    for path, text in files.items():
        _write_copy(path, text)
        sys.stdout.buffer.write(encode(f"{path}\n"))


def _find_original(name: str, here: FoundFile) -> tuple[Lookup, FoundFile]:
    """Return what was copied here before, and a lookup that finds no other copies."""
    lookup = Lookup(project=False)
    try:
        return lookup, lookup.find_pipeline(name)
    except UsageError as error:
        raise UsageError(
            f"{name} is here already: {here.path}", hint=f"edit {here.path}"
        ) from error


def _has_content(path: Path, text: str) -> bool:
    try:
        return path.read_bytes() == encode(text)
    except OSError:
        return False


def _write_copy(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, encode(text))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}", hint="name another directory"
        ) from error
