"""Ask about the segments of a document: each with all segments before it, or each alone.

A margin may begin with a verdict: whether what it is about is relevant.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

from octavo.errors import CallError
from octavo.protocols import Asked, PromptLike, Work
from octavo.steps._support.collapsing import NoteCollapser
from octavo.steps.margins.options import MarginsOptions
from octavo.text.note import Note, PendingNote, Prediction, Record
from octavo.text.quote import Quote, QuoteOrigin
from octavo.text.span import describe_spans, merge_spans

__all__ = [
    "VERDICT_TOKENS",
    "MarginReader",
    "Relevance",
    "SegmentMargin",
    "collapse_margins",
    "parse_relevance",
    "read_cumulatively",
    "read_separately",
]


VERDICT_TOKENS = 64
"""Tokens of a verdict's own reply: one word is asked for, and a small model may say a sentence."""

# "No trains ran." is an answer and no verdict: a word that is not in capitals needs a mark or the
# end of the line behind it.
_VERDICT = re.compile(
    r"[\s*_#>\"'`(\[]*(?:(?P<capitals>YES|NO)\b|(?P<word>[Yy]es|[Nn]o)(?=[\s*_]*(?:[#:.,;!)\]\n–—-]|$)))"  # noqa: RUF001 - the dashes that models write
    r"[\s*_#:.,;!\"'`)\]–—-]*"  # noqa: RUF001 - the same
)


@dataclass(frozen=True, slots=True)
class MarginReader:
    """What all calls of one document share."""

    options: MarginsOptions
    work: Work
    read_prompt: PromptLike
    answer_prompt: PromptLike
    judge_prompt: PromptLike | None
    cumulative: bool

    def build_variables(self, headings: Sequence[str]) -> dict[str, object]:
        """Return what a margin's prompt sees next to the segments and the question."""
        options = self.options
        return {"headings": headings, "classify": options.classify, "words": options.words}


@dataclass(frozen=True, slots=True)
class SegmentMargin:
    """A segment, its call and its margin; a segment that is the whole document has neither."""

    text: str | Record
    call: Asked | None = None
    margin: Awaitable[Note | None] | None = None


