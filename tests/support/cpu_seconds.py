"""Processor seconds of a process, and the bare Typer application that ours is compared with."""

from __future__ import annotations

import os
import resource
import subprocess

__all__ = ["BARE", "completing", "seconds"]

BARE = """\
import typer
app = typer.Typer(rich_markup_mode=None)
@app.command()
def hello(name: str = "you"):
    print(name)
@app.command()
def bye(name: str = "you"):
    print(name)
app(prog_name="bare")
"""


def seconds(command, **environment):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def completing(program, *words):
    variable = f"_{program.upper()}_COMPLETE"
    line = "\n".join((program, *words))
    return {variable: "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words))}
