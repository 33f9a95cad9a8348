"""How long a server asks to wait."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

__all__ = ["parse_number", "read_retry_after", "parse_seconds_until"]

_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_EARLIEST_DATE = 1e9
"""From here on a number is a date in seconds, not a span of them; from 1e12 in milliseconds."""


def read_retry_after(headers: Mapping[str, str], now: Callable[[], float] = time.time) -> float | None:
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
    except (ValueError, TypeError, IndexError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now)


def _read_reset(headers: Mapping[str, str], limit: str, now: float) -> float | None:
    """Return the seconds until a used-up limit is renewed."""
    if (parse_number(headers.get(f"x-ratelimit-remaining{limit}", "0")) or 0) > 0:
        return None
    return parse_seconds_until(headers.get(f"x-ratelimit-reset{limit}", ""), now)
