"""One connection to the mock server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import orjson

from .answer import Answer, Entry

if TYPE_CHECKING:
    from .server import MockServer

__all__ = ["Connection"]

REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 429: "Too Many Requests"}


class Connection(asyncio.Protocol):
    """One connection: reads a request, answers it after its time, reads the next."""

    transport: asyncio.Transport

    def __init__(self, server: MockServer, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._loop = loop
        self._buffer = b""
        self._busy: tuple[float, str, int, Answer] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._logged = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._done(0)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._busy is None:
            self._read()

    def _read(self) -> None:
        """Take one whole request off the buffer, if there is one, and start to answer it."""
        if not self._buffer[:1].isalpha():  # TLS, say
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self.transport.close()
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        fields = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        stop = end + 4 + int(headers.get("content-length", 0))
        if len(self._buffer) < stop:
            return
        raw, self._buffer = self._buffer[end + 4 : stop], self._buffer[stop:]
        server = self._server
        digest, turn, answer = server.decide(method, target, headers, raw)
        self._busy = (server.now(), digest.hex(), turn, answer)
        self._logged = method == "POST"
        server.in_flight += 1
        server.most_in_flight = max(server.most_in_flight, server.in_flight)
        if answer.never:
            return
        if answer.events is not None:
            self._stream(answer, answer.events)
        elif answer.seconds > 0:
            self._timer = self._loop.call_later(answer.seconds, self._send, answer)
        else:
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        if answer.reset:
            self.transport.abort()
            return
        body = answer.body
        raw = body if isinstance(body, bytes) else orjson.dumps(body)
        extra = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
        kind = "" if "content-type" in answer.headers else "Content-Type: application/json\r\n"
        reason = REASONS.get(answer.status, "Error")
        head = f"HTTP/1.1 {answer.status} {reason}\r\n{kind}{extra}Content-Length: {len(raw)}"
        if answer.broken:
            self.transport.write(f"{head}\r\n\r\n".encode() + raw[: len(raw) // 2])
            self._close(answer.status)
            return
        self.transport.write(f"{head}\r\n\r\n".encode() + raw)
        self._done(answer.status)
        if self._buffer:
            self._read()

    def _stream(self, answer: Answer, events: Sequence[Any]) -> None:
        """Send events spread over the answer's time, the first after its share of it."""
        lines = [b"data: " + orjson.dumps(event) + b"\n\n" for event in events]
        lines.append(b"data: [DONE]\n\n")
        if answer.broken:
            lines = lines[: len(lines) // 2]
        head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"\r\n"
        )
        chunks = [b"%x\r\n%b\r\n" % (len(line), line) for line in lines]
        first = answer.seconds * self._server.behaviour.first
        gap = (answer.seconds - first) / len(chunks)
        if answer.seconds <= 0:
            chunks, gap = [b"".join(chunks)], 0.0

        def send(place: int) -> None:
            if place == 0:
                self.transport.write(head)
            if place < len(chunks):
                self.transport.write(chunks[place])
                self._wait(gap, send, place + 1)
            elif answer.broken:
                self._close(answer.status)
            else:
                self.transport.write(b"0\r\n\r\n")
                self._done(answer.status)
                if self._buffer:
                    self._read()

        self._wait(first, send, 0)

    def _wait(self, seconds: float, action: Callable[[int], None], place: int) -> None:
        if seconds > 0:
            self._timer = self._loop.call_later(seconds, action, place)
        else:
            action(place)

    def _close(self, status: int) -> None:
        self._done(status)
        self.transport.close()

    def _done(self, status: int) -> None:
        """Log the answered call, and be ready for the next one."""
        if self._busy is None:
            return
        arrival, digest, turn, answer = self._busy
        self._busy = self._timer = None
        server = self._server
        server.in_flight -= 1
        latency = server.now() - arrival
        if self._logged:
            tokens = (answer.prompt, answer.cached, answer.reply)
            server.write(Entry(arrival, latency, digest, turn, status, answer.fault, *tokens))
