"""Regular expressions of others, which may be written to take for ever: compiled, and in time.

Matching ends at a time limit. Compiling has none, so what would take long to compile is refused.
"""

from __future__ import annotations

import re
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Pattern

__all__ = ["BadPattern", "compile_pattern", "search_pattern"]


_MAX_REPEATS = 10_000
_COUNTED_REPEAT = re.compile(r"\{(\d+)")


class BadPattern(ValueError):  # noqa: N818 - a property of a pattern
    """A pattern is not valid, or takes too long or too much memory; the message says which."""


@lru_cache(maxsize=256)
def compile_pattern(pattern: str, *, multiline: bool = False) -> Pattern[str]:
    """Return a compiled pattern, with `multiline` one whose `^` and `$` are those of lines.

    Raises BadPattern for one that is not valid or would take too much to compile.
    """
    import regex  # noqa: PLC0415 - few runs need it

    # The library writes counted repeats out, one inside another too, and no time limit ends that.
    if prod(max(int(times[:9]), 1) for times in _COUNTED_REPEAT.findall(pattern)) > _MAX_REPEATS:
        raise BadPattern(f"it repeats more than {_MAX_REPEATS:,} times")
    try:
        return regex.compile(pattern, regex.MULTILINE if multiline else 0)
    except regex.error as error:
        raise BadPattern(f"it is no pattern: {error}") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise BadPattern("it takes too much memory") from error


def search_pattern(pattern: str, text: str, seconds: float) -> bool:
    """Tell whether a pattern matches anywhere in a text.

    Raises BadPattern for one that cannot be used, or that takes longer.
    """
    compiled = compile_pattern(pattern)
    try:
        return compiled.search(text, timeout=seconds) is not None
    except TimeoutError as error:
        raise BadPattern("it takes too long") from error
    except (MemoryError, RecursionError) as error:
        raise BadPattern("it takes too much memory") from error
