"""Retries are spaced, bounded for a call and for a run, and end when nothing answers."""

from __future__ import annotations

import pytest

from octavo.engine.dispatch.circuit_breaker import CircuitBreaker
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.errors import UnreachableError
from octavo.protocols import Transient


class Patience:
    """A retry policy with one server that it is for."""

    def __init__(self, clock, **changes):
        self.policy = RetryPolicy(jitter=lambda: 1.0, **changes)
        self.breaker = CircuitBreaker(now=lambda: clock["now"])

    def next_delay(self, fault, attempt):
        return self.policy.next_delay(fault, attempt, self.breaker)

    def on_success(self):
        self.policy.on_success()
        self.breaker.on_success()


def patience(**changes):
    clock = {"now": 0.0}
    return clock, Patience(clock, **changes)


def test_waits_double_up_to_the_longest():
    _, wait = patience(first_delay=1.0, longest_delay=5.0)
    fault = Transient("slow down", kind="rate")
    assert [wait.next_delay(fault, n) for n in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]


def test_the_servers_own_wait_is_honoured():
    _, wait = patience()
    assert wait.next_delay(Transient("x", kind="rate", retry_after=42.0), 1) == 42.0


def test_a_wait_that_nobody_would_sit_through_ends_the_run():
    _, wait = patience()
    with pytest.raises(UnreachableError, match="wait 86,400 s"):
        wait.next_delay(Transient("x", kind="rate", retry_after=86_400.0), 1)


def test_a_call_is_not_tried_for_ever():
    _, wait = patience(max_attempts=3)
    fault = Transient("overloaded", kind="rate")
    wait.next_delay(fault, 2)
    with pytest.raises(UnreachableError, match="3 times, at last: overloaded"):
        wait.next_delay(fault, 3)


def test_a_run_has_a_budget_that_grows_with_its_answers():
    _, wait = patience(retry_allowance=2)
    fault = Transient("x", kind="timeout")
    for _ in range(5):
        wait.on_success()
    for _ in range(3):
        wait.next_delay(fault, 1)
    with pytest.raises(UnreachableError, match="4 retries for 5 answered"):
        wait.next_delay(fault, 1)


def test_a_dead_server_ends_the_run_and_one_success_starts_the_clock_anew():
    clock, wait = patience()
    fault = Transient("connection refused", kind="connection")
    wait.next_delay(fault, 1)
    clock["now"] = 19.0
    wait.next_delay(fault, 2)
    wait.on_success()
    clock["now"] = 21.0
    wait.next_delay(fault, 1)
    clock["now"] = 41.0
    with pytest.raises(UnreachableError, match="for 20 s: connection refused"):
        wait.next_delay(fault, 2)


def test_a_dead_server_is_tried_a_last_time_when_the_time_is_over():
    clock, wait = patience()
    fault = Transient("connection refused", kind="connection")
    for attempt in range(1, 8):
        clock["now"] += wait.next_delay(fault, attempt)
        if clock["now"] >= 20.0:
            break
    assert clock["now"] == 20.0
    with pytest.raises(UnreachableError, match="for 20 s"):
        wait.next_delay(fault, attempt + 1)


def test_rate_limits_do_not_count_as_a_dead_server():
    clock, wait = patience()
    fault = Transient("429", kind="rate")
    for now in (0.0, 30.0, 60.0):
        clock["now"] = now
        wait.next_delay(fault, 1)


def test_an_outage_counts_once_and_others_wait_meanwhile():
    _, wait = patience(retry_allowance=2)
    fault = Transient("connection refused", kind="connection")
    for outage in (1, 2):
        for call in range(20):
            assert wait.breaker.is_open == (call >= 8), outage
            wait.next_delay(fault, 1)
        wait.on_success()
        assert not wait.breaker.is_open
    with pytest.raises(UnreachableError, match="3 retries for 2 answered"):
        wait.next_delay(fault, 1)
