"""Parse the verdict that a reply begins with: whether what it is about is relevant."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["Relevance", "parse_relevance"]


# "No trains ran." is an answer and no verdict: a word that is not in capitals needs a mark or the
# end of the line behind it.
_VERDICT = re.compile(
    r"[\s*_#>\"'`(\[]*(?:(?P<capitals>YES|NO)\b|(?P<word>[Yy]es|[Nn]o)(?=[\s*_]*(?:[#:.,;!)\]\n–—-]|$)))"  # noqa: RUF001 - the dashes that models write
    r"[\s*_#:.,;!\"'`)\]–—-]*"  # noqa: RUF001 - the same
)


@dataclass(frozen=True, slots=True)
class Relevance:
    """A verdict, or None where the text has none, and where the text after it starts."""

    relevant: bool | None
    start: int


def parse_relevance(text: str) -> Relevance:
    """Return the verdict, YES or NO, that a text begins with, marks around it left out.

    >>> parse_relevance("**YES**: She sailed in May.")
    Relevance(relevant=True, start=9)
    """
    found = _VERDICT.match(text)
    if found is None:
        return Relevance(None, 0)
    word: str = found["capitals"] or found["word"]
    return Relevance(word.lower() == "yes", found.end())
