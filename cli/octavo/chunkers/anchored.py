"""What chunkers share whose model lists the chunks of a text by their first and last words."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from octavo.chunkers.proposal import proposed
from octavo.chunkers.structure import split
from octavo.chunkers.units import chunks_from
from octavo.protocols import JsonSchema, PromptLike
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.anchors import Anchor
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.mooring import find_part_starts, find_words
from octavo.text.note import Prediction
from octavo.text.span import Span

__all__ = ["MOST", "Task", "anchored", "listing"]

MOST = 24
"""The most chunks that one call may list."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked of each window of at most `window` tokens.

    `reply` bounds a reply in tokens. `names` tells under which name of a chunk's context a field of
    the list is kept.
    """

    prompt: PromptLike
    variables: Mapping[str, object]
    schema: JsonSchema
    window: int
    reply: int
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A chunk that a model listed: where it begins in the document, and what it said of it."""

    start: int
    said: Mapping[str, str]


def listing(first: Mapping[str, Any], fields: Sequence[str]) -> JsonSchema:
    """Return the schema of a list of chunks with these fields of text each, after `first`."""
    item = {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    chunks = {"type": "array", "items": item, "minItems": 1, "maxItems": MOST}
    return {
        "type": "object",
        "properties": {**first, "chunks": chunks},
        "required": [*first, "chunks"],
        "additionalProperties": False,
    }


async def anchored(
    document: Document, task: Task, budget: int, work: Work, counter: Counter
) -> tuple[Chunk, ...]:
    """Return the chunks that a model lists, each with what was said of it as its context.

    The document is first cut by structure into windows, which are all asked about at the same time.
    What a list leaves out stays with the chunk before it, and what has more than `budget` tokens is
    split by structure, as is a window whose reply is no list.
    """
    windows = await asyncio.to_thread(split, document, task.window, counter)
    asked = [work.start(_listed(document, each.span, task, work)) for each in windows]
    listed = [item for each in asked for item in await each]
    chunks = chunks_from(document, [item.start for item in listed if item.start], budget, counter)
    starts = [item.start for item in listed]
    told: list[Chunk] = []
    for chunk in chunks:
        said = listed[bisect_right(starts, chunk.span.start) - 1].said
        context = tuple((name, said[field]) for field, name in task.names.items() if field in said)
        told.append(replace(chunk, context=context))
    return tuple(told)


async def _listed(document: Document, span: Span, task: Task, work: Work) -> list[Listed]:
    """Return the chunks of a window, the first of which begins with it."""
    text = document.slice(span)
    asked = work.ask(
        task.prompt,
        {**task.variables, "text": text},
        tokens=task.reply,
        schema=task.schema,
        node=f"characters {span.start} to {span.end}",
        levels=work.after,
        check=partial(_faults, text),
    )
    instead = f"characters {span.start} to {span.end} are split by structure"
    answer = await proposed(asked, work, instead=instead)
    if answer is None:
        return [Listed(span.start, {})]
    if answer.predicted is not None or isinstance(answer.value, str):
        count = MOST if answer.predicted is Prediction.LONG else 1
        places = sorted({span.start + span.length * at // count for at in range(count)})
        return [Listed(place, {}) for place in places]
    rows: list[Mapping[str, str]] = answer.value["chunks"]
    found = find_part_starts(text, [Anchor(row["head"], row["tail"]) for row in rows])
    return [
        Listed(span.start + place, row)
        for row, place in zip(rows, found, strict=True)
        if place is not None
    ]


def _faults(text: str, record: Mapping[str, Any]) -> list[str]:
    position = 0
    for number, row in enumerate(record["chunks"], start=1):
        found = find_words(text, row["head"], position)
        if found is None:
            return [
                f"chunk {number}: {row['head']!r} does not stand in the text after the last one"
            ]
        position = found[0] + 1
    return []
