"""What of a text a server receives."""

from __future__ import annotations

__all__ = ["to_sendable"]


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
