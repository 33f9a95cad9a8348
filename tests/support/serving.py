"""The mock server on loopback, in a thread of its own, for tests of any kind.

with serving(Behaviour(latency=0.01)) as server:
    octavo.run(..., base_url=server.url)
assert len(server.log) == 12
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.support.mock.answer import Answer, Call, Entry, failure
from tests.support.mock.behaviour import Behaviour
from tests.support.mock.server import MockServer

__all__ = ["Answer", "Behaviour", "Call", "Entry", "MockServer", "failure", "serving"]


@contextmanager
def serving(
    behaviour: Behaviour | None = None, answer: Callable[[Call], Answer | None] | None = None
) -> Iterator[MockServer]:
    """Serve until the block ends; `server.url` is the base URL, `server.calls` every request."""
    server = MockServer(behaviour, answer=answer, keep=True)
    loop = asyncio.new_event_loop()
    started = threading.Event()

    async def serve(stopped: asyncio.Event) -> None:
        await server.start()
        started.set()
        await stopped.wait()
        await server.stop()

    stopped = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(stopped),), daemon=True)
    thread.start()
    try:
        assert started.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        loop.close()
