"""Find items in notes by expressions, and group, sum and sort them.

What code makes of items is exact, and has one order whatever order the items came in.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

from octavo.errors import CallError
from octavo.pipeline.conditions import Condition
from octavo.text.equality import to_sort_key
from octavo.text.note import Note
from octavo.text.span import Span

__all__ = [
    "ItemGroup",
    "ItemReader",
    "TallyItem",
    "drop_duplicates",
    "group_items",
    "parse_number",
    "sort_items",
    "to_json_number",
]


ItemNames = Mapping[str, object]
"""What an item is called in expressions: its fields, or `text`; `item` is the whole of it."""

_MAX_DIGITS = 4000
"""The most digits of a sum: Python writes no longer numbers as text."""


class ItemReader:
    """Finds items in notes, and what expressions make of each.

    `each` lists the items of a note, which is one itself without it; `where` chooses among them;
    `by` gives an item's key and `of` its content, both the item itself by default.
    """

    def __init__(
        self,
        params: Mapping[str, object],
        *,
        each: str | None,
        where: str | None,
        key_expression: str | None,
        content_expression: str | None,
    ) -> None:
        self._params = params
        self._each, self._where, self.by, self.of = (
            None if text is None else Condition(text)
            for text in (each, where, key_expression, content_expression)
        )

    def read_items(self, note: Note) -> Iterator[tuple[object, ItemNames]]:
        """Yield the items of a note that are wanted.

        Raises CallError when `each` gives no list, or an expression cannot be evaluated.
        """
        listed: object = [note.value]
        if self._each is not None:
            listed = self._each.evaluate(self._build_names(note.value))
            if not isinstance(listed, list | tuple):
                raise CallError(
                    f"`each: {self._each.text}` gives no list",
                    hint="name a field that is a list of items",
                )
        for item in cast("Sequence[object]", listed):
            names = self._build_names(item)
            if self._where is None or self._where.holds(names):
                yield item, names

    def evaluate_key(self, item: object, names: ItemNames) -> object:
        """Return what an item is grouped or sorted by."""
        return item if self.by is None else self.by.evaluate(names)

    def evaluate_content(self, item: object, names: ItemNames) -> object:
        """Return what of an item is taken."""
        return item if self.of is None else self.of.evaluate(names)

    def _build_names(self, item: object) -> ItemNames:
        names: dict[str, object] = {"item": item, **self._params}
        if isinstance(item, str):
            names["text"] = item
        elif isinstance(item, Mapping):
            names |= cast("ItemNames", item)
        return names


@dataclass(frozen=True, slots=True)
class TallyItem:
    """One thing to count: what it is (`value`), how it is compared (`key`), what it counts for."""

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
    """Return a sum as a JSON number: exact where it is whole, else the nearest float.

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


def sort_items(
    keys: Sequence[object], items: Sequence[TallyItem], *, descending: bool
) -> list[TallyItem]:
    """Return items sorted by the keys that belong to them; equal ones keep their order."""
    pairs = sorted(zip(keys, items, strict=True), key=_rank_pair, reverse=descending)
    return [item for _, item in pairs]


def _rank_pair(pair: tuple[object, TallyItem]) -> tuple[int, object]:
    return to_sort_key(pair[0])
