"""What code makes of items: groups, sums, orders. Exact, and in one order whatever came first."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

from octavo.errors import CallError
from octavo.text.alike import to_sort_key
from octavo.text.span import Span

__all__ = ["Group", "Item", "amount", "distinct", "grouped", "number", "ordered"]

_DIGITS = 4000
"""The most digits of a sum: Python writes no longer numbers as text."""


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to count: what it is (`value`), its likeness (`name`), what it counts for."""

    value: object
    name: str
    weight: Fraction = Fraction(1)
    spans: tuple[Span, ...] = ()


@dataclass(slots=True)
class Group:
    """Items that are alike: the first one's value, and what they count for together."""

    value: object
    name: str
    weight: Fraction = Fraction(0)
    spans: list[Span] = field(default_factory=list[Span])


def number(value: object, of: str) -> Fraction:
    """Return a JSON number as it was written: 0.1 is a tenth.

    Raises CallError for anything else; `of` is the expression that gave it.
    """
    whole = isinstance(value, int) and not isinstance(value, bool)
    if whole or (isinstance(value, float) and math.isfinite(value)):
        return Fraction(str(value)) if isinstance(value, float) else Fraction(cast("int", value))
    shown = json.dumps(value, ensure_ascii=False, default=str)[:60]
    raise CallError(
        f"{of!r} gives {shown}, which is no number",
        hint="let the schema require a number, or leave such items out by `where`",
    )


def amount(total: Fraction) -> int | float:
    """Return a sum as JSON has it: exact where it is whole, else the nearest number.

    Raises CallError when it is too large to be written.
    """
    if abs(total) >= 10**_DIGITS:
        raise CallError(f"the sum has more than {_DIGITS:,} digits")
    try:
        return int(total) if total.denominator == 1 else float(total)
    except OverflowError as error:
        raise CallError("the sum is too large for a number that is not whole") from error


def grouped(items: Iterable[Item]) -> list[Group]:
    """Return the groups of items of one name, heaviest first, then by value."""
    groups: dict[str, Group] = {}
    for item in items:
        group = groups.setdefault(item.name, Group(item.value, item.name))
        group.weight += item.weight
        group.spans.extend(item.spans)
    return sorted(groups.values(), key=lambda group: (-group.weight, *to_sort_key(group.value)))


def distinct(items: Iterable[Item]) -> list[Item]:
    """Return the first item of each name, in order."""
    found: dict[str, Item] = {}
    for item in items:
        found.setdefault(item.name, item)
    return list(found.values())


def ordered(keys: Sequence[object], items: Sequence[Item], *, descending: bool) -> list[Item]:
    """Return items sorted by the keys that belong to them; equal ones keep their order."""
    pairs = sorted(zip(keys, items, strict=True), key=_rank, reverse=descending)
    return [item for _, item in pairs]


def _rank(pair: tuple[object, Item]) -> tuple[int, object]:
    return to_sort_key(pair[0])
