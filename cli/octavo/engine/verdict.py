"""What a reply is worth: whole, cut, refused or empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from octavo.protocols import Finish, Reply

__all__ = ["Verdict", "complete_part", "verdict"]

_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]）」』]*(?=\s|$|[^\x00-\x7f])")  # noqa: RUF001 - the CJK forms


class Verdict(Enum):
    """What a reply is worth."""

    WHOLE = auto()
    CUT = auto()
    REFUSED = auto()
    EMPTY = auto()


def verdict(reply: Reply) -> Verdict:
    """Judge a text reply."""
    if reply.finish is Finish.REFUSAL:
        return Verdict.REFUSED
    if not reply.text.strip():
        return Verdict.EMPTY
    return Verdict.CUT if reply.finish is Finish.LENGTH else Verdict.WHOLE


def complete_part(text: str) -> int:
    """Return the length in characters of a cut text up to its last complete sentence, or 0.

    Where no sentence ends, as in a list, it is up to the last complete line.
    """
    ends: Sequence[re.Match[str]] = list(_SENTENCE_END.finditer(text))
    return ends[-1].end() if ends else len(text[: text.rfind("\n") + 1].rstrip())
