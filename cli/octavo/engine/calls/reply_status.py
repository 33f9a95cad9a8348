"""The status of a reply: whole, cut, refused or empty."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from octavo.errors import Outcome, ReplyError
from octavo.protocols import Finish, Reply

__all__ = [
    "ReplyStatus",
    "describe_cut",
    "find_complete_end",
    "is_over_limit",
    "make_cut_error",
    "make_refusal_error",
    "reply_status",
]


_SENTENCE_END = re.compile(r"[.!?…。！？]+[\"'”’»)\]）」』]*(?=\s|$|[^\x00-\x7f])")  # noqa: RUF001 - the CJK forms


class ReplyStatus(Enum):
    """What a reply is worth."""

    WHOLE = auto()
    CUT = auto()
    REFUSED = auto()
    EMPTY = auto()


def reply_status(reply: Reply) -> ReplyStatus:
    """Judge a text reply."""
    if reply.finish is Finish.REFUSAL:
        return ReplyStatus.REFUSED
    if not reply.text.strip():
        return ReplyStatus.EMPTY
    return ReplyStatus.CUT if reply.finish is Finish.LENGTH else ReplyStatus.WHOLE


def find_complete_end(text: str) -> int:
    """Return the length in characters of a cut text up to its last complete sentence, or 0.

    Where no sentence ends, as in a list, it is up to the last complete line.
    """
    ends: Sequence[re.Match[str]] = list(_SENTENCE_END.finditer(text))
    return ends[-1].end() if ends else len(text[: text.rfind("\n") + 1].rstrip())


def is_over_limit(reply: Reply, tokens: int) -> bool:
    """Tell whether a server let a reply grow beyond its bound."""
    usage = reply.usage
    return usage.completion is not None and usage.completion - (usage.reasoning or 0) > tokens


def describe_cut(reply: Reply, tokens: str) -> str:
    """Return where a reply was cut: at so many tokens, or by what the server had a word for."""
    reason = reply.finish_reason
    return f"by the server (finish reason: {reason})" if reason else f"at {tokens} tokens"


def make_cut_error(reply: Reply, tokens: int) -> ReplyError:
    """Return the error of a reply of which nothing is whole at so many tokens."""
    return ReplyError(
        f"the reply was cut {describe_cut(reply, str(tokens))}",
        outcome=Outcome.TRUNCATED,
        hint=None if reply.finish_reason else "raise `tokens` of the step",
    )


def make_refusal_error() -> ReplyError:
    """Return the error of a reply that is a refusal."""
    return ReplyError("the model refused to answer", outcome=Outcome.REFUSED)
