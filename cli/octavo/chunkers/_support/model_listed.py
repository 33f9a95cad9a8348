"""What chunkers share whose model lists the chunks of a text by their first and last words."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from octavo.chunkers._support.model_boundaries import await_proposal, split_at_places
from octavo.chunkers.structure import split
from octavo.protocols import JsonSchema, PromptLike
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.grounding.exact import Anchor
from octavo.text.grounding.fuzzy import find_part_starts, find_words
from octavo.text.note import Prediction
from octavo.text.span import Span, describe_spans

__all__ = ["MAX_CHUNKS", "ListingTask", "build_listing_schema", "list_chunks"]


MAX_CHUNKS = 24
"""The most chunks that one call may list."""


@dataclass(frozen=True, slots=True)
class ListingTask:
    """What is asked of each window of at most `window_tokens` tokens.

    A reply has at most `max_tokens`. `context_names` maps fields of the list to the names of a
    chunk's context.
    """

    prompt: PromptLike
    variables: Mapping[str, object]
    schema: JsonSchema
    window_tokens: int
    max_tokens: int
    context_names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _ListedChunk:
    """A chunk that a model listed: where it begins in the document, and what it said of it."""

    start: int
    fields: Mapping[str, str]


def build_listing_schema(leading: Mapping[str, Any], fields: Sequence[str]) -> JsonSchema:
    """Return the schema of a list of chunks with these fields of text each, after `leading`."""
    item = {
        "type": "object",
        "properties": {name: {"type": "string", "minLength": 1} for name in fields},
        "required": list(fields),
        "additionalProperties": False,
    }
    chunks = {"type": "array", "items": item, "minItems": 1, "maxItems": MAX_CHUNKS}
    return {
        "type": "object",
        "properties": {**leading, "chunks": chunks},
        "required": [*leading, "chunks"],
        "additionalProperties": False,
    }


async def list_chunks(
    document: Document, task: ListingTask, budget: int, work: Work, counter: Counter
) -> tuple[Chunk, ...]:
    """Return the chunks that a model lists, each with the fields it gave as context.

    The document is first cut by structure into windows, which are all asked about at the same time.
    What a list leaves out stays with the chunk before it, and what has more than `budget` tokens is
    split by structure, as is a window whose reply is no list.
    """
    windows = await asyncio.to_thread(split, document, task.window_tokens, counter)
    pending = [work.start(_list_window(document, each.span, task, work)) for each in windows]
    listed = [item for each in pending for item in await each]
    chunks = split_at_places(
        document, [item.start for item in listed if item.start], budget, counter
    )
    starts = [item.start for item in listed]
    found: list[Chunk] = []
    for chunk in chunks:
        fields = listed[bisect_right(starts, chunk.span.start) - 1].fields
        context = tuple(
            (name, fields[field]) for field, name in task.context_names.items() if field in fields
        )
        found.append(replace(chunk, context=context))
    return tuple(found)


async def _list_window(
    document: Document, span: Span, task: ListingTask, work: Work
) -> list[_ListedChunk]:
    """Return the chunks of a window, the first of which begins with it."""
    text = document.slice(span)
    call = work.ask(
        task.prompt,
        {**task.variables, "text": text},
        tokens=task.max_tokens,
        schema=task.schema,
        node=describe_spans((span,)),
        levels=work.after,
        check=partial(_find_faults, text),
    )
    fallback = f"{describe_spans((span,))} are split by structure"
    answer = await await_proposal(call, work, fallback=fallback)
    if answer is None:
        return [_ListedChunk(span.start, {})]
    if answer.predicted is not None or isinstance(answer.value, str):
        count = MAX_CHUNKS if answer.predicted is Prediction.LONG else 1
        places = sorted({span.start + span.length * at // count for at in range(count)})
        return [_ListedChunk(place, {}) for place in places]
    items: list[Mapping[str, str]] = answer.value["chunks"]
    found = find_part_starts(text, [Anchor(row["head"], row["tail"]) for row in items])
    return [
        _ListedChunk(span.start + place, row)
        for row, place in zip(items, found, strict=True)
        if place is not None
    ]


def _find_faults(text: str, record: Mapping[str, Any]) -> list[str]:
    position = 0
    for number, row in enumerate(record["chunks"], start=1):
        found = find_words(text, row["head"], position)
        if found is None:
            return [
                f"chunk {number}: {row['head']!r} does not stand in the text after the last one"
            ]
        position = found[0] + 1
    return []
