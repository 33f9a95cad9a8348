"""Vectors that stand for texts, and the similarity of two of them.

A model gives embedding vectors. `to_spelling_vector` stands in for a model where none is to be
asked: texts that share many short runs of characters are near each other.
"""

from __future__ import annotations

import math
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from operator import mul
from typing import TypeAlias
from zlib import crc32

__all__ = ["Vector", "average_vectors", "compute_cosine", "to_spelling_vector", "to_vector"]


Vector: TypeAlias = "array[float]"
"""Numbers of single precision, as servers give them: a list of objects takes eight times as
much."""


def to_vector(numbers: Iterable[float]) -> Vector:
    """Return numbers as a vector."""
    return array("f", numbers)


def compute_cosine(one: Vector, other: Vector) -> float:
    """Return the cosine of the angle between two vectors, -1 to 1; 0 when one of them is zero.

    Raises ValueError for vectors of different lengths: they come from different models.
    """
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and {len(other)} numbers cannot be compared")
    lengths = math.sqrt(_multiply(one, one) * _multiply(other, other))
    return max(-1.0, min(1.0, _multiply(one, other) / lengths)) if lengths else 0.0


def average_vectors(vectors: Sequence[Vector]) -> Vector:
    """Return the mean of one or more vectors of the same length."""
    return array("f", (math.fsum(numbers) / len(vectors) for numbers in zip(*vectors, strict=True)))


def _multiply(one: Vector, other: Vector) -> float:
    return math.fsum(map(mul, one, other))


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
