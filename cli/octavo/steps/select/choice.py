"""Choose which scored pieces to take, and correct the choice by the answer that comes of it.

The best pieces are taken, up to where the scores fall, and the pieces next to them. The cut where
scores fall is that of SAGE (Zhang, Li, Su 2025, arXiv 2503.01713), the neighbours are those of
MacRAG (Lim et al. 2025, arXiv 2505.06569), which reads what surrounds a piece that was found.

The feedback is SAGE's self-feedback: the model answers from the chosen pieces, scores its answer
and says whether the pieces were too few or too many; one more or one fewer is taken, a few times at
most. Of all choices the one that was found enough counts, or else the one whose answer scored best.
Unlike there, the number of pieces itself changes and not the least number before the cut, which
would often change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from octavo.errors import CallError
from octavo.protocols import Answer, JsonSchema, PromptLike, Work
from octavo.text.note import Note, Prediction

__all__ = [
    "JUDGEMENT_SCHEMA",
    "Candidate",
    "ChoiceJudge",
    "ChoiceLimits",
    "choose_positions",
    "take_best",
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece: its place in the document, its score from 0 (nothing speaks for it), its tokens."""

    position: int
    score: float
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class ChoiceLimits:
    """How much to take.

    `keep` and `least` bound the number of pieces, `drop` is the share of the score before below
    which no more are taken; all three without neighbours. `tokens` bounds everything together.
    """

    keep: int | None = None
    least: int = 1
    drop: float | None = None
    tokens: int | None = None
    neighbours: int = 0


def choose_positions(candidates: Sequence[Candidate], limits: ChoiceLimits) -> frozenset[int]:
    """Return the positions of the chosen pieces; of equal scores the earlier comes first."""
    best = take_best(candidates, limits)
    remaining_tokens = (
        None if limits.tokens is None else limits.tokens - sum(each.tokens for each in best)
    )
    positions = {each.position for each in best}
    by_position = {each.position: each for each in candidates}
    for distance in range(1, limits.neighbours + 1):
        for each in best:
            for place in (each.position - distance, each.position + distance):
                neighbour = by_position.get(place)
                if (
                    neighbour is None
                    or place in positions
                    or (remaining_tokens is not None and neighbour.tokens > remaining_tokens)
                ):
                    continue
                remaining_tokens = (
                    None if remaining_tokens is None else remaining_tokens - neighbour.tokens
                )
                positions.add(place)
    return frozenset(positions)


def take_best(candidates: Sequence[Candidate], limits: ChoiceLimits) -> list[Candidate]:
    """Return the pieces chosen by score and not as neighbours, the best first."""
    ranked = sorted(candidates, key=lambda each: (-each.score, each.position))
    best: list[Candidate] = []
    remaining_tokens = limits.tokens
    for each in ranked[: limits.keep]:
        if len(best) >= limits.least and _is_past_cutoff(each, best, limits.drop):
            break
        if remaining_tokens is not None:
            # Nothing smaller is taken in its stead: a larger budget takes all that a smaller does.
            if each.tokens > remaining_tokens:
                break
            remaining_tokens -= each.tokens
        best.append(each)
    return best


def _is_past_cutoff(each: Candidate, best: Sequence[Candidate], drop: float | None) -> bool:
    """Tell whether a piece lies past the cut."""
    if each.score <= 0:
        return True
    return bool(best) and drop is not None and each.score < drop * best[-1].score


JUDGEMENT_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "answer": {"type": "string", "maxLength": 600},
        "score": {"type": "integer", "minimum": 0, "maximum": 10},
        "parts": {"enum": ["enough", "too few", "too many"]},
    },
    "required": ["answer", "score", "parts"],
    "additionalProperties": False,
}
"""The record of a judgement: the answer first, so that the verdict can follow from it."""


@dataclass(frozen=True, slots=True)
class ChoiceJudge:
    """Judges choices for one query, at most `max_rounds` times.

    With `skip_failed`, a failed call ends the judging; without it, the call's error is raised.
    """

    prompt: PromptLike
    query: str
    tokens: int
    max_rounds: int
    skip_failed: bool
    work: Work

    async def settle_choice(
        self, notes: Mapping[int, Note], candidates: Sequence[Candidate], limits: ChoiceLimits
    ) -> tuple[frozenset[int], Prediction | None]:
        """Return the positions that remain when no judgement asks for more or fewer.

        The second value is set when a plan made up a judgement: then any choice may remain.
        """
        positions = choose_positions(candidates, limits)
        count = len(take_best(candidates, limits))
        max_count = limits.keep or len(candidates)
        tried_by_count: dict[int, frozenset[int]] = {}
        best, best_score = positions, -1.0
        while positions and len(tried_by_count) < self.max_rounds:
            if count in tried_by_count or positions in tried_by_count.values():
                break
            tried_by_count[count] = positions
            try:
                answer = await self._judge(positions, notes, len(tried_by_count))
            except CallError:
                if not self.skip_failed:
                    raise
                break
            if answer.predicted is not None:
                if answer.predicted is Prediction.LONG:
                    upwards, downwards = range(count + 1, max_count + 1), range(count - 1, 0, -1)
                    others = (
                        choose_positions(candidates, _limit_to(n, limits))
                        for n in (*upwards, *downwards)
                    )
                    await self.predict_judgements(others, notes, len(tried_by_count))
                return positions, answer.predicted
            assert isinstance(answer.value, Mapping)
            if answer.value["parts"] == "enough":
                return positions, None
            if answer.value["score"] >= best_score:
                best, best_score = positions, answer.value["score"]
            count += 1 if answer.value["parts"] == "too few" else -1
            if not 1 <= count <= max_count:
                break
            positions = choose_positions(candidates, _limit_to(count, limits))
        return best, None

    async def predict_judgements(
        self, choices: Iterable[frozenset[int]], notes: Mapping[int, Note], tried: int = 0
    ) -> None:
        """In a plan, ask about as many further choices as a run might."""
        for positions in choices:
            if not positions or tried == self.max_rounds:
                break
            tried += 1
            await self._judge(positions, notes, tried)

    async def _judge(
        self, positions: frozenset[int], notes: Mapping[int, Note], number: int
    ) -> Answer:
        return await self.work.ask(
            self.prompt,
            {"query": self.query, "notes": [notes[place].value for place in sorted(positions)]},
            tokens=self.tokens,
            schema=JUDGEMENT_SCHEMA,
            node=f"judgement {number}, {len(positions)} pieces",
            levels=self.work.after + self.max_rounds - number,
        ).reply


def _limit_to(count: int, limits: ChoiceLimits) -> ChoiceLimits:
    return replace(limits, keep=count, least=count, drop=None)
