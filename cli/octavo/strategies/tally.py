"""Count, add, sort and join notes by code, not by the model.

A model that is shown partial counts and asked for the total guesses: counting by text map-reduce is
wrong in principle, since whatever a part leaves out of its "most common" is lost to the sum. Let
the model say what each part has, as records, and let this step add it up. It asks for nothing,
loses nothing but what `where` and `most` leave out, and its integers are exact at any size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from octavo.errors import CallError
from octavo.protocols import Expression, ExpressionMark, Kind, Options, StepType, Work
from octavo.strategies.items import Reader
from octavo.strategies.rows import Group, Item, amount, distinct, grouped, number, ordered
from octavo.text.alike import Equality, to_canonical_form, to_sort_key
from octavo.text.note import Note, Prediction, Record, PendingNote
from octavo.text.union import merge_spans

__all__ = ["STEP", "TallyOptions"]

_TOP = 10
_ROW = 4
"""How many times its tokens an item may take in a row, with the names around it."""

_RECORD = 64
"""Tokens of the result beside its rows."""


class TallyOptions(Options):
    """What to do with the notes, or with the items listed in them."""

    op: Literal["count", "top", "sum", "union", "dedupe", "sort", "join"] = Field(
        description="count: how often each value is there; top: the commonest; sum: add numbers;"
        " union: all values; dedupe: the first of each; sort; join: one text."
    )
    each: Expression | None = Field(
        default=None,
        description="The items of a note: an expression that gives a list; else the note is one.",
    )
    where: Annotated[str | None, ExpressionMark("items")] = Field(
        default=None, description="Which items: an expression over their fields, `text` or `item`."
    )
    by: Annotated[str | None, ExpressionMark("items")] = Field(
        default=None, description="What groups or sorts the items; the whole item without it."
    )
    of: Annotated[str | None, ExpressionMark("items")] = Field(
        default=None,
        description="What is added, united or joined; for count and top, how many an item is.",
    )
    most: int | None = Field(
        default=None, ge=1, description="The most rows of the result; 10 for top, else all."
    )
    descending: bool = Field(default=False, description="Whether sort begins with the largest.")
    alike: Equality = Field(
        default=Equality.UNICODE, description="How far texts may differ and be one value."
    )
    separator: str = Field(default="\n\n", description="What join puts between texts.")
    sources: bool = Field(
        default=False,
        description="Whether each row of count, top and sum lists the places it came from.",
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.op == "sum" and self.of is None:
            raise ValueError("sum needs `of`, which says what to add")
        if self.op == "join" and self.most is not None:
            raise ValueError("join leaves no text out; remove `most`")
        return self


async def run(slots: Sequence[PendingNote], options: TallyOptions, work: Work) -> Sequence[PendingNote]:
    """Return one slot for the result: a record with `rows`, or a text for join."""
    reader = Reader(
        work.params, each=options.each, where=options.where, by=options.by, of=options.of
    )
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=_ROW * sum(slot.max_tokens for slot in slots) + _RECORD,
            note=work.start(_tally(slots, options, reader)),
            boundary_hash=slots[0].boundary_hash if slots else 0,
        )
    ]


async def _tally(slots: Sequence[PendingNote], options: TallyOptions, reader: Reader) -> Note:
    notes = [note for slot in slots if (note := await slot.note) is not None]
    predicted = next((note.predicted for note in notes if note.predicted), None)
    return Note(
        _value(notes, options, reader, predicted),
        merge_spans(span for note in notes for span in note.spans),
        predicted=predicted,
    )


def _value(
    notes: Sequence[Note], options: TallyOptions, reader: Reader, predicted: Prediction | None
) -> str | Record:
    try:
        return (
            _joined(notes, options, reader)
            if options.op == "join"
            else _record(notes, options, reader)
        )
    except CallError:
        # What a plan makes up need not be what the expressions can read.
        if predicted is None:
            raise
        return "" if options.op == "join" else {"rows": [], "total": 0, "distinct": 0}


def _joined(notes: Sequence[Note], options: TallyOptions, reader: Reader) -> str:
    texts: list[str] = []
    for note in notes:
        for item, names in reader.items(note):
            value = reader.content(item, names)
            texts.append(value if isinstance(value, str) else Note(cast("Any", value)).text)
    return options.separator.join(texts)


def _record(notes: Sequence[Note], options: TallyOptions, reader: Reader) -> Record:
    most = options.most
    if options.op in {"count", "top", "sum"}:
        groups = grouped(_weighed(notes, options, reader))
        total = amount(sum((group.weight for group in groups), start=Fraction()))
        several = options.op != "sum" or reader.by is not None
        rows = [_row(group, options) for group in groups] if several else []
        most = _TOP if options.op == "top" and most is None else most
    else:
        rows = _listed(notes, options, reader)
        total = len(rows)
    # How many rows there are is said, since `most` may leave some out.
    return {"rows": rows[:most], "total": total, "distinct": len(rows)}


def _row(group: Group, options: TallyOptions) -> object:
    weight = "sum" if options.op == "sum" else "count"
    row: dict[str, object] = {"value": group.value, weight: amount(group.weight)}
    if options.sources:
        row["sources"] = [[span.start, span.end] for span in merge_spans(group.spans)]
    return row


def _weighed(notes: Sequence[Note], options: TallyOptions, reader: Reader) -> Iterator[Item]:
    """Yield an item for each that is counted: its value is what it is grouped by."""
    for note in notes:
        for item, names in reader.items(note):
            value = reader.key(item, names)
            weight = Fraction(1)
            if reader.of is not None:
                weight = number(reader.of.evaluate(names), reader.of.text)
            name = to_canonical_form(value, options.alike)
            yield Item(value, name, weight, note.spans)


def _listed(notes: Sequence[Note], options: TallyOptions, reader: Reader) -> list[object]:
    keys: list[object] = []
    items: list[Item] = []
    for note in notes:
        for item, names in reader.items(note):
            key = reader.key(item, names)
            for value in _members(item, names, options, reader):
                keys.append(value if options.op == "union" else key)
                items.append(Item(value, to_canonical_form(keys[-1], options.alike)))
    if options.op == "sort":
        items = ordered(keys, items, descending=options.descending)
    else:
        items = distinct(items)
    values = [item.value for item in items]
    return sorted(values, key=to_sort_key) if options.op == "union" else values


def _members(
    item: object, names: Mapping[str, object], options: TallyOptions, reader: Reader
) -> Sequence[object]:
    """Return what an item adds to a union, where lists are opened; else the item, or its `of`."""
    value = reader.content(item, names)
    if options.op == "union" and isinstance(value, list | tuple):
        return cast("Sequence[object]", value)
    return [value]


def _fields(options: TallyOptions) -> frozenset[str]:
    return frozenset({"text"} if options.op == "join" else {"rows", "total", "distinct"})


STEP = StepType(
    name="tally",
    about="Count, add, sort or join notes by code, without asking the model.",
    options=TallyOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    fields=_fields,
)
