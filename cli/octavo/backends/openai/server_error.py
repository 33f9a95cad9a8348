"""What a server's error says: its status, its codes, its message and the wait that it asks for.

Servers put these into different places of the body. This is the only module that knows the places,
and a reply is searched once.
"""

from __future__ import annotations

import json
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

_MAX_WORDS = 8_000
_MAX_LEVELS = 4
"""Errors within errors that are read: gateways wrap what providers say, as objects or as JSON."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """What a server's error says.

    `status` is the error's own where it came under a status of success, which `http_status` keeps.
    `codes` are in lower case; `words` are one line, empty without any. `fields` are the paths of
    what the server complains about; `is_flagged` says that it gave reasons of moderation, and
    `quotas` are the names of those that are used up, where it names them.
    """

    status: int
    http_status: int
    codes: frozenset[str]
    words: str
    fields: tuple[str, ...]
    is_flagged: bool
    quotas: tuple[str, ...]
    retry_after: float | None
    limits: tuple[RateLimit, ...]

    @property
    def message(self) -> str:
        """The server's words, or as many of them as a message quotes."""
        words = self.words
        return words if len(words) <= _MAX_MESSAGE else words[:_MAX_MESSAGE] + "…"


def parse_server_error(reply: TransportReply) -> ServerError | None:
    """Return the error of a reply, redirects included, or None when the reply is none."""
    error = _find_error(reply.body)
    if reply.status < 300 and not error:
        return None
    levels = _find_levels(error)
    listed = (as_list(level.get("detail")) or as_list(level.get("message")) for level in levels)
    details = [as_object(each) for entries in listed for each in entries]
    parts = [part for detail in details for part in as_list(detail.get("loc"))]
    more = [as_object(each) for level in levels for each in as_list(level.get("details"))]
    violations = [as_object(each) for detail in more for each in as_list(detail.get("violations"))]
    names = [as_text(level.get(name)) for level in levels for name in ("code", "type", "status")]
    wait = _read_retry_delay(more)
    return ServerError(
        status=reply.status if reply.status >= 300 else _read_own_status(error),
        http_status=reply.status,
        codes=frozenset(name.lower() for name in names) - {""},
        words=_read_words(levels, details, reply.body),
        fields=(
            *(as_text(level.get("param")) for level in levels),
            *(part for part in parts if isinstance(part, str)),
        ),
        is_flagged=any(as_object(level.get("metadata")).get("reasons") for level in levels),
        quotas=tuple(as_text(each.get("quotaId")) for each in violations),
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


def _find_levels(error: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return an error and those within it, from the outside inwards."""
    levels = [error]
    for level in levels:
        raw = as_object(level.get("metadata")).get("raw")
        for value in (level.get("message"), level.get("detail"), raw):
            if (inner := _read_inner(value)) and len(levels) < _MAX_LEVELS:
                levels.append(as_object(inner.get("error")) or inner)
    return levels


def _read_inner(value: object) -> Mapping[str, Any]:
    """Return the object that a value is or says as JSON, or an empty one."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return {}
        value = get_first_object(value) or value
    return as_object(value)


def _read_words(
    levels: list[Mapping[str, Any]], details: list[Mapping[str, Any]], body: object
) -> str:
    """Return a server's own words for an error, on one line, without control characters."""
    said = [as_text(level.get("message")) or as_text(level.get("detail")) for level in levels]
    words = " ".join(each for each in said if each and not _read_inner(each))
    for detail in details:
        path = ".".join(str(part) for part in as_list(detail.get("loc")))
        words += f" {path}: {as_text(detail.get('msg'))}"
    words = (words or (body if isinstance(body, str) else ""))[:_MAX_WORDS]
    line = "".join(character if character.isprintable() else " " for character in words)
    return " ".join(line.split())


def _read_retry_delay(details: list[Mapping[str, Any]]) -> float | None:
    """Return the wait that Google's servers put into the body, in seconds."""
    for detail in details:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", as_text(detail.get("retryDelay")))
        if match:
            return float(match[1])
    return None
