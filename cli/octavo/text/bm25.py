"""Rank texts by the words that they share with a query: Okapi BM25, exact, over a few texts.

Robertson and Zaragoza 2009, "The Probabilistic Relevance Framework", with an inverse document
frequency that is never negative, so that a word that is in every text counts little and not
against the text. Written out because the package that does this for millions of texts brings numpy,
and a document has some hundreds of chunks.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

__all__ = ["iter_words", "score_bm25"]


_SATURATION = 1.5
_LENGTH_WEIGHT = 0.75

# Scripts that are written without spaces, or whose words carry their particles: Thai, Lao, Burmese,
# Khmer, kana, Han and Hangul.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\U00020000-\U0003ffff"
)
_RUN = re.compile(rf"(?P<dense>[{_UNSPACED}]+)|[^\W{_UNSPACED}]+")


def iter_words(text: str) -> Iterator[str]:
    """Yield the words of a text, with case and compatible forms folded.

    A run of a script without spaces gives its pairs of neighbouring characters.

    >>> list(iter_words("Ahab's Schiff 捕鲸船"))
    ['ahab', 's', 'schiff', '捕鲸', '鲸船']
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    for run in _RUN.finditer(folded):
        word = run[0]
        if run["dense"] is None or len(word) == 1:
            yield word
        else:
            yield from (word[at : at + 2] for at in range(len(word) - 1))


def score_bm25(texts: Sequence[str], query: str) -> list[float]:
    """Return the score of each text, 0 for one that has no word of the query."""
    wanted = dict.fromkeys(iter_words(query))
    lengths: list[int] = []
    found: list[Counter[str]] = []
    for text in texts:
        every = Counter(iter_words(text))
        lengths.append(every.total())
        found.append(Counter({word: every[word] for word in wanted if word in every}))
    mean = sum(lengths) / len(lengths) if any(lengths) else 1.0
    having = Counter(word for counts in found for word in counts)
    weight = {
        word: math.log1p((len(texts) - number + 0.5) / (number + 0.5))
        for word, number in having.items()
    }

    def score_text(counts: Counter[str], length: int) -> float:
        damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * length / mean)
        return math.fsum(
            weight[word] * count * (_SATURATION + 1) / (count + damping)
            for word, count in counts.items()
        )

    return [score_text(counts, length) for counts, length in zip(found, lengths, strict=True)]
