"""Find sections in a text without headings: the model names anchors, and code checks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from octavo.protocols import JsonSchema, PromptLike, Work
from octavo.text.grounding.exact import Anchor, locate_sections
from octavo.text.note import Note, Prediction
from octavo.text.outline import to_heading_label
from octavo.text.span import Span

__all__ = ["MAX_SECTIONS", "OUTLINE_SCHEMA", "OutlineFinder", "OutlineSection"]


MAX_SECTIONS = 5
"""The most sections that the model may find in one chunk, as in ToM."""

OUTLINE_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {
        "sections": {
            "type": "array",
            "maxItems": MAX_SECTIONS,
            "items": {
                "type": "object",
                "properties": {
                    "title": {"type": "string"},
                    "head": {"type": "string"},
                    "tail": {"type": "string"},
                },
                "required": ["title", "head", "tail"],
                "additionalProperties": False,
            },
        }
    },
    "required": ["sections"],
    "additionalProperties": False,
}
"""What an outline is: of each section its title, and the words it begins and ends with."""


@dataclass(frozen=True, slots=True)
class OutlineSection:
    """A section that the model found: its title, on one line, and its span in the document."""

    title: str
    span: Span


@dataclass(frozen=True, slots=True)
class OutlineFinder:
    """Asks for outlines of at most `tokens`; more than `max_sections` are of no use."""

    prompt: PromptLike
    tokens: int
    work: Work
    max_sections: int = MAX_SECTIONS

    async def find_sections(self, chunk: Note, *, levels: int) -> Sequence[OutlineSection]:
        """Return the sections of a chunk, which cover it, or none where the reply has no such.

        `levels` is how many calls stand between this one and the result. A plan that takes
        replies to be long takes the chunk to have as many sections as it may have. Raises
        CallError when there is no outline at all.
        """
        text, (start, end) = chunk.text, chunk.spans[0]
        answer = await self.work.ask(
            self.prompt,
            {"text": chunk.value},
            tokens=self.tokens,
            schema=OUTLINE_SCHEMA,
            node=f"outline of characters {start} to {end}",
            levels=levels,
            check=lambda record: _find_faults(text, record),
        ).reply
        if answer.predicted is Prediction.LONG:
            spans = _split_evenly(text, min(MAX_SECTIONS, self.max_sections))
            return [
                OutlineSection("", Span(start + span.start, start + span.end)) for span in spans
            ]
        if isinstance(answer.value, str):
            return ()
        found = locate_sections(text, _parse_anchors(answer.value))
        if isinstance(found, str):
            return ()
        titles = [to_heading_label(each["title"]) for each in answer.value["sections"]]
        return [
            OutlineSection(title, Span(start + span.start, start + span.end))
            for title, span in zip(titles, found, strict=True)
        ]


def _find_faults(text: str, record: Mapping[str, Any]) -> Sequence[str]:
    found = locate_sections(text, _parse_anchors(record))
    return [found] if isinstance(found, str) else []


def _parse_anchors(record: Mapping[str, Any]) -> list[Anchor]:
    return [Anchor(each["head"], each["tail"]) for each in record["sections"]]


def _split_evenly(text: str, count: int) -> list[Span]:
    cuts = [len(text) * number // count for number in range(count + 1)] if count > 0 else []
    return [Span(start, end) for start, end in pairwise(cuts) if start < end]
