"""Counting tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, cast

__all__ = ["Counter", "LineCounter", "find_crossing"]


class Counter(Protocol):
    """Counts tokens as one tokenizer does.

    `name` enters chunk tables and plans; `exact` is False for an estimate.
    """

    @property
    def name(self) -> str: ...
    @property
    def exact(self) -> bool: ...
    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        ...

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, cheaper than one by one."""
        ...


class LineCounter(Counter, Protocol):
    """A counter whose tokens end with the line, so that exact counts of lines add up.

    The counts of two texts are together that of both joined when the first ends in a line feed and
    `crossing` does not match at the start of the second: it matches the beginnings of lines that
    the tokenizer may join with the line before. It matches what starts with white space, or else
    by the first character alone.
    """

    @property
    def crossing(self) -> re.Pattern[str]: ...


def find_crossing(counter: Counter) -> re.Pattern[str] | None:
    """Return what a `LineCounter` says of the beginnings of lines, None for any other counter."""
    # Asking for the whole protocol takes as long as counting a page.
    return cast("re.Pattern[str] | None", getattr(counter, "crossing", None))
