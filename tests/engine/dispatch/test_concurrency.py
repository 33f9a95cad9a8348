"""The limit of calls in flight: who comes next, how it grows, how it yields."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.clock import run_virtually

from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.run_limiter import RunStopped
from octavo.errors import QuotaError


def test_waiting_calls_are_let_in_by_document_then_by_levels_left_then_in_order():
    order = []

    async def scenario():
        limit = ConcurrencyLimiter(1)
        await limit.acquire(CallPriority(0, 0))

        async def call(name, document, levels):
            await limit.acquire(CallPriority(document, -levels))
            order.append(name)
            limit.release()

        async with asyncio.TaskGroup() as group:
            for name, document, levels in [
                ("late document", 2, 9),
                ("leaf", 1, 3),
                ("merge", 1, 1),
                ("second leaf", 1, 3),
            ]:
                group.create_task(call(name, document, levels))
            await asyncio.sleep(0)
            limit.release()

    asyncio.run(scenario())
    assert order == ["leaf", "second leaf", "merge", "late document"]


def test_never_more_fly_than_the_limit_allows_and_all_get_through():
    async def scenario():
        limit = ConcurrencyLimiter(3)
        flying = peak = 0

        async def call(number):
            nonlocal flying, peak
            await limit.acquire(CallPriority(number, 0))
            flying += 1
            peak = max(peak, flying)
            await asyncio.sleep(1)
            flying -= 1
            limit.release()

        async with asyncio.TaskGroup() as group:
            for number in range(10):
                group.create_task(call(number))
        return peak

    peak, seconds = run_virtually(scenario())
    assert peak == 3
    assert seconds == pytest.approx(4)


def test_a_cancelled_waiter_takes_no_place():
    async def scenario():
        limit = ConcurrencyLimiter(1)
        await limit.acquire(CallPriority(0, 0))
        waiter = asyncio.create_task(limit.acquire(CallPriority(1, 0)))
        other = asyncio.create_task(limit.acquire(CallPriority(2, 0)))
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.sleep(0)
        limit.release()
        await other
        assert limit.in_flight == 1

    asyncio.run(scenario())


def test_a_call_cancelled_just_as_it_is_let_in_gives_its_place_back():
    async def scenario():
        limit = ConcurrencyLimiter(1)
        await limit.acquire(CallPriority(0, 0))
        waiter = asyncio.create_task(limit.acquire(CallPriority(1, 0)))
        await asyncio.sleep(0)
        limit.release()
        waiter.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiter
        assert limit.in_flight == 0

    asyncio.run(scenario())


def test_an_unknown_capacity_is_explored_and_halved_once_a_round_at_push_back():
    async def scenario():
        limit = ConcurrencyLimiter(8, adaptive=True)
        for number in range(8):
            await limit.acquire(CallPriority(number, 0))
        waiters = [asyncio.create_task(limit.acquire(CallPriority(9, 0))) for _ in range(50)]
        await asyncio.sleep(0)
        for _ in range(8):
            limit.on_success()
        assert limit.size == 16
        limit.on_overload()
        limit.on_overload()
        assert limit.size == 8
        for _ in range(16):
            limit.on_success()
        assert 9 <= limit.size <= 10
        limit.run.stop()
        results = await asyncio.gather(*waiters, return_exceptions=True)
        assert any(isinstance(result, RunStopped) for result in results)

    asyncio.run(scenario())


def test_a_stopped_limit_refuses_all_and_leaves_those_in_flight_alone():
    async def scenario():
        limit = ConcurrencyLimiter(1)
        await limit.acquire(CallPriority(0, 0))
        waiter = asyncio.create_task(limit.acquire(CallPriority(1, 0)))
        await asyncio.sleep(0)
        limit.run.stop()
        with pytest.raises(RunStopped):
            await waiter
        with pytest.raises(RunStopped):
            await limit.acquire(CallPriority(0, 0))
        assert limit.in_flight == 1

    asyncio.run(scenario())


def test_a_stopped_limit_ends_all_waiting_for_the_same_reason():
    async def scenario():
        limit = ConcurrencyLimiter(1)
        await limit.acquire(CallPriority(0, 0))
        waiting = [asyncio.create_task(limit.acquire(CallPriority(0, n))) for n in range(3)]
        pausing = asyncio.create_task(limit.run.pause(300))
        await asyncio.sleep(1)
        limit.run.stop(QuotaError("no credit", hint="pay"))
        await pausing
        late = asyncio.create_task(limit.acquire(CallPriority(0, 0)))
        return await asyncio.gather(*waiting, late, return_exceptions=True)

    errors, seconds = run_virtually(scenario())
    assert seconds == 1  # nobody waits for the rest of a pause
    assert {(type(error), error.message, error.hint) for error in errors} == {
        (QuotaError, "no credit", "pay")
    }
    assert len({id(error) for error in errors}) == 4
