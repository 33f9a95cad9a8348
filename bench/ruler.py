"""Which strategy carries which task through a document, and at what cost, with a perfect reader.

    python bench/ruler.py
    python bench/ruler.py --lengths 4k 64k --windows 8k --tasks variables --strategies ask memory
    python bench/ruler.py --lengths 256k > long.txt
    python bench/ruler.py --known long.txt --page docs/ruler.md

The documents are made after the tasks of RULER (Hsieh et al. 2024, arXiv 2404.06654), the replies
by a function that reads its prompt without mistakes and nothing else (haystack/reader.py in
tests/support). So what a row shows is the strategy's own doing: `exact` when the answer is the
right one, whole and with nothing beside it; `no` where the strategy cannot solve the task, for the
reason below the table, and `luck` where it was right all the same; `refused` where the prompts
cannot fit the window, which is found before anything is sent. `WRONG` (it should have been exact)
and `OVER` (a prompt exceeds the window) are defects, and make the exit code 1. `largest` is the
most tokens of a prompt and its reply together, `depth` the longest chain of calls that wait for one
another, `prompt` the tokens of all prompts, and `saved` the share of them that a prefix cache would
save, by the journal's prompts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import root_path
from tests.support.haystack.measure import measure
from tests.support.haystack.page import FORM, HEADS, Place, Row, page, read, short, tokens
from tests.support.haystack.strategies import STRATEGIES
from tests.support.haystack.tasks import TASKS

from octavo.tokens.choose import get_counter

_COUNTER = get_counter("o200k_base")


def main() -> None:
    options = _options()
    rows: dict[Place, Row] = {}
    print(FORM.format(*HEADS))
    for place, row in _measured(options):
        rows[place] = row
        task, length, window, strategy = place
        cells = (row.calls, row.depth, row.prompt, row.largest, f"{row.saved:.0%}")
        if row.verdict == "refused":
            cells = ("",) * 5
        shown = (short(length), short(window), strategy, row.verdict)
        print(FORM.format(task, *shown, *cells), flush=True)
    print()
    for strategy in STRATEGIES:
        for name, why in strategy.cannot.items():
            print(f"{strategy.name}, {name}: {why}")
    if options.page:
        options.page.write_text(page(rows), "utf-8")
    if wrong := sum(row.verdict in {"WRONG", "OVER"} for row in rows.values()):
        sys.exit(f"{wrong} rows are WRONG or OVER")


def _measured(options: argparse.Namespace) -> Iterator[tuple[Place, Row]]:
    """Yield the rows that are asked for; those known are not measured again."""
    known: dict[Place, Row] = {}
    for path in options.known:
        known |= read(path.read_text("utf-8").splitlines())
    strategies = [each for each in STRATEGIES if each.name in options.strategies]
    for task in TASKS:
        if task.name not in options.tasks:
            continue
        for length in options.lengths:
            question = task.make(length, options.seed, _COUNTER.count)
            for window, strategy in product(options.windows, strategies):
                place = (task.name, length, window, strategy.name)
                yield place, known.get(place) or measure(strategy, task, question, window)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    lengths = ["4k", "8k", "16k", "32k", "64k", "128k", "256k"]
    parser.add_argument("--lengths", nargs="+", type=tokens, default=list(map(tokens, lengths)))
    windows = list(map(tokens, ("4k", "8k", "32k", "320k")))
    parser.add_argument("--windows", nargs="+", type=tokens, default=windows)
    names = [task.name for task in TASKS]
    parser.add_argument("--tasks", nargs="+", choices=names, default=names)
    strategies = [strategy.name for strategy in STRATEGIES]
    parser.add_argument("--strategies", nargs="+", choices=strategies, default=strategies)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--known", nargs="+", type=Path, default=(), help="tables printed before")
    parser.add_argument("--page", type=Path, help="where to write the page of all rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
