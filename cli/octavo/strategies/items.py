"""The items in notes, found by expressions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from octavo.errors import CallError
from octavo.pipeline.expressions import Condition
from octavo.text.note import Note

__all__ = ["ItemReader"]

Names = Mapping[str, object]
"""What an item is called in expressions: its fields, or `text`; `item` is the whole of it."""


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
        by: str | None,
        of: str | None,
    ) -> None:
        self._params = params
        self._each, self._where, self.by, self.of = (
            None if text is None else Condition(text) for text in (each, where, by, of)
        )

    def read_items(self, note: Note) -> Iterator[tuple[object, Names]]:
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

    def evaluate_key(self, item: object, names: Names) -> object:
        """Return what an item is grouped or sorted by."""
        return item if self.by is None else self.by.evaluate(names)

    def evaluate_content(self, item: object, names: Names) -> object:
        """Return what of an item is taken."""
        return item if self.of is None else self.of.evaluate(names)

    def _build_names(self, item: object) -> Names:
        names: dict[str, object] = {"item": item, **self._params}
        if isinstance(item, str):
            names["text"] = item
        elif isinstance(item, Mapping):
            names |= cast("Names", item)
        return names
