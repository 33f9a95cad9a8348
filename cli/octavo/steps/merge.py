"""Merge many notes into one by a tree, each node as soon as its own children are there.

The step follows hierarchical merging in BooookScore (Chang, Lo, Goyal, Iyyer 2024, arXiv
2310.00785). Unlike there, the tree's groups are chosen by the text at their boundaries, so an edit
changes the calls on its own path and few others, and `words` may be given by height, counted from
the leaves.

Two forms of the paper are options because of what they cost. `factor` counts the limits from the
root, so that a document with one level more is asked about again. `context` shows each node the
result of the one before it on its level, so that the nodes of a level wait for each other and an
edit changes all that follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple, Self

from pydantic import Field, model_validator

from octavo.protocols import Kind, Options, PromptLike, PromptRef, StepType, Work
from octavo.steps._support.text_rules import TextRule, build_check
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.text.note import Note, PendingNote
from octavo.text.span import describe_spans, merge_spans
from octavo.text.splitting.grouping import build_tree

__all__ = ["STEP", "MergeOptions"]


_WordCount = Annotated[int, Field(ge=1)]


class MergeOptions(Options):
    """How to merge."""

    prompt: PromptRef = Field(
        description="The prompt; it sees `notes`, `words`, `height` (1 above the leaves) and"
        " `before`."
    )
    tokens: int = Field(default=900, ge=1, description="The most tokens of a reply.")
    words: _WordCount | list[_WordCount] | None = Field(
        default=None,
        description="The length asked for, in words; or a list of lengths by height, the last one"
        " for all above.",
    )
    factor: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The length on each level as a share of that on the level above; `words` is"
        " then the root's.",
    )
    context: bool = Field(
        default=False,
        description="Whether a node sees as `before` what the one before it on its level came to;"
        " the nodes of a level then wait for one another.",
    )
    require: list[TextRule] = Field(
        default_factory=list[TextRule],
        description="What a reply must keep, or it is asked for once more: `sentence`, an end of a"
        " sentence; `length`, no more than a fifth over `words`.",
    )
    fan_in: int = Field(default=8, ge=2, description="The most notes in one call.")

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.factor is not None and not isinstance(self.words, int):
            raise ValueError("`factor` needs one number of `words`: those of the root")
        if isinstance(self.words, list) and not self.words:
            raise ValueError("`words` has no lengths")
        if TextRule.LENGTH in self.require and self.words is None:
            raise ValueError("`require: [length]` needs `words`")
        return self

    def compute_words(self, height: int, levels: int) -> int | None:
        """Return the length asked for at a height of a tree of so many levels."""
        if isinstance(self.words, list):
            return self.words[min(height, len(self.words)) - 1]
        if self.words is None or self.factor is None:
            return self.words
        return max(1, round(self.words * self.factor ** (levels - height)))


class _MergeLevel(NamedTuple):
    """What the nodes of a level share: `height` from the leaves, `levels_above` to the root."""

    height: int
    levels_above: int
    words: int | None
    prompt: PromptLike
    options: MergeOptions
    work: Work


async def run(
    slots: Sequence[PendingNote], options: MergeOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the root of the tree."""
    if len(slots) < 2:
        return slots
    prompt = work.prompt(options.prompt)
    levels = _plan_levels(slots, prompt, options, work)
    chain = len(levels) + (len(levels[0]) - 1 if options.context and levels else 0)
    work.follow(chain)
    nodes = list(slots)
    for number, groups in enumerate(levels, 1):
        above = len(levels) - number
        words = options.compute_words(number, len(levels))
        level = _MergeLevel(number, above, words, prompt, options, work)
        parents: list[PendingNote] = []
        for group in groups:
            children = [nodes[i] for i in group]
            before = parents[-1] if options.context and parents else None
            parents.append(
                children[0] if len(children) == 1 else _start_node(children, before, level)
            )
        nodes = parents
    return nodes


def _plan_levels(
    slots: Sequence[PendingNote], prompt: PromptLike, options: MergeOptions, work: Work
) -> Sequence[Sequence[range]]:
    beside = options.tokens + FENCE_TOKENS if options.context else 0
    longest = {
        "words": _find_max_words(options),
        "height": 1,
        "before": "" if options.context else None,
    }
    full = {"notes": ("",) * options.fan_in, **longest}
    room = work.room(prompt, full, options.tokens + beside)
    pair = {"notes": ("", ""), **longest}
    ensure_fits_window(work, prompt, pair, options.tokens + beside, slots)
    return build_tree(
        [slot.boundary_hash for slot in slots],
        [slot.max_tokens + FENCE_TOKENS for slot in slots],
        size=options.tokens + FENCE_TOKENS,
        max_items=options.fan_in,
        max_tokens=room,
    )


def _find_max_words(options: MergeOptions) -> int | None:
    return max(options.words) if isinstance(options.words, list) else options.words


def _start_node(
    children: Sequence[PendingNote], before: PendingNote | None, level: _MergeLevel
) -> PendingNote:
    return PendingNote(
        spans=merge_spans(span for child in children for span in child.spans),
        max_tokens=level.options.tokens,
        note=level.work.start(_merge_notes(children, before, level)),
        boundary_hash=children[0].boundary_hash,
    )


async def _merge_notes(
    children: Sequence[PendingNote], before: PendingNote | None, level: _MergeLevel
) -> Note | None:
    notes = [note for child in children if (note := await child.note) is not None]
    if len(notes) < 2:
        return notes[0] if notes else None
    options, work = level.options, level.work
    earlier = await before.note if before is not None else None
    spans = merge_spans(span for note in notes for span in note.spans)
    answer = await work.ask(
        level.prompt,
        {
            "notes": [note.value for note in notes],
            "words": level.words,
            "height": level.height,
            "before": earlier.value if earlier is not None else None,
        },
        tokens=options.tokens,
        words=level.words,
        node=describe_spans(spans),
        levels=work.after + level.levels_above,
        check=build_check(options.require, level.words),
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


STEP = StepType(
    name="merge",
    about="Merge the notes into one by a tree.",
    options=MergeOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"notes", "words", "height", "before"}),
)
