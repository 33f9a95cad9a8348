"""Conditions over notes."""

from __future__ import annotations

import pytest

from octavo.errors import CallError, UsageError
from octavo.pipeline.conditions import Condition


def test_a_condition_holds_or_not():
    condition = Condition("has_info and score >= least")
    assert condition.names == {"has_info", "score", "least"}
    assert condition.holds({"has_info": True, "score": 3, "least": 3})
    assert not condition.holds({"has_info": True, "score": 2, "least": 3})


def test_one_name_is_a_condition():
    assert Condition("has_info").names == {"has_info"}
    assert Condition("has_info").holds({"has_info": 1})


@pytest.mark.parametrize("text", ["", "a b", "a ==", "{{ a }}", "a }} {{ b", "(" * 5000, "a | b c"])
def test_what_is_no_condition_is_refused(text):
    with pytest.raises(UsageError) as caught:
        Condition(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize("values", [{}, {"score": "many"}])
def test_what_cannot_be_decided_fails_the_document_only(values):
    with pytest.raises(CallError, match="the condition 'score > 1' cannot be evaluated"):
        Condition("score > 1").holds(values)


def test_an_expression_has_a_value():
    values = {"names": [{"n": "b"}, {"n": "a"}], "total": 2}
    assert Condition("total + 1").evaluate(values) == 3
    assert Condition("names | map(attribute='n')").evaluate(values) == ["b", "a"]


@pytest.mark.parametrize("text", ["missing", "total.missing", "names | map(attribute='missing')"])
def test_what_is_not_there_has_no_value(text):
    with pytest.raises(CallError, match="cannot be evaluated"):
        Condition(text).evaluate({"total": {}, "names": [{}]})
