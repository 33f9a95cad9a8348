"""What a server's error means for a call and for the run: which exception is raised for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from octavo.backends.openai.server_error import ServerError
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

__all__ = ["build_exception", "find_refused_field", "is_filtered", "is_too_long"]


_QUOTA_CODES = {
    "insufficient_quota", "insufficient_user_quota", "insufficient_balance", "billing_not_active",
    "billing_hard_limit_reached", "credit_balance_too_low", "quota_exhausted",
}  # fmt: skip
_QUOTA_WORDS = re.compile(
    r"credit balance|insufficient (?:credits?|balance|funds)|spending limit|free-models-per-day"
    r"|(?:out of|all available|any|not enough|no|no remaining) credits|key limit exceeded"
    r"|\bquota\b.{0,200}\blimit: 0(?![.\d])|quota metric\b.{0,120}\bper day\b"
    r"|(?:credits?|balance)\b.{0,30}\b(?:exhausted|depleted|used up)"
    r"|(?:exceeded|reached) your monthly\b|余额不足|欠费|\barrearage\b"
    r"|account\b.{0,80}\bsuspended\b.{0,80}\b(?:billing|balance|payment|recharge|invoices?)",
    re.IGNORECASE | re.DOTALL,
)
"""The words of servers that tell of exhausted money as of a rate, a bad request or a bad key."""

_KEY_WORDS = re.compile(r"\b(?:sk|pk|xai|gsk)[-_]\S+|\bAIza\S+|\S*\*{3,}\S*")
"""What looks like a key or a part of one."""

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
    r"|deprecated|unavailable|not available|is allowed|strictly positive"
    r"|instead|invalid schema|must alternate|only .{0,40}roles?",
    re.IGNORECASE | re.DOTALL,
)
_BAD_VALUE_WORDS = re.compile(
    r"at most|at least|between|\brange\b|less than|greater than|m(?:ax|in)imum|[<>≤≥]"
    r"|too (?:large|small|high|low|long)",
    re.IGNORECASE,
)
"""The words for a field that is taken with another value, which is the user's to choose."""

_ROLE_WORDS = re.compile(
    r"\b(?:system|developer)[ _]?(?:instruction|message|prompt)s?\b"
    r"|\b(?:system|developer)\b.{0,40}\brole|\brole.{0,80}\b(?:system|developer|alternate|supported)",
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


def is_too_long(error: ServerError) -> bool:
    """Return whether the server found the prompt too long."""
    if error.http_status == 413 or error.codes & _CONTEXT_CODES:
        return True
    return error.status in {400, 422} and bool(_TOO_LONG_WORDS.search(error.message))


def is_out_of_quota(error: ServerError) -> bool:
    """Return whether credit, or what may be asked in a day, is used up: waiting does not help."""
    if error.status == 402 or error.codes & _QUOTA_CODES:
        return True
    if any("PerDay" in name for name in error.quotas):
        return True
    return error.status in {400, 403, 429} and bool(_QUOTA_WORDS.search(error.words))


def is_filtered(error: ServerError) -> bool:
    """Return whether a content filter refused the prompt."""
    return error.status in {400, 403} and bool(error.is_flagged or error.codes & _FILTER_CODES)


def find_refused_field(error: ServerError, request_body: Mapping[str, Any]) -> str | None:
    """Return the request field that the server says it does not accept, if it names one.

    `system` stands for the role of that name.
    """
    words, status = error.words, error.status
    if status not in {400, 422, 500} or is_too_long(error) or is_out_of_quota(error):
        return None
    is_refusal = bool(_REFUSED_WORDS.search(words))
    # A temperature of 0 is the one that servers refuse as out of range; others are the user's.
    is_bad_value = request_body.get("temperature") != 0 and _BAD_VALUE_WORDS.search(words)
    if not is_refusal and (status == 500 or is_bad_value):
        return None
    for path in error.fields:
        field = re.split(r"[.\[]", path)[0]
        if field in request_body and field != "messages":
            return field
    if is_refusal and _ROLE_WORDS.search(words):
        return "system"
    quote = r"['\"`]" if not is_refusal and status != 422 else r"\b"
    matches_by_start = {
        match.start(): name
        for name in request_body.keys() - {"messages", "model"}
        for match in re.finditer(f"{quote}{re.escape(name)}{quote}", words)
    }
    return matches_by_start[min(matches_by_start)] if matches_by_start else None


def build_exception(error: ServerError, endpoint: Endpoint, model: str) -> OctavoError | Transient:
    """Return what to raise for an error of a server."""
    status, netloc = error.status, endpoint.netloc
    message = error.message or "no reason given"
    if is_out_of_quota(error):
        exception = QuotaError(
            f"{netloc}: no quota left: {_KEY_WORDS.sub('[key]', message)}",
            hint="add credit to the account, or choose another model with -m",
        )
    elif error.codes & _MODEL_CODES:
        exception = ModelError(f"{netloc} does not have the model {model!r}: {message}")
    elif is_too_long(error):
        exception = ContextError(
            f"{netloc} found the prompt too long: {message}",
            hint="state the model's window in its profile, as window = TOKENS",
        )
    elif status in {401, 403}:
        exception = _build_auth_error(endpoint, status)
    elif status in _TRANSIENT_KINDS or status >= 500:
        exception = Transient(
            f"{netloc} answered {status}: {message}",
            kind=_TRANSIENT_KINDS.get(status, "server"),
            retry_after=error.retry_after,
            limits=error.limits,
        )
    elif status < 400:
        exception = BackendError(
            f"{netloc} answered {status}, a redirect, which is not followed with a key",
            hint="set base_url to where it leads",
        )
    else:
        exception = RequestError(f"{netloc} rejected the request ({status}): {message}")
    return exception


def _build_auth_error(endpoint: Endpoint, status: int) -> AuthError:
    """Return an AuthError that names the key's source and quotes nothing of the server's words.

    Servers quote keys, whole or in part.
    """
    netloc, tried = endpoint.netloc, endpoint.key_source.description
    if endpoint.key is None:
        where = f"; there is none in {tried}" if tried else ", and none is configured for it"
        hint = "name the variable that holds it with api_key_env in the profile"
        return AuthError(
            f"{netloc} wants a key ({status}){where}",
            hint=f"export {endpoint.key_source.env}=…" if endpoint.key_source.env else hint,
        )
    return AuthError(
        f"{netloc} rejected the key from {tried} ({status})",
        hint=f"check that the key is for {endpoint.host} and may use the model",
    )
