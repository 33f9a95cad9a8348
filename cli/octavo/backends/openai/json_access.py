"""Reads JSON values from a server without trusting their types."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["as_count", "as_list", "as_number", "as_object", "as_text", "get_first_object"]


_MAX_COUNT = 10**12
"""More tokens than any call has; sums of such numbers still fit a database."""


def as_object(value: object) -> Mapping[str, Any]:
    """Return an object, or an empty one for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def as_list(value: object) -> Sequence[Any]:
    """Return a list, or an empty one for anything else."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def get_first_object(value: object) -> Mapping[str, Any]:
    """Return the first object of a list, or an empty one."""
    return as_object(next(iter(as_list(value)), None))


def as_text(value: object) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def as_number(value: object) -> float | None:
    """Return a finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def as_count(value: object) -> int | None:
    """Return a number of tokens, or None for anything else, and for more than there can be."""
    number = as_number(value)
    return int(number) if number is not None and 0 <= number <= _MAX_COUNT else None
