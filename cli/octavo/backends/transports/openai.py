"""Requests by the openai package's client, through its low-level `post`.

For providers that need more of that client than a bearer key. Its typed methods, its retries and
its parsing are not used: they cost three times the processor time, and the engine retries. The
client runs on aiohttp where its vendored transport is there, else on httpx2, which it brings.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping
from typing import Any, cast

import aiohttp
import httpx2
import openai

from octavo.backends.transports.wire import (
    EventReader,
    build_connection_fault,
    build_timeout_fault,
    build_tls_error,
    decode_json,
    encode_json,
    read_events,
)
from octavo.config.endpoint import Endpoint
from octavo.errors import BackendError, OctavoError, Outcome, ReplyError
from octavo.protocols.backends import Transient
from octavo.protocols.transport import TransportReply

__all__ = ["OpenAITransport", "translate_exception"]


_CONNECT_TIMEOUT = 30.0
_MAX_CONNECTIONS = 2**16
"""Connections at most: its transport on aiohttp reads None as 100."""

_CONNECTION_ERRORS = (
    openai.APIConnectionError,
    openai.WebSocketConnectionClosedError,
    openai.WebSocketQueueFullError,
    httpx2.RequestError,
    aiohttp.ClientError,
    OSError,
)
"""What means that there was no connection, or that it broke off."""

_FINISH_ERRORS: Mapping[type[Exception], Outcome] = {
    openai.LengthFinishReasonError: Outcome.TRUNCATED,
    openai.ContentFilterFinishReasonError: Outcome.REFUSED,
}


class OpenAITransport:
    """Posts and gets JSON below an endpoint's base URL; connects at the first request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client: openai.AsyncOpenAI | None = None
        self._options: openai.RequestOptions = {}

    async def get(self, path: str) -> TransportReply:
        """Fetch a path."""
        return await self._send(path, None, None)

    async def post(
        self, path: str, body: Mapping[str, Any], event: Callable[[Any], None] | None = None
    ) -> TransportReply:
        """Post a body; a stream's events go to `event`."""
        return await self._send(path, encode_json(body), event)

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _send(
        self, path: str, raw: bytes | None, event: Callable[[Any], None] | None
    ) -> TransportReply:
        client = self._client or self._open_client()
        reader = EventReader(self._endpoint)
        # The fault is made inside and raised outside, so that it doesn't drag along a library's
        # exception with the request, its headers and the key.
        try:
            async with asyncio.timeout(self._endpoint.timeout) as limit:
                if raw is None:
                    response = await client.get(
                        path, cast_to=httpx2.Response, options=self._options
                    )
                elif event is None:
                    response = await client.post(
                        path, cast_to=httpx2.Response, content=raw, options=self._options
                    )
                else:
                    streamed: object = await client.post(
                        path,
                        cast_to=httpx2.Response,
                        content=raw,
                        options=self._options,
                        stream=True,
                        stream_cls=openai.AsyncStream[Any],
                    )
                    # With this `cast_to` the response itself comes back, streamed or not.
                    response = cast("httpx2.Response", streamed)
                    if "event-stream" in response.headers.get("content-type", ""):
                        blocks = response.aiter_bytes()
                        try:
                            await read_events(blocks, reader, event, limit)
                        finally:
                            await response.aclose()
                        return TransportReply(
                            response.status_code, dict(response.headers), reader.body
                        )
                    await response.aread()
                return _build_reply(response, self._endpoint, event)
        except TimeoutError:
            if reader.done:
                return TransportReply(200, {}, None)
            fault = build_timeout_fault(self._endpoint)
        except (openai.OpenAIError, httpx2.RequestError, aiohttp.ClientError, OSError) as error:
            fault = translate_exception(error, self._endpoint)
            if isinstance(fault, TransportReply):
                return fault
        raise fault

    def _open_client(self) -> openai.AsyncOpenAI:
        endpoint = self._endpoint
        timeout = openai.Timeout(None, connect=_CONNECT_TIMEOUT)
        limits = httpx2.Limits(
            max_connections=_MAX_CONNECTIONS, max_keepalive_connections=_MAX_CONNECTIONS
        )
        try:
            http = openai.DefaultAioHttpClient(
                timeout=timeout, limits=limits, follow_redirects=False
            )
        except RuntimeError:
            http = openai.DefaultAsyncHttpxClient(
                timeout=timeout, limits=limits, follow_redirects=False
            )
        headers: dict[str, Any] = {**endpoint.headers}
        if endpoint.key is None:
            self._options = {"headers": {"Authorization": openai.Omit()}}
        if not endpoint.from_environment:
            headers = {**_omit_ambient_headers(), **headers}
        client = self._client = openai.AsyncOpenAI(
            # Without one given, the client would send OPENAI_API_KEY to whatever server this is.
            api_key=endpoint.key.reveal() if endpoint.key is not None else "none",
            base_url=endpoint.base_url,
            max_retries=0,
            timeout=timeout,
            http_client=http,
            default_headers=headers,
        )
        if not endpoint.from_environment:
            client.organization = client.project = None
        return client


def _omit_ambient_headers() -> dict[str, openai.Omit]:
    """Return headers that keep the environment's OpenAI headers from another server."""
    lines = os.environ.get("OPENAI_CUSTOM_HEADERS", "").split("\n")
    return {line.partition(":")[0].strip(): openai.Omit() for line in lines if ":" in line}


def _build_reply(
    response: httpx2.Response, endpoint: Endpoint, event: Callable[[Any], None] | None = None
) -> TransportReply:
    body = decode_json(response.content, endpoint, event)
    return TransportReply(response.status_code, dict(response.headers), body)


def translate_exception(
    error: Exception, endpoint: Endpoint
) -> TransportReply | Transient | OctavoError:
    """Return what an exception of the client means.

    A status is a reply like any other, which the backend reads; the rest are faults. Those that
    only its typed methods raise are told too, so that none is unknown.
    """
    if isinstance(error, openai.APIStatusError):
        return _build_reply(error.response, endpoint)
    if isinstance(error, _CONNECTION_ERRORS):
        if _is_tls_failure(error):
            return build_tls_error(endpoint)
        cause = error.__cause__ or error
        return build_connection_fault(
            endpoint, f"no connection, or it broke off ({type(cause).__name__})"
        )
    if cut := _FINISH_ERRORS.get(type(error)):
        return ReplyError(f"the reply was {cut}", outcome=cut)
    if isinstance(error, openai.APIError):
        return Transient(f"{endpoint.netloc}: the reply cannot be read", kind="server")
    return BackendError(f"{endpoint.netloc}: the client failed ({type(error).__name__})")


def _is_tls_failure(error: BaseException) -> bool:
    """Tell whether TLS is at the bottom of it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
