"""How fast texts are split, and how well, beside other libraries on the same texts in one run.

    python bench/chunking.py
    python bench/chunking.py --file book.txt --file manual.md --tokens 1000 2000 4000

Other libraries are measured when they can be imported; splitters.py names them, and chunkers.py
compares more than speed. All count o200k tokens with toktok-rs. Times are medians of processor
seconds; a vocabulary is loaded before. `over` counts chunks above the budget, `fill` is the mean
share of the budget, and `sentence` and `paragraph` are the shares of chunks that end at one.
"""

from __future__ import annotations

import argparse
import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import root_path
from splitters import peers
from tests.support.corpus import markdown, prose

from octavo.chunkers.structure import split
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.loaders.text import LOADER as TEXT
from octavo.tokens.choose import get_counter

_ENDS = re.compile(r"[.!?…:][\"'”’)\]]*\s*$|\n\s*$|```\s*$")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", help="a text of one's own; repeatable")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1000])
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    texts = {
        "prose, 1.2 MB": ("book.txt", prose(1_200_000)),
        "Markdown, 2.7 MB": ("manual.md", markdown(2_700_000)),
    }
    if options.file:
        texts = {Path(f).name: (f, Path(f).read_text("utf-8")) for f in options.file}
    toktok = get_counter("o200k_base")
    toktok.count("load the vocabulary")
    head = ("text", "budget", "splitter", "MB/s", "ratio", "lossless", "over", "fill")
    print("{:<18} {:>6}  {:<28} {:>6} {:>6} {:>8} {:>5} {:>5}".format(*head), "sentence paragraph")
    for title, (name, text) in texts.items():
        loader = MARKDOWN if name.endswith(".md") else TEXT
        document = loader.load(text.encode(), name, None)
        for budget in options.tokens:
            rows: dict[str, Callable[[], list[str]]] = {
                "octavo structure": lambda d=document, b=budget: [
                    d.text[c.span.start : c.span.end] for c in split(d, b, toktok)
                ],
                **{
                    f"{name}, toktok": lambda s=splitter, t=text: s(t)
                    for name, splitter in peers(budget, toktok.count).items()
                },
            }
            _table(title, text, budget, rows, options.repeat, toktok)


def _table(title, text, budget, rows, repeat, toktok) -> None:
    size = len(text.encode()) / 1e6
    times = {name: [] for name in rows}
    found = {}
    for _ in range(repeat):  # in turns, so that all see the same machine
        for name, run in rows.items():
            begun = time.process_time()
            found[name] = run()
            times[name].append(time.process_time() - begun)
    ours = statistics.median(times["octavo structure"])
    for name, chunks in found.items():
        seconds = statistics.median(times[name])
        counts = toktok.count_batch(chunks)
        cells = (
            f"{size / seconds:.1f}",
            f"{seconds / ours:.2f}",
            "yes" if "".join(chunks) == text else "no",
            sum(count > budget for count in counts),
            f"{statistics.mean(counts) / budget:.2f}",
            f"{_share(chunks, _ENDS.search):.0%}",
            f"{_share(chunks, lambda c: c.endswith(chr(10))):.0%}",
        )
        print("{:<18} {:>6}  {:<28} {:>6} {:>6} {:>8} {:>5} {:>5} {:>8} {:>9}".format(
            title, budget, name, *cells
        ))  # fmt: skip


def _share(chunks, holds) -> float:
    return sum(bool(holds(chunk)) for chunk in chunks) / len(chunks)


if __name__ == "__main__":
    main()
