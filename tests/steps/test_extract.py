"""Records with their sources: verified, united, and asked for only where all that is given fits."""

from __future__ import annotations

import json

import pytest
from tests.support.kit import Kit, fenced

from octavo.errors import FitError, Outcome, SpecError, UsageError
from octavo.protocols import Finish, Reply
from octavo.steps.extract.step import list_schema

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "role": {"enum": ["crew", "guest"]},
        "age": {"type": ["integer", "null"]},
    },
    "required": ["name", "role"],
    "additionalProperties": False,
}
PEOPLE = {
    "Ada Byron": ("Ada  Byron, 36, was the mate of the ship.", "crew", 36),
    "Émile Roux": ("Émile Roux came aboard as a guest.", "guest", None),
    "王小明": ("船上的厨师是王小明,今年二十岁。", "crew", None),
}


def filler(number, sentences=9):
    said = "nothing of note was seen from the deck in the long hours of that day"
    return " ".join(f"On day {number} of week {n} {said}." for n in range(sentences))


TEXT = "\n\n".join(
    part
    for number, (sentence, _, _) in enumerate(PEOPLE.values())
    for part in (filler(number), sentence)
)


def reading(request, *, passes=(0,)):
    """List who is in the text; in further passes too, those of `passes` alone."""
    (text,) = fenced(request)[-1:]
    if request.sample not in passes:
        return {"records": []}
    return {
        "records": [
            {"quote": said, "record": {"name": name, "role": role, "age": age}}
            for name, (said, role, age) in PEOPLE.items()
            if said in text
        ]
    }


def kit_of(tmp_path, handler=reading, options="", **more):
    spec = f"""
octavo: 1
params:
  schema: {{type: json}}
  examples: {{type: json, required: false}}
  what: {{type: string, default: ""}}
  passes: {{type: integer, default: 1}}
  key: {{type: string, repeatable: true, required: false}}
steps:
  - split: {{tokens: 200}}
  - extract: {{prompt: extract/read, examples: examples, passes: passes, key: key{options}}}
"""
    return Kit(spec, handler, tmp_path, **more)


def extracted(kit, text=TEXT, **params):
    (result,) = kit.run(text, params={"schema": SCHEMA, **params}).results
    if result.error:
        raise result.error
    return result.value


def names(value):
    return [each["record"]["name"] for each in value["records"]]


def at(text, evidence):
    return text[evidence["start"] : evidence["end"]]


def test_each_field_carries_its_place_in_characters_of_the_document(tmp_path):
    kit = kit_of(tmp_path)
    value = extracted(kit)
    assert len(kit.requests) > 2
    assert names(value) == list(PEOPLE)
    assert value["total"] == 3
    assert value["unverified"] == 0
    ada, emile, cook = value["records"]
    assert at(TEXT, ada["source"]) == "Ada  Byron, 36, was the mate of the ship."
    assert ada["source"]["match"] == "exact"
    # The name is there but for a blank, the number to the letter, the category in the quote only.
    assert ada["fields"]["name"]["match"] == "alike"
    assert at(TEXT, ada["fields"]["name"]) == "Ada  Byron"
    assert at(TEXT, ada["fields"]["age"]) == "36"
    assert ada["fields"]["role"]["match"] == "quote"
    assert at(TEXT, ada["fields"]["role"]) == at(TEXT, ada["source"])
    assert at(TEXT, emile["fields"]["name"]) == "Émile Roux"
    assert "age" not in emile["fields"]
    assert at(TEXT, cook["fields"]["name"]) == "王小明"
    assert at(TEXT, cook["source"]) == PEOPLE["王小明"][0]
    assert [each["places"] for each in value["records"]] == [
        [[each["source"]["start"], each["source"]["end"]]] for each in value["records"]
    ]


def test_what_the_text_does_not_say_is_marked_and_kept(tmp_path):
    made_up = {"quote": "Bo was here.", "record": {"name": "Bo", "role": "crew", "age": 12}}
    value = extracted(kit_of(tmp_path, lambda _: {"records": [made_up]}), "One part. Aged 12.")
    (record,) = value["records"]
    assert record["source"] == {"match": "none"}
    assert record["fields"]["name"] == record["fields"]["role"] == {"match": "none"}
    assert record["fields"]["age"] == {"match": "exact", "start": 15, "end": 17}
    assert record["places"] == []
    assert value["unverified"] == 2


