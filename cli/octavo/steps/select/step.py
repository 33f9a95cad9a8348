"""Choose what to read: the pieces that most speaks for, up to where their scores fall.

The methods and their papers are described in `scoring`, the cut, the neighbours and the feedback in
`choice`. The chosen pieces stay in the order of the document. A piece that nothing speaks for (no
word of the query, score 0, an abstention) is taken only to make up `least`, or as a neighbour of a
chosen one.

Unlike OPRM, which answers from the one surest piece, this step gives the chosen pieces, and a later
step answers from them; the reply whose first token counts is not used.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import cast

from octavo.errors import FitError, UsageError
from octavo.pipeline.conditions import Condition
from octavo.protocols import Kind, StepType, Work
from octavo.steps._support.window import FENCE_TOKENS
from octavo.steps.select.choice import (
    JUDGEMENT_SCHEMA,
    Candidate,
    ChoiceJudge,
    ChoiceLimits,
    choose_positions,
)
from octavo.steps.select.options import SelectOptions, resolve_method
from octavo.steps.select.scoring import Scorer, build_scorer
from octavo.text.note import Note, PendingNote, Prediction

__all__ = ["STEP"]


_MAX_ROUNDS = 20


@dataclass(frozen=True, slots=True)
class _ChosenNotes:
    """The notes that were chosen, by their places."""

    notes: dict[int, Note]


async def run(
    slots: Sequence[PendingNote], options: SelectOptions, work: Work
) -> Sequence[PendingNote]:
    """Return the slots; the note of each that is not chosen is None.

    Raises FitError when the pieces or a prompt cannot fit, and UsageError when the query is not
    made of parameters, or is empty.
    """
    options = resolve_method(options, work)
    query = _evaluate_query(options, work)
    _require_budget(slots, options, work)
    scorer, calls = build_scorer(slots, options, query, work)
    feedback = _build_judge(slots, options, query, work)
    work.follow(calls + (feedback.max_rounds if feedback else 0))
    choice = work.start(_choose_notes(slots, scorer, options, work, feedback))
    return [
        replace(slot, note=work.start(_take_note(place, choice)))
        for place, slot in enumerate(slots)
    ]


async def _take_note(place: int, choice: Awaitable[_ChosenNotes]) -> Note | None:
    return (await choice).notes.get(place)


def _build_judge(
    slots: Sequence[PendingNote], options: SelectOptions, query: str, work: Work
) -> ChoiceJudge | None:
    """Return what judges choices, if anything does; raises FitError when a choice may not fit."""
    rounds = Condition(options.rounds).evaluate(work.params)
    if isinstance(rounds, bool) or not isinstance(rounds, int) or not 0 <= rounds <= _MAX_ROUNDS:
        raise UsageError(
            f"step {work.step!r}: a choice is judged up to {_MAX_ROUNDS} times, not {rounds!r}",
            hint="write a whole number such as 3",
        )
    if options.judge is None or not rounds:
        return None
    prompt = work.prompt(options.judge)
    sizes = sorted((slot.max_tokens for slot in slots), reverse=True)
    pieces = len(sizes)
    if options.keep is not None:
        pieces = min(pieces, options.keep * (2 * options.neighbours + 1))
    most = sum(sizes[:pieces])
    most = (most if options.tokens is None else min(most, options.tokens)) + FENCE_TOKENS * pieces
    room = work.room(prompt, {"query": query, "notes": []}, options.judge_tokens, JUDGEMENT_SCHEMA)
    if room is not None and most > room:
        raise FitError(
            f"step {work.step!r}: up to {most:,} tokens of chosen pieces do not fit prompt"
            f" {prompt.name!r}: the window of {work.window:,} tokens leaves {room:,}",
            hint=f"set `tokens: {max(1, room - FENCE_TOKENS * pieces)}`, or choose fewer by `keep`",
        )
    skips = options.on_error == "skip"
    return ChoiceJudge(prompt, query, options.judge_tokens, rounds, skips, work)


def _evaluate_query(options: SelectOptions, work: Work) -> str:
    condition = Condition(options.query)
    if unknown := sorted(condition.names - work.params.keys()):
        raise UsageError(
            f"step {work.step!r}: `query` uses {unknown[0]!r}, which is no parameter",
            hint=f"declare it under `params`: {unknown[0]}",
        )
    value = condition.evaluate(work.params)
    parts = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
    query = "\n".join(str(part) for part in parts if part is not None)
    if not re.search(r"\w", query):
        raise UsageError(
            f"step {work.step!r}: there is nothing to look for: `query` has no word",
            hint=f"give {options.query} a value",
        )
    return query


def _require_budget(slots: Sequence[PendingNote], options: SelectOptions, work: Work) -> None:
    """Raise FitError when the fewest pieces may exceed `tokens`."""
    if options.tokens is None or not slots:
        return
    fewest = max(1, options.least)
    largest = sorted((slot.max_tokens for slot in slots), reverse=True)[:fewest]
    if sum(largest) > options.tokens:
        raise FitError(
            f"step {work.step!r}: {len(largest):,} pieces of up to {sum(largest):,} tokens exceed"
            f" `tokens: {options.tokens}`",
            hint=f"split to at most {max(1, options.tokens // fewest)} tokens, or raise `tokens`",
        )


async def _choose_notes(
    slots: Sequence[PendingNote],
    scorer: Scorer,
    options: SelectOptions,
    work: Work,
    feedback: ChoiceJudge | None,
) -> _ChosenNotes:
    scored = {place: each for place, each in enumerate(await scorer(slots)) if each is not None}
    prediction = next((each.predicted for each in scored.values() if each.predicted), None)
    tokens = [0] * len(scored)
    if options.tokens is not None or prediction is not None:
        tokens = work.counter.count_batch([each.note.text for each in scored.values()])
    candidates = [
        Candidate(place, each.score, count)
        for (place, each), count in zip(scored.items(), tokens, strict=True)
    ]
    notes = {place: each.note for place, each in scored.items()}
    limits = ChoiceLimits(
        options.keep, options.least, options.drop, options.tokens, options.neighbours
    )
    # Of texts that a plan made up, more may fit than it shows.
    is_predicted = any(note.predicted for note in notes.values())
    budget = None if is_predicted else options.tokens
    if prediction is not None:
        positions = _predict_positions(candidates, options, prediction, budget)
        if feedback is not None:
            most = len(positions) if prediction is Prediction.LONG else 1
            await feedback.predict_judgements(
                (frozenset(positions[left:]) for left in range(most)), notes
            )
    elif feedback is None:
        positions = choose_positions(candidates, limits)
    else:
        positions, prediction = await feedback.settle_choice(notes, candidates, limits)
        if prediction is not None:
            tokens = work.counter.count_batch([note.text for note in notes.values()])
            sized = [replace(each, tokens=n) for each, n in zip(candidates, tokens, strict=True)]
            positions = _predict_positions(sized, options, prediction, budget)
    return _ChosenNotes(
        {
            at: replace(notes[at], predicted=prediction) if prediction else notes[at]
            for at in positions
        }
    )


def _predict_positions(
    candidates: Sequence[Candidate],
    options: SelectOptions,
    prediction: Prediction,
    tokens: int | None,
) -> Sequence[int]:
    """Return what a plan assumes to be chosen: the fewest smallest pieces, or the most largest."""
    by_size = sorted(candidates, key=lambda each: (each.tokens, each.position))
    positions = [each.position for each in by_size]
    if prediction is Prediction.SHORT:
        return positions[: options.least if options.judge is None else 1]
    most = len(positions)
    if options.keep is not None:
        most = min(most, options.keep * (2 * options.neighbours + 1))
    if tokens is not None:
        sums = accumulate(each.tokens for each in by_size)
        most = min(most, sum(each <= tokens for each in sums))
    return positions[len(positions) - most :]


STEP = StepType(
    name="select",
    about="Choose the chunks or notes that speak most to a question; leave the others out.",
    options=SelectOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
)
