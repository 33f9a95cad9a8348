"""How likely a text is: asked once, kept, counted, and refused where nobody can say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.desk import ALL, Desk

from octavo.errors import Outcome, UsageError

KNOWN = replace(ALL, prompt_logprobs=True)


def refuse(request):
    raise AssertionError("nothing is to be answered")


async def scored(ask, given="It rains."):
    answer = await ask.score("It pours", given=given, node="a").reply
    return [(token.token, token.logprob) for token in answer.logprobs]


def test_words_that_stood_before_are_likely(tmp_path):
    desk = Desk(refuse, tmp_path / "j.db", known=KNOWN)
    assert desk.run(scored) == [("It", -1.0), (" pours", -6.0)]
    assert desk.account.outcomes == {Outcome.OK: 1}
    again = Desk(refuse, tmp_path / "j.db", known=KNOWN)
    assert again.run(scored) == [("It", -1.0), (" pours", -6.0)]
    assert again.account.outcomes == {Outcome.CACHED: 1}
    assert again.backend.requests == []


def test_what_came_before_is_part_of_the_question(tmp_path):
    desk = Desk(refuse, tmp_path / "j.db", known=KNOWN)
    desk.run(scored)
    assert desk.run(lambda ask: scored(ask, "")) == [("It", -6.0), (" pours", -6.0)]
    assert len(desk.backend.requests) == 2


def test_a_model_that_cannot_say_is_refused(tmp_path):
    desk = Desk(refuse, tmp_path / "j.db")
    with pytest.raises(ExceptionGroup) as caught:
        desk.run(scored)
    assert caught.group_contains(UsageError, match="log probabilities of texts")
    assert desk.backend.requests == []
