"""Requests by aiohttp: the least processor time a call that a Python client was seen to take.

One session serves a server, with as many connections as there are calls in flight. Redirects are
not followed, cookies are not kept, and the proxy that the environment names for a server is looked
up once: aiohttp would do it for every call in a thread. The key is in each request's headers and
not in the session's, because aiohttp sends the session's headers to a proxy as well.
"""

from __future__ import annotations

import asyncio
import io
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

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
from octavo.protocols.transport import TransportReply

__all__ = ["AiohttpTransport", "Proxy", "find_proxy"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's URL without its credentials, and the value of Proxy-Authorization."""

    url: str
    authorization: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


def find_proxy(url: str) -> Proxy | None:
    """Return what HTTP_PROXY, HTTPS_PROXY and NO_PROXY (in either case) say for this URL."""
    parts = urlsplit(url)
    named = getproxies().get(parts.scheme)
    if not named or proxy_bypass(parts.netloc):
        return None
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    address = f"{proxy.scheme}://{proxy.netloc.rpartition('@')[2]}"
    if proxy.username is None:
        return Proxy(address)
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return Proxy(address, "Basic " + b64encode(pair.encode()).decode())


_CONNECT_TIMEOUT = 30.0
"""Seconds for a connection; `timeout` is the patience with an answer."""

_LARGE_BODY = 2**20
"""Bytes from which aiohttp wants a body as a file, to write it in pieces."""


class AiohttpTransport:
    """Posts and gets JSON below an endpoint's base URL; connects at the first request."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}
        self._headers: dict[str, str] = {}
        self._proxy: str | None = None
        self._proxy_headers: dict[str, str] = {}

    async def get(self, path: str) -> TransportReply:
        """Fetch a path."""
        return await self._send("GET", path, None, None)

    async def post(
        self, path: str, body: Mapping[str, Any], event: Callable[[Any], None] | None = None
    ) -> TransportReply:
        """Post a body; a stream's events go to `event`."""
        return await self._send("POST", path, encode_json(body), event)

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _send(
        self, method: str, path: str, raw: bytes | None, event: Callable[[Any], None] | None
    ) -> TransportReply:
        session = self._session or self._open_session()
        url = self._urls.get(path) or self._build_url(path)
        data = io.BytesIO(raw) if raw is not None and len(raw) > _LARGE_BODY else raw
        reader = EventReader(self._endpoint)
        # The fault is made inside and raised outside, so that it doesn't drag along a library's
        # exception with the request, its headers and the key.
        try:
            async with (
                asyncio.timeout(self._endpoint.timeout) as limit,
                session.request(
                    method,
                    url,
                    data=data,
                    headers=self._headers,
                    allow_redirects=False,
                    proxy=self._proxy,
                    proxy_headers=self._proxy_headers,
                ) as response,
            ):
                headers = {name.lower(): value for name, value in response.headers.items()}
                if event is not None and "event-stream" in headers.get("content-type", ""):
                    blocks = response.content.iter_any()
                    await read_events(blocks, reader, event, limit)
                    return TransportReply(response.status, headers, reader.body)
                body = decode_json(await response.read(), self._endpoint, event)
                return TransportReply(response.status, headers, body)
        except aiohttp.ClientSSLError:
            fault = build_tls_error(self._endpoint)
        except aiohttp.ConnectionTimeoutError:
            fault = build_connection_fault(
                self._endpoint, f"no connection within {_CONNECT_TIMEOUT:g} s"
            )
        except TimeoutError:
            if reader.done:
                return TransportReply(200, {}, None)
            fault = build_timeout_fault(self._endpoint)
        except aiohttp.ClientConnectorError as error:
            fault = build_connection_fault(
                self._endpoint, error.os_error.strerror or "no connection"
            )
        except (aiohttp.ClientError, OSError) as error:
            fault = build_connection_fault(
                self._endpoint, f"the connection broke off ({type(error).__name__})"
            )
        raise fault

    def _open_session(self) -> aiohttp.ClientSession:
        endpoint = self._endpoint
        proxy = find_proxy(endpoint.base_url)
        self._headers = {"Content-Type": "application/json", "User-Agent": "octavo"}
        self._headers |= endpoint.headers
        if endpoint.key is not None:
            self._headers["Authorization"] = f"Bearer {endpoint.key.reveal()}"
        if proxy is not None:
            self._proxy = proxy.url
            if proxy.authorization is not None:
                secure = endpoint.base_url.startswith("https:")
                target = self._proxy_headers if secure else self._headers
                target["Proxy-Authorization"] = proxy.authorization
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("Accept-Encoding",),
        )
        return self._session

    def _build_url(self, path: str) -> URL:
        url = self._urls[path] = URL(self._endpoint.base_url + path)
        return url
