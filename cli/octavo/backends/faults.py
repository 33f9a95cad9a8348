"""What a server's refusal means for a call and for the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from octavo.backends.endpoint import Endpoint
from octavo.backends.pause import retry_after
from octavo.backends.rate_limits import rate_limits
from octavo.backends.shape import first, items, record, text
from octavo.errors import (
    AuthError,
    BackendError,
    ContextError,
    ModelError,
    OctavoError,
    QuotaError,
    RequestError,
)
from octavo.protocols.backends import Transient
from octavo.protocols.transport import TransportReply

__all__ = ["code_of", "fault", "filtered", "named", "said", "status_of", "too_long"]

_QUOTA = {
    "insufficient_quota", "insufficient_user_quota", "insufficient_balance", "billing_not_active",
    "billing_hard_limit_reached", "credit_balance_too_low", "quota_exhausted",
}  # fmt: skip
_MODEL = {"model_not_found", "invalid_model", "model_not_available", "unknown_model"}
_FILTER = {
    "content_filter", "content_policy_violation", "data_inspection_failed", "moderation_blocked",
}  # fmt: skip
_CONTEXT = {
    "context_length_exceeded", "exceed_context_size_error", "string_above_max_length",
    "context_window_exceeded",
}  # fmt: skip
_TOO_LONG = re.compile(
    r"context (?:length|size|window)|maximum model length"
    r"|(?:input|prompt)\b.{0,60}\btoo (?:long|large)"
    r"|reduce the length|exceeds? the (?:model|maximum)\b.{0,40}\b(?:length|context|input tokens)"
    r"|request too large",
    re.IGNORECASE | re.DOTALL,
)
"""Servers that give no code word it differently; only what it is is read here, no numbers."""
_REFUSED = re.compile(
    r"support|unrecogni[sz]ed|unknown|unexpected|not (?:permitted|allowed|enabled)|forbidden"
    r"|deprecated"
    r"|instead|invalid schema|must alternate|only .{0,40}roles?",
    re.IGNORECASE | re.DOTALL,
)
_ROLE = re.compile(
    r"\b(?:system|developer)\b.{0,40}\brole|\brole.{0,80}\b(?:system|developer|alternate|supported)",
    re.IGNORECASE | re.DOTALL,
)
"""The words for a role that is not taken, also those that chat templates raise."""
_WAIT = {408: "timeout", 409: "server", 425: "server", 429: "rate", 504: "timeout", 529: "rate"}
_LONGEST = 300
"""Characters of a server's own words that a message quotes."""


def status_of(reply: TransportReply) -> int:
    """Return the status, also of an error that came with status 200."""
    error = _error(reply.body)
    if reply.status >= 300 or not error:
        return reply.status
    code = error.get("code") or error.get("status")
    return code if isinstance(code, int) and 400 <= code < 600 else 500


def said(body: object) -> str:
    """Return a server's own words for an error, on one line, without control characters."""
    error = _error(body)
    words = text(error.get("message")) or text(error.get("detail"))
    for problem in items(error.get("detail")):
        place = ".".join(str(part) for part in items(record(problem).get("loc")))
        words += f" {place}: {text(record(problem).get('msg'))}"
    words = words or (body if isinstance(body, str) else "")
    plain = "".join(sign if sign.isprintable() else " " for sign in words)
    plain = " ".join(plain.split())
    return plain if len(plain) <= _LONGEST else plain[:_LONGEST] + "…"


def code_of(body: object) -> str:
    """Return a server's code for an error, in lower case; its type when it has no code."""
    error = _error(body)
    return (text(error.get("code")) or text(error.get("type"))).lower()


def too_long(reply: TransportReply) -> bool:
    """Tell whether the prompt was found too long."""
    if reply.status == 413 or _codes(reply.body) & _CONTEXT:
        return True
    return status_of(reply) in {400, 422} and bool(_TOO_LONG.search(said(reply.body)))


