"""A whole reply is read in any wrapping; what cannot be read is not asked for eight times."""

from __future__ import annotations

import asyncio
import json

import pytest
from tests.support.openai_calls import CLIENTS, REQUEST, backend, chat, send
from tests.support.serving import Answer, serving

from octavo.errors import BackendError, RequestError
from octavo.protocols import Finish, Transient, Usage

USAGE = {"prompt_tokens": 9, "completion_tokens": 2}
WHOLE = {"choices": [{"message": {"content": "At noon."}, "finish_reason": "stop"}], "usage": USAGE}
DELTAS = [
    {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "At "}}]},
    {"choices": [{"index": 0, "delta": {"content": "noon."}}]},
    {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
    {"choices": [], "usage": USAGE},
]
SSE, PLAIN, JSON = "text/event-stream; charset=utf-8", "text/plain", "application/json"


def stream(events, *, gap="\n\n", head="", done="data: [DONE]\n\n"):
    return head + "".join(f"data: {json.dumps(event)}{gap}" for event in events) + done


WRAPPED = {
    "9router#3492: a stream that was not asked for": (SSE, stream(DELTAS)),
    "9router#3492: a whole completion as one event": (SSE, stream([WHOLE])),
    "unsloth#6570: a stream called plain text": (PLAIN, stream(DELTAS)),
    "unsloth#6570: a stream called JSON": (JSON, stream(DELTAS)),
    "9router#3492: comments before the events": (PLAIN, stream(DELTAS, head=": PROCESSING\n\n")),
    "9router#3492: names of events": (PLAIN, stream(DELTAS, head="event: message\n")),
    "9router#3492: no empty lines between events": (PLAIN, stream(DELTAS, gap="\n")),
    "9router#3492: no mark at the end": (PLAIN, stream(DELTAS, done="")),
    "9router#3492: JSON with the mark behind it": (JSON, json.dumps(WHOLE) + "\ndata: [DONE]\n\n"),
    "9router#3492: JSON called a stream": (SSE, json.dumps(WHOLE)),
    "9router#3492: both": (SSE, json.dumps(WHOLE) + "\n\ndata: [DONE]\n\n"),
    "unsloth#6570: a byte order mark": (JSON, "\ufeff" + json.dumps(WHOLE)),
}


def wrapped(kind, body):
    headers = {"content-type": kind}
    return chat(lambda _: Answer(body=body.encode(), headers=headers))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("source", WRAPPED)
def test_a_whole_reply_is_read(source, asked, client):
    with serving(answer=wrapped(*WRAPPED[source])) as server:
        reply = send(server.url, client=client, stream=asked)
    assert (reply.text, reply.finish, reply.usage) == ("At noon.", Finish.STOP, Usage(9, 2))
    assert len(server.calls) == 1


def test_a_server_that_streams_unasked_is_told_not_to_from_then_on():
    def answer(call):
        wanted = call.body.get("stream", True)
        return Answer(events=DELTAS) if wanted else Answer(body=WHOLE)

    with serving(answer=chat(answer)) as server:
        replies = [send(server.url) for _ in range(3)]
    assert {reply.text for reply in replies} == {"At noon."}
    assert [call.body.get("stream") for call in server.calls] == [None, False, False]


def test_samples_that_were_streamed_unasked_are_not_mixed():
    def answer(_):
        deltas = [(0, "At noon."), (1, "At dusk.")]
        events = [{"choices": [{"index": i, "delta": {"content": said}}]} for i, said in deltas]
        ends = [{"choices": [{"index": i, "delta": {}, "finish_reason": "stop"}]} for i in (0, 1)]
        return Answer(events=events + ends)

    async def run(url):
        opened = backend(url)
        try:
            return await opened.sample([REQUEST, REQUEST], lambda: None)
        finally:
            await opened.close()

    with serving(answer=chat(answer)) as server:
        assert [reply.text for reply in asyncio.run(run(server.url))] == ["At noon."]


def ask(url, *answers):
    """Send one request so often and return how each attempt ended."""

    async def run():
        opened, ends = backend(url), []
        for _ in answers:
            try:
                ends.append((await opened.send(REQUEST, lambda: None)).text)
            except (Transient, RequestError, BackendError) as error:
                ends.append(error)
        await opened.close()
        return ends

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("source", "kind", "body"),
    [
        ("9router#3492", "text/html", "<html>Welcome</html>"),
        ("unsloth#6570", "application/x-ndjson", '{"a": 1}\n{"b": 2}\n'),
        ("unsloth#6570", "text/plain", "At noon."),
    ],
)
def test_a_wrapping_that_is_wrong_twice_does_not_pass(source, kind, body):
    with serving(answer=wrapped(kind, body)) as server:
        first, second = ask(server.url, 1, 2)
    assert type(first) is Transient, source
    assert type(second) is BackendError
    assert kind in str(second)
    assert "base_url" in second.hint


def test_a_wrapping_that_is_wrong_for_one_call_ends_that_call():
    def answer(call):
        headers = {"content-type": "text/html"}
        return Answer(body=b"<html>", headers=headers) if call.turn else Answer(body=WHOLE)

    with serving(answer=chat(answer)) as server:
        good, first, second = ask(server.url, 1, 2, 3)
    assert good == "At noon."
    assert type(first) is Transient
    assert type(second) is RequestError


@pytest.mark.parametrize("body", ['{"choices": [', "", "[" * 200_000])
def test_json_that_is_broken_may_always_pass(body):
    with serving(answer=wrapped(JSON, body)) as server:
        assert {type(end) for end in ask(server.url, 1, 2, 3)} == {Transient}
