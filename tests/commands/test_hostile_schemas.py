"""JSON Schemas of strangers: they fetch nothing, come to an end, and are refused with a place."""

from __future__ import annotations

import json
import time

import pytest

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 1000}
  - map: {prompt: "Read: {{ text }}", schema: record, tokens: 200}
"""
RUN = ("run", "./pipeline.yaml", "-m", "scripted:rules.yaml", "text.txt")
DEFS = {"name": {"$anchor": "name", "type": "string"}}


@pytest.fixture
def little_patience(monkeypatch):
    """Let the limits of what checking a reply may cost be reached early."""
    monkeypatch.setattr("octavo.pipeline.schema_validator._PATTERN_SECONDS", 0.05)
    monkeypatch.setattr("octavo.pipeline.schema_validator._MIN_EVALUATIONS", 10_000)


@pytest.fixture
def stranger(tmp_path, octavo):
    """Run a pipeline with a schema whose object has these keywords, and with this reply."""

    def run(schema, reply='{"a": "Ishmael"}', *, command=RUN):
        (tmp_path / "pipeline.yaml").write_text(PIPELINE)
        text = json.dumps({"type": "object", **schema}, indent=1)
        (tmp_path / "record.json").write_text(text)
        (tmp_path / "rules.yaml").write_text("default: {reply: " + json.dumps(reply) + "}")
        (tmp_path / "text.txt").write_text("Call me Ishmael.\n")
        return octavo(*command)

    return run


@pytest.mark.parametrize(
    "where",
    [
        lambda reference: {"properties": {"a": reference}},
        lambda reference: reference,
        lambda reference: {"propertyNames": reference},
        lambda reference: {"dependentSchemas": {"a": reference}},
        lambda reference: {"unevaluatedProperties": reference},
        lambda reference: {"$id": "http://127.0.0.1:9/own", "properties": {"a": reference}},
        lambda reference: {"properties": {"a": {"$id": "inner", **reference}}, "$defs": DEFS},
        lambda reference: {"properties": {"a": {"contains": {"x": [reference]}}}},
    ],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize("named", ["http://127.0.0.1:9/x.json", "file:///{tmp}/x.json", "x.json"])
def test_what_is_not_in_the_file_is_an_error_with_its_place(
    stranger, tmp_path, where, keyword, named
):
    (tmp_path / "x.json").write_text('{"type": "string"}')
    reference = named.format(tmp=str(tmp_path).lstrip("/"))
    done = stranger(where({keyword: reference}))
    assert done.code == 2
    lines = (tmp_path / "record.json").read_text().splitlines()
    line = next(n for n, each in enumerate(lines, 1) if keyword in each and "x.json" in each)
    column = lines[line - 1].index(f'"{reference}"') + 1
    assert f"record.json:{line}:{column}: error[bad-schema]: nothing in this file is at" in done.err
    assert done.err.count("help: ") == 1


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"$dynamicRef": "#node"}}, "$defs": {"n": {"$dynamicAnchor": "node"}}},
        {"properties": {"a": {"$ref": "#name"}}, "$defs": DEFS},
        {"$id": "http://x.test/s", "properties": {"a": {"$ref": "s#/$defs/name"}}, "$defs": DEFS},
        {"properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/name"}]}}, "$defs": DEFS},
        {"properties": {"a": {"const": "Ishmael"}, "$ref": {"enum": [{"$ref": "http://x.test/"}]}}},
    ],
)
def test_what_is_in_the_file_is_found_by_pointer_anchor_or_identifier(stranger, schema):
    assert stranger(schema).code == 0


@pytest.mark.parametrize(
    ("schema", "line"),
    [
        ({"$ref": "#"}, 3),
        ({"properties": {"a": {"$ref": "#/properties/a"}}}, 5),
        ({"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}, None),
    ],
)
def test_a_reference_that_comes_back_to_itself_is_an_error(stranger, schema, line):
    done = stranger(schema)
    assert done.code == 2
    assert f"record.json:{line or ''}" in done.err
    assert "leads back to itself" in done.err


@pytest.mark.usefixtures("little_patience")
def test_references_that_multiply_end(stranger):
    steps = {
        f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}, {"$ref": f"#/$defs/s{n + 1}"}]}
        for n in range(25)
    }
    started = time.process_time()
    done = stranger({"properties": {"a": {"$ref": "#/$defs/s0"}}, "$defs": {**steps, "s25": {}}})
    assert time.process_time() - started < 20
    assert done.code == 1
    assert "its schema takes too long to check" in done.err


@pytest.mark.usefixtures("little_patience")
@pytest.mark.parametrize(
    ("keywords", "reply"),
    [
        ({"properties": {"a": {"pattern": "^(a|aa)+$"}}}, {"a": "a" * 200 + "!"}),
        ({"patternProperties": {"^(a|aa)+$": {}}}, {"a" * 200 + "!": 1}),
        ({"propertyNames": {"pattern": "^(a|aa)+$"}}, {"a" * 200 + "!": 1}),
        (
            {"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False},
            {"a" * 200 + "!": 1},
        ),
        (
            {
                "$schema": "http://json-schema.org/draft-07/schema#",
                "properties": {"a": {"items": {"$ref": "#"}, "pattern": "^(a|aa)+$"}},
            },
            {"a": "a" * 200 + "!"},
        ),
    ],
)
def test_a_pattern_that_takes_for_ever_ends_and_is_named(stranger, keywords, reply):
    started = time.process_time()
    done = stranger(keywords, json.dumps(reply))
    assert time.process_time() - started < 20
    assert done.code == 1
    assert "the pattern '^(a|aa)+$' cannot be used: it takes too long" in done.err


@pytest.mark.parametrize(
    ("keywords", "told"),
    [
        ({"properties": {"a": {"pattern": "(a"}}}, "record.json:5:15: error[bad-schema]: the pat"),
        ({"patternProperties": {"[": {}}}, "record.json:4:3: error[bad-schema]: the pattern '['"),
        ({"properties": {"a": {"pattern": "((a{1000}){1000}){9}"}}}, "repeats more than 10,000"),
        ({"properties": {"a": {"minLength": "3"}}}, "record.json:5:17: error[bad-schema]: 'minLen"),
        ({"properties": {"a": {"multipleOf": 0}}}, "record.json:5:4: error[bad-schema]: 'multipl"),
        ({"properties": {"a": {"$id": 5}}}, "record.json:5:4: error[bad-schema]: '$id' is wrong"),
        ({"$schema": 5}, "record.json:3:2: error[bad-schema]: '$schema' is wrong"),
        ({"unevaluatedProperties": False, "patternProperties": {"b": {}}}, "additionalProperties'"),
        (
            {"properties": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}},
            "record.json:5:15: error[bad-schema]: only the schema of the whole file",
        ),
    ],
)
def test_what_cannot_be_checked_is_refused_before_any_call(stranger, keywords, told):
    done = stranger(keywords)
    assert done.code == 2
    assert told in done.err
    assert done.err.count("help: ") == 1


def test_unicode_classes_of_javascript_are_patterns(stranger):
    assert stranger({"properties": {"a": {"pattern": r"^\p{L}+$"}}}).code == 0


@pytest.mark.parametrize(
    "record",
    [
        {"$id": "http://x.test/s", "properties": {"a": {"$ref": "#/$defs/name"}}, "$defs": DEFS},
        {"properties": {"a": {"$ref": "#name"}}, "$defs": DEFS},
        {"properties": {"a": {"$dynamicRef": "#/$defs/name"}}, "$defs": DEFS},
    ],
)
def test_a_record_inside_the_schema_of_a_reply_keeps_its_references(stranger, record):
    reply = {"records": [{"quote": "Ishmael", "record": {"a": "Ishmael"}}]}
    command = ("run", "extract", *RUN[2:], "--schema", "record.json")
    done = stranger(record, json.dumps(reply), command=command)
    assert (done.code, done.err.count("error")) == (0, 0)
    assert "Ishmael" in done.out


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {"type": "array", "minItems": 10**9}}},
        {
            "properties": {"a": {"$ref": "#/$defs/s0"}},
            "$defs": {
                **{
                    f"s{n}": {
                        "properties": {f"p{m}": {"$ref": f"#/$defs/s{n + 1}"} for m in range(99)}
                    }
                    for n in range(4)
                },
                "s4": {},
            },
        },
    ],
)
def test_a_plan_of_a_schema_that_asks_for_any_number_of_values_ends(stranger, schema):
    started = time.process_time()
    assert stranger(schema, command=("plan", *RUN[1:])).code in {0, 1}
    assert time.process_time() - started < 10
