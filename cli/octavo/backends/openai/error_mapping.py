"""What a server's error means for a call and for the run: which exception is raised for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from octavo.backends.openai.json_access import as_list, as_object, as_text
from octavo.backends.openai.rate_limit_headers import read_rate_limits, read_retry_after
from octavo.backends.openai.server_error import (
    find_error,
    read_codes,
    read_message,
    read_retry_delay,
    read_status,
)
from octavo.config.endpoint import Endpoint
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

__all__ = ["build_exception", "find_refused_field", "is_filtered", "is_too_long"]


_QUOTA_CODES = {
    "insufficient_quota", "insufficient_user_quota", "insufficient_balance", "billing_not_active",
    "billing_hard_limit_reached", "credit_balance_too_low", "quota_exhausted",
}  # fmt: skip
_MODEL_CODES = {"model_not_found", "invalid_model", "model_not_available", "unknown_model"}
_FILTER_CODES = {
    "content_filter", "content_policy_violation", "data_inspection_failed", "moderation_blocked",
}  # fmt: skip
_CONTEXT_CODES = {
    "context_length_exceeded", "exceed_context_size_error", "string_above_max_length",
    "context_window_exceeded",
}  # fmt: skip
_TOO_LONG_WORDS = re.compile(
    r"context (?:length|size|window)|maximum model length"
    r"|(?:input|prompt)\b.{0,60}\btoo (?:long|large)"
    r"|reduce the length|exceeds? the (?:model|maximum)\b.{0,40}\b(?:length|context|input tokens)"
    r"|request too large",
    re.IGNORECASE | re.DOTALL,
)
"""Servers that give no code word it differently; only what it is is read here, no numbers."""

_REFUSED_WORDS = re.compile(
    r"support|unrecogni[sz]ed|unknown|unexpected|not (?:permitted|allowed|enabled)|forbidden"
    r"|deprecated"
    r"|instead|invalid schema|must alternate|only .{0,40}roles?",
    re.IGNORECASE | re.DOTALL,
)
_ROLE_WORDS = re.compile(
    r"\b(?:system|developer)\b.{0,40}\brole|\brole.{0,80}\b(?:system|developer|alternate|supported)",
    re.IGNORECASE | re.DOTALL,
)
"""The words for a role that is not taken, also those that chat templates raise."""

_TRANSIENT_KINDS = {
    408: "timeout",
    409: "server",
    425: "server",
    429: "rate",
    504: "timeout",
    529: "rate",
}


def is_too_long(reply: TransportReply) -> bool:
    """Tell whether the prompt was found too long."""
    if reply.status == 413 or read_codes(reply.body) & _CONTEXT_CODES:
        return True
    return read_status(reply) in {400, 422} and bool(
        _TOO_LONG_WORDS.search(read_message(reply.body))
    )


def is_filtered(reply: TransportReply) -> bool:
    """Tell whether a content filter refused the prompt."""
    flagged = as_object(find_error(reply.body).get("metadata")).get("reasons")
    return read_status(reply) in {400, 403} and bool(
        flagged or read_codes(reply.body) & _FILTER_CODES
    )


def find_refused_field(reply: TransportReply, fields: Mapping[str, Any]) -> str | None:
    """Return the field of a request that the server says it does not take, if it names one.

    `system` stands for the role of that name.
    """
    words = read_message(reply.body)
    if (
        read_status(reply) not in {400, 422}
        or is_too_long(reply)
        or not _REFUSED_WORDS.search(words)
    ):
        return None
    error = find_error(reply.body)
    paths = [as_text(error.get("param"))]
    for problem in as_list(error.get("detail")):
        paths += [part for part in as_list(as_object(problem).get("loc")) if isinstance(part, str)]
    for path in paths:
        field = re.split(r"[.\[]", path)[0]
        if field in fields and field != "messages":
            return field
    if _ROLE_WORDS.search(words):
        return "system"
    places = {
        match.start(): match[0]
        for name in fields.keys() - {"messages", "model"}
        for match in re.finditer(rf"\b{re.escape(name)}\b", words)
    }
    return places[min(places)] if places else None


def build_exception(
    reply: TransportReply, endpoint: Endpoint, model: str
) -> OctavoError | Transient:
    """Return what to raise for a reply that is an error."""
    status, codes, place = read_status(reply), read_codes(reply.body), endpoint.netloc
    words = read_message(reply.body) or "no reason given"
    if status == 402 or codes & _QUOTA_CODES:
        error = QuotaError(
            f"{place}: no quota left: {words}",
            hint="add credit to the account, or choose another model with -m",
        )
    elif codes & _MODEL_CODES:
        error = ModelError(f"{place} does not have the model {model!r}: {words}")
    elif is_too_long(reply):
        error = ContextError(
            f"{place} found the prompt too long: {words}",
            hint="state the model's window in its profile, as window = TOKENS",
        )
    elif status in {401, 403}:
        error = _build_auth_error(endpoint, status)
    elif status in _TRANSIENT_KINDS or status >= 500:
        told = read_retry_delay(reply.body)
        error = Transient(
            f"{place} answered {status}: {words}",
            kind=_TRANSIENT_KINDS.get(status, "server"),
            retry_after=read_retry_after(reply.headers) if told is None else told,
            limits=read_rate_limits(reply.headers),
        )
    elif status < 400:
        error = BackendError(
            f"{place} answered {status}, a redirect, which is not followed with a key",
            hint="set base_url to where it leads",
        )
    else:
        error = RequestError(f"{place} rejected the request ({status}): {words}")
    return error


def _build_auth_error(endpoint: Endpoint, status: int) -> AuthError:
    """Return the error that names where the key came from, and nothing of what the server said.

    Servers quote keys, whole or in part.
    """
    place, tried = endpoint.netloc, endpoint.key_source.description
    if endpoint.key is None:
        where = f"; there is none in {tried}" if tried else ", and none is configured for it"
        hint = "name the variable that holds it with api_key_env in the profile"
        return AuthError(
            f"{place} wants a key ({status}){where}",
            hint=f"export {endpoint.key_source.env}=…" if endpoint.key_source.env else hint,
        )
    return AuthError(
        f"{place} rejected the key from {tried} ({status})",
        hint=f"check that the key is for {endpoint.host} and may use the model",
    )
