"""A reply is whole where its finish reason is known to be good, and only there."""

from __future__ import annotations

import pytest
from tests.support.openai_calls import chat, saying, send
from tests.support.serving import Answer, serving

from octavo.protocols import Finish, Transient

TEXT = "Noon was agreed. The bridge is"

CUT = [
    ("opencode#18813", "model_context_window_exceeded"),
    ("opencode#18813", "network_error"),
    ("promptfoo#9905", "max_output_tokens"),
    ("promptfoo#9905", "incomplete"),
    ("dify#7559", "timeout"),
    ("litellm#40477", "engine_overloaded"),
    ("litellm#40477", "something_new"),
]
REFUSED = [
    ("dify#7559", "sensitive"),
    ("promptfoo#9905", "content_filtered"),
    ("litellm#40477", "BLOCKLIST"),
    ("litellm#40477", "PROHIBITED_CONTENT"),
]
WHOLE = ["stop", "STOP", "eos", "end_turn", "stop_sequence", "tool_calls"]
LIMITS = {"model_context_window_exceeded", "max_output_tokens"}


def finishing(reason, text=TEXT, *, stream=False):
    if not stream:
        return saying(text, finish=reason)
    events = [{"choices": [{"delta": {"content": text}}]}] if text else []
    if reason is not None:
        events.append({"choices": [{"delta": {}, "finish_reason": reason}]})
    return chat(lambda _: Answer(events=events))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("source", "reason"), CUT)
def test_an_unknown_reason_is_a_cut(source, reason, stream):
    with serving(answer=finishing(reason, stream=stream)) as server:
        reply = send(server.url, stream=stream)
    assert (reply.finish, reply.finish_reason) == (Finish.LENGTH, reason), source


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("source", "reason"), [each for each in CUT if each[1] not in LIMITS])
def test_an_unknown_reason_without_a_text_passes(source, reason, stream):
    del source
    answer = finishing(reason, "", stream=stream)
    with serving(answer=answer) as server, pytest.raises(Transient, match=reason):
        send(server.url, stream=stream)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("source", "reason"), REFUSED)
def test_a_word_for_a_filter_is_a_refusal(source, reason, stream):
    with serving(answer=finishing(reason, stream=stream)) as server:
        assert send(server.url, stream=stream).finish is Finish.REFUSAL, source


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", WHOLE)
def test_known_words_are_good(reason, stream):
    with serving(answer=finishing(reason, stream=stream)) as server:
        reply = send(server.url, stream=stream)
    assert (reply.finish, reply.text) == (Finish.STOP, TEXT)


@pytest.mark.parametrize("reason", [None, ""])
def test_no_word_is_good_where_nothing_was_streamed(reason):
    with serving(answer=finishing(reason)) as server:
        assert send(server.url).finish is Finish.STOP


@pytest.mark.parametrize("mark", [b"data: [DONE]\n\n", b""])
def test_a_stream_without_a_word_is_a_cut(mark):
    body = b'data: {"choices": [{"delta": {"content": "Noon was agreed. The"}}]}\n\n' + mark
    headers = {"content-type": "text/event-stream"}
    with serving(answer=chat(lambda _: Answer(body=body, headers=headers))) as server:
        reply = send(server.url, stream=True)
    assert (reply.finish, reply.text) == (Finish.LENGTH, "Noon was agreed. The")
