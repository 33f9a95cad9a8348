"""Vectors by spelling: texts that share many short runs of characters are near each other."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from zlib import crc32

from octavo.text.vector import Vector, to_vector

__all__ = ["to_spelling_vector"]

_RUN_LENGTH = 3
_DIMENSIONS = 256


def to_spelling_vector(text: str) -> Vector:
    """Return a text's hashed counts of three characters in a row, as a vector of length 1.

    Case, compatible forms and white space do not count; the words' edges do. The same everywhere
    and always, so that it can stand for a model where none is to be asked: texts that share words
    are near, texts that say the same in other words are not.
    """
    folded = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    padded = f" {folded} "
    runs = Counter(padded[at : at + _RUN_LENGTH] for at in range(len(padded) - _RUN_LENGTH + 1))
    sums = [0.0] * _DIMENSIONS
    for run, count in runs.items():
        hashed = crc32(run.encode("utf-8", "surrogatepass"))
        # A sign from another bit makes runs that fall on one place cancel as often as add.
        sums[hashed % _DIMENSIONS] += math.sqrt(count) if hashed & 0x10000 else -math.sqrt(count)
    length = math.sqrt(math.fsum(each * each for each in sums))
    return to_vector(each / length if length else 0.0 for each in sums)
