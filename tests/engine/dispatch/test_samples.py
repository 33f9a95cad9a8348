"""Samples of one prompt are asked for by one request, and kept as if each had been asked alone."""

from __future__ import annotations

import pytest
from tests.support.desk import Desk, Line

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.dispatch.budget import Budget
from octavo.engine.dispatch.dispatcher import sum_usage
from octavo.errors import BudgetReached, CallError, Outcome, RequestError
from octavo.protocols import Capabilities, Reply, Transient, Usage


class Server(ScriptedBackend):
    """Answers several samples at once, at most `most`; what `faults` hold is raised first."""

    def __init__(self, *faults, most=99):
        super().__init__(
            lambda request: f"Reply {request.sample}.",
            identity="scripted:test",
            known=Capabilities(samples=True),
        )
        self.faults = list(faults)
        self.most = most
        self.asked = []

    async def sample(self, requests, started):
        self.asked.append([request.sample for request in requests])
        if self.faults:
            raise self.faults.pop(0)
        return [await self.send(request, started) for request in requests[: self.most]]


def desk(server, path=None, **more):
    made = Desk(lambda _: "", path, **more)
    made.backend = server
    return made


def samples(*numbers, temperature=0.5, text="a"):
    async def scenario(ask):
        asked = [
            ask(
                Line(), {"text": text}, tokens=10, node="n", sample=number,
                temperature=temperature if number else None,
            )
            for number in numbers
        ]  # fmt: skip
        said = []
        for each in asked:
            try:
                said.append((await each.reply).value)
            except CallError as error:
                said.append(type(error))
        return said

    return scenario


def replies(*numbers):
    return [f"Reply {number}." for number in numbers]


def test_the_further_samples_go_together_and_the_first_alone():
    server = Server()
    at = desk(server)
    assert at.run(samples(0, 1, 2, 3)) == replies(0, 1, 2, 3)
    assert server.asked == [[1, 2, 3]]
    assert [request.sample for request in server.requests] == [0, 1, 2, 3]
    assert at.account.outcomes == {Outcome.OK: 4}
    assert at.account.sent == 4


def test_each_sample_is_kept_under_its_own_key(tmp_path):
    path = tmp_path / "journal.sqlite"
    desk(Server(), path).run(samples(0, 1, 2))
    # A backend that answers one by one finds them, and the other way round.
    plain = ScriptedBackend(lambda request: f"Plain {request.sample}.", identity="scripted:test")
    at = desk(plain, path)
    assert at.run(samples(0, 1, 2, 3)) == [*replies(0, 1, 2), "Plain 3."]
    assert at.account.outcomes == {Outcome.CACHED: 3, Outcome.OK: 1}
    server = Server()
    assert desk(server, path).run(samples(0, 1, 2, 3, 4, 5))[3:] == ["Plain 3.", *replies(4, 5)]
    assert server.asked == [[4, 5]]


def test_prompts_that_differ_do_not_go_together():
    server = Server()

    async def two(ask):
        return [await samples(1, 2)(ask), await samples(1, 2, text="b")(ask)]

    desk(server).run(two)
    assert server.asked == [[1, 2], [1, 2]]


def test_what_would_be_the_same_each_time_is_asked_one_by_one():
    server = Server()
    assert desk(server).run(samples(1, 2, temperature=0)) == replies(1, 2)
    assert server.asked == []


def test_a_server_that_gives_fewer_replies_is_asked_for_the_rest():
    server = Server(most=1)
    at = desk(server)
    assert at.run(samples(1, 2, 3)) == replies(1, 2, 3)
    assert server.asked == [[1, 2, 3]]
    assert at.account.sent == 3
    assert at.account.outcomes == {Outcome.OK: 3}


def test_a_passing_fault_is_tried_again_with_all_of_them():
    server = Server(Transient("busy", kind="rate"))
    at = desk(server)
    assert at.run(samples(1, 2)) == replies(1, 2)
    assert server.asked == [[1, 2], [1, 2]]
    assert at.account.sent == 4


def test_a_lasting_fault_is_that_of_each_sample():
    at = desk(Server(RequestError("no")))
    assert at.run(samples(1, 2)) == [RequestError, RequestError]
    assert at.account.outcomes == {Outcome.FAILED: 2}


def test_a_budget_counts_each_sample_and_its_prompt_once():
    budget = Budget(Allowance(calls=3, tokens=60), lambda _: 20, now=lambda: 0.0)

    async def metered(ask):
        first = await samples(1, 2)(ask)
        assert budget.calls == 2
        assert budget.tokens == 2 + 4  # a word of each prompt, two of each reply
        with pytest.raises(BudgetReached, match="max-calls 3"):
            await samples(3, 4)(ask)
        return first

    assert desk(Server(), budget=budget).run(metered) == replies(1, 2)


def test_what_replies_took_together():
    assert sum_usage([Usage(5, 1, 2), Usage(0, 3, 0)]) == Usage(5, 4, 2, None)
    assert sum_usage([]) == Usage(0, 0, 0, 0)
    assert Reply("").usage == Usage()
