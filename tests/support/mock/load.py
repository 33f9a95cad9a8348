"""How many calls a second the mock server answers: a client that does almost nothing itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

__all__ = ["ceiling"]


class _Caller(asyncio.Protocol):
    """Sends the same request again whenever an answer has come, until the time is over."""

    transport: asyncio.Transport

    def __init__(self, request: bytes, until: float) -> None:
        self._request = request
        self._until = until
        self._buffer = b""
        self.answered = 0
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        size = int(head.rpartition(b"Content-Length: ")[2].split(b"\r\n")[0])
        if len(body) < size:
            return
        self._buffer = b""
        self.answered += 1
        if time.monotonic() < self._until:
            self.transport.write(self._request)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)


async def ceiling(url: str, *, connections: int = 64, seconds: float = 3.0) -> float:
    """Return the calls a second answered to `connections` callers with prompts of 1,000 tokens."""
    parts = urlsplit(url)
    message = {"role": "user", "content": "word " * 800}
    body = orjson.dumps({"model": "mock", "max_tokens": 150, "messages": [message]})
    head = f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    loop = asyncio.get_running_loop()
    start = time.monotonic()
    callers = [
        (
            await loop.create_connection(
                lambda: _Caller(request, start + seconds), parts.hostname, parts.port
            )
        )[1]
        for _ in range(connections)
    ]
    await asyncio.gather(*(caller.closed for caller in callers))
    return sum(caller.answered for caller in callers) / (time.monotonic() - start)
