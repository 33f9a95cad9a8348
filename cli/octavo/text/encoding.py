"""Make a text encodable as UTF-8: nothing else can be sent, counted, stored or printed."""

from __future__ import annotations

__all__ = ["replace_surrogates"]


def replace_surrogates(text: str) -> str:
    r"""Return a text as UTF-8 can carry it: pairs of surrogates joined, lone ones as U+FFFD.

    JSON can say halves of a pair (`"\ud83d"`), and a reply that is cut within an emoji does. Every
    tokenizer here works on UTF-8; without this, one half in a document would end a run.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
