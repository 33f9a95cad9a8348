"""Every way to split beside other libraries: speed, memory, and what the chunks are worth.

    python bench/chunkers.py
    python bench/chunkers.py --size 1 10 100 --text prose --tokens 1000 4000
    python bench/chunkers.py --file book.txt
    python bench/chunkers.py --curve

All count o200k tokens with toktok-rs, and all get the same budget; other libraries are measured
when they can be imported (splitters.py). They take turns, each in a process of its own that has
seen the text twice: `MB/s` is of UTF-8, by the clock, and `cpu` by processor seconds, medians of
`--repeat` turns, token counts of our chunks included; they differ where a text is counted on
several cores. `memory` is what its peak added, in MB, the texts of the chunks among it. `over` are
chunks above the budget, `fill` is the mean share of it, `sentence` and `paragraph` are the shares
of chunks that end at one. `changed` is how many chunks an edit changes, the median and the 95th
percentile of `--edits` edits (not above 2 MB).

`--curve` shows instead how the time of each of our ways grows with one line of 0.6 to 5 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import random
import re
import resource
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import root_path
from edits import edited
from splitters import MISSING, peers
from tests.support.corpus import chinese, code, markdown, one_line, prose

from octavo.loaders.code import LOADER as CODE
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.loaders.text import LOADER as TEXT
from octavo.pipeline.registry import Registry
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")
TEXTS = {
    "prose": ("prose.txt", prose),
    "markdown": ("manual.md", markdown),
    "code": ("module.py", code),
    "chinese": ("chinese.txt", chinese),
}
OURS = ("structure", "tokens", "sentences", "headings", "rows", "code", "adaptive")
_ENDS = re.compile(r"(?:[.!?…:。！？][\"'”’)\]]*\s*|\n\s*|```\s*)\Z")
_EDITED = 2_000_000
_ROW = "{:<10} {:>5} {:>6}  {:<24} {:>6} {:>6} {:>6} {:>8} {:>5} {:>5} {:>8} {:>9} {:>7}"

Splitter = Callable[[str], list[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=float, nargs="+", default=[1], help="megabytes")
    parser.add_argument("--text", nargs="+", choices=TEXTS, default=list(TEXTS))
    parser.add_argument("--file", action="append", help="a text of one's own; repeatable")
    parser.add_argument("--tokens", type=int, nargs="+", default=[1000])
    parser.add_argument("--by", nargs="+", choices=OURS, default=list(OURS))
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--edits", type=int, default=10)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--curve", action="store_true")
    options = parser.parse_args()
    TOKTOK.count("load the vocabulary")
    if options.curve:
        _curve(options)
        return
    print(_ROW.format(
        "text", "MB", "budget", "by", "MB/s", "cpu", "memory", "lossless", "over", "fill",
        "sentence", "paragraph", "changed",
    ))  # fmt: skip
    for name, text in _texts(options):
        for budget in options.tokens:
            _rows(name, text, budget, options)
    if MISSING:
        print("not installed:", ", ".join(MISSING))


def _texts(options):
    if options.file:
        for each in options.file:
            yield Path(each).name, Path(each).read_text("utf-8")
        return
    for size in options.size:
        for each in options.text:
            name, make = TEXTS[each]
            yield name, make(int(size * 1e6))


def _splitters(name: str, budget: int, options) -> dict[str, Splitter]:
    is_code = name.endswith(".py")
    ours = {
        f"octavo {way}": lambda text, w=way: _ours(w, name, text, budget)
        for way in options.by
        if is_code or way != "code"
    }
    return ours | ({} if options.no_peers else peers(budget, TOKTOK.count, code=is_code))


def _ours(way: str, name: str, text: str, budget: int) -> list[str]:
    loader = {".md": MARKDOWN, ".py": CODE}.get(Path(name).suffix, TEXT)
    key = (name, len(text), hash(text))
    if key not in _LOADED:  # reading is not splitting
        _LOADED.clear()
        _LOADED[key] = loader.load(text.encode(), name, None)
    document = _LOADED[key]
    chunker = Registry().get_chunker(way)
    chunks = asyncio.run(
        _timed(chunker.run(document, chunker.options(tokens=budget), TOKTOK, None))
    )
    return [text[chunk.span.start : chunk.span.end] for chunk in chunks]


async def _timed(chunking):
    await asyncio.to_thread(int)  # a run starts its loop and its thread once, for all documents
    begun = _now()
    chunks = await chunking
    _SPENT.append(_now() - begun)
    return chunks


def _now() -> complex:
    """Return the time by the clock and, as its imaginary part, that of the processor."""
    return complex(time.perf_counter(), time.process_time())


_LOADED: dict[tuple[str, int, int], object] = {}
_SPENT: list[complex] = []


def _rows(name: str, text: str, budget: int, options) -> None:
    """Print a row for each way; they take turns, so that a slow moment of the machine slows all."""
    ways = _splitters(name, budget, options)
    spent: dict[str, list[complex]] = {way: [] for way in ways}
    worth: dict[str, list[object]] = {}
    for number in range(options.repeat):
        for way, splitter in ways.items():
            measured = _in_process(_measure, text, budget, splitter, options, number == 0)
            if measured is None:
                continue
            spent[way].append(measured[0])
            worth.setdefault(way, measured[1:])
    megabytes = len(text.encode()) / 1e6
    for way, times in spent.items():
        cells = ["failed", *"--------"]
        if times:
            halves = [each.real for each in times], [each.imag for each in times]
            speeds = [f"{megabytes / statistics.median(half):.1f}" for half in halves]
            cells = [*speeds, *worth[way]]
        kind = name.partition(".")[0][:10]
        print(_ROW.format(kind, f"{megabytes:.1f}", budget, way, *cells), flush=True)


def _in_process(work: Callable[..., list[object]], *args: object) -> list[object] | None:
    """Return what work returns in a process of its own, None where that ends before."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(work(*args)))
    child.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        return None
    finally:
        child.join()


