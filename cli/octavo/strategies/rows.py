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

__all__ = ["ItemGroup", "TallyItem", "to_json_number", "drop_duplicates", "group_items", "parse_number", "sort_items"]

_MAX_DIGITS = 4000
"""The most digits of a sum: Python writes no longer numbers as text."""


@dataclass(frozen=True, slots=True)
class TallyItem:
    """One thing to count: what it is (`value`), its likeness (`name`), what it counts for."""

    value: object
    key: str
    weight: Fraction = Fraction(1)
    spans: tuple[Span, ...] = ()


@dataclass(slots=True)
class ItemGroup:
    """Items that are alike: the first one's value, and what they count for together."""

    value: object
    key: str
    weight: Fraction = Fraction(0)
    spans: list[Span] = field(default_factory=list[Span])


def parse_number(value: object, of: str) -> Fraction:
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


def to_json_number(total: Fraction) -> int | float:
    """Return a sum as JSON has it: exact where it is whole, else the nearest number.

    Raises CallError when it is too large to be written.
    """
    if abs(total) >= 10**_MAX_DIGITS:
        raise CallError(f"the sum has more than {_MAX_DIGITS:,} digits")
    try:
        return int(total) if total.denominator == 1 else float(total)
    except OverflowError as error:
        raise CallError("the sum is too large for a number that is not whole") from error


def group_items(items: Iterable[TallyItem]) -> list[ItemGroup]:
    """Return the groups of items of one name, heaviest first, then by value."""
    groups: dict[str, ItemGroup] = {}
    for item in items:
        group = groups.setdefault(item.key, ItemGroup(item.value, item.key))
        group.weight += item.weight
        group.spans.extend(item.spans)
    return sorted(groups.values(), key=lambda group: (-group.weight, *to_sort_key(group.value)))


def drop_duplicates(items: Iterable[TallyItem]) -> list[TallyItem]:
    """Return the first item of each name, in order."""
    found: dict[str, TallyItem] = {}
    for item in items:
        found.setdefault(item.key, item)
    return list(found.values())


def sort_items(keys: Sequence[object], items: Sequence[TallyItem], *, descending: bool) -> list[TallyItem]:
    """Return items sorted by the keys that belong to them; equal ones keep their order."""
    pairs = sorted(zip(keys, items, strict=True), key=_rank_pair, reverse=descending)
    return [item for _, item in pairs]


def _rank_pair(pair: tuple[object, TallyItem]) -> tuple[int, object]:
    return to_sort_key(pair[0])
