"""Whether what was chosen is too much or too little, by the answer that comes of it.

The self-feedback of SAGE (Zhang, Li, Su 2025, arXiv 2503.01713): the model answers from the pieces
chosen, scores its answer and says whether the pieces were too few or too many; one more or one
fewer is taken, a few times at most, and of all choices the one that was found enough counts, or
else the one whose answer scored best. Unlike there, the number of pieces moves itself and not the
least number before the cut, which would often change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from octavo.errors import CallError
from octavo.protocols import Answer, JsonSchema, PromptLike, Work
from octavo.strategies.ranking import Candidate, ChoiceLimits, choose_positions, take_best
from octavo.text.note import Note, Prediction

__all__ = ["JUDGEMENT_SCHEMA", "ChoiceJudge"]

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
                        choose_positions(candidates, _limit_to(n, limits)) for n in (*upwards, *downwards)
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
