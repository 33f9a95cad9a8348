"""A run ends before it exceeds what it may spend, and goes on when it is run again."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.clock import run_virtually
from tests.support.kit import Kit, paragraphs

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.dispatch.allowance import Allowance
from octavo.engine.dispatch.budget import Budget
from octavo.engine.dispatch.concurrency import ConcurrencyLimiter
from octavo.engine.dispatch.embeddings import EmbeddingDispatcher
from octavo.engine.dispatch.lane import Lane
from octavo.engine.dispatch.pricing import find_price
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.journal.store import Journal
from octavo.errors import BudgetReached, RequestError, UsageError
from octavo.protocols import Message, Profile, Reply, Request, Transient, Usage

MAP = """
octavo: 1
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}
"""
OPENAI = "https://api.openai.com/v1"


def request(tokens=100):
    return Request((Message("user", "hello"),), max_tokens=tokens)


class Metered:
    """A backend under a budget: each of its requests is sent in a slot."""

    def __init__(self, handler, budget, price=None):
        self.backend = ScriptedBackend(handler, identity="scripted:t")
        self.lane = Lane(ConcurrencyLimiter(8), Journal(None), RetryPolicy(), budget, price)

    async def send(self, request):
        async with self.lane.slot(request, CallPriority(0, 0)) as slot:
            reply = await self.backend.send(request, lambda: None)
            slot.answered(reply.usage)
        return reply


def metered(handler, price=None, **allowance):
    """A budget that takes every prompt for 10 tokens, and a backend under it."""
    budget = Budget(Allowance(**allowance), lambda _: 10)
    return budget, Metered(handler, budget, price)


def send(metered, count=1):
    return asyncio.gather(*(metered.send(request()) for _ in range(count)), return_exceptions=True)


@pytest.mark.parametrize("jobs", [1, 7])
def test_no_more_calls_are_sent_than_allowed_and_a_second_run_goes_on(tmp_path, jobs):
    kit = Kit(MAP, lambda _: "Fine.", tmp_path)
    total = kit.plan(paragraphs(40)).calls[0]
    with pytest.raises(BudgetReached, match="--max-calls 5 is reached; so far 5 calls sent"):
        kit.run(paragraphs(40), max_calls=5, jobs=jobs)
    assert len(kit.requests) == 5
    assert kit.run(paragraphs(40), jobs=jobs).report.totals.sent == total - 5


def test_what_the_journal_answers_costs_nothing(tmp_path):
    kit = Kit(MAP, lambda _: "Fine.", tmp_path)
    kit.run(paragraphs(20))
    assert kit.run(paragraphs(20), max_calls=1, max_tokens=1).report.failed == 0


def test_calls_in_flight_are_counted_with_what_they_may_take():
    """Each call may take 110 tokens and takes 15: the third waits for the others to settle."""
    flying = []

    async def handler(_):
        flying.append(len(flying))
        await asyncio.sleep(1)
        flying.pop()
        return Reply("ok", usage=Usage(10, 5))

    async def scenario():
        budget, backend = metered(handler, tokens=250)
        answers = await send(backend, 3)
        return budget, answers

    (budget, answers), seconds = run_virtually(scenario())
    assert [reply.text for reply in answers] == ["ok"] * 3
    assert (budget.tokens, seconds) == (45, 2)


def test_tokens_end_a_run_when_the_next_call_may_exceed_them():
    async def scenario():
        budget, backend = metered(lambda _: Reply("ok", usage=Usage(10, 90)), tokens=250)
        return [type(each) for each in await send(backend, 5)], budget.tokens

    outcome, spent = asyncio.run(scenario())
    assert outcome == [Reply, Reply, BudgetReached, BudgetReached, BudgetReached]
    assert spent == 200


def test_without_usage_a_call_counts_as_much_as_it_may_take():
    async def scenario():
        budget, _ = metered(None, tokens=1000)
        budget.settle(await budget.reserve(request()), Usage())
        return budget.tokens

    assert asyncio.run(scenario()) == 110


@pytest.mark.parametrize(
    ("error", "spent"),
    [
        (Transient("busy", kind="rate"), 0),
        (Transient("broken", kind="server"), 0),
        (Transient("gone", kind="connection"), 110),
        (Transient("silent", kind="timeout"), 110),
        (RequestError("bad"), 0),
    ],
)
def test_an_attempt_whose_answer_was_lost_may_have_been_billed(error, spent):
    def handler(_):
        raise error

    async def scenario():
        budget, backend = metered(handler, tokens=1000)
        await send(backend)
        return budget.calls, budget.tokens

    assert asyncio.run(scenario()) == (1, spent)


def test_money_is_counted_by_the_price():
    price = find_price(Profile(model="openai:x", price_in=1.0, price_out=10.0), None)

    async def scenario():
        reply = Reply("ok", usage=Usage(10, 100))
        budget, backend = metered(lambda _: reply, price, cost=0.0025)
        return [type(each) for each in await send(backend, 4)], budget.cost

    outcome, cost = asyncio.run(scenario())
    assert outcome == [Reply, Reply, BudgetReached, BudgetReached]
    assert cost == pytest.approx(2 * (10 * 1 + 100 * 10) / 1e6)


def test_time_ends_a_run_too():
    async def handler(_):
        await asyncio.sleep(50)
        return Reply("ok")

    async def scenario():
        budget, backend = metered(handler, minutes=1)
        return [(await send(backend))[0] for _ in range(3)], budget.seconds_left

    (answers, left), seconds = run_virtually(scenario())
    assert [type(each) for each in answers] == [Reply, Reply, BudgetReached]
    assert (left, seconds) == (0, 100)


def test_prices_are_listed_told_or_unknown():
    assert find_price(Profile(model="openai:gpt-5-mini"), "http://localhost:8000/v1") is None
    assert find_price(Profile(model="openai:no-such-model"), OPENAI) is None
    assert find_price(Profile(model="openai:gpt-5-mini", price_in=1.0), None) is None
    assert find_price(Profile(model="llama:smollm2"), None).cost(1000, 1000) == 0
    listed = find_price(Profile(model="openai:gpt-5-mini"), OPENAI)
    assert listed.cost(1000, 0) > listed.cost(1000, 0, 1000) > 0
    assert listed.cost(0, 1000) > listed.cost(1000, 0)
    assert listed.cost(150_000, 0) == pytest.approx(150 * listed.cost(1000, 0))


def test_a_budget_of_money_needs_a_price_before_any_call(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    (tmp_path / "p.yaml").write_text(MAP)
    document = octavo.Document("Text.", "a.txt")
    with pytest.raises(UsageError, match="price of openai:x is not known"):
        octavo.run(tmp_path / "p.yaml", document, model="openai:x", max_cost=1.0)


def test_embeddings_have_a_price_of_their_own_or_are_refused():
    cheap = find_price(Profile(model="x:z", price_in=100.0, price_out=0.0), None)
    backend = ScriptedBackend(lambda _: "", identity="scripted:t")

    async def embed(*texts, budget, price):
        lane = Lane(ConcurrencyLimiter(8), journal := Journal(None), RetryPolicy(), budget, price)
        async with asyncio.TaskGroup() as group:
            embedder = EmbeddingDispatcher(backend, journal, lambda: lane, group)
            batch = embedder.embed(texts, priority=CallPriority(0, 0))
            return await batch.wait_for_vectors()

    async def scenario():
        budget = Budget(Allowance(cost=0.0035), lambda request: 10 * len(request.messages))
        with pytest.raises(ExceptionGroup) as raised:
            await embed("a", budget=budget, price=None)
        assert raised.group_contains(UsageError, match="price")
        await embed("a b c", budget=budget, price=cheap)
        await embed("a b", "c", budget=budget, price=cheap)
        assert budget.cost == pytest.approx(0.0006)  # six words at 100 dollars a million
        with pytest.raises(ExceptionGroup) as raised:
            await embed("a", "b", "c", budget=budget, price=cheap)
        assert raised.group_contains(BudgetReached)

    asyncio.run(scenario())
    assert backend.embedded == [("a b c",), ("a b", "c")]
