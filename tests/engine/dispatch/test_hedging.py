"""A call far over the usual latency gets a second copy, and the first reply wins."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.desk import Desk, Line

from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.dispatch.budget import Budget
from octavo.engine.dispatch.hedging import Hedger
from octavo.errors import Outcome
from octavo.protocols import Transient


def asking(*texts):
    async def scenario(asker):
        asked = [asker(Line(), {"text": text}, tokens=50, node=text) for text in texts]
        return [(await each.reply).value for each in asked]

    return scenario


class Slow:
    """Answers after a second; the calls of `slow` texts take longer the first `times` times."""

    def __init__(self, slow, seconds=60.0, times=1):
        self.seconds = seconds
        self.left = dict.fromkeys(slow, times)
        self.ended = []

    async def __call__(self, request):
        text = request.messages[0].content
        slow = self.left.get(text, 0)
        if slow:
            self.left[text] -= 1
        try:
            await asyncio.sleep(self.seconds if slow else 1.0)
        except asyncio.CancelledError:
            self.ended.append(text)
            raise
        return f"Answer {text}."


TEXTS = [f"t{number}" for number in range(40)]


def test_without_hedging_a_straggler_is_waited_for():
    desk = Desk(Slow(["t30"]))
    desk.run(asking(*TEXTS))
    assert desk.seconds > 60
    assert desk.account.sent == 40


def test_the_second_copy_of_a_straggler_wins_and_the_first_is_cancelled_and_both_count(tmp_path):
    slow = Slow(["t30"])
    desk = Desk(slow, path=tmp_path / "j", hedge=Hedger(2.5))
    replies = desk.run(asking(*TEXTS))
    assert replies == [f"Answer {text}." for text in TEXTS]
    assert desk.seconds == pytest.approx(3 + 2.5 + 1)  # the fourth round, overdue, and its copy
    assert slow.ended == ["t30"]
    assert desk.account.sent == 41
    assert desk.account.outcomes == {Outcome.OK: 40}
    assert desk.attempts("t30") == 2


def test_the_first_copy_may_still_win():
    slow = Slow(["t30"], seconds=3.0, times=2)
    desk = Desk(slow, hedge=Hedger(2.5))
    desk.run(asking(*TEXTS))
    assert desk.seconds == pytest.approx(3 + 3)
    assert slow.ended == ["t30"]  # the copy, which was slow as well
    assert desk.account.sent == 41


def test_nothing_is_hedged_before_enough_is_known():
    desk = Desk(Slow(["t5"]), hedge=Hedger(2.5, min_calls=20))
    desk.run(asking(*TEXTS[:19]))
    assert desk.account.sent == 19


def test_where_everything_is_slow_few_copies_are_sent():
    slow = Slow(TEXTS[20:], seconds=10.0, times=2)
    desk = Desk(slow, jobs=40, hedge=Hedger(2.5, min_calls=20, max_share=0.1))
    desk.run(asking(*TEXTS))
    assert desk.account.sent == 40 + 4  # a tenth of the 20 known and the 20 that begin


def test_a_copy_that_fails_leaves_the_other_alone():
    slow = Slow(["t30"], seconds=10.0)
    seen = []

    async def handler(request):
        text = request.messages[0].content
        seen.append(text)
        if seen.count("t30") == 2 and text == "t30":
            raise Transient("reset", kind="connection")
        return await slow(request)

    desk = Desk(handler, hedge=Hedger(2.5))
    desk.run(asking(*TEXTS))
    assert desk.seconds == pytest.approx(3 + 10)
    assert desk.account.sent == 41


def test_a_second_copy_takes_the_next_place():
    desk = Desk(Slow(["t22"], seconds=50.0), jobs=4, hedge=Hedger(2.5))
    desk.run(asking(*TEXTS))
    # Without it 40 calls take 10 rounds; the straggler holds one of the four places for 2.5.
    assert desk.seconds <= 12
    assert desk.account.sent == 41


def test_a_budget_that_has_no_room_for_a_second_copy_does_not_end_the_run():
    budget = Budget(Allowance(calls=40), lambda _: 10, now=lambda: 0.0)
    desk = Desk(Slow(["t30"], seconds=10.0), hedge=Hedger(2.5), budget=budget)
    assert len(desk.run(asking(*TEXTS))) == 40
    assert desk.account.sent == desk.hedge.calls == 40
    assert desk.hedge.copies == 1


def test_other_sizes_of_replies_have_their_own_usual_latency():
    hedge = Hedger(2.0, min_calls=3)
    for seconds in (1.0, 1.0, 5.0):
        hedge.record_latency(50, seconds)
        hedge.record_latency(900, seconds * 4)
    told = []
    for tokens in (50, 900, 300):
        hedge._request_deadline(tokens, told.append)
    assert told == [2.0, 8.0]
    for _ in range(200):
        hedge.record_latency(50, 3.0)
    hedge._request_deadline(50, told.append)
    assert told == [2.0, 8.0, 6.0]


def test_calls_that_were_sent_before_anything_was_known_are_hedged_too():
    desk = Desk(Slow(["t30"]), jobs=40, hedge=Hedger(2.5, min_calls=20))
    desk.run(asking(*TEXTS))
    assert desk.seconds == pytest.approx(2.5 + 1)
    assert desk.account.sent == 41
