"""What starting costs: `--help` beside a bare Typer application's, and a run that is all cached.

    python bench/startup.py [--rounds 9] [--size 1200000]

Medians of processes started one after the other in turn; the imports of a cached run are counted
once. A cached run reads a text, finds its chunks and all replies in the journal, and sends nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import root_path
from mocked import mocked
from tests.support.corpus import prose

BARE = """\
import typer
app = typer.Typer(rich_markup_mode=None, add_completion=False)
@app.command()
def one(name: str = "x"): print(name)
@app.command()
def two(count: int = 1): print(count)
app()
"""
HEAVY = ("aiohttp", "openai", "toktok", "tiktoken", "xllamacpp", "rich", "httpx2")


def timed(command, **run):
    """Return the wall and processor seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    begun = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, **run)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--size", type=int, default=1_200_000, help="characters of text")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        book = Path(directory, "book.txt")
        book.write_text(prose(options.size))
        environment = {**os.environ, "OCTAVO_JOURNAL": str(Path(directory, "journal"))}
        environment |= {"HOME": directory, "OPENAI_API_KEY": "none", "NO_COLOR": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        octavo = [sys.executable, "-m", "octavo"]
        run = [*octavo, "run", "summarize", str(book), "-m", "openai:mock", "-j", "64", "-q"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "a bare Typer application, --help": [sys.executable, "-c", BARE, "--help"],
            "octavo --help": [*octavo, "--help"],
            "a bare Typer application, a command": [sys.executable, "-c", BARE, "one"],
            "octavo version": [*octavo, "version"],
            "octavo run summarize, all cached": run,
        }
        with mocked() as url:
            environment["OPENAI_BASE_URL"] = url
            timed(run, env=environment)
        # The server is gone: a call that was sent would end the run.
        times = {name: [] for name in commands}
        for turn in range(options.rounds + 1):
            for name, command in commands.items():
                took = timed(command, env=environment)
                if turn:
                    times[name].append(took)
        told = subprocess.run(
            [sys.executable, "-X", "importtime", *run[1:]],
            check=True, env=environment, capture_output=True, text=True,
        ).stderr  # fmt: skip
    line = "{:<38} {:>8} {:>8} {:>16}"
    print(line.format("", "wall ms", "CPU ms", "times bare Typer"))
    bare = statistics.median(cpu for _, cpu in times["a bare Typer application, --help"])
    for name, took in times.items():
        wall, cpu = (statistics.median(each) * 1000 for each in zip(*took, strict=True))
        print(line.format(name, f"{wall:.0f}", f"{cpu:.0f}", f"{cpu / bare / 1000:.2f}"))
    imported = {row.rpartition("|")[2].strip() for row in told.splitlines() if "|" in row}
    heavy = sorted(imported & set(HEAVY))
    print(f"a cached run imports {len(imported)} modules, of the heavy ones: {heavy or 'none'}")


if __name__ == "__main__":
    main()
