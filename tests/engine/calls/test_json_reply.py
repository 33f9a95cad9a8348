"""Records: strictly read, asked for again with what was wrong, mended last, never made of prose."""

from __future__ import annotations

import json

import pytest
from tests.engine.calls.test_ask import failing, one
from tests.support.desk import Desk

from octavo.engine.calls.json_record import InvalidRecord, parse_record, repair_record
from octavo.engine.plan.predict import build_example
from octavo.errors import CutError, FitError, Outcome, ReplyError
from octavo.protocols import Finish, Reply

SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
GOOD = '{"name": "Ishmael", "age": 30}'


def test_a_record_is_read_and_the_prompt_states_the_schema_once():
    desk = Desk(lambda request: GOOD)
    assert desk.run(one(schema=SCHEMA)).value == {"name": "Ishmael", "age": 30}
    (request,) = desk.backend.requests
    assert request.schema == SCHEMA
    assert request.messages[0].role == "system"
    assert json.dumps(SCHEMA, separators=(",", ":")) in request.messages[0].content


def test_a_code_fence_around_the_whole_reply_is_taken_off():
    assert Desk(lambda request: f"```json\n{GOOD}\n```").run(one(schema=SCHEMA)).value["age"] == 30


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ("Sorry, no.", "not JSON"),
        ('{"age": 3}', "'name' is a required property"),
        ("[1]", "not an object"),
    ],
)
def test_an_invalid_reply_is_shown_to_the_model_with_what_is_wrong(bad, told):
    desk = Desk(lambda request: bad if request.attempt == 0 else GOOD)
    assert desk.run(one(schema=SCHEMA)).value["name"] == "Ishmael"
    _, again = desk.backend.requests
    assert again.messages[-2].content == bad
    assert told in again.messages[-1].content
    assert desk.account.outcomes == {Outcome.OK: 1}


def test_half_a_surrogate_pair_in_a_record_is_no_character_and_no_crash():
    half = r'{"name": "Ish\ud83dmael \ud83d\ude00", "age": 3'
    assert parse_record(Reply(half + "}"), SCHEMA)["name"] == "Ish\ufffdmael \U0001f600"
    assert repair_record(Reply(half + ",}"), SCHEMA)["name"] == "Ish\ufffdmael \U0001f600"


def test_a_reply_that_is_nested_too_deeply_is_no_record():
    deep = '{"name": ' + "[" * 100_000 + "]" * 100_000 + "}"
    for read in (parse_record, repair_record):
        with pytest.raises(InvalidRecord):
            read(Reply(deep), SCHEMA)


def test_small_faults_that_stay_are_mended_and_marked():
    desk = Desk(lambda request: "Here: {'name': 'Ishmael', 'age': 30,}")
    assert desk.run(one(schema=SCHEMA)).value == {"name": "Ishmael", "age": 30}
    assert desk.account.outcomes == {Outcome.REPAIRED: 1}
    assert desk.account.sent == 2


@pytest.mark.parametrize(
    "reply",
    [
        Reply("Sorry, no."),
        Reply("{}"),
        Reply(GOOD, Finish.LENGTH),
        Reply('{"name": "Ishmael", "age": 3'),  # cut by a server that does not say so
        Reply('{"name": "Ish'),
        Reply('{"name": "Ishmael", "age": NaN}'),
        Reply("{'name': 'Ishmael', 'age': 1e999}"),
    ],
)
def test_prose_a_misfit_or_a_cut_reply_is_never_a_value(reply):
    desk = Desk(lambda request: reply)
    error = failing(desk, one(schema=SCHEMA))
    assert isinstance(error, ReplyError)
    assert error.outcome is Outcome.INVALID
    assert desk.account.outcomes == {Outcome.INVALID: 1}


def test_a_bad_reply_that_does_not_fit_beside_its_prompt_is_not_shown():
    def narrow(request):
        if sum(len(message.content) for message in request.messages) > 2000:
            raise FitError("too long")

    desk = Desk(lambda request: "no " * 700 if request.attempt == 0 else GOOD, fits=narrow)
    assert desk.run(one(schema=SCHEMA)).value["age"] == 30
    assert len(desk.backend.requests[1].messages) == 2


def test_a_cut_reply_is_asked_for_again_without_showing_the_half():
    cut = Reply(GOOD[:-3], Finish.LENGTH)
    desk = Desk(lambda request: cut if request.attempt == 0 else GOOD)
    assert desk.run(one(schema=SCHEMA)).value["age"] == 30
    assert len(desk.backend.requests[1].messages) == 2


