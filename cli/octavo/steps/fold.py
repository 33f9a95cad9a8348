"""Read the notes in order and keep one running text.

After incremental updating in BooookScore (Chang, Lo, Goyal, Iyyer 2024, arXiv 2310.00785), with
the length priming of InstructCMP (Do et al. 2024, arXiv 2406.11097): a running text that grew too
long is shortened by a prompt that names its length, the length wanted and the difference. Each try
asks for a twentieth of the words less than the one before, so that no two are the same; the first
text within a fifth of the words that ends with a sentence is taken, else the one nearest to them.

`compress: previous` is the paper's form: not the update is shortened but the text before it, to its
share of the words by how much of the document it covers, and the update is asked for again. That
keeps what is new over what is old; it also puts the number of parts into prompts, so that a part
more asks every shortening again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from octavo.errors import CallError, FitError
from octavo.protocols import Answer, Kind, Options, PromptMark, PromptRef, StepType, Work
from octavo.steps._support.text_rules import LENGTH_TOLERANCE, TextRule, build_check, is_too_long
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.sentences import count_words, has_sentence_end
from octavo.text.span import describe_spans, merge_spans

__all__ = ["STEP", "FoldOptions"]


_SHORTENING_STEP = 0.05
"""By how much of the words each try to shorten asks for less than the one before."""


class FoldOptions(Options):
    """How to keep the running text."""

    first: Annotated[PromptRef, PromptMark("text", "headings", "words")] = Field(
        description="The prompt for the first part; it sees `text`, `headings` and `words`."
    )
    next: PromptRef = Field(
        description="The prompt for each later part; it also sees `summary`, the running text."
    )
    shorten: Annotated[PromptRef | None, PromptMark("summary", "words", "have")] = Field(
        default=None,
        description="The prompt that shortens; it sees `summary`, `words` and `have`, in words.",
    )
    compress: Literal["result", "previous"] = Field(
        default="result",
        description="What is shortened when an update is too long: the update, or the text before"
        " it, after which the update is asked for again.",
    )
    tries: int = Field(default=2, ge=1, description="The most tries to shorten one text.")
    tokens: int = Field(default=900, ge=1, description="The most tokens of a reply.")
    words: int = Field(default=400, ge=1, description="The length of the running text, in words.")
    require: list[TextRule] = Field(
        default_factory=list[TextRule],
        description="What an update must keep, or it is asked for once more: `sentence`, an end of"
        " a sentence; `length`, no more than a fifth over `words`.",
    )
    order: Literal["document", "reverse"] = Field(
        default="document", description="Whether the parts are read from the first or the last on."
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail",
        description="Whether a failed call ends the document, or its part is left out.",
    )


async def run(
    slots: Sequence[PendingNote], options: FoldOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the running text after the last note."""
    if not slots:
        return slots
    work.follow(len(slots))
    _ensure_prompts_fit(slots, options, work)
    ordered = tuple(slots) if options.order == "document" else tuple(reversed(slots))
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=options.tokens,
            note=work.start(_RunningText(ordered, options, work).fold_notes()),
            boundary_hash=slots[0].boundary_hash,
        )
    ]


def _ensure_prompts_fit(slots: Sequence[PendingNote], options: FoldOptions, work: Work) -> None:
    """Raise FitError where a prompt cannot fit beside a running text as long as its reply."""
    prompt = work.prompt(options.next)
    empty = {"text": "", "headings": (), "summary": "", "words": options.words}
    ensure_fits_window(work, prompt, empty, 2 * options.tokens, slots)
    if options.shorten is None:
        return
    shorten = work.prompt(options.shorten)
    longest = {"summary": "", "words": options.words, "have": 10 * options.words}
    room = work.room(shorten, longest, options.tokens)
    if room is not None and options.tokens + FENCE_TOKENS > room:
        raise FitError(
            f"step {work.step!r}: a text of up to {options.tokens:,} tokens does not fit prompt"
            f" {shorten.name!r}, which leaves {room:,} of the window's {work.window:,}",
            hint="lower `tokens` of the step, or use a model with a larger window",
        )


