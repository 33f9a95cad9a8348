"""Chunks that begin where a model says that the subject shifts (LumberChunker).

After LumberChunker (Duarte et al. 2024, arXiv 2406.17526): the model sees a run of numbered
paragraphs and names the first whose subject differs from those before. The next run begins there,
so the calls wait for one another. Unlike in the reference code, a number outside the run cuts at
the run's end, the last paragraphs are looked at too, and no paragraph is left out of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from octavo.chunkers._support.model_boundaries import (
    await_proposal,
    find_paragraph_starts,
    split_at_places,
    split_into_spans,
)
from octavo.errors import UsageError
from octavo.protocols import JsonSchema, PromptMark, PromptRef
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.note import Prediction

__all__ = ["CHUNKER", "Shift"]


_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {"paragraph": {"type": "integer", "minimum": 1, "maximum": 9999}},
    "required": ["paragraph"],
    "additionalProperties": False,
}


class Shift(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    window: int = Field(
        550, ge=64, description="tokens of paragraphs that one call sees, but at least two of them"
    )
    prompt: Annotated[PromptRef, PromptMark("paragraphs")] = Field(
        "chunk/shift", description="the prompt; it sees `paragraphs`, a list of texts"
    )


async def _run(
    document: Document, options: Shift, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'shift' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    spans = split_into_spans(document, find_paragraph_starts(document))
    counts = counter.count_batch([document.slice(span) for span in spans])
    prompt = work.prompt(options.prompt)
    chosen: list[int] = []
    start = 0
    while (end := _find_run_end(counts, start, options.window)) - start >= 2:
        call = work.ask(
            prompt,
            {"paragraphs": [document.slice(span) for span in spans[start:end]]},
            tokens=20,
            schema=_SCHEMA,
            node=f"from character {spans[start].start}",
            levels=work.after,
            check=lambda record, count=end - start: _find_faults(record, count),
        )
        answer = await await_proposal(call, work, fallback="the run is one chunk")
        if answer is None:
            shift = end - start + 1
        elif answer.predicted is not None or isinstance(answer.value, str):
            shift = 2 if answer.predicted is Prediction.LONG else end - start + 1
        else:
            shift = answer.value["paragraph"]
        if not 2 <= shift <= end - start:
            shift = end - start + 1
        if (at := start + shift - 1) >= len(spans):
            break
        chosen.append(spans[at].start)
        start = at
    return split_at_places(document, chosen, options.tokens, counter)


def _find_run_end(counts: Sequence[int], start: int, room: int) -> int:
    """Return the end of the run of paragraphs that begins here."""
    end, tokens = start, 0
    while end < len(counts) and (tokens + counts[end] <= room or end - start < 2):
        tokens += counts[end]
        end += 1
    return end


def _find_faults(record: Mapping[str, Any], count: int) -> list[str]:
    # One more than there are says that nothing shifts.
    if 2 <= record["paragraph"] <= count + 1:
        return []
    return [f"there are the paragraphs 1 to {count}; name one from 2 on, or {count + 1} for none"]


CHUNKER = ChunkerType(
    name="shift",
    about="begins where a model says that the subject shifts (LumberChunker)",
    version=1,
    options=Shift,
    run=_run,
    asks=lambda _: True,
)