def test_several_passes_are_samples_of_one_prompt_and_are_united(tmp_path):
    def handler(request):
        found = reading(request, passes=(0, 1, 2))["records"]
        return {"records": found[: request.sample + 1] if request.sample != 1 else found[1:]}

    kit = kit_of(tmp_path, handler)
    text = "\n\n".join(sentence for sentence, _, _ in PEOPLE.values())
    value = extracted(kit, text, passes=3)
    assert names(value) == list(PEOPLE)
    assert [each["passes"] for each in value["records"]] == [2, 2, 2]
    assert [request.sample for request in kit.requests] == [0, 1, 2]
    assert [request.temperature for request in kit.requests] == [0.0, 0.7, 0.7]
    assert len({request.messages for request in kit.requests}) == 1
    # A further pass asks for nothing that is there already.
    extracted(kit, text, passes=4)
    assert [request.sample for request in kit.requests] == [3]


def one(name, age=None, quote="", role="crew"):
    return {
        "quote": quote or f"{name} sat down.",
        "record": {"name": name, "role": role, "age": age},
    }


def test_mentions_that_agree_in_the_key_are_one_record_that_lacks_nothing_known(tmp_path):
    text = (
        f"Bo sat down.\n\n{filler(1)}\n\nMr BO, aged 30, sat down.\n\n{filler(2)}\n\nAl sat down."
    )

    def handler(request):
        (said,) = fenced(request)
        records = [one("Bo")] * ("Bo sat" in said) + [one("Al")] * ("Al sat" in said)
        if "aged 30" in said:
            records.append(one("BO", 30, "Mr BO, aged 30, sat down."))
        return {"records": records}

    value = extracted(kit_of(tmp_path, handler), text, key=["name"])
    bo, al = value["records"]
    assert bo["record"] == {"name": "Bo", "role": "crew", "age": 30}
    assert at(text, bo["fields"]["age"]) == "30"
    assert [text[slice(*place)] for place in bo["places"]] == [
        "Bo sat down.", "Mr BO, aged 30, sat down.",
    ]  # fmt: skip
    assert al["record"]["name"] == "Al"
    # Without a key records that differ in a field are two.
    assert names(extracted(kit_of(tmp_path, handler), text)) == ["Bo", "BO", "Al"]


def test_equal_records_at_two_places_are_two_where_places_count(tmp_path):
    text = f"Bo sat down.\n\n{filler(1)}\n\nBo sat down."
    handler = lambda request: {"records": [one("Bo")] if "Bo sat" in fenced(request)[0] else []}  # noqa: E731
    assert extracted(kit_of(tmp_path, handler), text)["total"] == 1
    kit = kit_of(tmp_path, handler, ", dedupe: place")
    value = extracted(kit, text, passes=2)
    assert value["total"] == 2
    assert [each["passes"] for each in value["records"]] == [2, 2]


def test_the_schema_may_refer_to_itself_and_its_definitions(tmp_path):
    schema = {
        "$defs": {"name": {"type": "string", "minLength": 2}},
        "type": "object",
        "properties": {"name": {"$ref": "#/$defs/name"}, "child": {"$ref": "#"}},
        "required": ["name"],
    }
    good = {"name": "Bo", "child": {"name": "Al"}}
    sent = []

    def handler(request):
        sent.append(request)
        name = "X" if len(sent) == 1 else "Al"
        return {
            "records": [{"quote": "Bo, son of Al", "record": {**good, "child": {"name": name}}}]
        }

    kit = kit_of(tmp_path, handler)
    value = extracted(kit, "Bo, son of Al.", schema=schema)
    assert len(sent) == 2  # the first reply broke a rule of the definition
    assert value["records"][0]["record"] == good
    assert set(value["records"][0]["fields"]) == {"name", "child/name"}


