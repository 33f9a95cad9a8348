"""Make a text encodable as UTF-8: nothing else can be sent, counted, stored or printed."""

from __future__ import annotations

__all__ = ["replace_surrogates"]


def replace_surrogates(text: str) -> str:
    r"""Return a text that UTF-8 can encode: pairs of surrogates joined, lone ones as U+FFFD.

    JSON can contain lone ones (`"\ud83d"`), and so does a reply that is cut within an emoji. Every
    tokenizer works on UTF-8: one of them in a document would end a run.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