@dataclass(frozen=True, slots=True)
class _FoldPart:
    """A part to add to the running text: its note, its place, and what follows it.

    `share` is how much of the parts were read before it, `levels` how many calls stand between it
    and the result.
    """

    note: Note
    slot: PendingNote
    share: float
    levels: int

    @property
    def location(self) -> str:
        spans = self.slot.spans
        return describe_spans(spans) if spans else "a note"


@dataclass(frozen=True, slots=True)
class _RunningText:
    """One running text."""

    slots: Sequence[PendingNote]
    options: FoldOptions
    work: Work

    async def fold_notes(self) -> Note | None:
        """Return the running text after the last note, or None when there was no note."""
        running: Note | None = None
        for position, slot in enumerate(self.slots):
            note = await slot.note
            if note is None:
                continue
            levels = self.work.after + len(self.slots) - position - 1
            part = _FoldPart(note, slot, position / len(self.slots), levels)
            try:
                answer = await self._add_part(part, running)
            except CallError as error:
                if self.options.on_error == "fail":
                    raise
                self.work.skip(slot, error)
                continue
            spans = merge_spans((*(running.spans if running else ()), *note.spans))
            running = Note(answer.value, spans, predicted=answer.predicted)
        return running

    async def _add_part(self, part: _FoldPart, running: Note | None) -> Answer:
        options = self.options
        answer = await self._ask_update(part, running)
        if options.shorten is None or not self._is_too_long(answer):
            return answer
        node = f"shortening {part.location}"
        if options.compress == "previous" and running is not None:
            before = Answer(running.value, predicted=running.predicted)
            words = max(1, round(options.words * part.share))
            shorter = await self._shorten(before, words, node, part.levels + 1)
            again = Note(shorter.value, running.spans, predicted=shorter.predicted)
            return await self._ask_update(part, again)
        return await self._shorten(answer, options.words, node, part.levels)

    async def _ask_update(self, part: _FoldPart, running: Note | None) -> Answer:
        options, work = self.options, self.work
        variables: dict[str, object] = {
            "text": part.note.value,
            "headings": part.slot.headings,
            "words": options.words,
        }
        if running is not None:
            variables["summary"] = running.value
        return await work.ask(
            work.prompt(options.first if running is None else options.next),
            variables,
            tokens=options.tokens,
            words=options.words,
            node=part.location,
            levels=part.levels,
            check=build_check(options.require, options.words),
        ).reply

    def _is_too_long(self, answer: Answer) -> bool:
        """Tell whether an update is to be shortened; a plan takes all to be, or none."""
        if answer.predicted is not None:
            return answer.predicted is Prediction.LONG
        return answer.truncated or is_too_long(str(answer.value), self.options.words)

    async def _shorten(self, answer: Answer, words: int, node: str, levels: int) -> Answer:
        """Return the first shorter text that is near `words` and whole, else the nearest one."""
        options, work = self.options, self.work
        assert options.shorten is not None
        best = answer
        for number in range(options.tries):
            target = max(1, round(words * (1 - _SHORTENING_STEP * number)))
            have = count_words(str(best.value))
            asked = work.ask(
                work.prompt(options.shorten),
                {"summary": best.value, "words": target, "have": have},
                tokens=options.tokens,
                words=target,
                node=node,
                levels=levels,
            )
            try:
                shorter = await asked.reply
            except CallError as error:
                if options.on_error == "fail":
                    raise
                work.notice(f"{node} failed, and the text stays as long as it is: {error.message}")
                break
            if shorter.predicted is Prediction.LONG:
                best = shorter
                continue
            if _count_words_off(shorter, words) < _count_words_off(best, words):
                best = shorter
            if _is_near_length(shorter, words) and has_sentence_end(str(shorter.value)):
                return shorter
        return best


def _count_words_off(answer: Answer, words: int) -> int:
    return abs(count_words(str(answer.value)) - words)


def _is_near_length(answer: Answer, words: int) -> bool:
    return (
        words * (2 - LENGTH_TOLERANCE) <= count_words(str(answer.value)) <= words * LENGTH_TOLERANCE
    )


STEP = StepType(
    name="fold",
    about="Read the notes in order and keep one running text.",
    options=FoldOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "summary", "words"}),
)