def failing(attempt, params):
    """Raise what ends a plan, or the document of a run."""
    raise attempt(TEXT, params=params).results[0].error


def test_a_schema_of_a_list_is_one_of_its_items(tmp_path):
    kit = kit_of(tmp_path)
    whole = {"type": "array", "items": SCHEMA}
    assert names(extracted(kit, schema=whole)) == list(PEOPLE)
    assert kit.plan(TEXT, params={"schema": SCHEMA}).steps[-1].cached == len(kit.requests)


# What is given is checked before anything is asked.

EXAMPLE = {
    "text": "Cy, 40, came as a guest.",
    "records": [{"quote": "Cy, 40, came", "record": {"name": "Cy", "role": "guest", "age": 40}}],
}


def test_examples_are_shown_with_the_replies_wanted_before_the_part(tmp_path):
    kit = kit_of(tmp_path)
    extracted(kit, examples=[EXAMPLE], what="people")
    system, user = kit.requests[0].messages
    assert EXAMPLE["text"] in system.content
    assert json.dumps({"records": EXAMPLE["records"]}) in system.content
    assert "people" in system.content
    assert EXAMPLE["text"] not in user.content
    assert len({request.messages[0] for request in kit.requests}) == 1


def broken(**changes):
    record = {
        **EXAMPLE["records"][0],
        **{k: v for k, v in changes.items() if k in ("quote", "record")},
    }
    return {"text": changes.get("text", EXAMPLE["text"]), "records": [record]}


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({}, "examples are a list"),
        ([EXAMPLE, broken(quote="Cy came as guest")], "example 2, record 1 quotes"),
        ([broken(text="她是船长。", quote="他是船长")], "quotes what its text does not say"),
        ([broken(record={"name": "Cy", "role": "cook"})], "1, record 1, at role does not fit"),
        ([broken(record={"name": "Cy"})], "'role' is a required property"),
        ([broken(text=" ")], "example 1 has no `text`"),
        ([{**EXAMPLE, "note": 1}], "'note', which means nothing"),
        ([{"text": "A"}], "example 1 does not fit the schema"),
    ],
)  # fmt: skip
def test_examples_that_do_not_fit_are_refused_by_the_plan_and_before_a_call(
    tmp_path, examples, message
):
    kit = kit_of(tmp_path)
    params = {"schema": SCHEMA, "examples": examples}
    for attempt in (kit.run, kit.plan):
        with pytest.raises(UsageError, match=message) as refused:
            failing(attempt, params)
        assert refused.value.exit_code == 2
    assert kit.requests == []


def test_examples_whose_quotes_differ_in_typography_only_are_good(tmp_path):
    example = broken(text="她说：“\n他是 Ｃy。”", quote='她说:"他是 Cy')  # noqa: RUF001
    extracted(kit_of(tmp_path), examples=[example])


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"schema": {"type": "object", "properties": 3}}, "must be an object"),
        ({"schema": {"type": "array"}}, "is one of an object"),
        ({"schema": "absent.json"}, "absent.json cannot be read"),
        ({"schema": '{"type": '}, "not JSON"),
        ({"passes": 0}, "once to 20 times, not 0"),
        ({"key": ["nam"]}, "no field 'nam'"),
    ],
)
def test_what_cannot_be_extracted_by_is_refused(tmp_path, params, message):
    kit = kit_of(tmp_path)
    with pytest.raises((UsageError, SpecError), match=message) as refused:
        extracted(kit, **params)
    assert refused.value.exit_code == 2
    assert refused.value.hint
    assert kit.requests == []


def test_a_schema_in_a_file_is_wrong_at_its_line(tmp_path):
    path = tmp_path / "person.json"
    path.write_text('{\n  "type": "object",\n  "properties": {"name": {"type": "strin"}}\n}')
    with pytest.raises(SpecError) as refused:
        extracted(kit_of(tmp_path), schema=str(path))
    assert str(refused.value.position) == f"{path}:3:36"
    path.write_text('{\n  "type" "object"\n}')
    with pytest.raises(SpecError) as refused:
        extracted(kit_of(tmp_path), schema=path)
    assert str(refused.value.position) == f"{path}:2:10"


