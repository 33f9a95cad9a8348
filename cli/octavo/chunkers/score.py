"""How good the chunks of a document are, by what can be measured without a task.

Size, cohesion, coherence and integrity of blocks are those of Adaptive Chunking (LREC 2026,
arXiv:2603.25333); clarity of borders and stickiness of chunks those of MoC (2025,
arXiv:2503.09600), by the paper's definitions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, fields

from octavo.chunkers.score_edits import SplitFunction, measure_changed
from octavo.chunkers.score_form import measure_boundaries
from octavo.chunkers.score_likelihood import SurpriseFunction, measure_clarity, measure_stickiness
from octavo.chunkers.score_meaning import EmbedFunction, measure_coherence, measure_cohesion
from octavo.errors import ContextError
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["Scores", "score_chunks"]


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of one document's chunks; None where there is nothing to measure, or no means.

    From 0 to 1, the more the better:
    `size` is the share of chunks with at least a tenth of the budget and not more than it; `fill`
    their mean share of it; `blocks` the share of paragraphs, lists, tables and code blocks that
    are whole; `sentences` and `paragraphs` the shares of borders at the end of one; `cohesion` how
    near the blocks of a chunk are to it, and `coherence` how near chunks are to those around them,
    as cosines of embeddings.

    `changed` is the mean number of chunks that an edit changes: 1 is the least. `clarity` is the
    mean perplexity of chunks behind those before them, as a share of that alone: near 1, chunks
    do without each other. `stickiness` is the structural entropy of the graph of chunks that
    explain one another: 0 is the least, and the best.
    """

    chunks: int
    size: float | None = None
    fill: float | None = None
    blocks: float | None = None
    sentences: float | None = None
    paragraphs: float | None = None
    changed: float | None = None
    cohesion: float | None = None
    coherence: float | None = None
    clarity: float | None = None
    stickiness: float | None = None

    @property
    def mean(self) -> float | None:
        """The mean of those that are known of `size`, `blocks`, `cohesion` and `coherence`.

        It is by what `split: {by: adaptive}` chooses, as in the paper.
        """
        chosen = (self.size, self.blocks, self.cohesion, self.coherence)
        known = [each for each in chosen if each is not None]
        return sum(known) / len(known) if known else None

    def as_dict(self) -> dict[str, float | None]:
        """Return all scores by name, `mean` last."""
        return {each.name: getattr(self, each.name) for each in fields(self)} | {"mean": self.mean}


async def score_chunks(
    document: Document,
    chunks: Sequence[Chunk],
    budget: int,
    *,
    split: SplitFunction | None = None,
    embed: EmbedFunction | None = None,
    surprise: SurpriseFunction | None = None,
) -> Scores:
    """Return the scores of a document's chunks, whose budget was so many tokens.

    `split` splits a document as this one was: with it, some edits are tried. `embed` gives vectors
    for texts, and `surprise` how unlikely a text is behind another one.
    """
    of = measure_boundaries(document, chunks, budget)
    return Scores(
        chunks=len(chunks),
        size=of.size,
        fill=of.fill,
        blocks=of.blocks,
        sentences=of.sentences,
        paragraphs=of.paragraphs,
        changed=await measure_changed(document, chunks, split) if split else None,
        cohesion=await _try_score(measure_cohesion(document, chunks, embed)) if embed else None,
        coherence=await _try_score(measure_coherence(document, chunks, embed)) if embed else None,
        clarity=await _try_score(measure_clarity(document, chunks, surprise)) if surprise else None,
        stickiness=await _try_score(measure_stickiness(document, chunks, surprise)) if surprise else None,
    )


async def _try_score(score: Awaitable[float | None]) -> float | None:
    """Return a score; None where a text is too long for the model that it asks."""
    try:
        return await score
    except ContextError:
        return None
