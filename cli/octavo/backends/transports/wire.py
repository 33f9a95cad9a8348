"""Encodes and decodes JSON and server-sent events, and builds the errors for lost requests."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterable, Callable
from typing import Any

import orjson

from octavo.config.endpoint import Endpoint
from octavo.errors import UnreachableError
from octavo.protocols.backends import Transient

__all__ = [
    "EventReader",
    "build_connection_fault",
    "build_timeout_fault",
    "build_tls_error",
    "decode_json",
    "encode_json",
    "read_events",
]


_CLOSE_TIMEOUT = 1.0
"""Seconds for a stream to end after its last event, so that its connection can be used again."""

_STREAM_START = re.compile(rb"\s*(?:(?:data|event|id|retry)\s*)?:")
_CLOSING_MARKS = re.compile(r"(?:\s*data:\s*\[DONE\])+\s*")


def encode_json(body: object) -> bytes:
    """Return a body as JSON.

    A lone surrogate, which no UTF-8 can say, is sent as its JSON escape.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return json.dumps(body).encode()


def decode_json(raw: bytes, endpoint: Endpoint, event: Callable[[Any], None] | None = None) -> Any:  # noqa: ANN401 - JSON
    """Return a body's JSON, or its text when it is none: pages of proxies, say.

    With `event`, of a stream that was not called one the events are handed on, and None is
    returned.

    NaN and Infinity, which some servers write, are read, and a byte order mark before the JSON and
    a stream's closing mark behind it are not; nor is a key that the server quotes.
    """
    raw = endpoint.scrub(raw)
    if event is not None and _STREAM_START.match(raw):
        reader = EventReader(endpoint)
        if events := reader.feed(raw) + reader.finish():
            for each in [*events, None] if reader.done else events:
                event(each)
            return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace")
    start = text.lstrip("\ufeff \t\r\n")
    try:
        value, end = json.JSONDecoder().raw_decode(start)
    except (ValueError, RecursionError):
        return text
    rest = start[end:]
    return value if not rest.strip() or _CLOSING_MARKS.fullmatch(rest) else text


class EventReader:
    """Takes a stream's bytes as they come and gives the JSON of its events.

    `done` is set by the closing `[DONE]`. Lines end with LF or CRLF, comments and other fields
    are skipped, several data lines are one event, or one each where the empty lines are missing.
    What begins as JSON is no stream: it is the `body`. Raises Transient for an event that is no
    JSON.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._rest = b""
        self._data: list[bytes] = []
        self._is_stream: bool | None = None
        self.done = False

    @property
    def body(self) -> Any:  # noqa: ANN401 - JSON
        """The JSON of what is no stream; None for a stream."""
        return decode_json(self._rest, self.endpoint) if self._is_stream is False else None

    def feed(self, data: bytes) -> list[Any]:
        """Return the events that these bytes complete."""
        if self._is_stream is None and (start := (self._rest + data).lstrip()):
            self._is_stream = start[:1] not in b"{["
        if self._is_stream is False:
            self._rest += data
            return []
        *lines, self._rest = (self._rest + data).split(b"\n")
        events: list[Any] = []
        for line in lines:
            text = line.rstrip(b"\r")
            if text.startswith(b"data:"):
                self._data.append(text[5:].strip())
            elif not text and self._data:
                events += self._complete_event()
        return events

    def finish(self) -> list[Any]:
        """Return the event that the stream's end completes, when its empty line is missing."""
        return self.feed(b"\n\n")

    def _complete_event(self) -> list[Any]:
        lines, self._data = self._data, []
        if lines[-1] == b"[DONE]":
            self.done = True
            lines.pop()
        if not lines:
            return []
        event = decode_json(b"\n".join(lines), self.endpoint)
        events = [event]
        if isinstance(event, str):
            events = [decode_json(line, self.endpoint) for line in lines]
        if any(isinstance(each, str) for each in events):
            raise Transient("the server sent an event that is no JSON", kind="server")
        return events


async def read_events(
    blocks: AsyncIterable[bytes],
    reader: EventReader,
    event: Callable[[Any], None],
    limit: asyncio.Timeout,
) -> None:
    """Hand a stream's events on as they come, and None for its closing `[DONE]`.

    Each event renews the endpoint's patience; comments, which some servers send to keep the
    connection alive, don't.
    """
    timeout = reader.endpoint.timeout
    now = asyncio.get_running_loop().time
    async for block in blocks:
        if reader.done:
            continue
        events = reader.feed(block)
        for each in events:
            event(each)
        if reader.done:
            event(None)
            limit.reschedule(now() + _CLOSE_TIMEOUT)
        elif events:
            limit.reschedule(now() + timeout)
    if not reader.done:
        for each in reader.finish():
            event(each)
        if reader.done:
            event(None)


def build_timeout_fault(endpoint: Endpoint) -> Transient:
    """Return the fault of a server that did not answer in time."""
    return Transient(f"{endpoint.netloc}: no answer for {endpoint.timeout:g} s", kind="timeout")


def build_connection_fault(endpoint: Endpoint, why: str) -> Transient:
    """Return the fault of a connection that could not be made or was lost."""
    return Transient(f"{endpoint.netloc}: {why}", kind="connection")


def build_tls_error(endpoint: Endpoint) -> UnreachableError:
    """Return the error of a server with which no secure connection can be made."""
    return UnreachableError(
        f"{endpoint.netloc}: no secure connection, its certificate or protocol is not accepted",
        hint="check https or http in base_url; SSL_CERT_FILE names a file of further certificates",
    )
