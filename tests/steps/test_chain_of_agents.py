"""Chain of Agents, said with `fold`, `map`, `name` and `from`."""

from __future__ import annotations

import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

CODES = re.compile(r"The code of (\w+) is (\d+)\.")
BOTH = """
octavo: 1
params: {question: {type: string}}
steps:
  - name: parts
    split: {tokens: 400}
  - name: forward
    fold: {first: chain/first, next: chain/next, words: 50, tokens: 200}
  - name: backward
    from: parts
    fold: {first: chain/first, next: chain/next, words: 50, tokens: 200, order: reverse}
  - name: judge
    from: [forward, backward]
    reduce: {prompt: "Judge {{ question }}:{% for n in notes %}\\n{{ n | fence }}{% endfor %}"}
"""


def story():
    parts = paragraphs(60, words=90).split("\n\n")
    for place, name, number in ((2, "red", 17), (30, "green", 4), (57, "blue", 99)):
        parts[place] += f" The code of {name} is {number}."
    return "\n\n".join(parts)


def worker(request):
    """Hand on the codes found so far, in the order of reading."""
    found = CODES.findall("\n".join(fenced(request)))
    told = dict.fromkeys(f"The code of {name} is {number}." for name, number in found)
    return " ".join(told) or "Nothing so far."


@pytest.fixture
def chain(tmp_path):
    kit = Kit("", worker, tmp_path)
    kit.path = "chain"
    return kit


def test_each_worker_sees_its_part_and_the_message_and_the_manager_the_last_message(chain):
    text = story()
    plan = chain.plan(text, params={"question": "Which codes?"})
    (result,) = chain.run(text, params={"question": "Which codes?"}).results
    assert result.value == "The code of red is 17. The code of green is 4. The code of blue is 99."
    *workers, manager = chain.requests
    assert [len(fenced(each)) for each in workers] == [1, *(2 for _ in workers[1:])]
    assert fenced(manager) == [result.value]
    assert "no part" in manager.messages[0].content or "<text" not in str(manager.messages)
    assert len(chain.requests) == plan.sent[0]
    assert plan.depth >= len(chain.requests)
    assert result.spans == ((0, len(text)),)


def test_several_questions_run_along_their_own_chains(chain):
    asked = ["Which codes?", "Which colours?"]
    (result,) = chain.run(story(), params={"question": asked}).results
    assert [answer.asked for answer in result.answers] == asked
    assert all(answer.value.startswith("The code of red") for answer in result.answers)


def test_two_chains_from_both_ends_meet_in_one_step(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("Judge"):
            return " | ".join(fenced(request))
        return worker(request)

    kit = Kit(BOTH, handler, tmp_path)
    plan = kit.plan(story(), params={"question": "Which codes?"})
    (result,) = kit.run(story(), params={"question": "Which codes?"}).results
    forward, backward = result.value.split(" | ")
    assert CODES.findall(forward) == [("red", "17"), ("green", "4"), ("blue", "99")]
    # The message stands before the part, so the order is again that of reading.
    assert CODES.findall(backward) == [("blue", "99"), ("green", "4"), ("red", "17")]
    workers = len(kit.requests) - 1
    assert plan.sent == (len(kit.requests), len(kit.requests))
    assert plan.depth == workers / 2 + 1  # the chains run side by side