@dataclass(frozen=True, slots=True)
class Relevance:
    """A verdict, or None where the text has none, and where the text after it starts."""

    relevant: bool | None
    start: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment to ask about, with the texts up to it, itself included.

    `levels` is how many calls stand between its margins and the result.
    """

    slot: PendingNote
    note: Note
    texts: Sequence[str | Record]
    levels: int

    @property
    def location(self) -> str:
        """Where it stands, for the ledger."""
        return describe_spans(self.slot.spans)


async def read_cumulatively(
    reader: MarginReader, slots: Sequence[PendingNote]
) -> Sequence[SegmentMargin]:
    """Ask about each segment with all before it, as soon as the call before has started."""
    segments: list[SegmentMargin] = []
    texts: list[str | Record] = []
    call: Asked | None = None
    for position, slot in enumerate(slots):
        note = await slot.note
        if note is None:
            continue
        texts.append(note.value)
        if len(slots) == 1:
            return [SegmentMargin(note.value)]
        if call is not None:
            await _wait_until_started(reader, call)
        levels = reader.work.after + len(slots) - position
        segment = _ask_margin(reader, _Segment(slot, note, tuple(texts), levels), call)
        call = segment.call
        segments.append(segment)
    return segments


async def read_separately(
    reader: MarginReader, slots: Sequence[PendingNote]
) -> Sequence[SegmentMargin]:
    """Ask about all segments at once, each alone."""

    async def read_segment(slot: PendingNote) -> SegmentMargin | None:
        note = await slot.note
        if note is None:
            return None
        return _ask_margin(reader, _Segment(slot, note, (note.value,), reader.work.after + 1))

    reading = [reader.work.start(read_segment(slot)) for slot in slots]
    return [segment for each in reading if (segment := await each) is not None]


def _ask_margin(
    reader: MarginReader, segment: _Segment, previous: Asked | None = None
) -> SegmentMargin:
    call = reader.work.ask(
        reader.read_prompt,
        {"segments": segment.texts, **reader.build_variables(segment.slot.headings)},
        tokens=reader.options.tokens,
        words=reader.options.words,
        node=segment.location,
        levels=segment.levels,
        prefix=previous,
    )
    return SegmentMargin(
        segment.note.value, call, reader.work.start(_read_margin(reader, segment, call))
    )


async def _wait_until_started(reader: MarginReader, asked: Asked) -> None:
    """Wait until a call has started; one that failed ends the wait where the rest goes on."""
    try:
        # Another document may wait for the same call: only this wait may be cancelled.
        await asyncio.shield(asked.started)
    except CallError:
        if reader.options.on_error == "fail":
            raise


async def _read_margin(reader: MarginReader, segment: _Segment, asked: Asked) -> Note | None:
    """Return a margin; None when its verdict is no, or when a call failed and may."""
    try:
        answer = await asked.reply
        margin = replace(segment.note, value=answer.value, predicted=answer.predicted)
        match reader.options.classify:
            case "inline":
                kept = _strip_verdict(margin)
            case "separate":
                kept = await _judge_margin(reader, segment, margin)
            case "none":
                kept = margin
    except CallError as error:
        if reader.options.on_error == "fail":
            raise
        reader.work.skip(segment.slot, error)
        return None
    if kept is not None and kept.text:
        reader.work.tell(kept)
    return kept


def _strip_verdict(margin: Note) -> Note | None:
    """Return the margin without its verdict: empty where a model says YES alone, None for NO."""
    if margin.predicted is not None:
        return margin if margin.predicted is Prediction.LONG else None
    found = parse_relevance(margin.text)
    return (
        None if found.relevant is False else replace(margin, value=_slice_text(margin, found.start))
    )


async def _judge_margin(reader: MarginReader, segment: _Segment, margin: Note) -> Note | None:
    assert reader.judge_prompt is not None
    verdict = await reader.work.ask(
        reader.judge_prompt,
        {"margin": margin.value},
        tokens=VERDICT_TOKENS,
        node=f"verdict on {segment.location}",
        levels=segment.levels,
    ).reply
    if verdict.predicted is not None:
        return margin if verdict.predicted is Prediction.LONG else None
    return None if parse_relevance(str(verdict.value)).relevant is False else margin


def parse_relevance(text: str) -> Relevance:
    """Return the verdict, YES or NO, that a text begins with, marks around it left out.

    >>> parse_relevance("**YES**: She sailed in May.")
    Relevance(relevant=True, start=9)
    """
    found = _VERDICT.match(text)
    if found is None:
        return Relevance(None, 0)
    word: str = found["capitals"] or found["word"]
    return Relevance(word.lower() == "yes", found.end())


def _slice_text(note: Note, start: int) -> str:
    """Return the end of a note's text; a quote keeps its origin."""
    value = note.value
    if not isinstance(value, Quote):
        return note.text[start:]
    kind, number, at = value.origin
    return Quote(value[start:], QuoteOrigin(kind, number, at + start))


async def collapse_margins(
    reader: MarginReader, margins: Sequence[Awaitable[Note | None]]
) -> Sequence[Note]:
    """Return the margins that an answer without the segments sees, which are those with a text.

    Where they do not fit its prompt together, neighbours are collapsed, if there is a prompt for
    it; groups of them as soon as their own margins are there.
    """
    options, work = reader.options, reader.work
    slots = [PendingNote((), options.tokens, work.start(_drop_empty(margin))) for margin in margins]
    if options.collapse is None:
        return [note for slot in slots if (note := await slot.note) is not None]
    prompt = work.prompt(options.collapse)
    collapse_variables: dict[str, object] = {"margins": ("",), "words": options.words}
    answer_variables: dict[str, object] = {
        "segments": (),
        "margins": ("",),
        "words": options.answer_words,
    }

    async def collapse_notes(notes: Sequence[Note], node: str, levels: int) -> Note:
        answer = await work.ask(
            prompt,
            {**collapse_variables, "margins": tuple(note.value for note in notes)},
            tokens=options.tokens,
            words=options.words,
            node=node,
            levels=levels,
        ).reply
        spans = merge_spans(span for note in notes for span in note.spans)
        return Note(answer.value, spans, predicted=answer.predicted)

    rooms = (
        work.room(prompt, collapse_variables, options.tokens),
        work.room(reader.answer_prompt, answer_variables, options.answer_tokens),
    )
    room = min((room for room in rooms if room is not None), default=sys.maxsize)
    return await NoteCollapser(
        room, options.tokens, options.rounds, collapse_notes, work
    ).collapse_to_fit(slots)


async def _drop_empty(margin: Awaitable[Note | None]) -> Note | None:
    note = await margin
    return note if note is not None and note.text else None
