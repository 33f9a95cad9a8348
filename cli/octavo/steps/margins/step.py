"""Read a document in order, note in its margins what helps, and answer with document and margins.

Writing in the Margins (Russak et al. 2024, arXiv 2408.14906). The paper works inside one model's
cache; here each call repeats the document so far, so that a server with a prefix cache computes
every segment once: call i+1 is sent as soon as call i has started, when its prompt is in the cache
and its margin is still being written. Of n segments that is n + 1 calls (2n + 1 with verdicts of
their own), whose prompts grow with the square of the length where nothing caches them.

Unlike the reference code, which loses the sentence that overflows a segment, the segments are the
step's input and cover it. Each margin is asked about the last segment alone, so that its spans tell
where it is from. A reply without a readable verdict is kept: a margin too many costs less than one
that is missing. A document of one segment needs no margins: it is answered at once.

Where segments are read alone, all margins together may exceed the window of the answer: `collapse`
then makes one margin of several neighbours, in rounds, as in the collapse stage of LLM x MapReduce
(Zhou et al. 2024, arXiv 2410.09342). The paper has no such stage, since its documents fit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace

from octavo.errors import FitError, Outcome, ReplyError
from octavo.protocols import Kind, PromptLike, StepType, Work
from octavo.steps.margins.options import MarginsOptions
from octavo.steps.margins.segments import (
    VERDICT_TOKENS,
    MarginReader,
    SegmentMargin,
    collapse_margins,
    read_cumulatively,
    read_separately,
)
from octavo.text.note import Note, PendingNote
from octavo.text.span import merge_spans

__all__ = ["STEP"]


_FENCE_TOKENS = 28
"""Tokens that the marks around one text may take, and what counting it alone may have missed."""


async def run(
    slots: Sequence[PendingNote], options: MarginsOptions, work: Work
) -> Sequence[PendingNote]:
    """Return a slot for the answer. Raises FitError when the prompts cannot fit the window."""
    if not slots:
        return slots
    reader = _choose_mode(
        MarginReader(
            options=options,
            work=work,
            read_prompt=work.prompt(options.read),
            answer_prompt=work.prompt(options.answer),
            judge_prompt=work.prompt(options.judge)
            if options.judge and options.classify == "separate"
            else None,
            cumulative=options.mode == "cumulative",
        ),
        slots,
    )
    read = read_cumulatively if reader.cumulative else read_separately
    pending_segments = work.start(read(reader, slots))
    shown = len(slots) * (options.tokens + _FENCE_TOKENS) if options.show == "margins" else 0
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=options.answer_tokens + shown,
            note=work.start(_write_answer(reader, slots, pending_segments)),
            boundary_hash=slots[0].boundary_hash,
        )
    ]


def _choose_mode(reader: MarginReader, slots: Sequence[PendingNote]) -> MarginReader:
    """Return the reader in the first mode in which all its prompts fit, or raise FitError."""
    options, work = reader.options, reader.work
    fit_error = _find_misfit(reader, slots)
    if fit_error is not None and reader.cumulative:
        if options.overflow == "fail":
            raise fit_error
        work.notice(
            f"it does not fit the window of {work.window:,} tokens: each segment is read alone, and"
            " the answer is written from the margins"
        )
        reader = replace(reader, cumulative=False)
        fit_error = _find_misfit(reader, slots)
    if fit_error is not None:
        raise fit_error
    return reader


def _find_misfit(reader: MarginReader, slots: Sequence[PendingNote]) -> FitError | None:
    """Return the error of the first prompt that does not fit the window, if any."""
    options = reader.options
    sizes = [slot.max_tokens + _FENCE_TOKENS for slot in slots]
    context = sum(sizes) if reader.cumulative else 0
    margins = (
        0 if _is_single_segment(reader, slots) else len(slots) * (options.tokens + _FENCE_TOKENS)
    )
    headings = max((slot.headings for slot in slots), key=lambda path: sum(map(len, path)))
    read = {"segments": ("",), **reader.build_variables(headings)}
    answer = {
        "segments": ("",) if reader.cumulative else (),
        "margins": ("",) if margins else (),
        "words": options.answer_words,
    }
    fit_error = None
    if margins and options.collapse is not None and not reader.cumulative:
        # Two at a time are enough: what does not fit is collapsed first.
        margins = 2 * (options.tokens + _FENCE_TOKENS)
        collapse_variables: dict[str, object] = {"margins": ("",), "words": options.words}
        collapse = reader.work.prompt(options.collapse)
        fit_error = _find_lack_of_room(
            reader, collapse, collapse_variables, options.tokens, margins
        )
    if margins:
        fit_error = fit_error or _find_lack_of_room(
            reader, reader.read_prompt, read, options.tokens, context or max(sizes)
        )
    if margins and reader.judge_prompt:
        size = options.tokens + _FENCE_TOKENS
        fit_error = fit_error or _find_lack_of_room(
            reader, reader.judge_prompt, {"margin": ""}, VERDICT_TOKENS, size
        )
    return fit_error or _find_lack_of_room(
        reader, reader.answer_prompt, answer, options.answer_tokens, context + margins
    )


def _is_single_segment(reader: MarginReader, slots: Sequence[PendingNote]) -> bool:
    """Tell whether the document is one segment, whose answer needs no margins."""
    return reader.cumulative and len(slots) == 1


def _find_lack_of_room(
    reader: MarginReader,
    prompt: PromptLike,
    variables: Mapping[str, object],
    tokens: int,
    size: int,
) -> FitError | None:
    """Return the error when texts of `size` tokens do not fit next to the question."""
    room = reader.work.room(prompt, variables, tokens)
    if room is None or size <= room:
        return None
    if reader.cumulative:
        hint = "use a model with a larger window, or `overflow: segments`"
    elif prompt is reader.read_prompt:
        hint = "split to fewer tokens, or use a model with a larger window"
    else:
        hint = "split to more tokens, lower `tokens`, or use a model with a larger window"
    return FitError(
        f"step {reader.work.step!r}: texts of up to {size:,} tokens do not fit prompt"
        f" {prompt.name!r}: the window of {reader.work.window:,} tokens leaves {room:,} beside the"
        f" prompt and a reply of {tokens:,}",
        hint=hint,
    )


async def _write_answer(
    reader: MarginReader,
    slots: Sequence[PendingNote],
    pending_segments: Awaitable[Sequence[SegmentMargin]],
) -> Note:
    options, work = reader.options, reader.work
    segments = await pending_segments
    pending_margins = [segment.margin for segment in segments if segment.margin]
    # Groups of margins are collapsed while later segments are still read.
    fitting = None if reader.cumulative else work.start(collapse_margins(reader, pending_margins))
    found = [await margin for margin in pending_margins]
    kept = [note for note in found if note is not None]
    # A model that says YES and no more knows that the segment helps, but left no margin to show.
    margins = [note for note in kept if note.text]
    if not _is_answerable(reader, slots, segments, kept):
        if options.empty is None:
            raise ReplyError("no margin is left to answer from", outcome=Outcome.SKIPPED)
        return _build_result(options, Note(options.empty), ())
    answer = await work.ask(
        reader.answer_prompt,
        {
            "segments": tuple(segment.text for segment in segments) if reader.cumulative else (),
            "margins": tuple(
                note.value for note in (margins if fitting is None else await fitting)
            ),
            "words": options.answer_words,
        },
        tokens=options.answer_tokens,
        words=options.answer_words,
        node="the answer",
        levels=work.after,
        prefix=segments[-1].call if reader.cumulative else None,
    ).reply
    sources = slots if reader.cumulative else margins
    spans = merge_spans(span for each in sources for span in each.spans)
    return _build_result(options, Note(answer.value, spans, predicted=answer.predicted), margins)


def _is_answerable(
    reader: MarginReader,
    slots: Sequence[PendingNote],
    segments: Sequence[SegmentMargin],
    kept: Sequence[Note],
) -> bool:
    """Tell whether anything is left to answer from; the document itself, if nothing else may be."""
    if not reader.cumulative:
        return any(note.text for note in kept)
    may_lack = _is_single_segment(reader, slots) or reader.options.empty is None
    return bool(segments) and (bool(kept) or may_lack)


def _build_result(options: MarginsOptions, answer: Note, margins: Sequence[Note]) -> Note:
    if options.show == "answer":
        return answer
    shown = [
        {"text": note.text, "start": note.spans[0].start, "end": note.spans[-1].end}
        for note in margins
    ]
    return replace(answer, value={"answer": answer.text, "margins": shown})


STEP = StepType(
    name="margins",
    about="Read in order, note in the margins what helps, and answer with the document and them.",
    options=MarginsOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
)