def filtered(reply: TransportReply) -> bool:
    """Tell whether a content filter refused the prompt."""
    flagged = record(_error(reply.body).get("metadata")).get("reasons")
    return status_of(reply) in {400, 403} and bool(flagged or _codes(reply.body) & _FILTER)


def named(reply: TransportReply, fields: Mapping[str, Any]) -> str | None:
    """Return the field of a request that the server says it does not take, if it names one.

    `system` stands for the role of that name.
    """
    words = said(reply.body)
    if status_of(reply) not in {400, 422} or too_long(reply) or not _REFUSED.search(words):
        return None
    error = _error(reply.body)
    paths = [text(error.get("param"))]
    for problem in items(error.get("detail")):
        paths += [part for part in items(record(problem).get("loc")) if isinstance(part, str)]
    for path in paths:
        field = re.split(r"[.\[]", path)[0]
        if field in fields and field != "messages":
            return field
    if _ROLE.search(words):
        return "system"
    places = {
        match.start(): match[0]
        for name in fields.keys() - {"messages", "model"}
        for match in re.finditer(rf"\b{re.escape(name)}\b", words)
    }
    return places[min(places)] if places else None


def fault(reply: TransportReply, endpoint: Endpoint, model: str) -> OctavoError | Transient:
    """Return what to raise for a reply that is an error."""
    status, codes, place = status_of(reply), _codes(reply.body), endpoint.place
    words = said(reply.body) or "no reason given"
    if status == 402 or codes & _QUOTA:
        error = QuotaError(
            f"{place}: no quota left: {words}",
            hint="add credit to the account, or choose another model with -m",
        )
    elif codes & _MODEL:
        error = ModelError(f"{place} does not have the model {model!r}: {words}")
    elif too_long(reply):
        error = ContextError(
            f"{place} found the prompt too long: {words}",
            hint="state the model's window in its profile, as window = TOKENS",
        )
    elif status in {401, 403}:
        error = _refused_key(endpoint, status)
    elif status in _WAIT or status >= 500:
        told = _told(reply.body)
        error = Transient(
            f"{place} answered {status}: {words}",
            kind=_WAIT.get(status, "server"),
            retry_after=retry_after(reply.headers) if told is None else told,
            limits=rate_limits(reply.headers),
        )
    elif status < 400:
        error = BackendError(
            f"{place} answered {status}, a redirect, which is not followed with a key",
            hint="set base_url to where it leads",
        )
    else:
        error = RequestError(f"{place} rejected the request ({status}): {words}")
    return error


def _refused_key(endpoint: Endpoint, status: int) -> AuthError:
    """Return the error that names where the key came from, and nothing of what the server said.

    Servers quote keys, whole or in part.
    """
    place, tried = endpoint.place, endpoint.source.tried
    if endpoint.key is None:
        where = f"; there is none in {tried}" if tried else ", and none is configured for it"
        hint = "name the variable that holds it with api_key_env in the profile"
        return AuthError(
            f"{place} wants a key ({status}){where}",
            hint=f"export {endpoint.source.env}=…" if endpoint.source.env else hint,
        )
    return AuthError(
        f"{place} rejected the key from {tried} ({status})",
        hint=f"check that the key is for {endpoint.host} and may use the model",
    )


def _told(body: object) -> float | None:
    """Return the wait that Google's servers put into the body, in seconds."""
    for detail in items(_error(body).get("details")):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", text(record(detail).get("retryDelay")))
        if match:
            return float(match[1])
    return None


def _codes(body: object) -> set[str]:
    error = _error(body)
    return {text(error.get(name)).lower() for name in ("code", "type", "status")} - {""}


def _error(body: object) -> Mapping[str, Any]:
    """Return the error object of a body, whichever of the usual places it is in."""
    whole = first(body) or record(body)
    error = whole.get("error")
    if isinstance(error, str):
        return {**whole, "message": text(whole.get("message")) or error}
    if error:
        return record(error)
    bad = {"detail", "message"} & whole.keys() or whole.get("object") == "error"
    return whole if bad and "choices" not in whole else {}
