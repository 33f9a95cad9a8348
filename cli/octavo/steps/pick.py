"""Show the model all notes at once, and put the full text of those it picks in their place.

The look-up of ReadAgent (Lee et al. 2024, arXiv 2402.09727), where the notes are gists of pages. In
one turn the model names all it wants to read; in several it names one at a time, each time seeing
those before in full, and may stop. Notes too many for one call are shown in groups, each of which
has its own picks. Numbers that no note has, or that are picked already, are asked for once more and
then left out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, cast

from pydantic import Field

from octavo.errors import UsageError
from octavo.protocols import (
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptRef,
    StepRef,
    StepType,
    Work,
)
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.span import describe_spans, merge_spans

__all__ = ["STEP", "PickOptions"]


_LABEL_TOKENS = 8
"""Tokens that the number before a note may take."""


class PickOptions(Options):
    """What may be picked, and how."""

    prompt: PromptRef = Field(
        description="The prompt; it sees `notes`, `open` (the numbers of those shown in full, from"
        " 1) and `most`. The reply is a record of `numbers`."
    )
    text: StepRef = Field(
        description="The earlier step whose notes are the full texts, one for each note."
    )
    most: int = Field(default=6, ge=1, description="The most notes picked in one group.")
    turns: Literal["one", "each"] = Field(
        default="one",
        description="Whether all are picked by one call, or each by one that sees those before.",
    )
    rest: Literal["keep", "drop"] = Field(
        default="keep", description="What becomes of the notes that are not picked."
    )
    tokens: int = Field(default=200, ge=1, description="The most tokens of a reply.")
    room: int = Field(
        default=8000,
        ge=64,
        description="The most tokens of notes in one call; less where the window is smaller.",
    )


@dataclass(frozen=True, slots=True)
class _Picker:
    """What all calls share."""

    options: PickOptions
    work: Work
    prompt: PromptLike

    @property
    def reply_schema(self) -> JsonSchema:
        """The schema of a reply."""
        most = self.options.most if self.options.turns == "one" else 1
        numbers = {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": most}
        return {
            "type": "object",
            "properties": {"numbers": numbers},
            "required": ["numbers"],
            "additionalProperties": False,
        }


async def run(
    slots: Sequence[PendingNote], options: PickOptions, work: Work
) -> Sequence[PendingNote]:
    """Return a slot for each of `slots`: its full text if it is picked.

    Raises UsageError when there is not one text for each note, FitError when a prompt cannot fit.
    """
    texts = work.given(options.text)
    if len(texts) != len(slots):
        raise UsageError(
            f"step {work.step!r}: there are {len(slots):,} notes, but step {options.text!r} gave"
            f" {len(texts):,} texts for them",
            hint=f"let the notes be made from {options.text!r}, one of each",
        )
    picker = _Picker(options, work, work.prompt(options.prompt))
    work.follow(options.most if options.turns == "each" else 1)
    found: list[PendingNote] = []
    for group in _group_notes(slots, texts, picker):
        own, full = [slots[i] for i in group], [texts[i] for i in group]
        picks = work.start(_ask_picks(own, full, picker))
        for place, (slot, text) in enumerate(zip(own, full, strict=True)):
            note = work.start(_choose_text(place, slot, text, picks, options))
            found.append(replace(slot, max_tokens=max(slot.max_tokens, text.max_tokens), note=note))
    return found


def _group_notes(
    slots: Sequence[PendingNote], texts: Sequence[PendingNote], picker: _Picker
) -> Sequence[range]:
    """Return ranges of consecutive notes that fit one call, with the texts of earlier turns."""
    options, work = picker.options, picker.work
    empty = {"notes": (), "open": (), "most": options.most}
    ensure_fits_window(
        work, picker.prompt, empty, options.tokens, slots, schema=picker.reply_schema
    )
    room = work.room(picker.prompt, empty, options.tokens, picker.reply_schema)
    room = options.room if room is None else min(options.room, room)
    if options.turns == "each":
        # The longest texts may be shown, but for that of the last turn.
        longer = sorted(
            max(0, t.max_tokens - s.max_tokens) for s, t in zip(slots, texts, strict=True)
        )
        room = max(1, room - sum(longer[-options.most :][1:]))
    groups: list[range] = []
    start = size = 0
    for at, slot in enumerate(slots):
        tokens = slot.max_tokens + FENCE_TOKENS + _LABEL_TOKENS
        if at > start and size + tokens > room:
            groups.append(range(start, at))
            start, size = at, 0
        size += tokens
    return [*groups, range(start, len(slots))] if slots else groups


async def _ask_picks(
    slots: Sequence[PendingNote], texts: Sequence[PendingNote], picker: _Picker
) -> frozenset[int]:
    """Return the places of the notes that are picked, counted from 0 in this group."""
    options, work = picker.options, picker.work
    notes = [(place, await slot.note) for place, slot in enumerate(slots)]
    shown = [(place, note) for place, note in notes if note is not None]
    picked: list[int] = []
    spans = merge_spans(span for slot in slots for span in slot.spans)
    place = describe_spans(spans) if spans else f"{len(slots)} notes"
    turns = 1 if options.turns == "one" else min(options.most, len(shown))
    for turn in range(turns if shown else 0):
        full_texts = {number: await texts[shown[number - 1][0]].note for number in picked}
        shown_values = [
            (full_texts.get(number) or note).value
            for number, (_, note) in enumerate(shown, start=1)
        ]
        answer = await work.ask(
            picker.prompt,
            {"notes": shown_values, "open": sorted(picked), "most": options.most},
            tokens=options.tokens,
            schema=picker.reply_schema,
            node=f"look {turn + 1} at {place}",
            levels=work.after + turns - turn - 1,
            check=partial(_find_faults, len(shown), frozenset(picked)),
        ).reply
        if answer.predicted is not None:
            if answer.predicted is Prediction.SHORT:
                break
            wanted = options.most if options.turns == "one" else 1
            rest = [n for n in range(1, len(shown) + 1) if n not in picked]
            picked += rest[:wanted]
            continue
        assert not isinstance(answer.value, str)
        new = [n for n in _get_numbers(answer.value) if n <= len(shown) and n not in picked]
        if not new:
            break
        picked += dict.fromkeys(new)
    return frozenset(shown[number - 1][0] for number in picked)


def _get_numbers(record: Any) -> Sequence[int]:  # noqa: ANN401 - a record that fits the schema
    return cast("Sequence[int]", record["numbers"])


def _find_faults(count: int, picked: frozenset[int], record: object) -> list[str]:
    wrong = [n for n in _get_numbers(record) if n > count or n in picked]
    if not wrong:
        return []
    return [f"there is no number {number} to pick" for number in dict.fromkeys(wrong)][:3]


async def _choose_text(
    place: int,
    slot: PendingNote,
    text: PendingNote,
    picks: Awaitable[frozenset[int]],
    options: PickOptions,
) -> Note | None:
    if place in await picks:
        return await text.note
    return await slot.note if options.rest == "keep" else None


STEP = StepType(
    name="pick",
    about="Let the model pick, by one look at all notes, which to read in full.",
    options=PickOptions,
    takes=frozenset({Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
    variables=frozenset({"notes", "open", "most"}),
)
