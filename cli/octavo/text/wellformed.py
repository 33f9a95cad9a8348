"""Text that can be encoded: nothing else can be sent, stored or printed."""

from __future__ import annotations

__all__ = ["replace_surrogates"]


def replace_surrogates(text: str) -> str:
    r"""Return a text with each half of a surrogate pair replaced by U+FFFD.

    JSON can say such halves (`"\ud83d"`), and a reply that is cut within an emoji does.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
