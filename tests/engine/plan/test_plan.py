"""What a plan says is what the run then does: calls, tokens, cost, time, and why."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from tests.support.clock import run_virtually
from tests.support.kit import Kit, paragraphs
from tests.support.mock.replies import record, sentences

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.journal.history import SendReason
from octavo.errors import FitError, UsageError
from octavo.pipeline.lookup import Lookup
from octavo.pipeline.reader import load_pipeline
from octavo.protocols import Capabilities
from octavo.tokens.choose import get_counter

BUILT_IN = sorted(found.name for found in Lookup().list_pipelines())
EXACT = {"count", "map", "outline", "overview", "review", "summarize"}
"""Nothing that these ask depends on what replies say; the outline is that of real headings."""
SCHEMA = '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
VALUES = {
    "schema": SCHEMA,
    "question": "Who saw word7?",
    "what": "words",
    "instruction": "List the words.",
}


def book(sections=6):
    """A text with headings whose every paragraph is different."""
    parts = paragraphs(sections * 6, words=90).split("\n\n")
    return "\n\n".join(
        f"# Section {n}\n\n" + "\n\n".join(parts[n * 6 : n * 6 + 6]) for n in range(sections)
    )


def realistic(request):
    """Between 60 and 100 percent of the words asked for, or a record that fits."""
    text = "\n".join(message.content for message in request.messages)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:6])
    if request.schema is not None:
        return record(request.schema, number)[0]
    return sentences(number, request.max_tokens)[0]


def params(name):
    declared = {parameter.name: parameter for parameter in load_pipeline(name).params}
    return {
        key: VALUES.get(key, "word7")
        for key, parameter in declared.items()
        if parameter.required or key in VALUES
    }


def backend(handler=realistic):
    known = Capabilities(window=32_000, tokenizer="o200k_base", logprobs=True, embeddings=True)
    return ScriptedBackend(handler, identity="scripted:plan", known=known)


@pytest.fixture
def document(tmp_path):
    (tmp_path / "book.md").write_text(book())
    return tmp_path / "book.md"


def tokens_in(requests):
    count = get_counter("o200k_base").count
    return sum(count(each.content) + 8 for request in requests for each in request.messages)


@pytest.mark.parametrize("name", BUILT_IN)
def test_a_run_of_every_built_in_pipeline_lies_within_its_plan(name, document):
    planned = octavo.plan(name, document, model=backend(), params=params(name))
    model = backend()
    result = octavo.run(name, document, model=model, params=params(name))
    assert result.results[0].error is None
    low, high = planned.calls
    assert low <= result.report.totals.calls <= high
    if name in EXACT:
        assert low == high
    first = [request for request in model.requests if request.attempt == 0]
    assert planned.sent[0] <= len(first) <= planned.sent[1]
    prompts = tokens_in(first)
    assert sum(step.prompt_low for step in planned.steps) <= prompts
    assert prompts <= sum(step.prompt_high for step in planned.steps)
    assert max(tokens_in([each]) + each.max_tokens for each in first) <= planned.largest
    again = octavo.plan(name, document, model=backend(), params=params(name))
    assert again.sent == (0, 0)
    assert again.cost == (0, 0)
    assert again.again.calls == 0


def test_the_likely_tokens_of_a_map_are_near_what_a_run_takes(document):
    planned = octavo.plan("map", document, model=backend(), params=params("map"))
    model = backend()
    result = octavo.run("map", document, model=model, params=params("map"))
    replies = get_counter("o200k_base").count(result.text)
    taken = tokens_in(model.requests) + replies
    assert planned.likely == pytest.approx(taken, rel=0.1)


MAP = """
octavo: 1
params: {tone: {type: string, default: plain}}
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up, {{ tone }}: {{ text | fence }}", tokens: 60}
  - merge: {prompt: "Merge: {% for note in notes %}{{ note | fence }}{% endfor %}", tokens: 60}
