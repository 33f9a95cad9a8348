"""Text that remembers where it was taken from.

Prompts repeat what already stands elsewhere: a document's text, an earlier reply. The journal
stores such a piece as a reference, so a prompt costs what is new in it.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, Self

__all__ = ["Quote", "QuoteOrigin", "to_row_id"]


def to_row_id(digest: str | bytes) -> int:
    """Return the first 8 bytes of a digest as a signed integer, which SQLite stores as a rowid."""
    head = bytes.fromhex(digest[:16]) if isinstance(digest, str) else digest[:8]
    return int.from_bytes(head, "big", signed=True)


class QuoteOrigin(NamedTuple):
    """Where a quote begins: in the text of a document or of a call's reply.

    `id` is the first 8 bytes of the document's hash or the call's key, as an integer; `start` is
    in characters.
    """

    kind: Literal["text", "call"]
    id: int
    start: int


class Quote(str):
    """A string with its origin; any operation on it gives an ordinary string."""

    __slots__ = ("origin",)
    origin: QuoteOrigin

    def __new__(cls, text: str, origin: QuoteOrigin) -> Self:
        """Make a quote of `text`, which stands at `origin`."""
        self = super().__new__(cls, text)
        self.origin = origin
        return self

    def __reduce__(self) -> tuple[type[Self], tuple[str, QuoteOrigin]]:
        return type(self), (str(self), self.origin)