def _measure(text: str, budget: int, splitter: Splitter, options, judged: bool) -> list[object]:
    """Return the time of the third of three passes and, where they are to be judged, the rest."""
    splitter(text[:2000])
    held = _resident()
    splitter(text)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    splitter(text)
    _SPENT.clear()
    begun = _now()
    chunks = splitter(text)
    spent = _SPENT[0] if _SPENT else _now() - begun
    if not judged:
        return [spent]
    counts = TOKTOK.count_batch(chunks)
    old, order = set(chunks), random.Random(11)
    changed = [
        len(set(splitter(edited(text, number % 5, order))) - old)
        for number in range(options.edits if len(text) <= _EDITED else 0)
    ]
    return [
        spent,
        f"{peak - held:.0f}",
        "yes" if "".join(chunks) == text else "no",
        sum(count > budget for count in counts),
        f"{statistics.mean(counts) / budget:.2f}",
        f"{_share(chunks, _ENDS.search):.0%}",
        f"{_share(chunks, lambda chunk: chunk.endswith(chr(10))):.0%}",
        f"{statistics.median(changed):g}, {sorted(changed)[int(len(changed) * 0.95)]}"
        if changed
        else "-",
    ]


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _share(chunks, holds) -> float:
    return sum(bool(holds(chunk[-200:])) for chunk in chunks) / len(chunks)


def _curve(options) -> None:
    sizes = (625_000, 1_250_000, 2_500_000, 5_000_000)
    print(f"{'one line, seconds':<24}", *(f"{size / 1e6:>8.2f} MB" for size in sizes))
    for way in options.by:
        name = "line.py" if way == "code" else "line.txt"
        cells = []
        for size in sizes:
            _SPENT.clear()
            _ours(way, name, one_line(size), options.tokens[0])
            cells.append(f"{_SPENT[0].imag:>11.2f}")
        print(f"octavo {way:<17}", *cells, flush=True)


if __name__ == "__main__":
    main()
