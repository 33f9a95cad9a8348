"""The pipeline `ask`: records of what each part says, and answers from them."""

from __future__ import annotations

import json
import re
from itertools import takewhile

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.tokens.choose import get_counter

TASKS = ("question", "retrieval", "arithmetic", "code", "summary")
CODE = re.compile(r"The code of (\w+) is (\d+)\.")


def story(count=60, codes=()):
    parts = paragraphs(count, words=90).split("\n\n")
    for place, name, number in codes:
        parts[place] += f" The code of {name} is {number}."
    return "\n\n".join(parts)


CODED = story(codes=[(3, "red", 17), (30, "green", 4), (55, "red", 17)])


def reader(request):
    """Record the codes that are asked for; answer with those of the records."""
    text = request.messages[-1].content
    asked = re.search(r"Question: What is (\w+)\?", text)[1]
    if request.schema is None and not text.startswith("<record"):
        return "; ".join(f"{n}={v}" for n, v in CODE.findall(text) if n == asked) + "."
    if text.startswith("<record"):
        found = [json.loads(each)["answer"] for each in fenced(request)]
        joined = "; ".join(
            dict.fromkeys(part for each in found for part in each.split("; ") if part)
        )
    else:
        joined = "; ".join(f"{n}={v}" for n, v in CODE.findall(fenced(request)[0]) if n == asked)
    if request.schema is None:
        return f"{joined}."
    return {
        "extracted": joined,
        "rationale": "no information is missing" if joined else "not mentioned",
        "answer": joined,
        "has_info": bool(joined),
        "confidence": 5 if joined else 0,
    }


@pytest.fixture
def ask(tmp_path):
    kit = Kit("", reader, tmp_path)
    kit.path = "ask"
    return kit


def beginning(*texts):
    """Return what all texts begin with."""
    return "".join(c for c, *_ in takewhile(lambda c: len(set(c)) == 1, zip(*texts, strict=False)))


def stage(request):
    first = request.messages[0].content.split(".")[0]
    return {"You read": "read", "You get": "join"}.get(" ".join(first.split()[:2]), "whole")


def test_the_answer_is_written_from_the_parts_that_know_and_tells_them(ask):
    (result,) = ask.run(CODED, params={"question": "What is red?"}).results
    assert result.value == "red=17."
    assert len(result.spans) == 2
    for place, (start, end) in zip((3, 55), result.spans, strict=True):
        assert f"Paragraph {place}." in CODED[start:end]
    assert [stage(request) for request in ask.requests].count("join") == 1


def test_what_no_part_says_is_not_found_without_another_call(ask):
    (result,) = ask.run(CODED, params={"question": "What is blue?"}).results
    assert result.value == "The document does not answer this question."
    assert result.spans == ()
    assert {stage(request) for request in ask.requests} == {"read"}


def test_several_questions_send_each_part_at_the_beginning_of_their_prompts(ask):
    asked = ["What is red?", "What is green?", "What is blue?"]
    (result,) = ask.run(CODED, params={"question": asked}).results
    assert [each.value for each in result.answers] == [
        "red=17.",
        "green=4.",
        "The document does not answer this question.",
    ]
    reads = [request.messages for request in ask.requests if stage(request) == "read"]
    by_part = {}
    for system, user in reads:
        by_part.setdefault(re.search(r"<text (\w+)>", user.content)[1], []).append((system, user))
    assert all(len(each) == 3 for each in by_part.values())
    for each in by_part.values():
        assert len({system.content for system, _ in each}) == 1
        shared = beginning(*(user.content for _, user in each))
        assert "</text" in shared  # the questions differ behind the whole part


@pytest.mark.parametrize("task", TASKS)
def test_each_kind_of_question_has_rules_of_its_own_for_every_stage(ask, task):
    kit = ask
    kit.run(CODED, params={"question": "What is red?", "task": task})
    own = {stage(request): request.messages[0].content for request in kit.requests}
    other = TASKS[TASKS.index(task) - 1]
    kit.run(CODED, params={"question": "What is red?", "task": other})
    theirs = {stage(request): request.messages[0].content for request in kit.requests}
    for each in ("read", "join"):
        rules = beginning(own[each], theirs[each])
        assert own[each] != theirs[each]
        assert len(rules) > 200  # what is to be done is the same


def test_a_short_document_is_asked_once(ask):
    (result,) = ask.run("The code of red is 17.", params={"question": "What is red?"}).results
    assert result.value == "red=17."
    assert len(ask.requests) == 1


@pytest.mark.parametrize("window", [4096, 8192])
def test_no_prompt_exceeds_a_small_window(tmp_path, window):
    kit = Kit("", reader, tmp_path, window=window)
    kit.path = "ask"
    text = story(200, [(place, "red", place) for place in range(0, 200, 2)])
    (result,) = kit.run(text, params={"question": "What is red?"}).results
    assert result.value == "; ".join(f"red={place}" for place in range(0, 200, 2)) + "."
    count = get_counter("estimate-1").count
    for request in kit.requests:
        prompt = sum(count(message.content) for message in request.messages)
        assert prompt + request.max_tokens <= window


def test_the_run_lies_within_the_plan(ask):
    plan = ask.plan(CODED, params={"question": ["What is red?", "What is blue?"]})
    ask.run(CODED, params={"question": ["What is red?", "What is blue?"]})
    assert plan.sent[0] <= len(ask.requests) <= plan.sent[1]
