"""What a server's error says: its status, its codes, its message and the wait that it asks for.

Servers put these into different places of the body. This is the only module that knows the places,
and a reply is searched once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from octavo.backends.openai.json_access import as_list, as_object, as_text, get_first_object
from octavo.backends.openai.rate_limit_headers import read_rate_limits, read_retry_after
from octavo.protocols.calls import RateLimit
from octavo.protocols.transport import TransportReply

__all__ = ["ServerError", "parse_server_error"]


_MAX_MESSAGE = 300
"""Characters of a server's own words that a message quotes."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server's error says.

    `status` is the error's own where it came under a status of success, which `http_status` keeps.
    `codes` are in lower case; `message` is one line, empty without any words. `fields` are the
    paths of what the server complains about; `is_flagged` says that it gave reasons of moderation.
    """

    status: int
    http_status: int
    codes: frozenset[str]
    message: str
    fields: tuple[str, ...]
    is_flagged: bool
    retry_after: float | None
    limits: tuple[RateLimit, ...]


def parse_server_error(reply: TransportReply) -> ServerError | None:
    """Return the error of a reply, redirects included, or None when the reply is none."""
    error = _find_error(reply.body)
    if reply.status < 300 and not error:
        return None
    details = [as_object(each) for each in as_list(error.get("detail"))]
    parts = [part for detail in details for part in as_list(detail.get("loc"))]
    wait = _read_retry_delay(error)
    return ServerError(
        status=reply.status if reply.status >= 300 else _read_own_status(error),
        http_status=reply.status,
        codes=frozenset(as_text(error.get(name)).lower() for name in ("code", "type", "status"))
        - {""},
        message=_read_message(error, details, reply.body),
        fields=(as_text(error.get("param")), *(part for part in parts if isinstance(part, str))),
        is_flagged=bool(as_object(error.get("metadata")).get("reasons")),
        retry_after=read_retry_after(reply.headers) if wait is None else wait,
        limits=read_rate_limits(reply.headers),
    )


def _find_error(body: object) -> Mapping[str, Any]:
    """Return the error object of a body, whichever of the usual places it is in."""
    outer = get_first_object(body) or as_object(body)
    error = outer.get("error")
    if isinstance(error, str):
        return {**outer, "message": as_text(outer.get("message")) or error}
    if error:
        return as_object(error)
    is_error = {"detail", "message"} & outer.keys() or outer.get("object") == "error"
    return outer if is_error and "choices" not in outer else {}


def _read_own_status(error: Mapping[str, Any]) -> int:
    code = error.get("code") or error.get("status")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def _read_message(error: Mapping[str, Any], details: list[Mapping[str, Any]], body: object) -> str:
    """Return a server's own words for an error, on one line, without control characters."""
    words = as_text(error.get("message")) or as_text(error.get("detail"))
    for detail in details:
        path = ".".join(str(part) for part in as_list(detail.get("loc")))
        words += f" {path}: {as_text(detail.get('msg'))}"
    words = words or (body if isinstance(body, str) else "")
    line = "".join(character if character.isprintable() else " " for character in words)
    line = " ".join(line.split())
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "…"


def _read_retry_delay(error: Mapping[str, Any]) -> float | None:
    """Return the wait that Google's servers put into the body, in seconds."""
    for detail in as_list(error.get("details")):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", as_text(as_object(detail).get("retryDelay")))
        if match:
            return float(match[1])
    return None