# What goes wrong.


def test_a_part_with_more_records_than_a_reply_holds_is_read_in_halves(tmp_path):
    people = [f"Person {number} sat down." for number in range(12)]
    text = " ".join(people)

    def handler(request):
        (said,) = fenced(request)
        found = [each for each in people if each in said]
        records = [one(each[:-10].strip(), quote=each) for each in found]
        whole = json.dumps({"records": records})
        return Reply(whole[:90], Finish.LENGTH) if len(found) > 4 else whole

    kit = kit_of(tmp_path, handler)
    plan = kit.plan(text, params={"schema": SCHEMA})
    value = extracted(kit, text)
    assert names(value) == [each[:-10].strip() for each in people]
    assert [at(text, each["source"]) for each in value["records"]] == people
    first = [fenced(request)[0] for request in kit.requests if request.attempt == 0]
    assert "".join(each for each in first if len(each) < len(text) / 3).replace(" ", "") == (
        text.replace(" ", "")
    )
    assert plan.calls == (1, 3)


def test_a_short_part_over_which_a_model_goes_on_and_on_gives_what_is_whole(tmp_path):
    def handler(request):
        if request.attempt == 0:
            return Reply('{"records": [' + '{"quote": "Ada", ' * 50, Finish.LENGTH)
        most = request.schema["properties"]["records"]["maxItems"]
        return json.dumps({"records": [one("Ada", quote="Ada sat.")] * most})

    run = kit_of(tmp_path, handler).run("Ada sat.", params={"schema": SCHEMA})
    (result,) = run.results
    assert names(result.value) == ["Ada"]
    assert result.totals.outcomes == {Outcome.TRUNCATED: 1}


def test_a_reply_that_was_cut_is_no_list_of_records(tmp_path):
    def handler(request):
        if "Ada" in fenced(request)[0]:
            return Reply('{"records": []}', Finish.LENGTH)
        return reading(request)

    with pytest.raises(Exception, match="cut off"):
        extracted(kit_of(tmp_path, handler))
    (result,) = (
        kit_of(tmp_path, handler, ", on_error: skip").run(TEXT, params={"schema": SCHEMA}).results
    )
    assert names(result.value) == ["Émile Roux", "王小明"]
    assert result.totals.outcomes[Outcome.SKIPPED] == 1
    assert result.coverage < 1


def test_a_pass_that_failed_beside_others_is_said_and_covers(tmp_path):
    def handler(request):
        return "prose" if request.sample == 1 and "Ada" in fenced(request)[0] else reading(request)

    kit = kit_of(tmp_path, handler, ", on_error: skip")
    (result,) = kit.run(TEXT, params={"schema": SCHEMA, "passes": 2}).results
    assert names(result.value) == list(PEOPLE)
    assert result.coverage == 1
    assert result.totals.outcomes[Outcome.INVALID] == 1


def test_the_plan_bounds_the_calls_and_refuses_what_does_not_fit(tmp_path):
    kit = kit_of(tmp_path)
    plan = kit.plan(TEXT, params={"schema": SCHEMA, "passes": 2})
    extracted(kit, passes=2)
    # Any part may have more than a reply holds, and is then read in halves.
    assert plan.calls == (len(kit.requests), 3 * len(kit.requests))
    assert plan.depth == 2
    with pytest.raises(FitError):
        kit_of(tmp_path, window=1500).plan(TEXT, params={"schema": SCHEMA})


def test_references_follow_a_schema_into_a_list_and_values_stay():
    value = {"$ref": "#/x"}
    record = {
        "type": "object",
        "properties": {
            "const": {"$ref": "#/$defs/name"},
            "kind": {"const": value, "default": value, "enum": [value]},
        },
        "$defs": {"name": {"type": "string"}},
    }
    moved = list_schema(record)["$defs"]["record"]
    assert moved["properties"]["const"] == {"$ref": "#/$defs/record/$defs/name"}
    assert moved["properties"]["kind"] == record["properties"]["kind"]
