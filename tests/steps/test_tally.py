"""Tallies: exact, in one order, and with the places that they came from."""

from __future__ import annotations

import json
import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import CallError, SpecErrors
from octavo.steps.tally.items import TallyItem, group_items
from octavo.text.equality import Equality, to_canonical_form, to_sort_key

SCHEMA = {
    "type": "object",
    "properties": {
        "kind": {"type": "string"},
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "number"}},
                "required": ["name", "count"],
            },
        },
    },
    "required": ["items"],
}
TALLY = """
octavo: 1
steps:
  - split: {tokens: 200}
  - map: {prompt: "{{ text | fence }}", schema: found}
  - tally: {%s}
"""


def kit_of(tmp_path, options, records, steps=TALLY):
    """Return a kit that finds the nth record in the nth part."""
    (tmp_path / "found.json").write_text(json.dumps(SCHEMA))

    def handler(request):
        here = [records[int(number)] for number in re.findall(r"Part (\d+)", fenced(request)[0])]
        both = [item for record in here for item in record["items"]]
        return {**(here[0] if here else {}), "items": both}

    return Kit(steps % options, handler, tmp_path)


def parts(count):
    """Return a text of as many chunks as wanted."""
    return "".join(f"# Part {n}\n\n" + "word " * 130 + "\n\n" for n in range(count))


def items(*pairs, **more):
    return {"items": [{"name": name, "count": count} for name, count in pairs], **more}


def result_of(tmp_path, options, *records, steps=TALLY):
    (result,) = (
        kit_of(tmp_path, options, records, steps).run(parts(len(records)), private=True).results
    )
    return result


def value_of(tmp_path, options, *records):
    result = result_of(tmp_path, options, *records)
    assert result.error is None, result.error
    return result.value


SHIPS = [
    items(("Pequod", 3), ("Rachel", 1)),
    items(("Rachel", 4), ("pequod", 1)),
    items(),
    items(("Bachelor", 5), ("Pequod", 2)),
]


def rows(value):
    return [tuple(row.values()) for row in value["rows"]]


def test_counts_add_up_the_most_frequent_first_then_by_value(tmp_path):
    value = value_of(tmp_path, "op: count, each: items, by: name, of: item.count", *SHIPS)
    assert rows(value) == [("Bachelor", 5), ("Pequod", 5), ("Rachel", 5), ("pequod", 1)]
    assert (value["total"], value["distinct"]) == (16, 4)


def test_an_item_counts_as_one_where_nothing_says_how_much(tmp_path):
    value = value_of(tmp_path, "op: count, each: items, by: name, alike: case", *SHIPS)
    assert rows(value) == [("Pequod", 3), ("Rachel", 2), ("Bachelor", 1)]


def test_the_top_says_how_many_there_are(tmp_path):
    options = "op: top, each: items, by: name, of: item.count, alike: case, most: 1"
    value = value_of(tmp_path, options, *SHIPS)
    assert value == {"rows": [{"value": "Pequod", "count": 6}], "total": 16, "distinct": 3}


def test_each_row_may_tell_where_it_came_from(tmp_path):
    text = parts(4)
    options = "op: count, each: items, by: name, sources: true"
    result = result_of(tmp_path, options, *SHIPS)
    found = {row["value"]: row["sources"] for row in result.value["rows"]}
    assert result.spans == ((0, len(text)),)
    assert ["Part 0" in text[a:b] for a, b in found["pequod"]] == [False]
    assert ["Part 1" in text[a:b] for a, b in found["pequod"]] == [True]
    ((start, end), (later, _)) = found["Pequod"]
    assert "Part 0" in text[start:end]
    assert "Part 3" in text[later:]


def test_sums_are_exact_at_any_size_and_for_tenths(tmp_path):
    large = 10**30
    records = [items(("a", large + 1)), items(("a", large + 2), ("b", -1))]
    value = value_of(tmp_path, "op: sum, each: items, of: item.count", *records)
    assert value == {"rows": [], "total": 2 * large + 2, "distinct": 0}
    tenths = [items(("a", 0.1), ("b", 0.7)), items(("a", 0.2), ("b", 0.3))]
    value = value_of(tmp_path, "op: sum, each: items, by: name, of: item.count", *tenths)
    assert rows(value) == [("b", 1), ("a", 0.3)]
    assert value["total"] == 1.3


def test_what_is_no_number_is_an_error_that_shows_it(tmp_path):
    error = result_of(tmp_path, "op: sum, each: items, of: name", *SHIPS).error
    assert isinstance(error, CallError)
    assert '"Pequod", which is no number' in error.message


def test_what_is_no_list_is_an_error(tmp_path):
    error = result_of(tmp_path, "op: count, each: kind", items(kind="ships")).error
    assert "gives no list" in error.message


def test_where_chooses_among_items(tmp_path):
    options = "op: count, each: items, by: name, where: item.count > 2"
    value = value_of(tmp_path, options, *SHIPS)
    assert rows(value) == [("Bachelor", 1), ("Pequod", 1), ("Rachel", 1)]


def test_a_union_opens_lists_and_is_sorted(tmp_path):
    options = "op: union, of: \"items | map(attribute='name')\", alike: case"
    value = value_of(tmp_path, options, *SHIPS)
    assert value == {"rows": ["Bachelor", "Pequod", "Rachel"], "total": 3, "distinct": 3}


