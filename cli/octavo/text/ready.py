"""A note that is there already, or known to be none."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from octavo.text.note import Note

__all__ = ["to_awaitable"]


def to_awaitable(note: Note | None) -> Awaitable[Note | None]:
    """Return an awaitable that gives the note at once, to any number of readers."""
    future: asyncio.Future[Note | None] = asyncio.get_running_loop().create_future()
    future.set_result(note)
    return future
