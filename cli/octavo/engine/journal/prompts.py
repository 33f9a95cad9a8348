"""How a prompt is stored: its new text, and references to text that is stored elsewhere.

A packed prompt is a list of parts for each message: a short string is itself; a number is a stored
text; a list `[kind, id, start, length]` is a piece of a document (kind 0) or of a reply (kind 1).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import orjson

from octavo.protocols import Message
from octavo.text.document import Document
from octavo.text.quote import Quote, to_row_id

__all__ = ["PackedPrompt", "find_quotes", "pack", "unpack"]


_INLINE = 96
"""Characters up to which a piece is cheaper inside the prompt than as a text of its own."""

_BLOCK = 1024
"""Characters after which the line ends a stored text; prompts then share what a text grew from."""

_KINDS = {"text": 0, "call": 1}


@dataclass(frozen=True, slots=True)
class PackedPrompt:
    """A packed prompt: its id, its body, and the texts that it refers to and may be new with it."""

    id: int
    body: bytes
    texts: Mapping[int, str] = field(default_factory=dict[int, str])


def find_quotes(variables: Mapping[str, object]) -> list[Quote]:
    """Return the quotes among a prompt's variables, in lists too, in order."""
    found: list[Quote] = []
    for value in variables.values():
        if isinstance(value, Quote):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            items = cast("Iterable[object]", value)
            found.extend(item for item in items if isinstance(item, Quote))
    return found


def pack(
    messages: Sequence[Message], quotes: Sequence[Quote], *, document: Document | None = None
) -> PackedPrompt:
    """Pack messages, replacing each quote that stands in them by its reference.

    Where one stands in `document`, its text is among those that the prompt refers to.

    Newlines around a quote are not part of it: fences drop them.
    """
    texts: dict[int, str] = {}
    packed: list[list[object]] = []
    left = [(quote, quote.strip("\r\n")) for quote in quotes if len(quote) > _INLINE]
    for message in messages:
        parts: list[object] = [message.role]
        position = 0
        for entry in list(left):
            quote, core = entry
            at = message.content.find(core, position)
            if at < 0:
                continue
            left.remove(entry)
            _add_literal(message.content[position:at], parts, texts)
            origin = quote.origin
            if document is not None and origin == ("text", to_row_id(document.hash), origin.start):
                texts[origin.id] = document.text
            start = origin.start + quote.index(core)
            parts.append([_KINDS[origin.kind], origin.id, start, len(core)])
            position = at + len(core)
        _add_literal(message.content[position:], parts, texts)
        packed.append(parts)
    body = orjson.dumps(packed)
    return PackedPrompt(to_row_id(hashlib.sha256(body).digest()), body, texts)


def unpack(body: bytes, text: Callable[[int, int], str]) -> tuple[Message, ...]:
    """Return the messages of a packed prompt; `text(kind, id)` gives a stored text or reply."""
    messages: list[Message] = []
    for role, *parts in orjson.loads(body):
        content: list[str] = []
        for part in parts:
            match part:
                case str():
                    content.append(part)
                case int():
                    content.append(text(0, part))
                case [kind, number, start, length]:
                    content.append(text(kind, number)[start : start + length])
                case _:
                    raise ValueError(part)
        messages.append(Message(role, "".join(content)))
    return tuple(messages)


def _add_literal(piece: str, parts: list[object], texts: dict[int, str]) -> None:
    """Add a literal: its last and first line may hold a fence's marker, which differs per call."""
    first = piece.find("\n") + 1
    last = piece.rfind("\n", 0, len(piece) - 1) + 1
    head = piece[:first] if 0 < first <= _INLINE else ""
    tail = piece[last:] if last > len(head) and len(piece) - last <= _INLINE else ""
    if len(piece) <= _INLINE:
        head, tail = piece, ""
    _add_piece(head, parts, texts)
    for block in _split_blocks(piece[len(head) : len(piece) - len(tail)]):
        _add_piece(block, parts, texts)
    _add_piece(tail, parts, texts)


def _split_blocks(text: str) -> Iterator[str]:
    """Cut a text at ends of lines: a text that grew from another has all its blocks but the last.

    Without that, a memory that is shown with every part of a document would be stored as often.
    """
    start = 0
    while len(text) - start > _BLOCK:
        end = text.find("\n", start + _BLOCK - 1) + 1 or len(text)
        yield text[start:end]
        start = end
    yield text[start:]


def _add_piece(piece: str, parts: list[object], texts: dict[int, str]) -> None:
    """Add a piece as it is where it is short, else as a stored text."""
    if len(piece) > _INLINE:
        number = to_row_id(hashlib.sha256(piece.encode("utf-8", "surrogatepass")).digest())
        texts[number] = piece
        parts.append(number)
    elif piece:
        parts.append(piece)
