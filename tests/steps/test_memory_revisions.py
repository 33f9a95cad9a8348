"""Revisions: applied when they fit the schema and the state, refused with a reason otherwise."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.engine.calls.json_record import InvalidRecord, parse_record
from octavo.protocols import Reply
from octavo.steps.memory.log import MemoryLog, MemorySheet, find_shown_memory
from octavo.steps.memory.revisions import (
    Revision,
    RevisionError,
    apply_revision,
    parse_revisions,
    replay_log,
    to_revisions,
)
from octavo.steps.memory.schemas import (
    FIELD_TYPES,
    PROPOSAL_SCHEMA,
    build_memory_schema,
    build_revision_schema,
)

SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "total": {"type": "integer"},
        "people": {
            "type": "object",
            "additionalProperties": {"$ref": "#/$defs/person"},
        },
        "places": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "kind": {"enum": ["novel", "report"]},
    },
    "$defs": {
        "person": {
            "type": "object",
            "additionalProperties": False,
            "required": ["role", "deeds"],
            "properties": {
                "role": {"type": "string"},
                "deeds": {"type": "array", "items": {"type": "string"}, "maxItems": 3},
            },
        }
    },
}


def apply(*revisions, schema=SCHEMA):
    state, lines = {}, []
    for path, op, value in revisions:
        state, done = apply_revision(state, Revision(tuple(path.split("/")), op, value), schema)
        lines += [each.line for each in done]
    assert replay_log(lines) == state
    return state


def test_values_are_added_and_updated_along_their_paths():
    assert apply(
        ("total", "add", 1),
        ("people/Mara/role", "add", "founder"),
        ("people/Mara/deeds", "add", "cast a bell"),
        ("people/Mara/deeds", "add", ["left", "returned"]),
        ("people/Mara/deeds/1", "update", "left the valley"),
        ("total", "update", 2),
        ("people/Jonas", "add", {"role": "clerk"}),
        ("people/Jonas", "add", {"role": "clerk", "deeds": ["wrote"]}),
    ) == {
        "total": 2,
        "people": {
            "Mara": {"role": "founder", "deeds": ["cast a bell", "left the valley", "returned"]},
            "Jonas": {"role": "clerk", "deeds": ["wrote"]},
        },
    }


def test_an_update_of_what_is_not_there_adds_it():
    assert apply(("total", "update", 3)) == {"total": 3}


def test_unique_items_are_added_once():
    assert apply(("places", "add", "A"), ("places", "add", ["B", "A"])) == {"places": ["A", "B"]}


@pytest.mark.parametrize(
    ("path", "op", "value", "reason"),
    [
        ("nowhere", "add", 1, "no such path"),
        ("people/Mara/age", "add", 1, "no such path"),
        ("total", "add", 2, "already"),
        ("total", "update", "two", "not of type 'integer'"),
        ("total", "update", True, "not of type 'integer'"),
        ("total/deep", "add", 1, "no such path"),
        ("people/Mara/role", "add", "clerk", "already"),
        ("people/Mara/deeds", "add", 7, "not of type"),
        ("people/Mara/deeds", "add", ["b", "c", "d"], "too long"),
        ("people/Mara/deeds/4", "update", "x", "no such item"),
        ("people/Jonas/deeds/0", "add", "x", "no object"),
        ("people/Jonas", "add", "a clerk", "not of type 'object'"),
        ("kind", "add", "poem", "not one of"),
        ("people/Jonas/role", "add", float("nan"), "no JSON"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_reason(path, op, value, reason):
    state = {"total": 1, "people": {"Mara": {"role": "founder", "deeds": ["a"]}}}
    before = json.dumps(state)
    with pytest.raises(RevisionError, match=reason):
        apply_revision(state, Revision(tuple(path.split("/")), op, value), SCHEMA)
    assert json.dumps(state) == before


def test_an_empty_or_endless_path_is_refused():
    for path in ((), ("people",) * 500):
        with pytest.raises(RevisionError):
            apply_revision({}, Revision(path, "add", {}), SCHEMA)


def test_a_schema_that_refers_to_itself_is_followed():
    schema = {
        "type": "object",
        "properties": {"root": {"$ref": "#/$defs/node"}},
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "next": {"$ref": "#/$defs/node"}},
            }
        },
    }
    assert apply(("root/next/next/name", "add", "deep"), schema=schema) == {
        "root": {"next": {"next": {"name": "deep"}}}
    }
    assert "object" in json.dumps(build_revision_schema(schema, updates=True))


def test_half_characters_are_replaced():
    (revision,) = parse_revisions([{"path": ["a\ud800"], "op": "add", "value": ["b\udfff", 1]}])
    revision.line.encode()
    assert revision.value[1] == 1


names = st.sampled_from(["total", "people", "places", "kind", "Mara", "role", "deeds", "0", "x"])
values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.sampled_from(["novel", "a\n<", "b", "\x85"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
revisions = st.builds(
    Revision,
    st.lists(names, max_size=4).map(tuple),
    st.sampled_from(["add", "update"]),
    values,
)


@given(st.lists(revisions, max_size=40))
def test_a_log_replays_to_the_state_whatever_the_revisions(tried):
    """The prompt alone says what the state is, before, at and after compaction."""
    log, state = MemoryLog(64, len), {}
    for revision in tried:
        try:
            after, done = apply_revision(state, revision, SCHEMA)
        except RevisionError:
            continue
        if done and (grown := log.with_revisions(after, done)) is not None:
            log, state = grown, after
        assert log.tokens <= log.max_tokens
        assert find_shown_memory(f"Question\n{log.text}\n<text>") == log.state == state
    assert replay_log(each.line for each in to_revisions(state)) == state


def test_a_compaction_frees_half_the_log_and_keeps_the_state():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    log, state, resets = MemoryLog(600, len), {}, 0
    for number in range(100):
        state, done = apply_revision(state, Revision(("n",), "update", number), schema)
        grown = log.with_revisions(state, done)
        resets += not grown.text.startswith(log.text.removesuffix("</log>"))
        log = grown
    assert find_shown_memory(log.text) == {"n": 99}
    assert resets == 100 * 44 // (600 - 44)


def test_a_full_memory_takes_no_more():
    assert (
        MemoryLog(40, len).with_revisions({"n": "x" * 30}, [Revision(("n",), "add", "x" * 30)])
        is None
    )
    assert MemorySheet(40, len).with_revisions({"n": "x" * 40}, []) is None


def test_the_whole_memory_is_read_back_too():
    assert find_shown_memory(f"Memory:\n{MemorySheet(99, len, {'a': '</memory>'}).text}\n") == {
        "a": "</memory>"
    }
    assert find_shown_memory("no memory") is None


def test_the_replies_schema_names_the_types_that_values_may_have():
    schema = build_revision_schema(
        {"type": "object", "properties": SCHEMA["properties"]}, updates=False
    )
    item = schema["properties"]["revisions"]["items"]["properties"]
    assert item["op"]["enum"] == ["add"]
    assert item["value"] == {}  # `kind` says no type
    texts = build_memory_schema({"fields": [{"name": "n", "type": "list_by_name", "about": ""}]})
    item = build_revision_schema(texts, updates=True)["properties"]["revisions"]["items"][
        "properties"
    ]
    kinds = [choice["type"] for choice in item["value"]["anyOf"]]
    assert kinds == ["array", "object", "string"]


def test_every_type_of_a_proposal_makes_a_field_that_takes_values():
    value = {"text": "a", "number": 1.5, "list": "a"}
    fields = [{"name": name, "type": name, "about": "x"} for name in FIELD_TYPES]
    schema = build_memory_schema(
        parse_record(Reply(json.dumps({"fields": fields})), PROPOSAL_SCHEMA)
    )
    for name in FIELD_TYPES:
        kind, _, by_name = name.partition("_")
        path = (name, "A") if by_name else (name,)
        state, _ = apply_revision({}, Revision(path, "add", value[kind]), schema)
        assert state
    with pytest.raises(InvalidRecord):
        parse_record(
            Reply('{"fields": [{"name": "a", "type": "any", "about": ""}]}'), PROPOSAL_SCHEMA
        )
