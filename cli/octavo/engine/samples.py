"""Samples of one prompt that wait to be asked for by one request."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from octavo.engine.key import compute_key
from octavo.protocols import Request, Usage

__all__ = ["can_join_samples", "compute_prompt_key", "sum_usage"]


def can_join_samples(request: Request) -> bool:
    """Tell whether other samples of a request's prompt may be asked for together with it.

    The first sample goes alone: it is that of a step that asks once, and mostly greedy, and
    greedily all samples would be the same.
    """
    return request.sample > 0 and request.temperature != 0


def compute_prompt_key(request: Request) -> bytes:
    """Return a name that requests share that differ in their sample numbers alone."""
    return compute_key(replace(request, sample=0), identity="", model="")


def sum_usage(usages: Iterable[Usage]) -> Usage:
    """Return what several replies took together; None for what one of them does not say."""
    total = Usage(0, 0, 0, 0)
    for usage in usages:
        total = Usage(
            _add_known(total.prompt, usage.prompt),
            _add_known(total.completion, usage.completion),
            _add_known(total.cached, usage.cached),
            _add_known(total.reasoning, usage.reasoning),
        )
    return total


def _add_known(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
