"""Asking: found or sent, judged, asked again where that helps, and accounted for."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from tests.support.desk import Desk, Line

from octavo.errors import AuthError, Outcome, ReplyError, RequestError, UnreachableError
from octavo.protocols import Finish, Reply, Transient


def ask(asker, text="x", **changes):
    prompt = Line(changes.pop("line", "{text}"))
    return asker(prompt, {"text": text}, **{"tokens": 50, "node": "n"} | changes)


def one(**changes):
    async def scenario(asker):
        return await ask(asker, **changes).reply

    return scenario


def cause(error):
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def failing(desk, scenario):
    with pytest.raises(BaseException) as caught:
        desk.run(scenario)
    return cause(caught.value)


def test_a_reply_is_asked_for_once_and_then_found(tmp_path):
    first = Desk(lambda request: " An answer. ", path=tmp_path / "j")
    assert first.run(one()).value == "An answer."
    second = Desk(lambda request: "Another.", path=tmp_path / "j")
    assert second.run(one()).value == "An answer."
    assert second.backend.requests == []
    assert second.account.outcomes == {Outcome.CACHED: 1}
    assert (first.account.sent, second.account.sent) == (1, 0)


def test_equal_questions_at_once_share_one_call():
    async def slow(request):
        await asyncio.sleep(1)
        return "An answer."

    async def scenario(asker):
        asked = [ask(asker) for _ in range(5)]
        return [(await each.reply).value for each in asked]

    desk = Desk(slow)
    assert desk.run(scenario) == ["An answer."] * 5
    assert len(desk.backend.requests) == 1
    assert desk.account.sent == 1
    assert sum(desk.account.outcomes.values()) == 5


def test_different_samples_are_different_calls():
    async def scenario(asker):
        asked = [ask(asker, sample=sample) for sample in range(3)]
        return [(await each.reply).value for each in asked]

    desk = Desk(lambda request: f"Sample {request.sample}.")
    assert desk.run(scenario) == ["Sample 0.", "Sample 1.", "Sample 2."]


def test_a_cut_reply_is_asked_again_for_fewer_words():
    def handler(request):
        if request.attempt == 0:
            return Reply("It goes on and", Finish.LENGTH)
        return request.messages[0].content

    desk = Desk(handler)
    answer = desk.run(one(line="{text} in {words} words.", words=100))
    assert answer.value == "x in 60 words."
    assert not answer.truncated
    assert desk.account.sent == 2
    assert desk.account.outcomes == {Outcome.OK: 1}


def test_a_reply_that_stays_cut_ends_at_its_last_complete_sentence_and_says_so():
    desk = Desk(lambda request: Reply('She said: "Go." Then he wen', Finish.LENGTH))
    answer = desk.run(one())
    assert answer.value == 'She said: "Go."'
    assert answer.truncated
    assert desk.account.outcomes == {Outcome.TRUNCATED: 1}
    assert "book.txt" in desk.heard.notices[0]


def test_a_cut_reply_without_a_complete_sentence_is_a_failure():
    listed = Desk(lambda request: Reply("- Mara Venn\n- Jonas Pell\n- Aldous", Finish.LENGTH))
    assert listed.run(one()).value == "- Mara Venn\n- Jonas Pell"
    desk = Desk(lambda request: Reply("no end in sight", Finish.LENGTH))
    error = failing(desk, one())
    assert isinstance(error, ReplyError)
    assert error.outcome is Outcome.TRUNCATED


@pytest.mark.parametrize(
    ("reply", "outcome", "sent"),
    [
        (Reply("I can't.", Finish.REFUSAL), Outcome.REFUSED, 1),
        (Reply("  \n"), Outcome.INVALID, 2),
    ],
)
def test_refused_and_empty_replies_end_as_failures_and_are_kept(tmp_path, reply, outcome, sent):
    desk = Desk(lambda request: reply, path=tmp_path / "j")
    assert failing(desk, one()).outcome is outcome
    assert desk.account.outcomes == {outcome: 1}
    again = Desk(lambda request: "Fine now.", path=tmp_path / "j")
    assert failing(again, one()).outcome is outcome
    assert (len(desk.backend.requests), len(again.backend.requests)) == (sent, 0)


def test_what_may_pass_is_tried_again_and_the_place_is_free_meanwhile():
    seen = []

    def handler(request):
        seen.append(request.messages[0].content)
        if seen.count("first") == 1 and seen[-1] == "first":
            raise Transient("busy", kind="server", retry_after=10.0)
        return "Done."

    async def scenario(asker):
        asked = [ask(asker, "first"), ask(asker, "second")]
        return [(await each.reply).value for each in asked]

    desk = Desk(handler, jobs=1)
    assert desk.run(scenario) == ["Done.", "Done."]
    assert seen == ["first", "second", "first"]
    assert desk.seconds == pytest.approx(10)
    assert desk.account.sent == 3


@pytest.mark.parametrize("error", [AuthError("no"), RequestError("bad")])
def test_what_cannot_pass_is_not_tried_again(error):
    def handler(request):
        raise error

    desk = Desk(handler)
    assert failing(desk, one()) is error
    assert desk.account.sent == 1
    assert desk.account.outcomes == {Outcome.FAILED: 1}


@pytest.mark.parametrize("schema", [None, {"type": "object"}], ids=["text", "record"])
def test_a_call_whose_second_attempt_ends_the_run_has_failed(schema):
    error = AuthError("no")

    def handler(request):
        if request.attempt:
            raise error
        return "{}"

    desk = Desk(handler)
    assert failing(desk, one(schema=schema, check=lambda _: ["a fault"])) is error
    assert desk.account.sent == 2
    assert desk.account.outcomes == {Outcome.FAILED: 1}


def test_a_server_that_never_answers_ends_the_call():
    def handler(request):
        raise Transient("refused", kind="connection")

    assert isinstance(failing(Desk(handler), one()), UnreachableError)


def test_a_sent_call_lands_in_the_journal_though_its_document_failed(tmp_path):
    async def handler(request):
        if request.messages[0].content == "bad":
            raise RequestError("bad")
        await asyncio.sleep(5)
        return "Paid for."

    async def scenario(asker):
        asked = [ask(asker, "good"), ask(asker, "bad")]
        return [await each.reply for each in asked]

    failing(Desk(handler, path=tmp_path / "j"), scenario)
    after = Desk(lambda request: "Sent again.", path=tmp_path / "j")
    assert after.run(one(text="good")).value == "Paid for."


def test_calls_that_nobody_waits_for_are_not_sent():
    async def handler(request):
        if request.messages[0].content == "bad":
            raise RequestError("bad")
        await asyncio.sleep(1)
        return "Sent."

    async def scenario(asker):
        asked = [ask(asker, "bad"), *(ask(asker, str(n)) for n in range(5))]
        return [await each.reply for each in asked]

    desk = Desk(handler, jobs=1)
    failing(desk, scenario)
    assert [request.messages[0].content for request in desk.backend.requests] in (
        ["bad"],
        ["bad", "0"],
    )


@pytest.mark.parametrize(
    ("reply", "schema", "outcome"),
    [
        (Reply("It is cut. And so", finish=Finish.LENGTH), None, Outcome.TRUNCATED),
        (Reply(" "), None, Outcome.INVALID),
        (Reply("{'n': 1}"), {"type": "object"}, Outcome.INVALID),
        (Reply('{"n": 1}', finish=Finish.LENGTH), {"type": "object"}, Outcome.INVALID),
    ],
)
def test_a_strict_reply_is_taken_as_it_comes_or_not_at_all(reply, schema, outcome):
    desk = Desk(lambda _: reply)
    assert failing(desk, one(schema=schema, strict=True)).outcome is outcome
    assert desk.account.outcomes == {outcome: 1}
    assert len(desk.backend.requests) == 1


def test_a_temperature_of_its_own_is_that_of_the_first_attempt():
    async def scenario(asker):
        await asyncio.gather(ask(asker).reply, ask(asker, temperature=0.3).reply)

    desk = Desk(lambda _: "Fine.")
    desk.run(scenario)
    assert [request.temperature for request in desk.backend.requests] == [0.0, 0.3]


def test_a_call_whose_document_ends_before_it_is_waited_for_is_entered():
    async def scenario(asker):
        ask(asker)
        raise RequestError("another part failed")

    desk = Desk(lambda request: "An answer.")
    assert isinstance(failing(desk, scenario), RequestError)
    assert desk.account.outcomes == {Outcome.DISCARDED: 1}
    assert desk.account.sent == len(desk.backend.requests)


def test_who_gives_up_before_a_shared_call_is_sent_does_not_account_for_it():
    async def slow(request):
        await asyncio.sleep(1)
        return "An answer."

    async def scenario(asker):
        ask(asker, "first")
        with suppress(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                ask(replace(asker, group=group), "shared")
                kept = ask(asker, "shared")
                await asyncio.sleep(0.5)
                raise RequestError("another part failed")
        return (await kept.reply).value

    desk = Desk(slow, jobs=1)
    assert desk.run(scenario) == "An answer."
    assert desk.account.outcomes == {Outcome.OK: 2, Outcome.DISCARDED: 1}
    assert desk.account.sent == 2
