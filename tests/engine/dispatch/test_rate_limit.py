"""Rate limits are kept by setting aside before sending: little is refused, little is wasted."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.clock import run_virtually
from tests.support.desk import Desk, Line
from tests.support.mock.behaviour import RateLimit

from octavo import protocols
from octavo.backends.openai.rate_limit_headers import read_rate_limits
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.rate_limit import CallCost, RateLimiter, Reservation
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.protocols import Reply, Transient, Usage


class Server:
    """Refuses what is beyond its limits; tells them with every answer, as `tell` words it."""

    def __init__(self, *limits, latency=0.2, tell=lambda headers: headers):
        self.limits = limits
        self.latency = latency
        self.tell = tell
        self.refused = 0
        self.answered = 0

    async def __call__(self, request):
        now = asyncio.get_running_loop().time()
        tokens = len(request.messages[0].content) // 4 + request.max_tokens
        costs = [tokens if limit._of == "tokens" else 1 for limit in self.limits]
        waits = [limit.wait(now, cost) for limit, cost in zip(self.limits, costs, strict=True)]
        if any(waits):
            self.refused += 1
            raise Transient("slow down", kind="rate", retry_after=max(waits), limits=self._told())
        for limit, cost in zip(self.limits, costs, strict=True):
            limit.take(cost)
        told = self._told()
        await asyncio.sleep(self.latency)
        self.answered += 1
        return Reply("Done.", usage=Usage(prompt=tokens - request.max_tokens), limits=told)

    def _told(self):
        headers = {}
        for limit in self.limits:
            headers |= limit.headers()
        return read_rate_limits(self.tell(headers))


def drive(server, calls, jobs, *, pace=None, adapts=False, letters=400):
    """Send so many calls; return how much of the time would have sufficed at the first limit."""

    async def scenario(asker):
        asked = [
            asker(Line(), {"text": f"{number:>{letters}}"}, tokens=50, node="n")
            for number in range(calls)
        ]
        for each in asked:
            await each.reply

    limit = ConcurrencyLimiter(jobs, adaptive=adapts, rate_limiter=pace)
    desk = Desk(
        server, limit=limit, patience=RetryPolicy(jitter=lambda: 1.0, retry_allowance=10_000)
    )
    desk.run(scenario)
    assert server.answered == calls
    return desk.seconds


@pytest.mark.parametrize(("jobs", "latency"), [(64, 0.05), (16, 0.1), (256, 2.0)])
def test_the_allowed_rate_is_reached_and_under_two_percent_are_refused(jobs, latency):
    server = Server(RateLimit(6000), latency=latency)
    seconds = drive(server, 1200, jobs)
    assert 1200 / seconds >= 0.9 * 100
    assert server.refused < 24


def test_an_adapting_limit_reaches_the_rate_too():
    server = Server(RateLimit(3000), latency=0.5)
    seconds = drive(server, 1000, 8, adapts=True)
    assert 1000 / seconds >= 0.9 * 50
    assert server.refused < 20


def test_a_limit_of_tokens_is_kept():
    server = Server(RateLimit(600_000, of="tokens"), RateLimit(60_000))
    seconds = drive(server, 1000, 64)  # 150 tokens each, 10,000 a second: 66 calls a second
    assert 1000 * 150 / seconds >= 0.9 * 10_000
    assert server.refused < 20


def test_a_limit_that_nobody_tells_is_found_by_its_refusals():
    server = Server(RateLimit(6000), tell=lambda _: {})
    seconds = drive(server, 4000, 64)
    assert 4000 / seconds >= 0.9 * 100
    assert server.refused < 80


def test_a_limit_that_the_user_states_is_never_run_into():
    server = Server(RateLimit(3000), tell=lambda _: {})
    seconds = drive(server, 1000, 64, pace=RateLimiter({"requests": 3000}))
    assert server.refused == 0
    assert 1000 / seconds >= 0.9 * 50


class Windowed(RateLimit):
    """All of the limit comes back at once, every `seconds`."""

    def __init__(self, limit, seconds):
        super().__init__(limit * 60 / seconds, burst=seconds)
        self.seconds = seconds
        self.window = 0

    def wait(self, now, cost=1.0):
        if now // self.seconds > self.window:
            self.window = now // self.seconds
            self._left = self._size
        self._last = now
        return 0.0 if self._left >= cost else (self.window + 1) * self.seconds - now

    def headers(self):
        reset = (self.window + 1) * self.seconds - self._last
        return {
            "x-ratelimit-limit": f"{self._size:.0f}",
            "x-ratelimit-remaining": f"{self._left:.0f}",
            "x-ratelimit-reset": f"{reset:.2f}",
        }


@pytest.mark.parametrize("seconds", [1, 10, 60])
def test_a_limit_that_is_renewed_all_at_once_is_waited_for(seconds):
    limit = Windowed(20 * seconds, seconds)
    server = Server(limit)
    taken = drive(server, 1800, 64)
    assert taken <= 1800 / 20 + 10
    assert server.refused < 90


def test_a_call_waits_for_the_rate_limit_in_its_own_place_in_the_queue():
    async def scenario():
        limit = ConcurrencyLimiter(64, rate_limiter=RateLimiter({"requests": 60}))
        times = []

        async def call():
            await limit.acquire((0, 0))
            times.append(asyncio.get_running_loop().time())

        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(call())
        return times, limit.in_flight

    (times, flying), _ = run_virtually(scenario())
    assert times == pytest.approx([0, 1, 2, 3], abs=0.1)
    assert flying == 4


def word(remaining):
    """What a server says of a limit of 100 requests a minute."""
    return [protocols.RateLimit("requests", "requests", remaining, limit=100, period=60)]


def test_what_was_sent_since_a_call_came_in_is_subtracted_from_what_it_says_remains():
    pace = RateLimiter(now=lambda: 0.0)
    early = pace.try_reserve(CallCost())
    pace.on_response(early, word(50))
    tickets = [pace.try_reserve(CallCost()) for _ in range(5)]
    pace.on_response(tickets[0], word(7))
    # Three are left, and one of them is spared.
    assert [isinstance(pace.try_reserve(CallCost()), Reservation) for _ in range(3)] == [
        True,
        True,
        False,
    ]


def test_an_older_word_does_not_overrule_a_newer_one():
    pace = RateLimiter(now=lambda: 0.0)
    old, new = pace.try_reserve(CallCost()), pace.try_reserve(CallCost())
    pace.on_response(new, word(0))
    pace.on_response(old, word(50))
    assert not isinstance(pace.try_reserve(CallCost()), Reservation)


def test_a_call_larger_than_the_whole_limit_goes_when_the_limit_is_full():
    pace = RateLimiter({"tokens": 6000}, now=lambda: 0.0)
    assert isinstance(pace.try_reserve(CallCost(tokens=5000)), Reservation)
    assert pace.try_reserve(CallCost(tokens=1)) == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize("limit", [{}, {"x-ratelimit-limit-tokens": "-1"}])
@pytest.mark.parametrize("remaining", ["0", "100"])
@pytest.mark.parametrize("cost", [CallCost(), CallCost(1.0, 50.0, 40.0, 10.0)])
def test_no_words_of_a_server_end_or_stop_a_run(limit, remaining, cost):
    now = 0.0
    pace = RateLimiter(now=lambda: now)
    said = read_rate_limits({**limit, "x-ratelimit-remaining-tokens": remaining})
    for _ in range(20):
        for _ in range(1000):
            taken = pace.try_reserve(cost)
            if isinstance(taken, Reservation):
                break
            now += taken
        assert isinstance(taken, Reservation)
        pace.on_response(taken, said)
        pace.on_rejected(taken, said, 5.0)
    assert 0 < now < 20 * 65
