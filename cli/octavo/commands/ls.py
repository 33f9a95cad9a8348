"""`octavo ls`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from octavo.commands._cli.terminal import align_columns, clean, encode
from octavo.pipeline.lookup import Lookup
from octavo.pipeline.reader import read_about

__all__ = ["ls"]


def ls(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON array instead of a table.")
    ] = False,
) -> None:
    """List the pipelines: name, what it does, and where it is from."""
    pipelines = Lookup().list_pipelines()
    if as_json:
        rows = [
            {"name": each.name, "about": read_about(each), "origin": each.origin, "path": each.path}
            for each in pipelines
        ]
        text = json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
    else:
        table = [(each.name, each.origin, clean(read_about(each))) for each in pipelines]
        text = "".join(f"{line}\n" for line in align_columns(table))
    sys.stdout.buffer.write(encode(text))
