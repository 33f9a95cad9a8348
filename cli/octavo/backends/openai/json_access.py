"""Reads JSON values from a server without trusting their types."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["as_count", "as_list", "as_logprob", "as_object", "as_text", "get_first_object"]


_MAX_COUNT = 2**53
"""Tokens from which a number is none that a server counted."""

_IMPOSSIBLE = -9999.0
"""The log probability that OpenAI's server tells of a token that cannot come."""


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


def as_count(value: object) -> int | None:
    """Return a number of tokens, or None for anything else, out of range or infinite as well."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if 0 <= value < _MAX_COUNT else None


def as_logprob(value: object) -> float:
    """Return a log probability, a finite one for what is out of range, or 0 for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return 0.0
    return float(value) if abs(value) < -_IMPOSSIBLE else _IMPOSSIBLE
