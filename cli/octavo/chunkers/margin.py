"""Chunks that end where a model would rather split two sentences than keep them (Meta-Chunking).

After the margin sampling of Meta-Chunking (Zhao et al. 2024, arXiv 2410.12788), in its form that
looks at two sentences at a time: the model answers 1 to split or 2 to keep, and the difference of
the two answers' probabilities decides against a threshold, the mean of the last differences. All
calls go at the same time; the threshold is computed afterwards, in the order of the text.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import pairwise
from math import exp, fsum
from typing import Annotated

from pydantic import Field

from octavo.chunkers._support.model_boundaries import (
    await_proposal,
    find_sentence_boundaries,
    merge_small,
    split_at_places,
    split_into_spans,
)
from octavo.errors import BackendError, UsageError
from octavo.protocols import PromptMark, PromptRef
from octavo.protocols.calls import TokenLogprob
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.note import Prediction

__all__ = ["CHUNKER", "Margin", "decide_splits"]


_TOP_LOGPROBS = 20
_THRESHOLD_WINDOW = 5
"""How many differences the threshold is the mean of, as in the paper."""


class Margin(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    least: int = Field(
        200, ge=0, description="chunks below so many tokens are joined on, if both fit"
    )
    prompt: Annotated[PromptRef, PromptMark("first", "second")] = Field(
        "chunk/margin", description="the prompt; it sees `first` and `second`, two sentences"
    )
    threshold: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="split where keep is ahead by no more; unsaid, the mean of the last five",
    )


async def _run(
    document: Document, options: Margin, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'margin' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    places = await asyncio.to_thread(find_sentence_boundaries, document)
    prompt = work.prompt(options.prompt)
    pending = [
        work.ask(
            prompt,
            {"first": document.slice(first), "second": document.slice(second)},
            tokens=1,
            logprobs=_TOP_LOGPROBS,
            strict=True,
            node=f"border at character {second.start}",
            levels=work.after,
        )
        for first, second in pairwise(split_into_spans(document, places))
    ]
    fallback = "nothing is split where the model does not say"
    answers_or_none = [await await_proposal(each, work, fallback=fallback) for each in pending]
    answers = [answer for answer in answers_or_none if answer]
    predicted = next((answer.predicted for answer in answers if answer.predicted), None)
    if predicted is None:
        if answers and not any(answer.logprobs for answer in answers):
            raise BackendError(
                "the backend gives no log probabilities, which the chunker 'margin' needs",
                hint="use a backend that gives them",
            )
        leads = [_compute_lead(answer.logprobs) if answer else None for answer in answers_or_none]
        decisions = decide_splits(leads, options.threshold)
        chosen = [
            place for place, is_boundary in zip(places, decisions, strict=True) if is_boundary
        ]
    else:
        chosen = places if predicted is Prediction.LONG else []
    chosen = merge_small(document, chosen, counter, least=options.least, most=options.tokens)
    return split_at_places(document, chosen, options.tokens, counter)


def _compute_lead(tokens: Sequence[TokenLogprob]) -> float | None:
    """Return by how much `keep` is more likely than `split`, from -1 to 1.

    An answer that is not among the likeliest counts as 0. None without log probabilities.
    """
    if not tokens:
        return None
    top = {tokens[0].token: tokens[0].logprob, **dict(tokens[0].top)}
    chances = {
        word: fsum(exp(logprob) for token, logprob in top.items() if token.strip() == word)
        for word in ("1", "2")
    }
    return chances["2"] - chances["1"]


def decide_splits(leads: Sequence[float | None], threshold: float | None) -> list[bool]:
    """Return for each boundary whether to split there; never where the lead is unknown.

    Without a threshold it starts at 0 and is then the mean of the last five differences.
    """
    found: list[bool] = []
    recent: deque[float] = deque(maxlen=_THRESHOLD_WINDOW)
    for lead in leads:
        mean_lead = fsum(recent) / len(recent) if recent else 0.0
        found.append(lead is not None and lead <= (mean_lead if threshold is None else threshold))
        if lead is not None:
            recent.append(lead)
    return found


CHUNKER = ChunkerType(
    name="margin",
    about="ends where a model would rather split two sentences than keep them (Meta-Chunking)",
    version=1,
    options=Margin,
    run=_run,
    asks=lambda _: True,
)
