"""What a run makes of servers' odd replies: what is cut is told, what is paid for is used."""

from __future__ import annotations

import json

import pytest
from tests.support.openai_calls import chat, saying
from tests.support.serving import Answer, serving

PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 4000}
  - map: {prompt: "Retell: {{ text | fence }}", tokens: 60}
"""
PROFILE = '[profiles.mock]\nmodel = "openai:mock"\nbase_url = "%s"\nwindow = 8000\n'


@pytest.fixture
def retell(tmp_path, octavo):
    """Run a pipeline of one call against a server, and return how that ended."""

    def run(server, *options, profile=""):
        (tmp_path / "p.yaml").write_text(PIPELINE)
        (tmp_path / "a.txt").write_text("The meeting is at noon. The bridge is closed.")
        (tmp_path / "octavo.toml").write_text(PROFILE % server.url + profile)
        return octavo("run", "p.yaml", "a.txt", "-m", "mock", *options)

    return run


@pytest.mark.parametrize("stream", ["false", "true"])
def test_a_cut_is_told_with_its_word_now_and_from_the_journal(retell, stream):
    text = "Noon was agreed. The bridge is"
    events = [{"choices": [{"delta": {"content": text}, "finish_reason": "network_error"}]}]
    whole = saying(text, finish="network_error")
    streamed = chat(lambda _: Answer(events=events))
    with serving(answer=streamed if stream == "true" else whole) as server:
        runs = [retell(server, profile=f"stream = {stream}\n") for _ in range(2)]
    assert len([each for each in server.calls if each.method == "POST"]) == 2
    for done in runs:
        assert done.code == 0
        assert done.out.strip() == "Noon was agreed."
        assert "finish reason: network_error" in done.err


def test_a_cut_without_a_whole_sentence_fails_with_its_word(retell):
    with serving(answer=saying("Noon was", finish="timeout")) as server:
        done = retell(server, "--json")
    assert done.code == 1
    assert "finish reason: timeout" in done.err
    assert len([each for each in server.calls if each.method == "POST"]) == 2
    assert not done.out.strip() or json.loads(done.out.splitlines()[0]).get("error")


def test_a_stream_that_was_not_asked_for_is_paid_once(retell):
    deltas = [{"delta": {"content": "At noon."}}, {"delta": {}, "finish_reason": "stop"}]
    events = "".join(f"data: {json.dumps({'choices': [each]})}\n\n" for each in deltas)
    kind = {"content-type": "text/plain"}
    answer = chat(lambda _: Answer(body=f"{events}data: [DONE]\n\n".encode(), headers=kind))
    with serving(answer=answer) as server:
        done = retell(server)
    assert (done.code, done.out.strip()) == (0, "At noon.")
    assert len([each for each in server.calls if each.method == "POST"]) == 1


def test_credit_that_is_used_up_ends_the_run_after_one_request(retell):
    error = {"error": "Your team has used all available credits.", "code": "exhausted"}
    with serving(answer=chat(lambda _: Answer(429, error))) as server:
        done = retell(server)
    assert done.code == 3
    assert "used all available credits" in done.err
    assert len([each for each in server.calls if each.method == "POST"]) == 1


def test_nested_refusals_are_learnt(retell):
    detail = [{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "not permitted"}]
    error = {"object": "error", "message": {"detail": detail}}
    answer = chat(lambda call: Answer(422, error) if "seed" in call.body else None)
    with serving(answer=answer) as server:
        done = retell(server)
    assert done.code == 0
    assert len([each for each in server.calls if each.method == "POST"]) == 2
