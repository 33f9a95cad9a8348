"""Chunks that end where a model is least surprised by a sentence (Meta-Chunking).

After the perplexity chunking of Meta-Chunking (Zhao et al. 2024, arXiv 2410.12788): a sentence that
the text before it makes likely ends a thought, so a local minimum of the sentences' mean surprise
ends a chunk; small chunks are then merged. The paper reads with a sliding window of the model's
memory; here the text is scored in blocks side by side, each after the block before it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from math import fsum

from pydantic import Field

from octavo.chunkers._support.model_boundaries import (
    find_sentence_boundaries,
    group_windows,
    merge_small,
    split_at_places,
    split_into_spans,
)
from octavo.errors import UsageError
from octavo.protocols.ask import Answer
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.span import Span, describe_spans

__all__ = ["CHUNKER", "Perplexity", "compute_threshold", "find_minima"]


_MIN_MINIMA = 100
"""Minima after which a dynamic threshold holds, as in the paper."""


class Perplexity(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    least: int = Field(
        200, ge=0, description="chunks below so many tokens are joined on, if both fit"
    )
    threshold: float | None = Field(
        0.0,
        ge=0,
        description="how far the surprise must fall, in nats a token; null finds it from the text",
    )
    block: int = Field(
        1000, ge=64, description="tokens that one call scores, after as many before them"
    )


async def _run(
    document: Document, options: Perplexity, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'perplexity' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    places = await asyncio.to_thread(find_sentence_boundaries, document)
    spans = split_into_spans(document, places)
    counts = counter.count_batch([document.slice(span) for span in spans])
    runs = group_windows(counts, options.block)
    blocks = [Span(spans[run[0]].start, spans[run[-1]].end) for run in runs]
    pending = [
        work.ask.score(
            document.slice(block),
            given=document.slice(before) if before else "",
            node=describe_spans((block,)),
            levels=work.after,
        )
        for before, block in zip([None, *blocks], blocks, strict=False)
    ]
    answers = [await each.reply for each in pending]
    predicted = next((answer.predicted for answer in answers if answer.predicted), None)
    if predicted is None:
        surprises = _compute_surprises(spans, blocks, answers)
        minima = find_minima(surprises)
        threshold = compute_threshold(minima) if options.threshold is None else options.threshold
        chosen = [places[at] for at, fall in minima if fall >= threshold]
    else:
        chosen = places if predicted is Prediction.LONG else []
    chosen = merge_small(document, chosen, counter, least=options.least, most=options.tokens)
    return split_at_places(document, chosen, options.tokens, counter)


def _compute_surprises(
    spans: Sequence[Span], blocks: Sequence[Span], answers: Sequence[Answer]
) -> list[float]:
    """Return the mean surprise of the tokens of each sentence, in nats."""
    starts = [span.start for span in spans]
    found: list[list[float]] = [[] for _ in spans]
    for block, answer in zip(blocks, answers, strict=True):
        # A first token may begin before the block; the last ones end with it.
        at = block.end - sum(len(token.token) for token in answer.logprobs)
        for token in answer.logprobs:
            middle = min(max(at + len(token.token) // 2, block.start), block.end - 1)
            found[bisect_right(starts, middle) - 1].append(-token.logprob)
            at += len(token.token)
    return [fsum(each) / len(each) if each else 0.0 for each in found]


def find_minima(values: Sequence[float]) -> list[tuple[int, float]]:
    """Return the inner local minima of a sequence and how far each lies below a neighbour.

    A minimum that the next value equals counts, too. The larger of the two falls is returned.
    """
    found: list[tuple[int, float]] = []
    for at in range(1, len(values) - 1):
        before, here, after = values[at - 1 : at + 2]
        if here < before and here < after:
            found.append((at, max(before - here, after - here)))
        elif here < before and here == after:
            found.append((at, before - here))
    return found


def compute_threshold(minima: Sequence[tuple[int, float]]) -> float:
    """Return a threshold from the text itself: the least fall among its first hundred minima."""
    return (
        min((fall for _, fall in minima[:_MIN_MINIMA]), default=0.0)
        if len(minima) >= _MIN_MINIMA
        else 0.0
    )


CHUNKER = ChunkerType(
    name="perplexity",
    about="ends with the sentences that a model finds least surprising (Meta-Chunking)",
    version=1,
    options=Perplexity,
    run=_run,
    asks=lambda _: True,
)
