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
    """Return the places of what is taken; of equal scores the earlier place comes first."""
    best = take_best(candidates, limits)
    left = None if limits.tokens is None else limits.tokens - sum(each.tokens for each in best)
    places = {each.position for each in best}
    known = {each.position: each for each in candidates}
    for distance in range(1, limits.neighbours + 1):
        for each in best:
            for place in (each.position - distance, each.position + distance):
                beside = known.get(place)
                if beside is None or place in places or (left is not None and beside.tokens > left):
                    continue
                left = None if left is None else left - beside.tokens
                places.add(place)
    return frozenset(places)


def take_best(candidates: Sequence[Candidate], limits: ChoiceLimits) -> list[Candidate]:
    """Return what is taken for itself and not as a neighbour, the best first."""
    ranked = sorted(candidates, key=lambda each: (-each.score, each.position))
    best: list[Candidate] = []
    left = limits.tokens
    for each in ranked[: limits.keep]:
        if len(best) >= limits.least and _is_past_cutoff(each, best, limits.drop):
            break
        if left is not None:
            # Nothing smaller is taken in its stead: a larger budget takes all that a smaller does.
            if each.tokens > left:
                break
            left -= each.tokens
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
    """Judges choices for one query, at most `rounds` times; `skips` tells what a failure means."""

    prompt: PromptLike
    query: str
    tokens: int
    max_rounds: int
    skip_failed: bool
    work: Work

    async def settle_choice(
        self, notes: Mapping[int, Note], candidates: Sequence[Candidate], limits: ChoiceLimits
    ) -> tuple[frozenset[int], Prediction | None]:
        """Return the places that are left when no judgement wants more or fewer.

        The second value is set when a plan made a judgement up: then any choice may be left.
        """
        places = choose_positions(candidates, limits)
        count = len(take_best(candidates, limits))
        most = limits.keep or len(candidates)
        tried: dict[int, frozenset[int]] = {}
        best, best_score = places, -1.0
        while places and len(tried) < self.max_rounds:
            if count in tried or places in tried.values():
                break
            tried[count] = places
            try:
                answer = await self._judge(places, notes, len(tried))
            except CallError:
                if not self.skip_failed:
                    raise
                break
            if answer.predicted is not None:
                if answer.predicted is Prediction.LONG:
                    upwards, downwards = range(count + 1, most + 1), range(count - 1, 0, -1)
                    others = (
                        choose_positions(candidates, _limit_to(n, limits))
                        for n in (*upwards, *downwards)
                    )
                    await self.predict_judgements(others, notes, len(tried))
                return places, answer.predicted
            assert isinstance(answer.value, Mapping)
            if answer.value["parts"] == "enough":
                return places, None
            if answer.value["score"] >= best_score:
                best, best_score = places, answer.value["score"]
            count += 1 if answer.value["parts"] == "too few" else -1
            if not 1 <= count <= most:
                break
            places = choose_positions(candidates, _limit_to(count, limits))
        return best, None

    async def predict_judgements(
        self, choices: Iterable[frozenset[int]], notes: Mapping[int, Note], tried: int = 0
    ) -> None:
        """Ask about further choices as long as a run might: in a plan, which makes answers up."""
        for places in choices:
            if not places or tried == self.max_rounds:
                break
            tried += 1
            await self._judge(places, notes, tried)

    async def _judge(
        self, places: frozenset[int], notes: Mapping[int, Note], number: int
    ) -> Answer:
        return await self.work.ask(
            self.prompt,
            {"query": self.query, "notes": [notes[place].value for place in sorted(places)]},
            tokens=self.tokens,
            schema=JUDGEMENT_SCHEMA,
            node=f"judgement {number}, {len(places)} pieces",
            levels=self.work.after + self.max_rounds - number,
        ).reply


def _limit_to(count: int, limits: ChoiceLimits) -> ChoiceLimits:
    return replace(limits, keep=count, least=count, drop=None)
