"""`octavo doctor`: is everything there that a run would need."""

from __future__ import annotations

import json as json_module
import sys
from typing import Annotated

import typer

from octavo.commands.checkup import DoctorChecks
from octavo.commands.table import align_columns
from octavo.commands.terminal import clean
from octavo.errors import BackendError, RunFailed

__all__ = ["doctor"]


def doctor(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Check this model: BACKEND:NAME, or a profile of octavo.toml.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the configuration, the model, the journal and the disk.

    For each it says whether it is as a run needs it, and if not, what to do. A server is asked for
    its list of models and for nothing that costs. The exit code is 3 when the model cannot be
    used, 1 when something else is wrong, and 0 otherwise; a warning changes nothing.
    """
    found = DoctorChecks(model).run_all()
    if json:
        rows = [
            {"check": f.name, "state": f.state, "message": f.message, "hint": f.hint} for f in found
        ]
        sys.stdout.write(json_module.dumps(rows, ensure_ascii=False) + "\n")
    else:
        lines = align_columns([(f.state, f.name, clean(f.message).replace("\n", " ")) for f in found])
        for finding, line in zip(found, lines, strict=True):
            sys.stdout.write(line + "\n")
            if finding.hint:
                sys.stdout.write(f"      help: {clean(finding.hint)}\n")
    wrong = {finding.name for finding in found if finding.state == "fail"}
    if wrong:
        unusable = wrong & {"model", "backend"}
        raise typer.Exit(BackendError.exit_code if unusable else RunFailed.exit_code)
