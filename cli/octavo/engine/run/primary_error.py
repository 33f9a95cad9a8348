"""Which of several simultaneous errors is reported to the user."""

from __future__ import annotations

from collections.abc import Iterator

from octavo.engine.dispatch.run_limiter import RunStopped
from octavo.errors import BackendError, BudgetReached, OctavoError

__all__ = ["primary_error"]


def primary_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group that matters most.

    That is a defect of ours, then a backend that is unusable, then a budget, then whatever ended
    the document, then the stop that followed from it.
    """
    return min(_flatten(group), key=_rank)


def _flatten(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _flatten(error)  # pyright: ignore[reportUnknownArgumentType] - a group of the same
        else:
            yield error


def _rank(error: BaseException) -> int:
    if isinstance(error, RunStopped):
        return 4
    if not isinstance(error, OctavoError):
        return 0
    if isinstance(error, BackendError):
        return 1
    return 2 if isinstance(error, BudgetReached) else 3
