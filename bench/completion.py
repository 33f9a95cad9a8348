"""What each kind of completion costs, beside a bare Typer application's.

Processor seconds of a process, the median of several; ratios are within one run, in which ours and
the bare application's take turns, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import root_path
from tests.support.cpu_seconds import BARE, completing, seconds

OURS = (sys.executable, "-m", "octavo")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bare.py").write_text(BARE)
        bare = (sys.executable, str(Path(folder) / "bare.py"))
        help_of_bare = ((*bare, "--help"), {})
        tab_of_bare = (bare, completing("bare", "he"))
        cases = {
            "octavo --help": ((*OURS, "--help"), {}, help_of_bare),
            "octavo r<TAB>": (OURS, completing("octavo", "r"), tab_of_bare),
            "octavo run sum<TAB>": (OURS, completing("octavo", "run", "sum"), tab_of_bare),
            "octavo run summarize --le<TAB>": (
                OURS,
                completing("octavo", "run", "summarize", "--le"),
                tab_of_bare,
            ),
            "octavo run summarize -m l<TAB>": (
                OURS,
                completing("octavo", "run", "summarize", "-m", "l"),
                tab_of_bare,
            ),
            "octavo runs show <TAB>": (OURS, completing("octavo", "runs", "show", ""), tab_of_bare),
            "octavo tokens --g<TAB>": (OURS, completing("octavo", "tokens", "--g"), tab_of_bare),
        }
        print(f"{'case':32} {'ours s':>8} {'bare s':>8} {'ratio':>6}")
        for name, (command, environment, (other, its)) in cases.items():
            seconds(command, **environment)  # writes bytecode and the table of completions
            pairs = [
                (seconds(command, **environment), seconds(other, **its)) for _ in range(rounds)
            ]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(mine / its for mine, its in pairs)
            print(f"{name:32} {ours:8.3f} {theirs:8.3f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
