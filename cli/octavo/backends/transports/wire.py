"""Encodes and decodes JSON and server-sent events, and builds the errors for lost requests."""

from __future__ import annotations

import asyncio
import json
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


def encode_json(body: object) -> bytes:
    """Return a body as JSON.

    A lone surrogate, which no UTF-8 can say, is sent as its JSON escape.
    """
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        return json.dumps(body).encode()


def decode_json(raw: bytes, endpoint: Endpoint) -> Any:  # noqa: ANN401 - JSON
    """Return a body's JSON, or its text when it is none: pages of proxies, say.

    NaN and Infinity, which some servers write, are read; a key that the server quotes is not.
    """
    raw = endpoint.scrub(raw)
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


class EventReader:
    """Takes a stream's bytes as they come and gives the JSON of its events.

    `done` is set by the closing `[DONE]`. Lines end with LF or CRLF, comments and other fields
    are skipped, several data lines are one event. Raises Transient for an event that is no JSON.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._rest = b""
        self._data: list[bytes] = []
        self.done = False

    def feed(self, data: bytes) -> list[Any]:
        """Return the events that these bytes complete."""
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
        data, self._data = b"\n".join(self._data), []
        if data == b"[DONE]":
            self.done = True
            return []
        event = decode_json(data, self.endpoint)
        if isinstance(event, str):
            raise Transient("the server sent an event that is no JSON", kind="server")
        return [event]


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
