"""What the headers of a reply say: how long to wait before a retry, and what rate limits leave.

Rate limits are read in the spellings of OpenAI and those like it
(`x-ratelimit-remaining-requests`), of Anthropic (`anthropic-ratelimit-tokens-remaining`), those
with a window (`-tokens-minute`, `-req-minute`), and `x-ratelimit-remaining` or
`ratelimit-remaining` alone. The words of a header's name are a role, a kind and a window in any
order. A name with another word in it is ignored.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple

from octavo.protocols.calls import RateLimit

__all__ = ["parse_number", "parse_seconds_until", "read_rate_limits", "read_retry_after"]


_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_EARLIEST_DATE = 1e9
"""From here on a number is a date in seconds, not a span of them; from 1e12 in milliseconds."""


def read_retry_after(
    headers: Mapping[str, str], now: Callable[[], float] = time.time
) -> float | None:
    """Return the seconds that a response asks to wait, or None when it doesn't say.

    Read are `retry-after-ms`, `retry-after` (seconds or a date), and else the reset times of the
    `x-ratelimit-` limits of which nothing remains.
    """
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is not None and (seconds := parse_number(value)) is not None:
            return max(0.0, seconds * scale)
    if (date := headers.get("retry-after")) is not None:
        return _parse_http_date(date, now())
    resets = (_read_reset(headers, limit, now()) for limit in ("-requests", "-tokens", ""))
    return max((seconds for seconds in resets if seconds is not None), default=None)


def parse_number(value: str) -> float | None:
    """Return a finite number, or None for what is none."""
    try:
        found = float(value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def parse_seconds_until(value: str, now: float) -> float | None:
    """Return the seconds until a time that is written as `1m30s`, `250ms`, `12` or a date.

    Dates are ISO 8601, or seconds or milliseconds since 1970. None for anything else.
    """
    value = value.strip()
    if value and _DURATION.sub("", value) == "":
        return sum(float(count) * _UNIT_SECONDS[unit] for count, unit in _DURATION.findall(value))
    seconds = parse_number(value)
    if seconds is None:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return max(0.0, (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now)
    if seconds >= _EARLIEST_DATE:
        seconds = (seconds / 1000 if seconds >= _EARLIEST_DATE * 1000 else seconds) - now
    return max(0.0, seconds)


def _parse_http_date(date: str, now: float) -> float | None:
    from email.utils import parsedate_to_datetime  # noqa: PLC0415 - many modules, seldom needed

    try:
        moment = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


def _read_reset(headers: Mapping[str, str], limit: str, now: float) -> float | None:
    """Return the seconds until a used-up limit is renewed."""
    if (parse_number(headers.get(f"x-ratelimit-remaining{limit}", "0")) or 0) > 0:
        return None
    return parse_seconds_until(headers.get(f"x-ratelimit-reset{limit}", ""), now)


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
    by_kind: dict[tuple[_StatedKind, str], dict[str, str]] = {}
    for header, value in headers.items():
        if "ratelimit" in header and (name := _parse_header_name(header)) is not None:
            by_kind.setdefault((name.kind, name.window), {})[name.role] = value
    return tuple(
        found_limit
        for (kind, window), values in by_kind.items()
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
    stated: _StatedKind, window: str, values: Mapping[str, str], now: float
) -> RateLimit | None:
    kind = stated or "requests"
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
        period=_PERIODS.get(window, 60.0 if stated else None),
    )
