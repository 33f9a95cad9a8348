"""`octavo show`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import Annotated, Any

import typer

from octavo.commands._cli.terminal import encode
from octavo.diagnostics import mask_credentials
from octavo.pipeline.lookup import FoundFile, Lookup
from octavo.pipeline.reader import load_pipeline, read_about

__all__ = ["show"]


def show(
    pipeline: Annotated[str, typer.Argument(metavar="PIPELINE", help="A name or a path.")],
    prompts: Annotated[
        bool, typer.Option("--prompts", help="Print the prompts and schemas that it names, too.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the files.")
    ] = False,
) -> None:
    """Print a pipeline and where it comes from."""
    lookup = Lookup()
    found = lookup.find_pipeline(pipeline)
    named: list[FoundFile] = []
    if prompts:
        checked = load_pipeline(found, lookup=lookup)
        named = [*checked.prompts.found.values(), *checked.schemas.found.values()]
    text = _format_json(found, named) if as_json else _format_files(found, named)
    sys.stdout.buffer.write(
        encode(mask_credentials(text))
    )  # keys do not belong there, but may be there


def _format_files(found: FoundFile, named: Iterable[FoundFile]) -> str:
    """Return the pipeline after a comment that says where it is from, then what it names."""
    parts = [f"# {found.path} ({found.origin})\n", _end_with_newline(found.text)]
    parts += [
        f"\n==> {each.path} ({each.origin}) <==\n{_end_with_newline(each.text)}" for each in named
    ]
    return "".join(parts)


def _format_json(found: FoundFile, named: Iterable[FoundFile]) -> str:
    shown: dict[str, Any] = {"about": read_about(found), **_as_row(found)}
    shown["named"] = [_as_row(each) for each in named]
    return json.dumps(shown, ensure_ascii=False, indent=2) + "\n"


def _as_row(found: FoundFile) -> dict[str, str]:
    return {
        "name": found.name,
        "origin": found.origin,
        "path": found.path,
        "text": found.text,
    }


def _end_with_newline(text: str) -> str:
    return text if text.endswith("\n") else f"{text}\n"
