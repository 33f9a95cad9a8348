"""Texts to measure with: made by a seed, the same everywhere, with the habits of real ones."""

from __future__ import annotations

import random
from itertools import accumulate

__all__ = ["chinese", "code", "markdown", "one_line", "prose"]

_SYLLABLES = tuple(
    """
    ba be bo da de di do fa fe ga go ha he ka ke ki ko la le li lo ma me mi mo na ne no pa pe
    po ra re ri ro sa se si so ta te ti to va ve vo wa we wi za ze
    """.split()  # noqa: SIM905 - shorter than a list
)
_SHORT = tuple(
    """
    the of and a to in he that was it his with as for at but on not be had by is this from
    they which or we an him so no were all one when up there said her would them been out who
    if more
    """.split()  # noqa: SIM905 - shorter than a list
)


class _Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        count = 6000
        self.words = [
            "".join(self.random.choices(_SYLLABLES, k=self.random.randint(1, 4)))
            for _ in range(count)
        ]
        # Zipf's law: the word of rank r is about 1/r as frequent as the first.
        self.weights = list(accumulate(1 / rank for rank in range(5, count + 5)))

    def clause(self, length: int) -> str:
        long = iter(self.random.choices(self.words, cum_weights=self.weights, k=length))
        return " ".join(
            self.random.choice(_SHORT) if self.random.random() < 0.5 else next(long)
            for _ in range(length)
        )

    def sentence(self) -> str:
        clauses = [
            self.clause(self.random.randint(4, 14)) for _ in range(self.random.randint(1, 3))
        ]
        text = ", ".join(clauses).capitalize() + self.random.choices(".?!", (20, 2, 1))[0]
        return f'"{text}"' if self.random.random() < 0.12 else text

    def paragraph(self, most: int) -> str:
        return " ".join(self.sentence() for _ in range(self.random.randint(1, most)))


def prose(size: int, seed: int = 1) -> str:
    """Return a novel of about `size` characters: chapters, paragraphs and some dialogue."""
    writer = _Writer(seed)
    parts: list[str] = []
    length = 0
    while length < size:
        if len(parts) % 60 == 0:
            part = f"CHAPTER {len(parts) // 60 + 1}. {writer.clause(4).title()}"
        else:
            part = writer.paragraph(7)
        parts.append(part)
        length += len(part) + 2
    return "\n\n".join(parts) + "\n"


def markdown(size: int, seed: int = 2) -> str:
    """Return technical documentation of about `size` characters: headings, lists, tables, code."""
    writer = _Writer(seed)
    makers = [_bullets, _table, _code, *[lambda w: w.paragraph(5)] * 6]
    parts: list[str] = []
    length = 0
    while length < size:
        if writer.random.random() < 0.12:
            level = writer.random.choices((1, 2, 3), (1, 6, 8))[0]
            part = f"{'#' * level} {writer.clause(4).title()}"
        else:
            part = writer.random.choice(makers)(writer)
        parts.append(part)
        length += len(part) + 2
    return "\n\n".join(parts) + "\n"


def chinese(size: int, seed: int = 3) -> str:
    """Return Chinese prose of about `size` bytes of UTF-8, with no blanks inside paragraphs."""
    order = random.Random(seed)
    signs = [chr(0x4E00 + order.randrange(0x5000)) for _ in range(3000)]
    weights = [1 / rank for rank in range(5, 3005)]
    parts: list[str] = []
    length = 0
    while length < size:
        sentences: list[str] = []
        for _ in range(order.randint(1, 8)):
            clauses = [
                "".join(order.choices(signs, weights, k=order.randint(4, 16)))
                for _ in range(order.randint(1, 4))
            ]
            sentences.append(
                "\uff0c".join(clauses) + order.choices("\u3002\uff01\uff1f", (8, 1, 1))[0]
            )
        parts.append("".join(sentences))
        length += 3 * len(parts[-1]) + 2
    return "\n\n".join(parts) + "\n"


def code(size: int, seed: int = 4) -> str:
    """Return a Python module of about `size` characters: classes, methods and functions."""
    writer = _Writer(seed)
    parts = ["import os\nimport sys"]
    length = 0
    while length < size:
        if writer.random.random() < 0.5:
            part = _function(writer, "")
        else:
            methods = [_function(writer, "    ") for _ in range(writer.random.randint(2, 9))]
            name = writer.random.choice(writer.words).title()
            part = f'class {name}:\n    """{writer.sentence()}"""\n\n' + "\n\n".join(methods)
        parts.append(part)
        length += len(part) + 3
    return "\n\n\n".join(parts) + "\n"


def _function(writer: _Writer, indent: str) -> str:
    name, *names = writer.random.choices(writer.words, k=4)
    lines = [f"def {name}({', '.join(names)}):", f'    """{writer.sentence()}"""']
    for _ in range(writer.random.randint(2, 8)):
        one, other = writer.random.choices(names, k=2)
        lines += [
            f"    # {writer.clause(6)}",
            f"    if {one} > {writer.random.randint(1, 99)}:",
            f"        {one} = {other} + {writer.random.randint(1, 999)}",
        ]
    lines.append(f"    return {names[0]}")
    return "\n".join(indent + line for line in lines)


def one_line(size: int, seed: int = 5) -> str:
    """Return words of about `size` characters, without a single line end."""
    writer = _Writer(seed)
    return " ".join(writer.sentence() for _ in range(size // 90))


def _bullets(writer: _Writer) -> str:
    sign = writer.random.choice(("- ", "1. ", "* "))
    return "\n".join(sign + writer.sentence() for _ in range(writer.random.randint(2, 8)))


def _table(writer: _Writer) -> str:
    rows = [[writer.clause(2) for _ in range(3)] for _ in range(writer.random.randint(3, 9))]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "| --- | --- | --- |", *lines[1:]])


def _code(writer: _Writer) -> str:
    lines = ["```python"]
    for _ in range(writer.random.randint(2, 6)):
        name = writer.random.choice(writer.words)
        lines += [f"def {name}(value):", f"    return value + {writer.random.randint(1, 999)}", ""]
    return "\n".join([*lines, "# not a heading", "```"])
