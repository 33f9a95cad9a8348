"""Read the notes in order and keep one running text.

After incremental updating in BooookScore (Chang, Lo, Goyal, Iyyer 2024, arXiv 2310.00785), with
the length priming of InstructCMP (Do et al. 2024, arXiv 2406.11097): a running text that grew too
long is shortened by a prompt that names its length, the length wanted and the difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from octavo.protocols import Answer, Kind, Options, PromptMark, PromptRef, StepType, Work
from octavo.strategies.fit import require_room
from octavo.text.note import Note, Prediction, Slot
from octavo.text.union import union

__all__ = ["STEP", "FoldOptions"]

_SLACK = 1.2
"""A running text may be a fifth longer than asked before it is shortened."""

_SHORTENINGS = 2


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
    tokens: int = Field(default=900, ge=1, description="The most tokens of a reply.")
    words: int = Field(default=400, ge=1, description="The length of the running text, in words.")


async def run(slots: Sequence[Slot], options: FoldOptions, work: Work) -> Sequence[Slot]:
    """Return one slot for the running text after the last note."""
    if not slots:
        return slots
    prompt = work.prompt(options.next)
    empty = {"text": "", "headings": (), "summary": "", "words": options.words}
    work.follow(len(slots))
    # The running text takes as much as a reply may be long, and so does the reply itself.
    require_room(work, prompt, empty, 2 * options.tokens, slots)
    return [
        Slot(
            spans=union(span for slot in slots for span in slot.spans),
            bound=options.tokens,
            note=work.start(_fold(slots, options, work)),
            border=slots[0].border,
        )
    ]


async def _fold(slots: Sequence[Slot], options: FoldOptions, work: Work) -> Note | None:
    running: Note | None = None
    for position, slot in enumerate(slots):
        note = await slot.note
        if note is None:
            continue
        levels = work.after + len(slots) - position - 1
        answer = await _update(running, note, slot, options, work, levels=levels)
        spans = union((*(running.spans if running else ()), *note.spans))
        running = Note(answer.value, spans, predicted=answer.predicted)
    return running


async def _update(
    running: Note | None, note: Note, slot: Slot, options: FoldOptions, work: Work, *, levels: int
) -> Answer:
    node = f"characters {slot.spans[0].start} to {slot.spans[-1].end}"
    variables: dict[str, object] = {
        "text": note.value,
        "headings": slot.headings,
        "words": options.words,
    }
    if running is not None:
        variables["summary"] = running.value
    answer = await work.ask(
        work.prompt(options.first if running is None else options.next),
        variables,
        tokens=options.tokens,
        words=options.words,
        node=node,
        levels=levels,
    ).reply
    return await _shortened(answer, node, options, work, levels)


async def _shortened(
    answer: Answer, node: str, options: FoldOptions, work: Work, levels: int
) -> Answer:
    """Shorten a running text that is too long; keep the shortest if none gets there.

    A plan takes short replies to need no shortening, and long ones all that there may be.
    """
    if options.shorten is None or answer.predicted is Prediction.SHORT:
        return answer
    prompt = work.prompt(options.shorten)
    for _ in range(_SHORTENINGS):
        have = _words(answer)
        if have <= options.words * _SLACK:
            break
        shorter = await work.ask(
            prompt,
            {"summary": answer.value, "words": options.words, "have": have},
            tokens=options.tokens,
            words=options.words,
            node=f"shortening {node}",
            levels=levels,
        ).reply
        if _words(shorter) >= have and not shorter.predicted:
            break
        answer = shorter
    return answer


def _words(answer: Answer) -> int:
    return len(str(answer.value).split())


STEP = StepType(
    name="fold",
    about="Read the notes in order and keep one running text.",
    options=FoldOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "summary", "words"}),
)
