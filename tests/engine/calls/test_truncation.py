"""Bounds that let a record end in time, and what is left of one that met them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from octavo.engine.calls.truncation import Truncated, bound_schema, ends_at_bound, trim_to_bounds
from octavo.steps.extract.step import list_schema
from octavo.steps.memory.schema_paths import measure_depth
from octavo.steps.memory.schemas import build_revision_schema

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "born": {"type": "integer"}},
    "required": ["name"],
    "additionalProperties": False,
}
LIST = {
    "type": "object",
    "properties": {"people": {"type": "array", "items": PERSON}},
    "required": ["people"],
}
MEMORY = {
    "type": "object",
    "properties": {
        "facts": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        }
    },
}
NOTE = {
    "type": "object",
    "properties": {"text": {"type": "string", "maxLength": 300}},
    "required": ["text"],
}


def longest(schema):
    """Return the longest record that a schema with bounds allows."""
    if "anyOf" in schema:
        return max((longest(each) for each in schema["anyOf"]), key=lambda v: len(json.dumps(v)))
    if "enum" in schema:
        return max(schema["enum"], key=len)
    kind = schema["type"]
    match kind if isinstance(kind, str) else kind[0]:
        case "object":
            return {name: longest(each) for name, each in schema["properties"].items()}
        case "array":
            return [longest(schema["items"])] * schema["maxItems"]
        case "string":
            return "x" * schema["maxLength"]
        case "boolean":
            return False
        case _:
            return 12345


fields = st.recursive(
    st.sampled_from(
        [
            {"type": "string"},
            {"type": "string", "maxLength": 5000},
            {"type": ["string", "null"]},
            {"type": "integer"},
            {"type": "boolean"},
            {"enum": ["a", "bc"]},
        ]
    ),
    lambda inner: st.one_of(
        inner.map(lambda each: {"type": "array", "items": each}),
        inner.map(lambda each: {"anyOf": [each, {"type": "object"}]}),
        st.dictionaries(st.sampled_from("abcd"), inner, min_size=1, max_size=3).map(
            lambda each: {"type": "object", "properties": each}
        ),
    ),
    max_leaves=5,
)


@settings(max_examples=100)
@given(
    fields=st.dictionaries(st.sampled_from("klmn"), fields, min_size=1, max_size=3),
    tokens=st.integers(600, 2000),
)
def test_the_longest_record_within_bounds_is_about_as_short_as_the_reply_that_was_cut(
    fields, tokens
):
    schema = {"type": "object", "properties": fields}
    bounds = bound_schema(schema, "x" * (3 * tokens), tokens)
    record = longest(bounds)
    Draft202012Validator(schema).validate(record)
    # A list's length follows from the least widths of its items, which their shares may exceed:
    # by 8 % at most in 30,000 examples. Bounds are in keys, so this waits for keys to change.
    assert len(json.dumps(record)) <= 1.15 * 3 * tokens


@pytest.mark.parametrize(
    "schema",
    [list_schema(PERSON), LIST, build_revision_schema(MEMORY, updates=True)],
    ids=["records", "list", "revisions"],
)
def test_what_fits_within_bounds_fits_the_schema(schema):
    bounds = bound_schema(schema, "y" * 1500, 500)
    assert bounds != schema
    assert len(json.dumps(longest(bounds))) <= 1500
    Draft202012Validator(schema).validate(longest(bounds))


def test_bounds_follow_what_a_token_holds_and_come_in_steps():
    room = [
        len(longest(bound_schema(NOTE, "z" * length, 250))["text"])
        for length in (0, 300, 310, 2000)
    ]
    assert room[0] < 250
    assert room[1] == room[2]
    assert room[3] == 300


def test_what_has_no_bound_that_servers_enforce_stays():
    schema = {
        "type": "object",
        "properties": {
            "when": {"type": "string", "format": "date"},
            "kind": {"enum": ["a", "b"]},
            "same": {"$ref": "#/$defs/name"},
            "ranks": {"type": "array", "items": {"type": "integer"}, "maxItems": 6},
        },
        "$defs": {"name": {"type": "string"}},
    }
    bounds = bound_schema(schema, "", 50)
    assert bounds["properties"] == schema["properties"]
    assert bounds["$defs"]["name"]["maxLength"] >= 60


def test_a_text_that_met_its_bound_ends_at_its_last_sentence():
    bounds = bound_schema(NOTE, "", 100)
    most = bounds["properties"]["text"]["maxLength"]
    text = ("It rained. The sun " + "shone on " * 99)[:most]
    assert trim_to_bounds({"text": text}, bounds, NOTE) == (
        {"text": "It rained."},
        ["text ends at its last complete sentence"],
    )
    assert trim_to_bounds({"text": "It rained"}, bounds, NOTE) == ({"text": "It rained"}, [])


def test_a_long_text_without_a_sentence_stops_at_a_word_and_a_short_one_is_nothing():
    long = ("word " * 99)[:299] + "x"
    value, said = trim_to_bounds({"text": long}, NOTE, NOTE)
    assert value["text"] == ("word " * 59).strip()
    assert said == ["text has no sentence that ends, and stops at a word"]
    short = bound_schema(NOTE, "", 100)
    most = short["properties"]["text"]["maxLength"]
    with pytest.raises(Truncated):
        trim_to_bounds({"text": ("Mara" * 99)[:most]}, short, NOTE)


def test_an_item_that_met_its_bound_is_left_out_and_a_full_list_is_told():
    bounds = bound_schema(LIST, "", 900)
    people = bounds["properties"]["people"]
    name = people["items"]["properties"]["name"]["maxLength"]
    cut = {"name": "Mara" * 99}
    cut["name"] = cut["name"][:name]
    value, said = trim_to_bounds({"people": [{"name": "Jonas"}, cut]}, bounds, LIST)
    assert value == {"people": [{"name": "Jonas"}]}
    assert said == ["one of people is left out"]
    full = [{"name": f"n{number}"} for number in range(people["maxItems"])]
    assert trim_to_bounds({"people": full}, bounds, LIST) == (
        {"people": full},
        [f"people is full at {len(full)} and may lack some"],
    )


def test_a_list_that_is_full_by_its_own_schema_is_whole():
    schema = {"type": "object", "properties": {"n": {"type": "array", "maxItems": 2}}}
    assert trim_to_bounds({"n": [1, 2]}, bound_schema(schema, "", 50), schema) == (
        {"n": [1, 2]},
        [],
    )


def test_a_text_that_is_one_choice_of_several_or_defined_elsewhere_is_seen_to_be_cut():
    """As libraries write what may be missing, and what is used twice."""
    schema = {
        "type": "object",
        "properties": {
            "about": {"anyOf": [{"type": "null"}, {"type": "string"}]},
            "people": {"type": "array", "items": {"$ref": "#/$defs/person"}},
            "first": {"oneOf": [{"type": "null"}, {"$ref": "#/$defs/person"}]},
        },
        "anyOf": [{"required": ["about"]}, {"required": ["people"]}],
        "$defs": {
            "person": {
                "type": "object",
                "properties": {"life": {"type": "string"}, "kind": {"enum": ["x" * 60]}},
                "required": ["life"],
            }
        },
    }
    bounds = bound_schema(schema, "x" * 900, 300)
    about = bounds["properties"]["about"]["anyOf"][1]["maxLength"]
    life = bounds["$defs"]["person"]["properties"]["life"]["maxLength"]
    person = {"life": ("It is long. It goes on" * 99)[:life], "kind": "x" * 60}
    value = {"about": ("One. Two and" * 99)[:about], "people": [person], "first": person}
    assert ends_at_bound(value, bounds)
    assert not ends_at_bound(value, schema)
    whole, said = trim_to_bounds(value, bounds, schema)
    assert said == [
        f"{name} ends at its last complete sentence" for name in ("about", "life", "life")
    ]
    assert whole["about"].endswith("One.")
    assert whole["people"] == [whole["first"]]
    assert whole["first"]["life"].endswith("long.")
    assert whole["first"]["kind"] == person["kind"]


def test_a_schema_that_only_refers_to_itself_holds_nothing():
    schema = {"anyOf": [{"$ref": "#"}], "$defs": {"a": {"$ref": "#/$defs/a"}}}
    assert not ends_at_bound({"a": "x" * 100}, schema)
    assert trim_to_bounds("x" * 100, schema, schema) == ("x" * 100, [])


def test_a_code_of_fixed_length_is_not_taken_for_a_cut_text():
    schema = {"type": "object", "properties": {"code": {"type": "string", "maxLength": 3}}}
    assert not ends_at_bound({"code": "USD"}, schema)
    assert ends_at_bound({"text": "x" * 300}, NOTE)
    assert not ends_at_bound({"text": "x" * 299 + "."}, NOTE)


@pytest.mark.parametrize(
    ("schema", "keys"),
    [
        (MEMORY, 3),
        ({"type": "object"}, 1),
        ({"type": "object", "properties": {"a": {"$ref": "#"}}}, 16),
        ({"anyOf": [{"type": "string"}, LIST]}, 3),
        ({"type": "array"}, 1),
    ],
)
def test_a_schema_says_how_long_its_paths_are(schema, keys):
    assert measure_depth(schema) == keys
