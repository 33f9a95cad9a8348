"""How much of the work an edit undoes: chunks that change, and merges that are asked again.

    python bench/edits.py
    python bench/edits.py --file book.txt --tokens 1000 --edits 200
    python bench/edits.py --previous

Each edit changes one paragraph of the whole text: a word more, a sentence more, a sentence less,
a paragraph more (20 to 160 words), a paragraph less. `changed` are chunks of the new text that
the old one did not have. `merges` are the nodes of the merge tree that must be asked again,
beside those of a balanced tree over the same chunks.

With `--previous` the borders of the text before each edit are a hint, as with `stable: previous`,
and a second table shows how full chunks are after many edits in a row.
"""

from __future__ import annotations

import argparse
import itertools
import random
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import root_path
from tests.support.corpus import markdown, prose

from octavo.chunkers.structure import split
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.loaders.text import LOADER as TEXT
from octavo.text.splitting.grouping import build_tree
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", help="a text of one's own; repeatable")
    parser.add_argument("--tokens", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--previous", action="store_true", help="use the borders before the edit")
    parser.add_argument("--row", type=int, default=300, help="edits in a row, with --previous")
    options = parser.parse_args()
    texts = {"book.txt": prose(1_200_000), "manual.md": markdown(2_700_000)}
    if options.file:
        texts = {f: Path(f).read_text("utf-8") for f in options.file}
    print(f"{'text':<20} {'chunks':>6} {'fill':>5}  changed: median p95 max   nodes  "
          "merges asked again: median p95 (balanced: nodes, median p95)")  # fmt: skip
    for name, text in texts.items():
        _row(Path(name).name, text, options)
    if options.previous:
        print(f"\n{'text':<20} {'edits in a row':>14} {'fill':>5} {'drawn anew':>10}"
              "  changed by one: mean p95 max")  # fmt: skip
        for name, text in texts.items():
            _drift(Path(name).name, "\n\n".join(text.split("\n\n")[:1500]), options)


def _row(name: str, text: str, options: argparse.Namespace) -> None:
    order = random.Random(options.seed)
    first = [] if options.previous else None
    before = _chunks(name, text, options.tokens, first)
    hint = [(start, border) for _, _, border, start in before] if options.previous else None
    old = {key for key, *_ in before}
    old_ours, old_balanced = _nodes(before, _ours), _nodes(before, _balanced)
    changed, ours, balanced = [], [], []
    for number in range(options.edits):
        after = _chunks(name, edited(text, number % 5, order), options.tokens, hint)
        changed.append(len({key for key, *_ in after} - old))
        ours.append(len(_nodes(after, _ours) - old_ours))
        balanced.append(len(_nodes(after, _balanced) - old_balanced))
    fill = statistics.mean(tokens for _, tokens, *_ in before) / options.tokens
    print(
        f"{name:<20} {len(before):>6} {fill:>5.2f} {statistics.median(changed):>16g}"
        f" {_p95(changed):>3} {max(changed):>3} {len(old_ours):>7} {statistics.median(ours):>27g}"
        f" {_p95(ours):>3} {len(old_balanced):>18} {statistics.median(balanced):>6g}"
        f" {_p95(balanced):>3}"
    )


def _drift(name: str, text: str, options: argparse.Namespace) -> None:
    """Show how full chunks are, and how many an edit changes, in a long row of edits."""
    order = random.Random(options.seed)
    chunks = _chunks(name, text, options.tokens, [])
    changed = []
    for number in range(options.row + 1):
        if number % 100 == 0 or number == options.row:
            fresh = _chunks(name, text, options.tokens, [])
            cells = [_fill(each, options.tokens) for each in (chunks, fresh)]
            print(f"{name:<20} {number:>14} {cells[0]:>5.2f} {cells[1]:>10.2f}" + (
                f" {statistics.mean(changed):>21.2f} {_p95(changed):>3} {max(changed):>3}"
                if changed else ""
            ))  # fmt: skip
        old = {key for key, *_ in chunks}
        text = edited(text, number % 5, order)
        hint = [(start, border) for _, _, border, start in chunks]
        chunks = _chunks(name, text, options.tokens, hint)
        changed.append(len({key for key, *_ in chunks} - old))


def _fill(chunks: Sequence[tuple[int, int, int, int]], budget: int) -> float:
    return statistics.mean(tokens for _, tokens, *_ in chunks) / budget


def _chunks(
    name: str, text: str, budget: int, previous: list[tuple[int, int]] | None
) -> list[tuple[int, int, int, int]]:
    """Return each chunk's content hash, its tokens, its border and where it starts."""
    loader = MARKDOWN if name.endswith(".md") else TEXT
    document = loader.load(text.encode(), name, None)
    return [
        (hash(text[c.span.start : c.span.end]), c.tokens, c.border, c.span.start)
        for c in split(document, budget, TOKTOK, previous)
    ]


def _nodes(
    chunks: Sequence[tuple[int, int, int, int]],
    shape: Callable[[Sequence[int]], list[list[range]]],
) -> set[int]:
    """Return the merge nodes, each by what lies below it."""
    level = [key for key, *_ in chunks]
    nodes: set[int] = set()
    for groups in shape([border for _, _, border, _ in chunks]):
        below = level
        level = [
            below[group.start] if len(group) == 1 else hash(tuple(below[i] for i in group))
            for group in groups
        ]
        nodes |= {key for key, group in zip(level, groups, strict=True) if len(group) > 1}
    return nodes


def _ours(borders: Sequence[int]) -> list[list[range]]:
    return build_tree(borders, [1] * len(borders), size=1)


def _balanced(borders: Sequence[int]) -> list[list[range]]:
    """Return groups of eight by index, the last ones evened out."""
    levels: list[list[range]] = []
    width = len(borders)
    while width > 1:
        count = -(-width // 8)
        cuts = [round(i * width / count) for i in range(count + 1)]
        levels.append([range(a, b) for a, b in itertools.pairwise(cuts)])
        width = count
    return levels


def edited(text: str, kind: int, order: random.Random) -> str:
    paragraphs = text.split("\n\n")
    at = order.randrange(len(paragraphs))
    words = " ".join(order.choices(("edit", "more", "other", "changed", "word"), k=20))
    sentences = paragraphs[at].split(". ")
    match kind:
        case 0:
            place = order.randrange(len(sentences))
            sentences[place] = f"{sentences[place]} more"
            paragraphs[at] = ". ".join(sentences)
        case 1:
            sentences.insert(order.randrange(len(sentences)), words.capitalize())
            paragraphs[at] = ". ".join(sentences)
        case 2:
            del sentences[order.randrange(len(sentences))]
            paragraphs[at] = ". ".join(sentences)
        case 3:
            paragraphs.insert(at, f"{words.capitalize()}. " * order.randint(1, 8))
        case _:
            del paragraphs[at]
    return "\n\n".join(paragraphs)


def _p95(values: Sequence[int]) -> int:
    return sorted(values)[int(len(values) * 0.95)]


if __name__ == "__main__":
    main()
