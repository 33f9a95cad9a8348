"""Vectors that stand for texts, and how near two of them are."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from operator import mul
from typing import TypeAlias

__all__ = ["Vector", "compute_cosine", "average_vectors", "to_vector"]

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
