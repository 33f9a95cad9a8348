"""What answers scripted calls: the shape of a handler, and two that are useful as they are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from octavo.errors import UsageError
from octavo.protocols.calls import Reply, Request

__all__ = ["Handler", "Scripted", "echo", "join_messages", "sentences", "split_sentences"]


Scripted = str | Mapping[str, Any] | Reply
"""What a handler may give: a text, a record (sent as JSON), or everything of a reply."""

Handler = Callable[[Request], Scripted | Awaitable[Scripted]]
"""Answers requests; what it raises is what the backend raises."""

_FENCED = re.compile(
    r"^<([\w-]+) ([0-9a-f]{6,})>[ \t]*\n(.*?)\n?^</\1 \2>[ \t]*$", re.MULTILINE | re.DOTALL
)
_SENTENCE_END = re.compile(
    r"(?<=[.!?\u2026])[\"')\]\u201d\u2019]*\s+"
    r"|(?<=[\u3002\uff01\uff1f])[\u300d\u300f\u201d]*\s*"
    r"|\n\s*\n"
)


def join_messages(request: Request) -> str:
    """Return the contents of a request's messages, joined by empty lines."""
    return "\n\n".join(message.content for message in request.messages)


def echo(request: Request) -> str:
    """Answer with the fenced texts of the prompt, or its last message when nothing is fenced."""
    return "\n\n".join(_find_fenced_texts(request))


_MODULE = echo.__module__ = "octavo.backends.handlers"
"""The handlers' module in keys, wherever they are: with another one, replies would be asked for
again."""


def sentences(count: int) -> Callable[[Request], str]:
    """Return a handler that summarizes by the first `count` sentences of the fenced texts.

    Several texts take turns, so that each is heard if `count` allows; the sentences keep the
    order of the prompt. Summaries of summaries stay as short, however long the document.
    """
    if count < 1:
        raise UsageError(f"sentences({count}) would leave nothing to say")

    def summarize(request: Request) -> str:
        parts = [split_sentences(text) for text in _find_fenced_texts(request)]
        turns = sorted(
            (turn, part)
            for part, sentences_of_part in enumerate(parts)
            for turn in range(len(sentences_of_part))
        )
        return " ".join(
            parts[part][turn] for part, turn in sorted((p, t) for t, p in turns[:count])
        )

    # The count is part of what the handler is, and handlers are told apart by their name.
    summarize.__qualname__ = f"sentences({count})"
    summarize.__module__ = _MODULE
    return summarize


def split_sentences(text: str) -> list[str]:
    """Return the sentences of a text, roughly, each on one line."""
    pieces: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        pieces.append(text[start : end.end()])
        start = end.end()
    pieces.append(text[start:])
    joined = (" ".join(piece.split()) for piece in pieces)
    return [piece for piece in joined if piece]


def _find_fenced_texts(request: Request) -> list[str]:
    """Return what the prompt's fences hold, in order; its last message when it has none."""
    fenced = [found[3] for found in _FENCED.finditer(join_messages(request))]
    return fenced or [message.content for message in request.messages[-1:]]
