"""A refusal that names an optional field or a role is learnt from, however deep it is wrapped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from tests.support.openai_calls import REQUEST, chat, send
from tests.support.serving import Answer, serving

from octavo.errors import RequestError
from octavo.protocols import Transient

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def forbidden(field):
    return [{"type": "extra_forbidden", "loc": ["body", field],
             "msg": "Extra inputs are not permitted", "input": 0}]  # fmt: skip


def words(said, **error):
    return {"error": {"message": said, **error}}


RAW = {"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma"}}
MISTRAL = {"object": "error", "type": "invalid_request_error", "param": None, "code": None}
TEMPLATE = "Jinja Exception: Conversation roles must alternate user/assistant/user/assistant/..."
GEMMA = "Developer instruction is not enabled for models/gemma-3-27b-it"

FIELDS = [
    ("crewAI#60", 422, {**MISTRAL, "message": {"detail": forbidden("seed")}}, "seed"),
    ("platform-docs-public#7", 422,
     {**MISTRAL, "message": json.dumps({"detail": forbidden("seed")})}, "seed"),
    ("php-mistral#76", 422, {**MISTRAL, "message": forbidden("seed")}, "seed"),
    ("client-ts#65", 400, {"error": {"message": {"detail": forbidden("temperature")}}},
     "temperature"),
    ("baml#2109", 400,
     words("Provider returned error", metadata={"raw": json.dumps(words("seed: not allowed"))}),
     "seed"),
    ("VideoAdGuard#34", 400,
     words("invalid temperature: only 1 is allowed for this model", type="invalid_request_error"),
     "temperature"),
    ("Minnow#291", 500, words("invalid temperature: only 0.6 is allowed for this model"),
     "temperature"),
    ("gigachain#237", 422,
     {"status": 422, "message": "Invalid params: temperature must be in range (0, +inf)"},
     "temperature"),
    ("TGI", 422, {"error": "Input validation error: `temperature` must be strictly positive"},
     "temperature"),
    ("DeepSeek", 400, words("This response_format type is unavailable now"), "response_format"),
    ("a gateway", 500, words("Unsupported param: response_format"), "response_format"),
    ("TGI", 422, words("Failed to deserialize: `seed`: invalid type"), "seed"),
    ("a gateway", 400, words("There is something wrong with 'seed'"), "seed"),
]  # fmt: skip
ROLES = [
    ("rig#788", 400, words(GEMMA, status="INVALID_ARGUMENT")),
    ("new-api#989", 400, {"message": f"400 {GEMMA}", **words(GEMMA, type="", param="")}),
    ("baml#2109", 400, words("Provider returned error", metadata={"raw": json.dumps(RAW)})),
    ("llama.cpp#19851", 500, words(TEMPLATE, code=500)),
    ("Gemma 2 template", 500, words("System role not supported", code=500)),
]


@pytest.mark.parametrize(("source", "status", "body", "field"), FIELDS)
def test_a_named_field_is_left_out_from_then_on(source, status, body, field):
    def answer(call):
        return Answer(status, body) if field in call.body else None

    request = replace(REQUEST, temperature=0.0, schema=SCHEMA)
    with serving(answer=chat(answer)) as server:
        for _ in range(2):
            assert send(server.url, request, structured=True).text
    assert [field in call.body for call in server.calls] == [True, False, False], source
    assert {"temperature", "seed", "response_format"} - {field} <= server.calls[-1].body.keys()


@pytest.mark.parametrize(("source", "status", "body"), ROLES)
def test_a_role_that_is_not_taken_becomes_the_users(source, status, body):
    def answer(call):
        return None if call.body["messages"][0]["role"] == "user" else Answer(status, body)

    with serving(answer=chat(answer)) as server:
        assert send(server.url).text, source
    assert server.calls[-1].body["messages"][0]["content"] == "Be brief.\n\nWhen is it?"
    assert len(server.calls) == 3


def test_a_field_that_is_refused_in_vain_is_left_out_once():
    error = words("`seed` is not what it should be")
    with (
        serving(answer=chat(lambda _: Answer(400, error))) as server,
        pytest.raises(RequestError, match="seed"),
    ):
        send(server.url)
    assert len(server.calls) == 2


@pytest.mark.parametrize("said", ["the stream ended early", "out of memory: n_seq 4", "seed 3"])
def test_a_fault_that_mentions_a_field_is_a_fault(said):
    with (
        serving(answer=chat(lambda _: Answer(500, words(said)))) as server,
        pytest.raises(Transient, match=said),
    ):
        send(server.url, stream=True)
    assert len(server.calls) == 1


def test_a_record_that_groq_keeps_to_itself_is_asked_for_as_text():
    """The model failed at one record: others go on being structured."""
    error = words("Failed to validate JSON", code="json_validate_failed")

    def answer(call):
        return Answer(400, error) if call.turn == 0 and "response_format" in call.body else None

    request = replace(REQUEST, schema=SCHEMA)
    with serving(answer=chat(answer)) as server:
        for _ in range(2):
            assert send(server.url, request, structured=True).text
    assert ["response_format" in call.body for call in server.calls] == [True, False, True]
