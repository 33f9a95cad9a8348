"""The proxy that the environment names for a server."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Proxy", "find_proxy"]


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
    found = urlsplit(named if "://" in named else f"http://{named}")
    plain = f"{found.scheme}://{found.netloc.rpartition('@')[2]}"
    if found.username is None:
        return Proxy(plain)
    pair = f"{unquote(found.username)}:{unquote(found.password or '')}"
    return Proxy(plain, "Basic " + b64encode(pair.encode()).decode())