"""


@pytest.fixture
def kit(tmp_path):
    return Kit(MAP, realistic, tmp_path)


def reasons(plan, step="map"):
    [found] = [each for each in plan.steps if each.step == step]
    return found.reasons


def test_a_plan_says_why_calls_would_be_sent(kit, tmp_path):
    text = paragraphs(20)
    total = kit.plan(text).steps[1].sent_low
    assert reasons(kit.plan(text)) == {SendReason.NEW: total}
    kit.run(text)
    assert reasons(kit.plan(text)) == {}
    edited = text.replace("Paragraph 3.", "Paragraph three.")
    assert reasons(kit.plan(edited)) == {SendReason.INPUT: 1}
    assert kit.plan(edited).steps[1].cached == total - 1
    assert set(reasons(kit.plan(edited), "merge")) == {SendReason.INPUT}
    assert reasons(kit.plan(text, params={"tone": "solemn"})) == {SendReason.OPTIONS: total}
    assert reasons(kit.plan(text, fresh=True)) == {SendReason.FRESH: total}
    kit.path.write_text(MAP.replace("Sum up", "Condense"))
    assert reasons(kit.plan(text)) == {SendReason.PROMPT: total}
    kit.path.write_text(MAP.replace("tokens: 60", "tokens: 61"))
    assert reasons(kit.plan(text)) == {SendReason.OPTIONS: total}
    kit.path.write_text(MAP)
    other = ScriptedBackend(realistic, identity="scripted:other")
    document = octavo.Document(text, "0.txt")
    assert reasons(octavo.plan(kit.path, document, model=other)) == {SendReason.MODEL: total}


def test_what_an_ended_run_left_is_not_answered_yet(kit):
    total = kit.plan(paragraphs(20)).steps[1].sent_low
    with pytest.raises(octavo.OctavoError):
        kit.run(paragraphs(20), max_calls=5, jobs=1)
    assert reasons(kit.plan(paragraphs(20))) == {SendReason.UNANSWERED: total - 5}


def test_equal_documents_are_sent_once(kit):
    once, twice = kit.plan(paragraphs(9)), kit.plan(paragraphs(9), paragraphs(9))
    assert twice.calls == (2 * once.calls[0], 2 * once.calls[1])
    assert twice.sent == once.sent
    assert twice.tokens == once.tokens
    totals = kit.run(paragraphs(9), paragraphs(9)).report.totals
    assert (totals.calls, totals.sent) == (twice.calls[0], twice.sent[0])


def test_a_cost_is_told_by_the_price_or_not_at_all(tmp_path, monkeypatch, document):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "octavo.toml").write_text(
        '[profiles.paid]\nmodel = "openai:m"\nbase_url = "http://127.0.0.1:9/v1"\n'
        "price_in = 2.0\nprice_out = 8.0\n"
        '[profiles.free]\nmodel = "openai:m"\nbase_url = "http://127.0.0.1:9/v1"\n'
        '[profiles.listed]\nmodel = "openai:gpt-5-mini"\n'
    )
    told = octavo.plan("map", document, model="paid", params=params("map"))
    [step] = [each for each in told.steps if each.sent_high]
    low = (step.prompt_low * 2 + step.completion_low * 8) / 1e6
    high = (step.prompt_high * 2 + step.completion_high * 8) / 1e6
    assert told.cost == (pytest.approx(low), pytest.approx(high))
    assert told.priced == "the profile"
    more = (step.again.prompt * 2 + step.again.completion * 8) / 1e6
    assert told.again.cost == pytest.approx(more)
    unknown = octavo.plan("map", document, model="free", params=params("map"))
    assert (unknown.cost, unknown.priced, unknown.again.cost) == (None, None, None)
    listed = octavo.plan("map", document, model="listed", params=params("map"))
    assert 0 < listed.cost[0] < listed.cost[1]
    assert listed.priced == "genai-prices"


def test_time_is_told_by_earlier_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("asyncio.run", lambda work: run_virtually(work)[0])

    async def slow(request):
        await asyncio.sleep(2)
        return realistic(request)

    kit = Kit(MAP, slow, tmp_path)
    assert kit.plan(paragraphs(20), jobs=4).seconds is None
    kit.run(paragraphs(20), jobs=4)
    planned = kit.plan(paragraphs(200), jobs=4)
    low, high = planned.seconds
    assert low == pytest.approx(planned.sent[0] * 2 / 4)
    assert high == pytest.approx(planned.sent[1] * 2 / 4)
    assert kit.plan(paragraphs(200), jobs=1).seconds[0] == pytest.approx(4 * low)
    assert kit.plan(paragraphs(20), jobs=4).seconds == (0, 0)


def test_a_run_may_end_with_an_earlier_step(kit):
    text = paragraphs(8)
    planned = kit.plan(text, until="map")
    result = kit.run(text, until="map")
    assert planned.calls == (result.report.totals.calls,) * 2
    assert [step.step for step in planned.steps] == ["split", "map"]
    assert result.text == "\n\n".join(map(realistic, kit.requests))
    assert kit.run(text).report.totals.sent == kit.plan(text).calls[0] - planned.calls[0]
    split = kit.run(text, until="split")
    assert split.results[0].value.replace("\n", "") == text.replace("\n", "")
    with pytest.raises(UsageError, match="no step 'mop'") as caught:
        kit.plan(text, until="mop")
    assert caught.value.hint == "its steps: split, map, merge"


def test_what_cannot_fit_fails_with_the_numbers(tmp_path):
    kit = Kit(MAP, realistic, tmp_path, window=200)
    with pytest.raises(FitError, match="200") as caught:
        kit.plan(paragraphs(20))
    assert caught.value.exit_code == 2
