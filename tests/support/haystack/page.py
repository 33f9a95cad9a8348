"""The page of what was measured: docs/ruler.md, written from rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.support.haystack.strategies import STRATEGIES
from tests.support.haystack.tasks import TASKS

__all__ = ["FORM", "HEADS", "Place", "Row", "page", "read", "short", "tokens"]

FORM = "{:<9} {:>6} {:>6} {:<15} {:<8} {:>6} {:>6} {:>10} {:>8} {:>6}"
HEADS = ("task", "tokens", "window", "strategy", "", "calls", "depth", "prompt", "largest", "saved")
_ENDS = (9, 16, 23, 39, 48, 55, 62, 73, 82, 89)

_COSTS = ("variables", 8192)
"""The task and the window whose costs the page shows."""

_HEAD = """# Exactness with a perfect reader

Written by `python bench/ruler.py --page docs/ruler.md`. Documents are made after the tasks of RULER (Hsieh et al. 2024, arXiv 2404.06654); the model is a function that reads its prompt without mistakes and nothing else. So a row shows what the strategy itself carries from a document to its answer, and nothing about a model. [Strategies](strategies.md#which-tasks-a-strategy-can-carry) says what follows from it.

*exact*: the right answer, whole, and nothing beside it. *no*: the strategy cannot solve the task, for the reason at the end of the page; *luck*: nor can it there, and was right all the same. *refused*: its prompts cannot fit the window, which was found before anything was sent. Where windows differ, the verdicts are those of windows of {windows} tokens, in this order. {total:,} runs; {wrong} were wrong where they should have been exact. The largest prompt with its reply took {share:.0%} of its window.
"""  # noqa: E501 - paragraphs of Markdown are one line each
_COST = """
## What it takes

The task `{task}` in a window of {window} tokens. *Depth* is the longest chain of calls that wait for one another. Parts of these documents repeat, so a call may be one that was answered before; a chain of such calls is less deep than it is long. *Saved* is the share of the prompts' tokens that a prefix cache would have.
"""  # noqa: E501


@dataclass(frozen=True)
class Row:
    """One strategy on one task: the verdict, and what it took; zeros where it was refused."""

    verdict: str
    calls: int = 0
    depth: int = 0
    prompt: int = 0
    largest: int = 0
    saved: float = 0.0


Place = tuple[str, int, int, str]
"""Task, tokens of the document, window, strategy."""


def short(number: int) -> str:
    """Return tokens as they are written: 8192 is 8k."""
    return f"{number // 1024}k" if number % 1024 == 0 else f"{number:,}"


def tokens(text: str) -> int:
    """Return what `short` was given."""
    return int(text.removesuffix("k").replace(",", "")) * (1024 if text.endswith("k") else 1)


def read(lines: Iterable[str]) -> Mapping[Place, Row]:
    """Return the rows of a table as the benchmark prints it; other lines are passed over."""
    rows: dict[Place, Row] = {}
    names = {task.name for task in TASKS}
    for line in lines:
        starts = (0, *_ENDS)
        cells = [line[a:b].strip() for a, b in zip(starts, _ENDS, strict=False)]
        task, length, window, strategy, verdict, *figures = cells
        if task in names and verdict:
            row = Row(verdict)
            if figures[0]:
                *numbers, saved = figures
                row = Row(verdict, *map(int, numbers), int(saved.rstrip("%")) / 100)
            rows[task, tokens(length), tokens(window), strategy] = row
    return rows


def page(rows: Mapping[Place, Row]) -> str:
    """Return the page of these rows, in Markdown."""
    return "\n".join(_lines(rows)) + "\n"


def _lines(rows: Mapping[Place, Row]) -> Iterator[str]:
    lengths = sorted({length for _, length, _, _ in rows})
    every = {window: {row[3] for row in rows if row[2] == window} for _, _, window, _ in rows}
    most = max(map(len, every.values()))
    windows = [window for window in sorted(every) if len(every[window]) == most]
    apart = [window for window in sorted(every) if len(every[window]) < most]
    yield _HEAD.format(
        windows=" and ".join((", ".join(map(short, windows[:-1])), short(windows[-1]))),
        total=len(rows),
        wrong=sum(row.verdict in {"WRONG", "OVER"} for row in rows.values()) or "none",
        share=max(row.largest / window for (_, _, window, _), row in rows.items()),
    ).rstrip()
    for task in TASKS:
        yield f"\n## {task.about.capitalize()} (`{task.name}`)\n"
        seen = [(strategy.name, strategy.name, windows) for strategy in STRATEGIES]
        seen += [
            (f"{strategy.name}, window {short(window)}", strategy.name, [window])
            for window in apart
            for strategy in STRATEGIES
            if strategy.name in every[window]
        ]
        yield from _table(
            lengths,
            [
                (title, [_verdicts(rows, task.name, length, name, each) for length in lengths])
                for title, name, each in seen
            ],
        )
    task, window = _COSTS
    yield _COST.format(task=task, window=short(window)).rstrip()
    shown = {
        "Calls (depth)": lambda row: f"{row.calls:,} ({row.depth:,})",
        "Tokens of prompts (saved)": lambda row: f"{row.prompt:,} ({row.saved:.0%})",
    }
    for title, cell in shown.items():
        yield f"\n### {title}\n"
        yield from _table(
            lengths,
            [
                (
                    strategy.name,
                    [
                        cell(row)
                        if (row := rows.get((task, length, window, strategy.name))) and row.calls
                        else ""
                        for length in lengths
                    ],
                )
                for strategy in STRATEGIES
            ],
        )
    yield "\n## Why not\n"
    reasons: dict[str, list[str]] = {}
    for strategy in STRATEGIES:
        for name, why in strategy.cannot.items():
            reasons.setdefault(why, []).append(f"{strategy.name} on `{name}`")
    for why, whose in reasons.items():
        yield f"- {why[0].upper()}{why[1:]}: {'; '.join(whose)}."


def _verdicts(
    rows: Mapping[Place, Row], task: str, length: int, strategy: str, windows: Sequence[int]
) -> str:
    places = [(task, length, window, strategy) for window in windows]
    found = [rows[place].verdict for place in places if place in rows]
    return found[0] if len(set(found)) == 1 else " / ".join(found)


def _table(lengths: Sequence[int], rows: Iterable[tuple[str, Sequence[str]]]) -> Iterator[str]:
    yield f"| strategy | {' | '.join(map(short, lengths))} |"
    yield f"| --- {'| --- ' * len(lengths)}|"
    for title, cells in rows:
        yield f"| {title} | {' | '.join(cells)} |"
