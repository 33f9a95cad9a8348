"""The headers in which servers tell their rate limits, in the spellings that are about."""

from __future__ import annotations

import pytest

from octavo.backends.openai.rate_limit_headers import read_rate_limits
from octavo.protocols import RateLimit

NOW = 1_800_000_000.0


def read(**headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {each.name: each for each in read_rate_limits(named, now=lambda: NOW)}


def test_openai_tells_requests_and_tokens_with_the_time_until_they_are_whole():
    found = read(
        x_ratelimit_limit_requests="500",
        x_ratelimit_limit_tokens="30000",
        x_ratelimit_remaining_requests="499",
        x_ratelimit_remaining_tokens="29000",
        x_ratelimit_reset_requests="120ms",
        x_ratelimit_reset_tokens="1m2s",
        retry_after="5",
    )
    assert found == {
        "requests": RateLimit("requests", "requests", 499, 500, 0.12, 60),
        "tokens": RateLimit("tokens", "tokens", 29000, 30000, 62, 60),
    }


def test_anthropic_names_the_kind_first_and_gives_dates():
    found = read(
        anthropic_ratelimit_requests_limit="50",
        anthropic_ratelimit_requests_remaining="0",
        anthropic_ratelimit_requests_reset="2027-01-15T08:00:10Z",
        anthropic_ratelimit_input_tokens_remaining="40000",
        anthropic_ratelimit_output_tokens_remaining="8000",
    )
    assert found["requests"] == RateLimit("requests", "requests", 0, 50, 10, 60)
    assert (found["input"].remaining, found["output"].remaining) == (40000, 8000)


def test_windows_tell_limits_of_one_kind_apart():
    found = read(
        x_ratelimit_limit_requests_day="1000",
        x_ratelimit_remaining_requests_day="900",
        x_ratelimit_remaining_tokens_minute="5000",
        x_ratelimit_remaining_req_minute="7",
    )
    assert {name: each.period for name, each in found.items()} == {
        "requests day": 86400,
        "tokens minute": 60,
        "requests minute": 60,
    }


@pytest.mark.parametrize(
    ("reset", "seconds"), [("30", 30), (f"{(NOW + 7) * 1000:.0f}", 7), (f"{NOW + 8:.0f}", 8)]
)
def test_a_limit_that_does_not_say_of_what_is_one_of_requests(reset, seconds):
    (found,) = read(
        x_ratelimit_limit="20", x_ratelimit_remaining="3", x_ratelimit_reset=reset
    ).values()
    assert found == RateLimit("requests", "requests", 3, 20, pytest.approx(seconds), None)
    assert read(ratelimit_remaining="3", ratelimit_limit="20").keys() == {"requests"}


def test_what_is_not_understood_is_left_alone():
    assert not read(
        x_ratelimit_over_limit="no",
        x_ratelimit_used="5",
        ratelimit='"default";r=50;t=30',
        ratelimit_policy='"default";q=100;w=60',
        x_ratelimit_limit_requests="100",
        x_ratelimit_remaining_tokens="-1",
        x_ratelimit_remaining_requests="many",
        content_type="application/json",
    )
