"""Which of several errors at once a user should hear of."""

from __future__ import annotations

from collections.abc import Iterator

from octavo.engine.limit import Stopped
from octavo.errors import BackendError, BudgetReached, OctavoError

__all__ = ["blamed"]


def blamed(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a group that matters most.

    That is a defect of ours, then a backend that is unusable, then a budget, then whatever ended
    the document, then the stop that followed from it.
    """
    return min(_leaves(group), key=_rank)


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)  # pyright: ignore[reportUnknownArgumentType] - a group of the same
        else:
            yield error


def _rank(error: BaseException) -> int:
    if isinstance(error, Stopped):
        return 4
    if not isinstance(error, OctavoError):
        return 0
    if isinstance(error, BackendError):
        return 1
    return 2 if isinstance(error, BudgetReached) else 3