def test_the_first_of_each_stays_in_the_order_of_the_document(tmp_path):
    value = value_of(tmp_path, "op: dedupe, each: items, by: name, alike: case", *SHIPS)
    assert [row["name"] for row in value["rows"]] == ["Pequod", "Rachel", "Bachelor"]
    assert [row["count"] for row in value["rows"]] == [3, 1, 5]


def test_sorting_keeps_the_order_of_equals(tmp_path):
    value = value_of(tmp_path, "op: sort, each: items, by: item.count, of: name", *SHIPS)
    assert value["rows"] == ["Rachel", "pequod", "Pequod", "Pequod", "Rachel", "Bachelor"]
    value = value_of(
        tmp_path, "op: sort, each: items, by: item.count, of: name, descending: true", *SHIPS
    )
    assert value["rows"] == ["Bachelor", "Rachel", "Pequod", "Pequod", "Rachel", "pequod"]


def test_texts_are_joined_in_the_order_of_the_document(tmp_path):
    value = value_of(tmp_path, 'op: join, each: items, of: name, separator: ", "', *SHIPS)
    assert value == "Pequod, Rachel, Rachel, pequod, Bachelor, Pequod"


def test_texts_are_counted_as_they_are(tmp_path):
    kit = Kit(TALLY.replace(", schema: found", "") % "op: count", None, tmp_path)
    kit.handler = lambda request: "Yes" if "Part 1" in fenced(request)[0] else "No"
    (result,) = kit.run(parts(3)).results
    (no, yes) = rows(result.value)
    assert (no[0], yes) == ("No", ("Yes", 1))
    assert result.value["total"] == no[1] + 1 >= 3


def test_what_a_filter_took_out_counts_for_nothing_and_nothing_is_zero(tmp_path):
    steps = TALLY.replace("  - tally", "  - filter: {where: items | length > 9}\n  - tally")
    options = "op: count, each: items, by: name"
    result = result_of(tmp_path, options, *SHIPS, steps=steps)
    assert result.value == {"rows": [], "total": 0, "distinct": 0}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("op: sum", "sum needs `of`"),
        ("op: join, most: 3", "remove `most`"),
        ("op: mean", "'op' cannot be"),
        ("op: count, each: things", "'things' is no field"),
        ("op: count, by: name", "'name' is no field"),
        ("op: count, each: items, by: nam", "'nam' is no field"),
        ("op: count, by: name |", "is not a condition"),
    ],
)
def test_what_cannot_be_is_refused_when_the_pipeline_is_read(tmp_path, options, said):
    with pytest.raises(SpecErrors) as caught:
        result_of(tmp_path, options, items())
    assert said in str(caught.value)


def test_what_takes_parts_cannot_follow(tmp_path):
    kept = "  - merge: {prompt: '{{ notes }}'}\n"
    kit = kit_of(tmp_path, "op: count, each: items", [items()], TALLY + kept)
    with pytest.raises(SpecErrors, match="`merge` takes chunks or notes, but gets one note"):
        kit.run(parts(1))


@pytest.mark.parametrize("options", ["op: count, each: items", "op: sum, of: kind", "op: join"])
def test_a_plan_adds_no_call(tmp_path, options):
    records = [items(("Pequod", 1), kind="ships")] * 4
    kit = kit_of(tmp_path, options, records)
    plan = kit.plan(parts(4))
    assert plan.calls == (kit.plan(parts(4)).steps[1].calls_low,) * 2
    assert plan.calls[0] >= 4


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(0, 10**40)), max_size=30))
def test_the_order_of_items_changes_no_sum(pairs):
    made = [
        TallyItem(name, to_canonical_form(name, Equality.EXACT), count) for name, count in pairs
    ]
    mixed = random.Random(3).sample(made, len(made))
    before, after = ([(g.value, g.weight) for g in group_items(each)] for each in (made, mixed))
    assert before == after
    assert sum(weight for _, weight in before) == sum(count for _, count in pairs)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


@given(VALUES, VALUES)
def test_values_of_all_kinds_have_a_likeness_and_an_order(one, other):
    assert to_canonical_form(one, Equality.CASE) == to_canonical_form(
        json.loads(json.dumps(one)), Equality.CASE
    )
    assert sorted([one, other], key=to_sort_key)
    if to_canonical_form(one, Equality.EXACT) == to_canonical_form(other, Equality.EXACT):
        assert to_canonical_form(one, Equality.CASE) == to_canonical_form(other, Equality.CASE)


def test_texts_are_alike_as_far_as_is_said():
    composed, apart, wide = "Caf\u00e9 Noir", "Cafe\u0301\n noir", "\uff23af\u00e9 Noir"
    alike = {
        each: {to_canonical_form(t, each) for t in (composed, apart, wide)} for each in Equality
    }
    assert [len(alike[each]) for each in Equality] == [3, 3, 1]
    assert to_canonical_form(apart.title(), Equality.UNICODE) == to_canonical_form(
        composed, Equality.UNICODE
    )
    assert (
        to_canonical_form(True, Equality.CASE)
        != to_canonical_form(1, Equality.CASE)
        == to_canonical_form(1.0, Equality.CASE)
    )
    assert to_canonical_form("1", Equality.CASE) != to_canonical_form(1, Equality.CASE)


def test_the_paragraphs_of_a_text_can_be_tallied_without_a_model(tmp_path):
    kit = Kit(
        "octavo: 1\nsteps:\n  - split: {tokens: 100}\n  - tally: {op: join, separator: ''}\n",
        None,
        tmp_path,
    )
    (result,) = kit.run(paragraphs(30)).results
    assert result.value == paragraphs(30)
