"""Make a text encodable as UTF-8: nothing else can be sent, counted, stored or printed."""

from __future__ import annotations

__all__ = ["replace_surrogates", "to_sendable"]


def replace_surrogates(text: str) -> str:
    r"""Return a text with each half of a surrogate pair replaced by U+FFFD.

    JSON can say such halves (`"\ud83d"`), and a reply that is cut within an emoji does.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def to_sendable(text: str) -> str:
    """Return a text as UTF-8 can carry it: pairs of surrogates joined, lone ones replaced.

    Every tokenizer here works on UTF-8, which has no half characters; without this, one such
    half in a document would end a run.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
