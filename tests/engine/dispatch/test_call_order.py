"""Which of the waiting calls is next."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from octavo.engine.dispatch.call_queue import CallQueue, WaitingCall
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.rate_limit import CallCost


def waiting(*calls):
    """Return a queue of calls given as (document, levels left, prefix)."""
    queue = CallQueue()
    loop = asyncio.new_event_loop()
    for document, levels, prefix in calls:
        turn = loop.create_future()
        queue.add(WaitingCall(CallPriority(document, -levels), CallCost(), prefix, turn))
    loop.close()
    return queue


def drained(queue):
    order = []
    while (waiter := queue.find_first()) is not None:
        queue.remove(waiter, sent=True)
        order.append((waiter.priority.document, -waiter.priority.levels_done, waiter.prefix))
    return order


def test_equal_calls_follow_those_that_begin_alike_and_the_first_come_else():
    queue = waiting((0, 1, "a"), (0, 1, "b"), (0, 1, "a"), (0, 1, "c"), (0, 1, "b"))
    assert [prefix for *_, prefix in drained(queue)] == ["a", "a", "b", "b", "c"]


def test_a_common_prefix_never_goes_before_a_deeper_call_or_an_earlier_document():
    queue = waiting((1, 1, "a"), (0, 1, "a"), (0, 2, "b"), (0, 2, "a"))
    assert drained(queue) == [(0, 2, "b"), (0, 2, "a"), (0, 1, "a"), (1, 1, "a")]


def test_a_call_that_nobody_waits_for_any_more_is_left_out():
    queue = waiting((0, 1, "a"), (0, 1, "b"))
    first = queue.find_first()
    queue.remove(first)
    queue.remove(first)
    assert len(queue) == 1
    assert drained(queue) == [(0, 1, "b")]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from("abc"))))
def test_every_call_has_its_turn_once_and_priorities_hold(calls):
    order = drained(waiting(*calls))
    assert sorted(order) == sorted(calls)
    keys = [(document, -levels) for document, levels, _ in order]
    assert keys == sorted(keys)
