"""What the headers of a reply say of a server's rate limits.

Read are the spellings of OpenAI and those like it (`x-ratelimit-remaining-requests`), of Anthropic
(`anthropic-ratelimit-tokens-remaining`), those with a window (`-tokens-minute`, `-req-minute`), and
`x-ratelimit-remaining` or `ratelimit-remaining` alone. The words of a header's name are a role, a
kind and a window in any order; a name with another word in it is left alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal, NamedTuple

from octavo.backends.pause import parse_number, parse_seconds_until
from octavo.protocols.calls import RateLimit

__all__ = ["read_rate_limits"]

_Kind = Literal["requests", "tokens", "input", "output"]
_StatedKind = _Kind | None
_KINDS: Mapping[str, _Kind] = {
    "requests": "requests", "request": "requests", "req": "requests", "tokens": "tokens",
    "token": "tokens", "input": "input", "prompt": "input", "output": "output",
    "generated": "output",
}  # fmt: skip
_PERIODS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86400.0,
            "1s": 1.0, "1m": 60.0, "1h": 3600.0, "1d": 86400.0}  # fmt: skip
_ROLES = {"limit", "remaining", "reset"}
_IGNORED_WORDS = {"x", "anthropic", "ratelimit"}


class _HeaderName(NamedTuple):
    """What a header's name says; the kind where it says one."""

    role: str
    kind: _StatedKind
    window: str


def read_rate_limits(
    headers: Mapping[str, str], now: Callable[[], float] = time.time
) -> tuple[RateLimit, ...]:
    """Return the rate limits that headers, in lower case, tell of, each with what remains of it.

    A limit that does not say of what it is one is of requests.
    """
    found: dict[tuple[_StatedKind, str], dict[str, str]] = {}
    for header, value in headers.items():
        if "ratelimit" in header and (name := _parse_header_name(header)) is not None:
            found.setdefault((name.kind, name.window), {})[name.role] = value
    return tuple(
        found_limit
        for (kind, window), values in found.items()
        if (found_limit := _build_rate_limit(kind, window, values, now())) is not None
    )


@lru_cache(maxsize=256)
def _parse_header_name(header: str) -> _HeaderName | None:
    role, window = "", ""
    kinds: list[_Kind] = []
    for word in header.split("-"):
        if word in _ROLES:
            role = word
        elif word in _KINDS:
            kinds.append(_KINDS[word])
        elif word in _PERIODS:
            window = word
        elif word not in _IGNORED_WORDS:
            return None
    if not role:
        return None
    # "input-tokens" are tokens of one sort.
    kinds.sort(key=lambda kind: kind == "tokens")
    kind = kinds[0] if kinds else None
    return _HeaderName(role, kind, window)


def _build_rate_limit(
    said: _StatedKind, window: str, values: Mapping[str, str], now: float
) -> RateLimit | None:
    kind = said or "requests"
    remaining = parse_number(values.get("remaining", ""))
    if remaining is None or remaining < 0:
        return None
    limit = parse_number(values.get("limit", ""))
    return RateLimit(
        kind=kind,
        name=f"{kind} {window}".strip(),
        remaining=remaining,
        limit=limit if limit and limit > 0 else None,  # some say -1 for none
        reset=parse_seconds_until(values.get("reset", ""), now),
        # Where the kind is said and no window, it is a minute, or `reset` shows that it is longer.
        period=_PERIODS.get(window, 60.0 if said else None),
    )
