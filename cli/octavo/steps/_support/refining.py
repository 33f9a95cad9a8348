"""Check a note in rounds against what it was made from, and improve it.

The rounds follow the gleaning of GraphRAG (Edge et al. 2024, arXiv 2404.16130), where a second look
at a chunk finds what the first one missed. A round is one call, whose reply says that the note is
fine, or has a better one; the first round that finds nothing to improve is the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from octavo.protocols import Answer, JsonSchema, PromptLike, Work
from octavo.steps._support.schema_references import rebase_references
from octavo.steps._support.window import FENCE_TOKENS
from octavo.text.note import Prediction, Record

__all__ = ["CHECK_TOKENS", "NoteRefiner"]


CHECK_TOKENS = 32
"""Tokens of a round's reply beside the note."""


@dataclass(frozen=True, slots=True)
class NoteRefiner:
    """How notes are checked: in at most `max_rounds` rounds, by a prompt that also sees `note`.

    `tokens` is the most that a note may have, and `schema` what it must fit if it is a record.
    """

    prompt: PromptLike
    max_rounds: int
    tokens: int
    words: int | None
    schema: JsonSchema | None

    def compute_room(self, variables: Mapping[str, object], work: Work) -> int | None:
        """Return the tokens that a round leaves beside these variables and the note.

        None when the window is unknown. Raises FitError when nothing is left.
        """
        beside = {**variables, "note": ""}
        reply = self.tokens + CHECK_TOKENS
        room = work.room(self.prompt, beside, reply, _build_verdict_schema(self.schema))
        return None if room is None else max(0, room - self.tokens - FENCE_TOKENS)

    async def refine(
        self, answer: Answer, variables: Mapping[str, object], *, node: str, levels: int, work: Work
    ) -> Answer:
        """Return the answer after all rounds; `levels` are those of the last round."""
        for number in range(1, self.max_rounds + 1):
            reply = await work.ask(
                self.prompt,
                {**variables, "note": answer.value},
                tokens=self.tokens + CHECK_TOKENS,
                words=self.words,
                schema=_build_verdict_schema(self.schema),
                node=f"check {number} of {node}",
                levels=levels + self.max_rounds - number,
            ).reply
            assert not isinstance(reply.value, str)  # the schema is one of an object
            # In a plan every round may find something, or the first one nothing.
            goes_on = reply.predicted is Prediction.LONG or not reply.value["fine"]
            note: str | Record | None = reply.value["note"]
            if not goes_on or not note or note == answer.value:
                break
            answer = replace(answer, value=note, truncated=False)
        return answer


def _build_verdict_schema(schema: JsonSchema | None) -> JsonSchema:
    """Return the schema of a round's reply about notes that fit `schema`, or are text."""
    note: object = {"type": "string"}
    if schema is not None:
        inner = {key: value for key, value in schema.items() if key != "$schema"}
        note = rebase_references(inner, "#/properties/note/anyOf/0")
    return {
        "type": "object",
        "properties": {"fine": {"type": "boolean"}, "note": {"anyOf": [note, {"type": "null"}]}},
        "required": ["fine", "note"],
        "additionalProperties": False,
    }
