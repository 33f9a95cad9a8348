"""What goes to a server, what comes back, and how servers differ."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.openai_calls import CLIENTS, REQUEST, backend, chat, refusing, saying, send
from tests.support.serving import Answer, Behaviour, serving

from octavo.backends.openai.dialect import build_dialect
from octavo.errors import AuthError, RequestError, UsageError
from octavo.protocols import Finish, Message, TokenLogprob, Transient, Usage
from octavo.protocols.backends import Profile

SCHEMA = {
    "title": "a person!",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_call_gives_text_and_usage(client, stream):
    starts = []
    with serving(Behaviour(cached=True)) as server:
        replies = [
            send(server.url, client=client, stream=stream, started=lambda: starts.append(1))
            for _ in range(2)
        ]
    assert replies[0] == replies[1]
    assert replies[0].text.endswith(".")
    assert replies[0].finish is Finish.STOP
    assert replies[0].model == "mock"
    entry = server.log[0]
    assert replies[0].usage == Usage(entry.prompt, entry.reply, cached=0)
    assert starts == ([1, 1] if stream else [])


def test_the_body_is_the_neutral_request():
    with serving() as server:
        send(server.url, replace(REQUEST, temperature=0.0, sample=3, attempt=1, logprobs=4))
    assert server.calls[0].body == {
        "model": "mock",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "When is it?"},
        ],
        "max_tokens": 60,
        "temperature": 0.0,
        "seed": 1003,
        "logprobs": True,
        "top_logprobs": 4,
    }


def test_samples_and_attempts_differ_in_their_seeds():
    with serving() as server:
        texts = {
            send(server.url, replace(REQUEST, sample=sample, attempt=attempt)).text
            for sample in range(3)
            for attempt in range(2)
        }
    assert len(texts) == 6


def test_options_pass_through_and_none_removes_a_field():
    with serving() as server:
        send(server.url, options={"top_p": 0.9, "seed": None, "max_tokens": 7})
    body = server.calls[0].body
    assert (body["top_p"], body["max_tokens"]) == (0.9, 7)
    assert "seed" not in body


@pytest.mark.parametrize("field", ["model", "messages", "n", "stream"])
def test_options_cannot_take_a_request_apart(field):
    with pytest.raises(UsageError, match=field):
        backend("http://127.0.0.1:1/v1", options={field: 1})


def test_a_schema_is_sent_only_to_servers_that_take_one():
    request = replace(REQUEST, schema=SCHEMA)
    open_schema = {**SCHEMA, "required": ["name"]}
    with serving() as server:
        send(server.url, request)
        record = send(server.url, request, structured=True)
        send(server.url, replace(REQUEST, schema=open_schema), structured=True)
    first, second, third = (call.body.get("response_format") for call in server.calls)
    assert first is None
    assert second["json_schema"] == {"name": "aperson", "schema": SCHEMA, "strict": True}
    assert third["json_schema"]["strict"] is False
    assert record.text.startswith('{"name":')


def test_strict_schemas_for_openai_itself_bound_no_texts():
    text = {"type": "string", "maxLength": 60}
    schema = {
        "type": "object",
        "properties": {"maxLength": text, "items": {"type": "array", "items": text, "maxItems": 3}},
        "required": ["maxLength", "items"],
        "additionalProperties": False,
    }

    def sent(schema, *, official):
        dialect = build_dialect(Profile(model="openai:m", structured=True), official=official)
        body = dialect.build_body("m", replace(REQUEST, schema=schema))
        return body["response_format"]["json_schema"]["schema"]

    assert sent(schema, official=False) == schema
    assert sent(schema, official=True)["properties"] == {
        "maxLength": {"type": "string"},
        "items": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
    }
    loose = {**schema, "required": ["items"]}
    assert sent(loose, official=True) == loose


@pytest.mark.parametrize(
    ("words", "error", "field"),
    [
        (
            "'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
            {"param": "max_tokens", "code": "unsupported_parameter"},
            "max_tokens",
        ),
        (
            "Unsupported value: 'temperature' does not support 0.2 with this model.",
            {"param": "temperature", "code": "unsupported_value"},
            "temperature",
        ),
        ('Invalid JSON payload received. Unknown name "seed": Cannot find field.', {}, "seed"),
        ("response_format of type json_schema is not supported", {}, "response_format"),
        ("Unrecognized request argument supplied: stream_options", {}, "stream_options"),
    ],
)
def test_a_refused_field_is_written_another_way_once_for_the_process(words, error, field):
    request = replace(REQUEST, temperature=0.2, schema=SCHEMA)
    with serving(answer=refusing(words, lambda body: field in body, **error)) as server:
        for _ in range(2):
            send(server.url, request, structured=True, stream=True)
    assert [field in call.body for call in server.calls] == [True, False, False]
    kept = {"max_tokens", "temperature", "seed", "response_format", "stream_options"} - {field}
    assert kept <= server.calls[-1].body.keys()
    if field == "max_tokens":
        assert server.calls[-1].body["max_completion_tokens"] == 60


def test_several_refused_fields_are_learnt_one_after_the_other():
    def answer(call):
        for field in ("max_tokens", "temperature", "seed"):
            if field in call.body:
                detail = [{"loc": ["body", field], "msg": "Extra inputs are not permitted"}]
                return Answer(422, {"detail": detail})
        return None

    with serving(answer=chat(answer)) as server:
        reply = send(server.url, replace(REQUEST, temperature=0.5))
    assert reply.text
    assert [len(call.body) for call in server.calls] == [5, 5, 4, 3]


def test_calls_in_flight_together_learn_together():
    refuse = refusing("seed is not supported", lambda body: "seed" in body)

    async def run(url):
        opened = backend(url)
        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(opened.send(REQUEST, lambda: None))
        await opened.close()

    with serving(answer=refuse) as server:
        asyncio.run(run(server.url))
    assert sum("seed" not in call.body for call in server.calls) == 20
    assert len(server.calls) <= 40


def test_a_field_that_the_profile_insists_on_is_an_error():
    refuse = refusing("Unknown parameter: 'min_p'", lambda body: "min_p" in body, param="min_p")
    with serving(answer=refuse) as server, pytest.raises(RequestError, match="min_p"):
        send(server.url, options={"min_p": 0.1})
    assert len(server.calls) == 1


def test_a_bad_value_is_not_dropped():
    words = "temperature must be at most 1"
    refuse = refusing(words, lambda body: "temperature" in body, param="temperature")
    with serving(answer=refuse) as server, pytest.raises(RequestError, match="at most 1"):
        send(server.url, replace(REQUEST, temperature=1.5))
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    ("taken", "sent"),
    [
        ("developer", [("developer", "Be brief."), ("user", "When is it?")]),
        ("user", [("user", "Be brief.\n\nWhen is it?")]),
    ],
)
def test_a_server_without_a_system_role_gets_the_next_best(taken, sent):
    words = "System role not supported, nor is the role developer"
    refuse = refusing(words, lambda body: body["messages"][0]["role"] != taken)
    with serving(answer=refuse) as server:
        send(server.url)
    messages = server.calls[-1].body["messages"]
    assert [(each["role"], each["content"]) for each in messages] == sent


def test_the_profile_names_the_field_and_the_role():
    with serving() as server:
        send(server.url, max_tokens_field="max_completion_tokens", system_role="developer")
    body = server.calls[0].body
    assert body["max_completion_tokens"] == 60
    assert body["messages"][0]["role"] == "developer"


def test_a_server_that_will_not_stream_is_asked_whole():
    words = "Your organization must be verified to stream this model: stream is not supported"
    refuse = refusing(words, lambda body: "stream" in body, param="stream")
    with serving(answer=refuse) as server:
        assert send(server.url, stream=True).text
    assert "stream_options" not in server.calls[-1].body


@pytest.mark.parametrize("client", CLIENTS)
def test_a_server_that_ignores_stream_is_read_whole(client):
    with serving(answer=saying("Noon.")) as server:
        assert send(server.url, client=client, stream=True).text == "Noon."


@pytest.mark.parametrize(
    ("message", "text", "reasoning"),
    [
        ({"content": "Noon.", "reasoning_content": "Hm."}, "Noon.", "Hm."),
        ({"content": "Noon.", "reasoning": "Hm."}, "Noon.", "Hm."),
        ({"content": "<think>\nHm.\n</think>\n\nNoon."}, "Noon.", "Hm."),
        ({"content": "<think>Hm, and then the limit"}, "", "Hm, and then the limit"),
        ({"content": "A tag <think> in <think>the</think> text."},
         "A tag <think> in <think>the</think> text.", None),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
                      {"type": "text", "text": "Noon."}]}, "Noon.", "Hm."),
        ({"content": None}, "", None),
    ],
)  # fmt: skip
def test_reasoning_is_kept_apart_from_the_answer(message, text, reasoning):
    with serving(answer=saying(message)) as server:
        reply = send(server.url)
    assert (reply.text, reply.reasoning) == (text, reasoning)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ({}, Usage()),
        ({"prompt_tokens": None, "completion_tokens": "7"}, Usage()),
        ({"prompt_tokens": 5, "completion_tokens": 7}, Usage(5, 7)),
        ({"prompt_tokens": 5, "prompt_cache_hit_tokens": 2}, Usage(5, cached=2)),
        ({"prompt_tokens": 5, "prompt_tokens_details": None}, Usage(5)),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 6},
            },
            Usage(5, 9, 4, 6),
        ),
    ],
)
def test_usage_is_what_the_server_said_and_no_more(usage, expected):
    with serving(answer=saying("Noon.", usage=usage)) as server:
        assert send(server.url).usage == expected


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish.STOP),
        (None, Finish.STOP),
        ("eos", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.REFUSAL),
    ],
)
def test_finish_reasons(reason, finish):
    with serving(answer=saying("Noon.", finish=reason)) as server:
        assert send(server.url).finish is finish


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_a_reply_with_the_servers_words(stream):
    with serving(Behaviour(faults={"refusal": 1})) as server:
        reply = send(server.url, stream=stream)
    assert (reply.finish, reply.text) == (Finish.REFUSAL, "I can't help with that.")


def test_a_prompt_that_a_filter_refuses_is_a_refusal():
    refuse = refusing("The prompt was filtered", lambda _: True, code="content_filter")
    with serving(answer=refuse) as server:
        assert send(server.url).finish is Finish.REFUSAL


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities(stream):
    tokens = [
        {"token": "Noon", "logprob": -0.5, "top_logprobs": [{"token": "Dusk", "logprob": -2}]}
    ]
    logprobs = {"content": tokens}
    delta = {"index": 0, "delta": {"content": "Noon"}, "logprobs": logprobs}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    whole = {"message": {"content": "Noon"}, "finish_reason": "stop", "logprobs": logprobs}
    body = {"choices": [whole]}
    events = [{"choices": [delta]}, {"choices": [end]}] if stream else None
    with serving(answer=chat(lambda _: Answer(body=body, events=events))) as server:
        reply = send(server.url, replace(REQUEST, logprobs=1), stream=stream)
    assert reply.logprobs == (TokenLogprob("Noon", -0.5, (("Dusk", -2.0),)),)


def test_streamed_reasoning_is_kept_apart_and_starts_the_call():
    deltas = [{"reasoning_content": "H"}, {"reasoning_content": "m."}, {"content": "Noon."}]
    events = [{"choices": [{"delta": delta}]} for delta in deltas]
    events.append({"choices": [{"delta": {}, "finish_reason": "stop"}]})
    events.append({"choices": [], "usage": {"prompt_tokens": 3}})
    starts = []
    with serving(answer=chat(lambda _: Answer(events=events))) as server:
        reply = send(server.url, stream=True, started=lambda: starts.append(1))
    assert (reply.text, reply.reasoning, reply.usage) == ("Noon.", "Hm.", Usage(3))
    assert starts == [1]


def test_documents_of_any_characters_arrive_as_they_are():
    text = "\u2028 \x00 {{ x }} [b] \U0001f469\u200d\U0001f52c e\u0301 " + "long " * 300_000
    request = replace(REQUEST, messages=(Message("user", text),))
    with serving() as server:
        send(server.url, request)
    assert server.calls[0].body["messages"][0]["content"] == text


def test_a_lone_surrogate_is_sent_as_its_escape():
    request = replace(REQUEST, messages=(Message("user", "a \udc80 b"),))
    seen = []
    with serving(answer=saying("Noon.")) as server:
        server.decide = remembering(server.decide, seen)
        send(server.url, request)
    assert b"a \\udc80 b" in seen[0]


def remembering(decide, seen):
    def remember(method, path, headers, raw):
        seen.append(raw)
        return decide(method, path, headers, raw.replace(b"\\udc80", b"x"))

    return remember


def test_identity_is_the_host_and_the_options():
    assert backend("http://gpu.example:8000/v1/").identity == "gpu.example"
    assert backend("http://gpu.example:8000/v1", identity="lab").identity == "lab"
    warm = backend("http://gpu.example/v1", options={"top_p": 0.9}).identity
    hot = backend("http://gpu.example/v1", options={"top_p": 1.0}).identity
    assert warm.startswith("gpu.example#")
    assert warm != hot


@pytest.mark.parametrize(
    ("models", "window"),
    [
        ([{"id": "mock", "max_model_len": 4096}], 4096),
        ([{"id": "other", "max_model_len": 1}, {"id": "mock", "context_length": 8192}], 8192),
        ([{"id": "mock", "context_length": 9, "top_provider": {"context_length": 7}}], 7),
        ([{"id": "a-file.gguf", "meta": {"n_ctx": 2048, "n_ctx_train": 8192}}], 2048),
        ([{"id": "one", "max_model_len": 1}, {"id": "two", "max_model_len": 2}], None),
        ([{"id": "mock"}], None),
        ([], None),
    ],
)
def test_contact_tells_the_window(models, window):
    assert contact(lambda _: Answer(body={"object": "list", "data": models})) == window


@pytest.mark.parametrize(
    "answer",
    [
        Answer(404, {"error": {"message": "no such path"}}),
        Answer(403, {"error": {"message": "the key may not list models"}}),
        Answer(200, b"<html>hello</html>"),
        Answer(200, [1, 2]),
        Answer(401, {"error": {"message": "Missing scopes: api.model.read"}}),
    ],
)
def test_contact_with_a_server_that_tells_nothing_is_no_error(answer):
    assert contact(lambda _: answer) is None


def contact(answer, **fields) -> int | None:
    async def run(url):
        opened = backend(url, **fields)
        try:
            first, second = await opened.contact(), await opened.contact()
        finally:
            await opened.close()
        assert first == second
        return first.window

    with serving(answer=answer) as server:
        return asyncio.run(run(server.url))


def test_contact_asks_nobody_when_the_profile_knows():
    assert contact(lambda call: pytest.fail(call.path), window=512) == 512


def test_contact_asks_once():
    async def run(url):
        opened = backend(url)
        await opened.contact()
        await opened.contact()
        await opened.close()

    with serving() as server:
        asyncio.run(run(server.url))
    assert [call.path for call in server.calls] == ["/models"]


@pytest.mark.parametrize("answer", [Answer(reset=True), Answer(503, {}), Answer(429, {})])
def test_contact_with_a_server_that_does_not_answer_may_be_tried_again(answer):
    """An unknown window is kept for good, so it must not come from a bad moment."""
    with pytest.raises(Transient):
        contact(lambda _: answer)


def test_contact_with_a_wrong_key_is_an_error():
    with pytest.raises(AuthError):
        contact(lambda _: Answer(401, {"error": {"message": "Incorrect API key"}}))


def test_an_empty_model_name_is_a_usage_error():
    with pytest.raises(UsageError, match="name"):
        backend("http://127.0.0.1/v1", name="")


def test_a_stream_that_breaks_off_is_tried_again():
    events = [{"choices": [{"delta": {"content": "Noon"}}]}]
    with (
        serving(answer=chat(lambda _: Answer(events=events, broken=True))) as server,
        pytest.raises(Transient) as raised,
    ):
        send(server.url, stream=True)
    assert raised.value.kind == "connection"


def sampled(url, number=3, **fields):
    """Ask for samples 1 to `number` of one prompt, twice, and return the replies of both."""

    async def run():
        opened = backend(url, **fields)
        requests = [replace(REQUEST, sample=each + 1, temperature=0.5) for each in range(number)]
        try:
            return [await opened.sample(requests, lambda: None) for _ in range(2)]
        finally:
            await opened.close()

    return asyncio.run(run())


def choices(*said, usage=None):
    listed = [
        {"index": index, "message": {"content": each}, "finish_reason": "stop"}
        for index, each in enumerate(said)
    ]
    return Answer(body={"choices": listed[::-1], "usage": usage})


@pytest.mark.parametrize("client", CLIENTS)
def test_samples_are_the_choices_of_one_request(client):
    usage = {
        "prompt_tokens": 50,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 40},
    }
    answer = chat(lambda _: choices("one", "two", "threefour", usage=usage))
    with serving(answer=answer) as server:
        replies, _ = sampled(server.url, client=client, stream=True)
    assert [reply.text for reply in replies] == ["one", "two", "threefour"]
    assert [reply.usage for reply in replies] == [Usage(50, 2, 40), Usage(0, 2, 0), Usage(0, 6, 0)]
    body = server.calls[0].body
    assert body["n"] == 3
    # One seed for all of them could make them all the same.
    assert not {"seed", "stream"} & body.keys()
    assert len(server.calls) == 2


def test_a_server_that_does_as_if_there_were_no_n_is_not_asked_so_again():
    with serving(answer=chat(lambda _: choices("one"))) as server:
        first, second = sampled(server.url)
    assert [reply.text for reply in (*first, *second)] == ["one", "one"]
    assert [call.body.get("n") for call in server.calls] == [3, None]


def test_a_server_that_refuses_n_is_asked_for_one():
    refuses = refusing("n is not supported", lambda body: "n" in body, param="n")
    with serving(answer=refuses) as server:
        first, second = sampled(server.url)
    assert len(first) == len(second) == 1
    assert [call.body.get("n") for call in server.calls] == [3, None, None]


def test_a_choice_that_was_given_up_is_no_sample():
    broken = {
        "choices": [
            {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
            {"index": 1, "finish_reason": "error"},
        ]
    }
    with serving(answer=chat(lambda _: Answer(body=broken))) as server, pytest.raises(Transient):
        sampled(server.url)
