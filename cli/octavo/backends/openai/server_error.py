"""What a server's error says: its status, its codes, its message and the wait that it asks for.

Servers put these into different places of the body. This is the only module that knows the places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from octavo.backends.openai.json_access import as_list, as_object, as_text, get_first_object
from octavo.protocols.transport import TransportReply

__all__ = ["read_code", "read_message", "read_status"]


_MAX_MESSAGE = 300
"""Characters of a server's own words that a message quotes."""


def read_status(reply: TransportReply) -> int:
    """Return the status, also of an error that came with status 200."""
    error = find_error(reply.body)
    if reply.status >= 300 or not error:
        return reply.status
    code = error.get("code") or error.get("status")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def read_message(body: object) -> str:
    """Return a server's own words for an error, on one line, without control characters."""
    error = find_error(body)
    words = as_text(error.get("message")) or as_text(error.get("detail"))
    for problem in as_list(error.get("detail")):
        place = ".".join(str(part) for part in as_list(as_object(problem).get("loc")))
        words += f" {place}: {as_text(as_object(problem).get('msg'))}"
    words = words or (body if isinstance(body, str) else "")
    plain = "".join(sign if sign.isprintable() else " " for sign in words)
    plain = " ".join(plain.split())
    return plain if len(plain) <= _MAX_MESSAGE else plain[:_MAX_MESSAGE] + "…"


def read_code(body: object) -> str:
    """Return a server's code for an error, in lower case; its type when it has no code."""
    error = find_error(body)
    return (as_text(error.get("code")) or as_text(error.get("type"))).lower()


def read_retry_delay(body: object) -> float | None:
    """Return the wait that Google's servers put into the body, in seconds."""
    for detail in as_list(find_error(body).get("details")):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", as_text(as_object(detail).get("retryDelay")))
        if match:
            return float(match[1])
    return None


def read_codes(body: object) -> set[str]:
    error = find_error(body)
    return {as_text(error.get(name)).lower() for name in ("code", "type", "status")} - {""}


def find_error(body: object) -> Mapping[str, Any]:
    """Return the error object of a body, whichever of the usual places it is in."""
    whole = get_first_object(body) or as_object(body)
    error = whole.get("error")
    if isinstance(error, str):
        return {**whole, "message": as_text(whole.get("message")) or error}
    if error:
        return as_object(error)
    bad = {"detail", "message"} & whole.keys() or whole.get("object") == "error"
    return whole if bad and "choices" not in whole else {}
