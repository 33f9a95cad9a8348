"""Marks where a text begins and ends in a prompt, so that the text cannot end itself."""

from __future__ import annotations

import hashlib
import re

__all__ = ["fence_text"]

_FENCE_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FENCE_DIGITS = 8


def fence_text(text: str, tag: str = "text") -> str:
    """Return the text between `<tag MARK>` and `</tag MARK>`, each on a line of its own.

    The mark is taken from the hash of the text alone: an edit elsewhere changes nothing, and no
    two texts share one. It is taken again until it does not occur in the text, so that a text
    cannot be made that closes its own fence. Blank lines around the text are dropped. Raises
    ValueError for a tag that is not a word.
    """
    if not _FENCE_TAG.fullmatch(tag):
        raise ValueError(f"a fence is named by a word, not {tag!r}")
    text = text.strip("\r\n")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    while (mark := digest.hexdigest()[:_FENCE_DIGITS]) in text:
        digest.update(b"\0")
    return f"<{tag} {mark}>\n{text}\n</{tag} {mark}>"
