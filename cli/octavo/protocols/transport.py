"""How a server is spoken to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

__all__ = ["Transport", "TransportReply"]


@dataclass(frozen=True, slots=True)
class TransportReply:
    """A server's answer: status, lower-case headers, and the parsed JSON body."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Transport(Protocol):
    """Posts JSON and reads JSON or a stream of server-sent events."""

    async def get(self, path: str) -> TransportReply:
        """Fetch a path below the base URL."""
        ...

    async def post(
        self, path: str, body: Mapping[str, Any], event: Callable[[Any], None] | None = None
    ) -> TransportReply:
        """Post a body below the base URL.

        With `event`, each event's JSON is handed to it as it arrives, None for the closing
        `[DONE]`, and the reply's body is None; a server that doesn't stream gives the body. A
        stream is known by its content type or by how it begins, whether it was asked for or not.
        Raises Transient for lost connections and timeouts.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
