"""Mutated pipelines, and what the reader makes of them.

Pipelines are changed by lines, by words and by characters. Each gives a pipeline, or errors with
their places, and never a traceback.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from octavo.errors import SpecErrors
from octavo.pipeline.reader import read_pipeline
from octavo.pipeline.registry import Registry

__all__ = ["Tally", "judge", "mutate", "sources"]

ROOT = Path(__file__).parents[2]
SIGNS = [
    *(
        "\t",
        "\n",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        '"',
        "'",
        "&a ",
        "*a",
        "|\n",
        ">",
        "#",
        "? ",
        "%",
    ),
    *("{{", "}}", "{%", "%}", "{#", "<<: *a", "!!python/object:os.system ", "---\n", "...\n", "\0"),
    *("\ud800", "\ufeff", "\u2028", "\x85", "(" * 300, "[" * 300, "9" * 400, "- " * 200, "\r"),
]
VALUES = [
    *(
        "null",
        "~",
        "no",
        "010",
        "1e3",
        ".inf",
        "-1",
        "0",
        "1.5",
        "{}",
        "[]",
        "''",
        "{{ x }}",
        "text",
    ),
    *(
        "builtin:x",
        "../../etc/passwd",
        "summarize/part",
        "[1, {a: b}]",
        "2024-01-01",
        "0x1F",
        "1_000",
    ),
]
WORD = re.compile(r"[\w./-]+")


@dataclass
class Tally:
    """What the reader made of the mutations."""

    pipelines: int = 0
    refused: int = 0
    errors: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    crashes: list[tuple[str, str, str]] = field(default_factory=list)
    slowest: float = 0.0


def sources() -> dict[str, str]:
    """Return the pipelines that mutations start from, by path."""
    paths = [*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("examples/pipelines/*.yaml")]
    return {str(path): path.read_text("utf-8") for path in sorted(paths)}


def mutated(text: str, others: list[str], order: random.Random) -> str:
    """Return a text with one thing changed; pieces may come from other pipelines."""
    lines = text.splitlines(keepends=True) or [""]
    at = order.randrange(len(lines))
    match order.randrange(9):
        case 0:
            del lines[at]
        case 1:
            lines.insert(order.randrange(len(lines) + 1), lines[at])
        case 2:
            other = order.randrange(len(lines))
            lines[at], lines[other] = lines[other], lines[at]
        case 3:
            lines[at] = " " * order.randrange(1, 5) + lines[at]
        case 4:
            lines[at] = lines[at][order.randrange(1, 4) :]
        case 5:
            lines.insert(at, order.choice(order.choice(others).splitlines(keepends=True)))
        case 6:
            words = list(WORD.finditer(text))
            word = order.choice(words) if words else None
            new = order.choice(VALUES + [each[0] for each in words])
            return text[: word.start()] + new + text[word.end() :] if word else new
        case 7:
            place = order.randrange(len(text) + 1)
            return text[:place] + order.choice(SIGNS) + text[place:]
        case _:
            place = order.randrange(len(text) + 1)
            return text[:place] + text[place + order.randrange(1, 12) :]
    return "".join(lines)


def judge(path: str, text: str, registry: Registry, tally: Tally) -> None:
    """Read one text and count what comes of it."""
    begun = time.process_time()
    try:
        read_pipeline(text, path, registry)
    except SpecErrors as errors:
        tally.refused += 1
        tally.errors += len(errors.errors)
        tally.codes.update(error.code for error in errors.errors)
        last = len(re.split(r"\r\n|\n|\r", text))
        for error in errors.errors:
            place = error.position
            inside = place.path != path or 1 <= place.line <= last
            if not (error.hint and inside and place.column >= 1):
                tally.crashes.append((path, text, f"no place or no hint: {error}"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
        tally.crashes.append((path, text, f"{type(error).__name__}: {error}"))
    else:
        tally.pipelines += 1
    tally.slowest = max(tally.slowest, time.process_time() - begun)


def mutate(number: int, seed: int) -> Tally:
    """Read so many mutations; the same seed gives the same ones."""
    order, registry, tally = random.Random(seed), Registry(), Tally()
    texts = sources()
    for _ in range(number):
        path = order.choice(list(texts))
        text = texts[path]
        for _ in range(order.randrange(1, 6)):
            text = mutated(text, list(texts.values()), order)
        judge(path, text, registry, tally)
    return tally
