"""Replies with odd numbers and depths: what cannot be is unknown or invalid, never a defect."""

from __future__ import annotations

import json

import pytest
from tests.support.mock.answer import Answer
from tests.support.serving import serving

TEXT = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 1000}
  - map: {prompt: "Read: {{ text }}", tokens: 200}
"""
RECORD = TEXT.replace("tokens: 200", "schema: record, tokens: 200")
LINES = 12
NUMBER = {"type": ["number", "array", "object"], "multipleOf": 0.5}
SCHEMA = {"type": "object", "properties": {"a": NUMBER}}
SCORED = """\
octavo: 1
steps:
  - split: {by: margin, tokens: 100}
  - map: {prompt: "Read: {{ text }}", tokens: 200}
"""


@pytest.fixture
def answered(tmp_path, octavo, monkeypatch):
    """Run a pipeline over a server that answers every chat with this body."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-fake-0123456789abcdef")
    (tmp_path / "text.txt").write_text("Call me Ishmael.\n")
    (tmp_path / "record.json").write_text(json.dumps(SCHEMA))

    def run(body, *options, pipeline=TEXT):
        (tmp_path / "pipeline.yaml").write_text(pipeline)
        answer = Answer(body=body.encode() if isinstance(body, str) else body)
        with serving(answer=lambda call: answer if call.method == "POST" else None) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", server.url)
            command = ("run", "./pipeline.yaml", "-m", "openai:mock", "text.txt", *options)
            done = octavo(*command), octavo(*command)
            return *done, sum(call.method == "POST" for call in server.calls)

    return run


def completion(text, usage="{}", logprobs="null"):
    message = json.dumps({"role": "assistant", "content": text})
    choice = (
        f'{{"index": 0, "message": {message}, "finish_reason": "stop", "logprobs": {logprobs}}}'
    )
    return f'{{"choices": [{choice}], "usage": {usage}}}'


@pytest.mark.parametrize(
    "count",
    [str(10**19), str(10**20), "9" * 400, "1e999", "Infinity", "-Infinity", "NaN", '"7"', "[7]"],
)
def test_a_count_that_cannot_be_is_unknown_and_the_reply_is_kept(answered, count):
    fields = (
        f'{{"prompt_tokens": {count}, "completion_tokens": {count},'
        f' "prompt_tokens_details": {{"cached_tokens": {count}}},'
        f' "completion_tokens_details": {{"reasoning_tokens": {count}}}}}'
    )
    first, again, calls = answered(completion("Ishmael.", fields), "--json")
    assert (first.code, again.code) == (0, 0)
    usage = json.loads(first.out)["usage"]
    assert usage["prompt_tokens"] is usage["completion_tokens"] is None
    assert json.loads(first.out)["result"] == json.loads(again.out)["result"] == "Ishmael."
    assert calls == 1


@pytest.mark.parametrize(
    "logprob", ["NaN", "Infinity", "-Infinity", "1e300", "9" * 400, '"-1"', "null", "[1]", "true"]
)
def test_an_odd_log_probability_is_unknown_and_the_reply_is_kept(answered, logprob, tmp_path):
    top = f'[{{"token": "1", "logprob": {logprob}}}]'
    token = f'{{"token": "1", "logprob": {logprob}, "top_logprobs": {top}}}'
    body = completion("1", logprobs=f'{{"content": [{token}]}}')
    (tmp_path / "text.txt").write_text("One line is here to be read.\n\n" * LINES)
    (tmp_path / "octavo.toml").write_text(
        '[profiles.scores]\nmodel = "openai:mock"\nlogprobs = true\n'
    )
    first, again, calls = answered(body, "-m", "scores", pipeline=SCORED)
    assert (first.code, again.code) == (3, 3)
    assert "the backend gives no log probabilities" in first.err
    assert calls == 1


@pytest.mark.parametrize(
    "reply",
    [
        "[" * 200_000,
        '{"a": ' + "[" * 200_000,
        '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}",
        '{"a": ' + "[" * 900 + "]" * 900 + "}",
        '{"a": ' + "[" * 300 + "]" * 300 + "}",
        '{"a": ' + '{"a": ' * 300 + "1" + "}" * 301,
        '{"a": Infinity}',
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": ' + "9" * 400 + "}",
        '{"a": ' + "9" * 5000 + "}",
        '{"b": ' + "9" * 4300 + "}",
    ],
)
def test_a_record_of_odd_depth_or_numbers_is_invalid_and_paid_for_once(answered, reply):
    first, again, calls = answered(completion(reply), pipeline=RECORD)
    assert (first.code, again.code) == (1, 1)
    assert "the reply is no record" in first.err
    assert calls == 2  # asked once more, and then never again
