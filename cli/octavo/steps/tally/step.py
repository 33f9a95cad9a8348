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
from octavo.steps.tally.items import (
    ItemGroup,
    ItemReader,
    TallyItem,
    drop_duplicates,
    group_items,
    parse_number,
    sort_items,
    to_json_number,
)
from octavo.text.equality import Equality, to_canonical_form, to_sort_key
from octavo.text.note import Note, PendingNote, Prediction, Record
from octavo.text.span import merge_spans

__all__ = ["STEP", "TallyOptions"]


_DEFAULT_TOP = 10
_ROW_FACTOR = 4
"""How many times its tokens an item may take in a row, with the names around it."""

_RECORD_TOKENS = 64
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
    def _check_options(self) -> Self:
        if self.op == "sum" and self.of is None:
            raise ValueError("sum needs `of`, which says what to add")
        if self.op == "join" and self.most is not None:
            raise ValueError("join leaves no text out; remove `most`")
        return self


async def run(
    slots: Sequence[PendingNote], options: TallyOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the result: a record with `rows`, or a text for join."""
    reader = ItemReader(
        work.params,
        each=options.each,
        where=options.where,
        key_expression=options.by,
        content_expression=options.of,
    )
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=_ROW_FACTOR * sum(slot.max_tokens for slot in slots) + _RECORD_TOKENS,
            note=work.start(_tally_notes(slots, options, reader)),
            boundary_hash=slots[0].boundary_hash if slots else 0,
        )
    ]


async def _tally_notes(
    slots: Sequence[PendingNote], options: TallyOptions, reader: ItemReader
) -> Note:
    notes = [note for slot in slots if (note := await slot.note) is not None]
    predicted = next((note.predicted for note in notes if note.predicted), None)
    return Note(
        _compute_value(notes, options, reader, predicted),
        merge_spans(span for note in notes for span in note.spans),
        predicted=predicted,
    )


def _compute_value(
    notes: Sequence[Note], options: TallyOptions, reader: ItemReader, predicted: Prediction | None
) -> str | Record:
    try:
        return (
            _join_texts(notes, options, reader)
            if options.op == "join"
            else _build_record(notes, options, reader)
        )
    except CallError:
        # What a plan makes up need not be what the expressions can read.
        if predicted is None:
            raise
        return "" if options.op == "join" else {"rows": [], "total": 0, "distinct": 0}


def _join_texts(notes: Sequence[Note], options: TallyOptions, reader: ItemReader) -> str:
    texts: list[str] = []
    for note in notes:
        for item, names in reader.read_items(note):
            value = reader.evaluate_content(item, names)
            texts.append(value if isinstance(value, str) else Note(cast("Any", value)).text)
    return options.separator.join(texts)


def _build_record(notes: Sequence[Note], options: TallyOptions, reader: ItemReader) -> Record:
    most = options.most
    if options.op in {"count", "top", "sum"}:
        groups = group_items(_weigh_items(notes, options, reader))
        total = to_json_number(sum((group.weight for group in groups), start=Fraction()))
        several = options.op != "sum" or reader.by is not None
        rows = [_build_row(group, options) for group in groups] if several else []
        most = _DEFAULT_TOP if options.op == "top" and most is None else most
    else:
        rows = _list_values(notes, options, reader)
        total = len(rows)
    # How many rows there are is said, since `most` may leave some out.
    return {"rows": rows[:most], "total": total, "distinct": len(rows)}


def _build_row(group: ItemGroup, options: TallyOptions) -> object:
    weight = "sum" if options.op == "sum" else "count"
    row: dict[str, object] = {"value": group.value, weight: to_json_number(group.weight)}
    if options.sources:
        row["sources"] = [[span.start, span.end] for span in merge_spans(group.spans)]
    return row


def _weigh_items(
    notes: Sequence[Note], options: TallyOptions, reader: ItemReader
) -> Iterator[TallyItem]:
    """Yield an item for each that is counted: its value is what it is grouped by."""
    for note in notes:
        for item, names in reader.read_items(note):
            value = reader.evaluate_key(item, names)
            weight = Fraction(1)
            if reader.of is not None:
                weight = parse_number(reader.of.evaluate(names), reader.of.text)
            name = to_canonical_form(value, options.alike)
            yield TallyItem(value, name, weight, note.spans)


def _list_values(notes: Sequence[Note], options: TallyOptions, reader: ItemReader) -> list[object]:
    keys: list[object] = []
    items: list[TallyItem] = []
    for note in notes:
        for item, names in reader.read_items(note):
            key = reader.evaluate_key(item, names)
            for value in _list_members(item, names, options, reader):
                keys.append(value if options.op == "union" else key)
                items.append(TallyItem(value, to_canonical_form(keys[-1], options.alike)))
    if options.op == "sort":
        items = sort_items(keys, items, descending=options.descending)
    else:
        items = drop_duplicates(items)
    values = [item.value for item in items]
    return sorted(values, key=to_sort_key) if options.op == "union" else values


def _list_members(
    item: object, names: Mapping[str, object], options: TallyOptions, reader: ItemReader
) -> Sequence[object]:
    """Return what an item adds to a union, where lists are opened; else the item, or its `of`."""
    value = reader.evaluate_content(item, names)
    if options.op == "union" and isinstance(value, list | tuple):
        return cast("Sequence[object]", value)
    return [value]


def _list_fields(options: TallyOptions) -> frozenset[str]:
    return frozenset({"text"} if options.op == "join" else {"rows", "total", "distinct"})


STEP = StepType(
    name="tally",
    about="Count, add, sort or join notes by code, without asking the model.",
    options=TallyOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    fields=_list_fields,
)
