"""A note that is there already."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from octavo.text.note import Note

__all__ = ["ready"]


def ready(note: Note) -> Awaitable[Note]:
    """Return an awaitable that gives the note at once, to any number of readers."""
    future: asyncio.Future[Note] = asyncio.get_running_loop().create_future()
    future.set_result(note)
    return future
