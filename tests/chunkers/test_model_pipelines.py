"""Pipelines whose chunkers ask a model: plans, second runs, and replies of no use."""

from __future__ import annotations

import json
import re

import pytest
from tests.chunkers.test_model_chunkers import ASKING
from tests.support.kit import Kit, fenced, paragraphs

from octavo.engine.report import Silence
from octavo.errors import BackendError, FitError, UsageError
from octavo.protocols import Finish, Reply, TokenLogprob, Usage

PIPELINE = """
octavo: 1
steps:
  - split: {{by: {by}, tokens: 120, {options}}}
  - map: {{prompt: {{user: "{{{{ context.question }}}} {{{{ text | fence }}}}"}}, tokens: 50}}
"""


CUT = Finish.LENGTH


def respond(request):
    [*_, text] = fenced(request)
    if request.logprobs and request.max_tokens == 1:
        split = -0.1 if text.startswith("Paragraph") else -3.0
        top = (("1", split), ("2", -0.5))
        return Reply("1", CUT, Usage(completion=1), logprobs=(TokenLogprob("1", split, top),))
    words = text.split()
    middle = " ".join(words[len(words) // 2 :][:6])
    if request.schema is None:
        return words[0]
    row = {"question": "Which?", "tail": "x", "title": "T", "core": "C"}
    rows = [{**row, "head": " ".join(words[:4])}, {**row, "head": middle}]
    names = request.schema["properties"]
    fields = names["chunks"]["items"]["required"] if "chunks" in names else ()
    values = {
        "paragraph": 2,
        "pattern": "Paragraph",
        "chunks": [{name: each[name] for name in fields} for each in rows],
        "outline": [],
        "questions": [],
        "complete": True,
        "facts": [],
    }
    return json.dumps({name: values[name] for name in names})


@pytest.mark.parametrize("name", ["margin", "perplexity", "semantic"])
def test_no_step_of_a_plan_has_more_tokens_at_least_than_at_most(name, tmp_path):
    """With short replies a document may be one chunk, which has a prompt of its own."""
    pipeline = PIPELINE.replace(
        "steps:", 'whole: {{prompt: {{user: "{{{{ text | fence }}}}"}}}}\nsteps:'
    )
    pipeline = pipeline.format(by=name, options="").replace("tokens: 120", "tokens: 4000")
    planned = Kit(pipeline, respond, tmp_path, prompt_logprobs=True).plan(paragraphs(8))
    whole = next(step for step in planned.steps if step.step == "whole")
    assert (whole.calls_low, whole.calls_high) == (0, 1)
    assert whole.completion_high == whole.again.completion  # all that a reply may have
    for step in planned.steps:
        assert 0 <= step.prompt_low <= step.prompt_high
        assert 0 <= step.completion_low <= step.completion_high
        assert step.cost_low <= step.cost_high


@pytest.mark.parametrize("name", ASKING)
def test_a_run_lies_within_its_plan_and_a_second_sends_nothing(name, tmp_path):
    text = paragraphs(8)
    kit = Kit(PIPELINE.format(by=name, options=""), respond, tmp_path, prompt_logprobs=True)
    planned = kit.plan(text)
    [result] = kit.run(text).results
    assert result.error is None
    assert planned.calls[0] <= result.totals.calls <= planned.calls[1]
    assert planned.sent[0] <= len(kit.requests) + len(kit.backend.embedded) <= planned.sent[1]
    assert planned.calls[1] > 1
    kit.run(text)
    assert kit.requests == []


def test_a_model_that_cannot_is_refused_in_the_plan(tmp_path):
    for name, needs in (("perplexity", "log prob"), ("margin", "log prob"), ("semantic", "embed")):
        pipeline = PIPELINE.format(by=name, options="")
        kit = Kit(pipeline, respond, tmp_path, logprobs=False, embeddings=False)
        with pytest.raises(UsageError, match=needs):
            kit.plan(paragraphs(3))


SITUATED = """
octavo: 1
steps:
  - split: {tokens: 250, situate: chunk/situate, situate_tokens: 20}
  - map: {prompt: {user: "[{{ context.situation }}] {{ text | fence }}"}, tokens: 300}
"""


def test_a_chunk_is_situated_in_its_document_which_comes_first(tmp_path):
    def handler(request):
        message = request.messages[-1].content
        if message.startswith("<document"):
            return f"About {fenced(request)[1].split()[1]}"
        return message.partition("]")[0]

    text = paragraphs(4)
    kit = Kit(SITUATED, handler, tmp_path)
    [result] = kit.run(text).results
    told = re.findall(r"\[About (\w+)", result.value)
    assert len(set(told)) >= 3
    situating = [each for each in kit.requests if each.messages[-1].content.startswith("<document")]
    shared = {each.messages[-1].content[: len(text)] for each in situating}
    assert len(situating) == len(told)
    assert len(shared) == 1
    assert kit.plan(text).calls == (len(kit.requests), len(kit.requests))


def test_a_document_that_cannot_be_shown_whole_is_refused_in_the_plan(tmp_path):
    kit = Kit(SITUATED, respond, tmp_path, window=1000)
    with pytest.raises(FitError, match="the window has 1,000"):
        kit.plan(paragraphs(8))


@pytest.mark.parametrize("text", ["2", "", "\n"])
def test_the_one_token_that_decides_a_border_is_always_cut(text, tmp_path):
    """What every real server says of a reply of one token: that it ended for its length."""
    chances = (TokenLogprob(text, -0.1, (("1", -0.2), ("2", -3.0))),)

    def handler(request):
        if request.logprobs:
            return Reply(text, CUT, Usage(completion=1), logprobs=chances)
        return respond(request)

    kit = Kit(PIPELINE.format(by="margin", options="least: 0, threshold: 0"), handler, tmp_path)
    [result] = kit.run(paragraphs(4)).results
    assert result.error is None
    assert len([each for each in kit.requests if not each.logprobs]) > 4
    kit.run(paragraphs(4))
    assert kit.requests == []


def test_probabilities_that_never_come_are_told(tmp_path):
    pipeline = PIPELINE.format(by="margin", options="least: 0")
    kit = Kit(pipeline, lambda request: "2" if request.logprobs else respond(request), tmp_path)
    with pytest.raises(BackendError, match="no log probabilities"):
        kit.run(paragraphs(4))


@pytest.mark.parametrize("name", ["anchors", "outline", "questions", "regex", "shift"])
def test_replies_that_are_cut_cost_no_text(name, tmp_path):
    def handler(request):
        if request.schema is not None:
            return Reply('{"chunks": [{"head": "Para', CUT)
        return fenced(request)[-1]

    pipeline = PIPELINE.format(by=name, options="").replace("tokens: 50", "tokens: 400")
    kit, watch = Kit(pipeline, handler, tmp_path), Told()
    text = paragraphs(6)
    [result] = kit.run(text, watch=watch).results
    assert result.error is None
    assert result.coverage == 1
    assert result.value.split() == text.split()
    assert any("cut off" in each for each in watch.said)


def test_a_chunk_that_is_not_situated_is_there_all_the_same(tmp_path):
    def handler(request):
        message = request.messages[-1].content
        if message.startswith("<document"):
            return Reply("On and on and", CUT)
        return fenced(request)[-1]

    kit, watch = Kit(SITUATED, handler, tmp_path), Told()
    text = paragraphs(4)
    [result] = kit.run(text, watch=watch).results
    assert result.error is None
    assert result.value.split() == text.split()
    assert any("have no situation" in each for each in watch.said)


class Told(Silence):
    """Keeps what the user is told."""

    def __init__(self):
        self.said = []

    def notice(self, message):
        self.said.append(message)
