"""Choose what to read: the pieces that most speaks for, up to where their scores fall.

The methods and their papers stand in `scoring`, the cut and the neighbours in `ranking`. What is
chosen stays in the order of the document. A piece that nothing speaks for (no word of the query,
score 0, an abstention) is taken only to make up `least`, or beside one that was chosen.

Unlike OPRM, which answers from the one surest piece, the pieces chosen are the result, and a later
step answers from them; the reply whose first token counts is not used.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Annotated, Literal, Self, cast

from pydantic import Field, model_validator

from octavo.errors import FitError, UsageError
from octavo.pipeline.expressions import Condition
from octavo.protocols import (
    Expression,
    Kind,
    Options,
    PromptMark,
    PromptRef,
    SchemaMark,
    StepType,
    Work,
)
from octavo.strategies.ranking import Candidate, Limits, chosen
from octavo.strategies.scoring import Scorer, scorer_of
from octavo.text.note import Note, Prediction, Slot

__all__ = ["STEP", "SelectOptions"]


class SelectOptions(Options):
    """By what to choose, and how much."""

    query: Expression = Field(
        description="What is looked for: a parameter's name, or an expression over parameters."
    )
    by: Literal["bm25", "embeddings", "relevance", "entropy"] = Field(
        default="bm25",
        description="Shared words, nearness of meaning, the model's judgement, or how sure it is of"
        " an answer's first token.",
    )
    keep: int | None = Field(default=None, ge=1, description="The most pieces, neighbours apart.")
    least: int = Field(
        default=1, ge=0, description="The fewest pieces, however little speaks for them."
    )
    tokens: int | None = Field(
        default=None, ge=1, description="The most tokens of all pieces, neighbours included."
    )
    drop: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The share of the score before below which no more pieces are taken.",
    )
    neighbours: int = Field(
        default=0, ge=0, description="How many pieces before and after each are taken too."
    )
    prompt: Annotated[PromptRef | None, PromptMark("text", "headings", "query", "abstain")] = Field(
        default=None,
        description="The prompt for a score or an answer; it sees `text`, `headings`, `query` and,"
        " by entropy, `abstain`.",
    )
    reflect: Annotated[PromptRef | None, PromptMark("text", "headings", "query", "first")] = Field(
        default=None,
        description="The prompt for a second score; it sees the `first` record too. The mean"
        " counts.",
    )
    schema_: Annotated[str | None, SchemaMark(notes=False)] = Field(
        default=None,
        alias="schema",
        description="The JSON Schema of a score's record; its number `score` counts, from 0.",
    )
    reply_tokens: int = Field(default=150, ge=1, description="The most tokens of a reply.")
    abstain: str = Field(
        default="NONE",
        min_length=1,
        description="How a reply begins that finds nothing, by entropy.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.keep is not None and self.least > self.keep:
            raise ValueError(f"`least: {self.least}` is more than `keep: {self.keep}`")
        asks = self.by in {"relevance", "entropy"}
        if asks != (self.prompt is not None):
            need = "needs a" if asks else "takes no"
            raise ValueError(f"`by: {self.by}` {need} `prompt`")
        if (self.by == "relevance") != (self.schema_ is not None):
            need = "needs a" if self.by == "relevance" else "takes no"
            raise ValueError(f"`by: {self.by}` {need} `schema`")
        if self.reflect is not None and self.by != "relevance":
            raise ValueError(f"`by: {self.by}` takes no `reflect`")
        return self


@dataclass(frozen=True, slots=True)
class _Choice:
    """The notes that were chosen, by their places."""

    notes: dict[int, Note]


async def run(slots: Sequence[Slot], options: SelectOptions, work: Work) -> Sequence[Slot]:
    """Return the slots; the note of each that is not chosen is None.

    Raises FitError when the pieces or a prompt cannot fit, and UsageError when the query is not
    made of parameters, or is empty.
    """
    query = _query(options, work)
    _require_budget(slots, options, work)
    scorer, calls = scorer_of(slots, options, query, work)
    work.follow(calls)
    choice = work.start(_choose(slots, scorer, options, work))
    return [
        replace(slot, note=work.start(_taken(place, choice))) for place, slot in enumerate(slots)
    ]


async def _taken(place: int, choice: Awaitable[_Choice]) -> Note | None:
    return (await choice).notes.get(place)


def _query(options: SelectOptions, work: Work) -> str:
    condition = Condition(options.query)
    if unknown := sorted(condition.names - work.params.keys()):
        raise UsageError(
            f"step {work.step!r}: `query` uses {unknown[0]!r}, which is no parameter",
            hint=f"declare it under `params`: {unknown[0]}",
        )
    value = condition.value(work.params)
    parts = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
    query = "\n".join(str(part) for part in parts if part is not None)
    if not re.search(r"\w", query):
        raise UsageError(
            f"step {work.step!r}: there is nothing to look for: `query` has no word",
            hint=f"give {options.query} a value",
        )
    return query


def _require_budget(slots: Sequence[Slot], options: SelectOptions, work: Work) -> None:
    """Raise FitError when the fewest pieces may exceed `tokens`."""
    if options.tokens is None or not slots:
        return
    fewest = max(1, options.least)
    largest = sorted((slot.bound for slot in slots), reverse=True)[:fewest]
    if sum(largest) > options.tokens:
        raise FitError(
            f"step {work.step!r}: {len(largest):,} pieces of up to {sum(largest):,} tokens exceed"
            f" `tokens: {options.tokens}`",
            hint=f"split to at most {max(1, options.tokens // fewest)} tokens, or raise `tokens`",
        )


async def _choose(
    slots: Sequence[Slot], scorer: Scorer, options: SelectOptions, work: Work
) -> _Choice:
    scored = {place: each for place, each in enumerate(await scorer(slots)) if each is not None}
    guess = next((each.predicted for each in scored.values() if each.predicted), None)
    tokens = [0] * len(scored)
    if options.tokens is not None or guess is not None:
        tokens = work.counter.count_batch([each.note.text for each in scored.values()])
    candidates = [
        Candidate(place, each.score, count)
        for (place, each), count in zip(scored.items(), tokens, strict=True)
    ]
    if guess is not None:
        # Of texts that a plan made up, more may fit than it shows.
        made_up = any(each.note.predicted for each in scored.values())
        places = _guessed(candidates, options, guess, None if made_up else options.tokens)
        return _Choice({at: replace(scored[at].note, predicted=guess) for at in places})
    limits = Limits(options.keep, options.least, options.drop, options.tokens, options.neighbours)
    return _Choice({place: scored[place].note for place in chosen(candidates, limits)})


def _guessed(
    candidates: Sequence[Candidate], options: SelectOptions, guess: Prediction, tokens: int | None
) -> Sequence[int]:
    """Return what a plan takes for chosen: the fewest and smallest, or the most and largest."""
    by_size = sorted(candidates, key=lambda each: (each.tokens, each.place))
    places = [each.place for each in by_size]
    if guess is Prediction.SHORT:
        return places[: options.least]
    most = len(places)
    if options.keep is not None:
        most = min(most, options.keep * (2 * options.neighbours + 1))
    if tokens is not None:
        sums = accumulate(each.tokens for each in by_size)
        most = min(most, sum(each <= tokens for each in sums))
    return places[len(places) - most :]


STEP = StepType(
    name="select",
    about="Choose the chunks or notes that speak most to a question; leave the others out.",
    options=SelectOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
)
