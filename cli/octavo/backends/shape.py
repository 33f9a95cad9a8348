"""What a server sent, read without trusting its shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

__all__ = ["count", "first", "items", "record", "text"]


def record(value: object) -> Mapping[str, Any]:
    """Return an object, or an empty one for anything else."""
    return cast("Mapping[str, Any]", value) if isinstance(value, dict) else {}


def items(value: object) -> Sequence[Any]:
    """Return a list, or an empty one for anything else."""
    return cast("Sequence[Any]", value) if isinstance(value, list) else ()


def first(value: object) -> Mapping[str, Any]:
    """Return the first object of a list, or an empty one."""
    return record(next(iter(items(value)), None))


def text(value: object) -> str:
    """Return a text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def count(value: object) -> int | None:
    """Return a number of tokens, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        return None
    return int(value)