def test_what_a_plan_makes_up_fits_the_schema():
    schema = {
        "type": "object",
        "properties": {
            "list": {"type": "array", "items": {"$ref": "#/$defs/item"}, "minItems": 2},
            "kind": {"enum": ["a", "b"]},
            "score": {"type": "number", "minimum": 1},
            "maybe": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "flag": {"type": ["boolean", "null"]},
        },
        "required": ["list", "kind", "score", "maybe", "flag"],
        "$defs": {"item": {"type": "object", "properties": {"text": {"type": "string"}}}},
    }
    text = json.dumps(build_example(schema, words=20))
    assert parse_record(Reply(text), schema)["kind"] == "a"
    assert repair_record(Reply("x " + text), schema)["score"] == 1


PEOPLE = {
    "type": "object",
    "properties": {
        "people": {"type": "array", "items": {"type": "string"}},
        "note": {"type": "string", "maxLength": 400},
    },
    "required": ["people", "note"],
    "additionalProperties": False,
}


def rambling(record):
    """Return a model that is cut at first and then writes `record(bounds)` within its bounds."""

    def reply(request):
        if request.attempt == 0:
            return Reply('{"people": ["' + "and on " * 150, Finish.LENGTH)
        return json.dumps(record(request.schema["properties"]))

    return reply


def test_a_cut_record_is_asked_for_again_within_bounds_that_let_it_end():
    desk = Desk(rambling(lambda bounds: {"people": ["Mara"], "note": "A bell."}))
    answer = desk.run(one(tokens=300, schema=PEOPLE))
    assert (answer.value, answer.truncated) == ({"people": ["Mara"], "note": "A bell."}, False)
    first, second = desk.backend.requests
    assert first.schema == PEOPLE
    people, note = (second.schema["properties"][name] for name in ("people", "note"))
    assert people["maxItems"] * people["items"]["maxLength"] + note["maxLength"] < 1050
    assert json.dumps(second.schema, separators=(",", ":")) in second.messages[0].content
    assert desk.account.outcomes == {Outcome.OK: 1}


def test_what_met_its_bounds_is_taken_off_and_told():
    desk = Desk(
        rambling(
            lambda bounds: {
                "people": ["Mara"] * bounds["people"]["maxItems"],
                "note": ("It rained. " + "Then " * 99)[: bounds["note"]["maxLength"]],
            }
        )
    )
    answer = desk.run(one(tokens=300, schema=PEOPLE))
    assert answer.truncated
    assert answer.value["note"] == "It rained."
    assert desk.account.outcomes == {Outcome.TRUNCATED: 1}
    (notice,) = desk.heard.notices
    assert "people is full at" in notice
    assert "note ends at its last complete sentence" in notice


def test_a_complete_record_is_not_made_of_a_full_list():
    desk = Desk(
        rambling(lambda bounds: {"people": ["Mara"] * bounds["people"]["maxItems"], "note": ""})
    )
    error = failing(desk, one(tokens=300, schema=PEOPLE, complete=True))
    assert isinstance(error, CutError)
    assert desk.heard.notices == []


def test_a_name_that_met_its_bound_is_no_name():
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }

    def reply(request):
        if request.attempt == 0:
            return Reply('{"name": "' + "Mara" * 9, Finish.LENGTH)
        return json.dumps(
            {"name": ("Mara" * 99)[: request.schema["properties"]["name"]["maxLength"]]}
        )

    assert isinstance(failing(Desk(reply), one(schema=schema)), CutError)


def test_a_longer_record_that_fits_its_schema_is_taken_where_bounds_are_not_kept():
    note = "word " * 75 + "end."
    desk = Desk(rambling(lambda bounds: {"people": ["Mara"], "note": note}))
    answer = desk.run(one(tokens=300, schema=PEOPLE))
    assert (answer.value["note"], answer.truncated) == (note, False)


@pytest.mark.parametrize("second", ["good", "cut", "prose"])
def test_a_text_that_a_schema_ends_in_mid_sentence_is_asked_for_shorter(second):
    long = {"people": ["Mara"], "note": ("The end. " + "and so on " * 99)[:400]}
    replies = {
        "good": json.dumps({"people": ["Mara"], "note": "Short."}),
        "cut": Reply('{"people": ["a', Finish.LENGTH),
        "prose": "No.",
    }
    desk = Desk(lambda request: replies[second] if request.attempt else json.dumps(long))
    answer = desk.run(one(tokens=300, schema=PEOPLE))
    assert answer.value["note"] == ("Short." if second == "good" else "The end.")
    assert answer.truncated is (second != "good")
    assert answer.value["people"] == ["Mara"]
    _, again = desk.backend.requests
    assert again.schema == PEOPLE  # its lists were not too long
    assert "cut off at its maxLength" in again.messages[-1].content
