"""The tree of sections: what is asked of which text, what goes up, and how failures end."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

import octavo
from octavo.engine.dispatch.key import compute_key
from octavo.errors import FitError, Outcome, ReplyError, RequestError
from octavo.protocols import Finish, Reply
from octavo.text.outline import markdown_headings

TREE = """
octavo: 1
steps:
  - split: {tokens: 300}
  - tree:
      leaf: "Read at {{ height }} under {{ headings | join('/') }}:\\n{{ text | fence }}"
      parent: "Join at {{ height }} under {{ headings | join('/') }}:
        {%% for note in notes %%}\\n\\n[{{ titles[loop.index0] }}]
        {{ note | fence }}{%% endfor %%}"
      tokens: 60
%s"""
ANCHORS = """      outline: "Sections?\\n{{ text | fence }}"
"""

BOOK = """# The book

## One

Alpha is 1.

### Deep

Beta is 2.

#### Deeper

Gamma is 3.

## Two

Delta is 4.

## Three

### Only

Epsilon is 5.
"""
FACT = re.compile(r"(\w+) is (\d+)")


def head(request):
    return request.messages[-1].content.split("\n", 1)[0].rstrip()


def facts(request):
    found = [
        f"{name} is {number}" for part in fenced(request) for name, number in FACT.findall(part)
    ]
    return "; ".join(found) + "." if found else "Nothing."


def document(text, name="a.md"):
    return octavo.Document(text, name, markdown_headings(text))


def run(kit, *texts, **options):
    kit.backend = kit._backend()
    return octavo.run(kit.path, *map(document, texts), model=kit.backend, **options)


def plan(kit, *texts, **options):
    return octavo.plan(kit.path, *map(document, texts), model=kit._backend(), **options)


def test_sections_are_read_alone_and_joined_at_their_parents(tmp_path):
    kit = Kit(TREE % "", facts, tmp_path)
    (result,) = run(kit, BOOK).results
    assert result.value == "Alpha is 1; Beta is 2; Gamma is 3; Delta is 4; Epsilon is 5."
    assert sorted(map(head, kit.requests)) == [
        "Join at 1 under The book/One/Deep:",
        "Join at 2 under The book/One:",
        "Join at 3 under The book:",
        "Read at 0 under The book/One/Deep/Deeper:",
        "Read at 0 under The book/One/Deep:",
        "Read at 0 under The book/One:",
        "Read at 0 under The book/Three/Only:",
        "Read at 0 under The book/Two:",
    ]
    (top,) = (r for r in kit.requests if head(r) == "Join at 3 under The book:")
    assert re.findall(r"^\[(.*?)\] <", top.messages[-1].content, re.MULTILINE) == [
        "One", "Two", "Three",
    ]  # fmt: skip


def test_all_text_is_read_once_and_sources_reach_the_root(tmp_path):
    kit = Kit(TREE % "", facts, tmp_path)
    text = "\n\n".join(f"{'#' * (1 + n % 3)} Part {n}\n\n{p}" for n, p in
                       enumerate(paragraphs(30).split("\n\n")))  # fmt: skip
    (result,) = run(kit, text).results
    read = "".join(part for r in kit.requests if head(r).startswith("Read") for part in fenced(r))
    assert sorted(re.findall(r"Paragraph \d+\.", read)) == sorted(
        f"Paragraph {n}." for n in range(30)
    )
    assert sum(span.length for span in result.spans) == len(text)


def test_deeper_headings_than_the_bound_are_text_of_their_parent(tmp_path):
    kit = Kit(TREE % "      depth: 2\n", facts, tmp_path)
    (result,) = run(kit, BOOK).results
    assert result.value == "Alpha is 1; Beta is 2; Gamma is 3; Delta is 4; Epsilon is 5."
    (one,) = (r for r in kit.requests if head(r) == "Read at 0 under The book/One:")
    assert "### Deep" in fenced(one)[0]
    assert "#### Deeper" in fenced(one)[0]
    assert len(kit.requests) == 4


@pytest.mark.parametrize("options", ["", "      depth: 1\n", "      fan_in: 2\n"])
def test_the_plan_is_exact_where_there_are_headings(options, tmp_path):
    kit = Kit(TREE % (options + ANCHORS), facts, tmp_path)
    planned = plan(kit, BOOK)
    run(kit, BOOK)
    assert planned.calls == (len(kit.requests), len(kit.requests))
    assert not any(head(request) == "Sections?" for request in kit.requests)
    tops = [int(head(r)[8]) for r in kit.requests if head(r).startswith("Join")]
    assert planned.depth == 1 + max(tops, default=0)


def test_many_sections_are_joined_in_groups(tmp_path):
    text = "# Top\n\n" + "\n\n".join(f"## S{n}\n\nName{n} is {n}." for n in range(40))
    kit = Kit(TREE % "      fan_in: 4\n", facts, tmp_path)
    (result,) = run(kit, text).results
    assert [int(n) for _, n in FACT.findall(result.value)] == list(range(40))
    assert max(len(fenced(request)) for request in kit.requests) == 4


def test_an_edit_asks_again_only_on_its_way_to_the_root(tmp_path):
    kit = Kit(TREE % "", facts, tmp_path)

    def keys(text):
        run(kit, text, private=True)
        return {compute_key(r, identity="i", model="m"): head(r) for r in kit.requests}

    before, after = keys(BOOK), keys(BOOK.replace("Beta is 2", "Beta is 7"))
    assert sorted(after[key] for key in after.keys() - before.keys()) == [
        "Join at 1 under The book/One/Deep:",
        "Join at 2 under The book/One:",
        "Join at 3 under The book:",
        "Read at 0 under The book/One/Deep:",
    ]


def test_the_result_may_be_a_record_of_all_sections(tmp_path):
    kit = Kit(TREE % "      show: sections\n", facts, tmp_path)
    (result,) = run(kit, BOOK).results
    value = result.value
    assert value["title"] == "The book"
    assert value["note"].startswith("Alpha is 1")
    assert [each["title"] for each in value["sections"]] == ["One", "Two", "Three"]
    one, two, three = value["sections"]
    assert one["note"] == "Alpha is 1; Beta is 2; Gamma is 3."
    assert one["sections"][0]["sections"][0]["note"] == "Gamma is 3."
    assert BOOK[two["start"] : two["end"]] == "## Two\n\nDelta is 4.\n\n"
    # The one section below has the note, which was handed up unasked.
    assert "note" not in three
    assert three["sections"][0]["note"] == "Epsilon is 5."


def unlucky(request):
    if "Beta" in request.messages[-1].content and head(request).startswith("Read"):
        raise RequestError("no such luck")
    return facts(request)


def test_a_failed_section_is_a_failure_and_never_a_note(tmp_path):
    kit = Kit(TREE % "", unlucky, tmp_path)
    (result,) = run(kit, BOOK).results
    assert result.error.message == "no such luck"
    kit = Kit(TREE % "      on_error: skip\n", unlucky, tmp_path)
    (result,) = run(kit, BOOK).results
    assert result.value == "Alpha is 1; Gamma is 3; Delta is 4; Epsilon is 5."
    assert 0.8 < result.coverage < 1
    assert result.totals.outcomes[Outcome.SKIPPED] == 1
    assert not any("luck" in r.messages[-1].content for r in kit.requests)
    # With one note left there is nothing to join below "Deep".
    assert "Join at 1 under The book/One/Deep:" not in map(head, kit.requests)


def test_a_failed_join_ends_the_document(tmp_path):
    def handler(request):
        if head(request).startswith("Join at 1"):
            return Reply("I cannot help with that.", Finish.REFUSAL)
        return facts(request)

    kit = Kit(TREE % "      on_error: skip\n", handler, tmp_path)
    (result,) = run(kit, BOOK).results
    assert isinstance(result.error, ReplyError)
    assert "Join at 3 under The book:" not in map(head, kit.requests)


PLAIN = paragraphs(12, words=16)


def anchored(request):
    """Outline a text by its paragraphs: five at most, the last section runs to the end."""
    if head(request) != "Sections?":
        return facts_or_numbers(request)
    parts = fenced(request)[0].split("\n\n")
    parts = [*parts[:4], "\n\n".join(parts[4:])] if len(parts) > 5 else parts
    return json.dumps({"sections": [
        {"title": " ".join(p.split()[:2]), "head": " ".join(p.split()[:4]),
         "tail": " ".join(p.split()[-3:])} for p in parts]})  # fmt: skip


def facts_or_numbers(request):
    numbers = re.findall(r"Paragraph (\d+)\.|\b(?:n)(\d+)\b", "\n".join(fenced(request)))
    return " ".join(f"n{a or b}" for a, b in numbers) + "."


ALL = " ".join(f"n{n}" for n in range(12)) + "."


def test_a_text_without_headings_is_outlined_by_anchors(tmp_path):
    kit = Kit(TREE % ANCHORS, anchored, tmp_path)
    low, high = kit.plan(PLAIN).calls
    (result,) = kit.run(PLAIN).results
    assert result.value == ALL
    reads = [r for r in kit.requests if head(r).startswith("Read")]
    assert all(fenced(r)[0].startswith("Paragraph") for r in reads)
    assert {head(r) for r in reads} >= {"Read at 0 under Paragraph 3.:"}
    assert len(reads) == 12
    assert len(reads) > sum(head(r) == "Sections?" for r in kit.requests)
    assert low < len(kit.requests) <= high


def test_a_plan_knows_of_outlined_sections_that_narrow_joins_can_use(tmp_path):
    def halves(request):
        if head(request) != "Sections?":
            return "A note."
        words = fenced(request)[0].split()
        parts = [words[: len(words) // 2], words[len(words) // 2 :]]
        ends = [{"head": " ".join(p[:5]), "tail": " ".join(p[-5:])} for p in parts]
        return json.dumps({"sections": [{"title": "Half", **each} for each in ends]})

    kit = Kit(TREE % f"{ANCHORS}      fan_in: 3\n", halves, tmp_path)
    low, high = kit.plan(paragraphs(1)).calls
    kit.run(paragraphs(1))
    assert low < len(kit.requests) == 4 <= high


def reply_with(sections):
    return lambda request: (
        json.dumps({"sections": sections}) if head(request) == "Sections?"
        else facts_or_numbers(request)
    )  # fmt: skip


BAD = [
    [],
    [{"title": "x", "head": "Not in it", "tail": "at all"}] * 2,
    [{"title": "x", "head": "", "tail": ""}] * 5,
]


@pytest.mark.parametrize("sections", BAD)
def test_anchors_that_do_not_cover_the_text_are_not_used(sections, tmp_path):
    kit = Kit(TREE % ANCHORS, reply_with(sections), tmp_path)
    (result,) = kit.run(PLAIN).results
    assert result.value == ALL
    asked = list(map(head, kit.requests))
    plain = Kit(TREE % "", facts_or_numbers, tmp_path)
    plain.run(PLAIN, private=True)
    assert [head(r) for r in plain.requests if head(r).startswith("Read")] == [
        each for each in asked if each.startswith("Read")
    ]


@pytest.mark.parametrize("outline", ["not a record", ""])
def test_an_outline_that_is_no_record_costs_no_text(outline, tmp_path):
    def handler(request):
        return outline if head(request) == "Sections?" else facts_or_numbers(request)

    (result,) = Kit(TREE % ANCHORS, handler, tmp_path).run(PLAIN).results
    assert result.value == ALL
    assert result.coverage == 1


def test_a_chunk_without_sections_has_an_entry_of_its_own(tmp_path):
    kit = Kit(TREE % (ANCHORS + "      show: sections\n"), reply_with([]), tmp_path)
    (result,) = kit.run(PLAIN).results
    assert result.value["note"] == ALL
    entries = result.value["sections"]
    assert [each["title"] for each in entries] == [None] * len(entries)
    assert "".join(PLAIN[each["start"] : each["end"]] for each in entries) == PLAIN


def test_what_cannot_fit_is_refused_before_anything_is_sent(tmp_path):
    kit = Kit(TREE % "", facts, tmp_path, window=160)
    (result,) = run(kit, BOOK).results
    assert isinstance(result.error, FitError)
    assert kit.requests == []


@pytest.mark.parametrize("window", [420, 600, 2000])
def test_no_prompt_exceeds_the_window(window, tmp_path):
    wordy = " ".join(["word"] * 55) + "."
    text = "# Top\n\n" + "\n\n".join(f"## S{n}\n\n{p}" for n, p in
                                    enumerate(paragraphs(20).split("\n\n")))  # fmt: skip
    kit = Kit(TREE % "", lambda _: wordy, tmp_path, window=window)
    (result,) = run(kit, text).results
    assert result.error is None or kit.requests == []


def test_headings_without_text_are_not_asked_about(tmp_path):
    kit = Kit(TREE % "", facts, tmp_path)
    (result,) = run(kit, "# A\n\n## Empty\n\n## Full\n\nAlpha is 1.\n").results
    assert result.value == "Alpha is 1."
    assert len(kit.requests) == 1
    run(kit, "# A\n\n## B\n")
    assert len(kit.requests) == 1
    assert fenced(kit.requests[0]) == ["# A\n\n## B"]


def records(request):
    """Play the built-in prompts: the facts of a piece, and at a parent those that are surest."""
    content = request.messages[-1].content
    if "Sections of the text" in content:
        return json.dumps({"sections": []})
    if "<note" in content:
        notes = [json.loads(part) for part in fenced(request)]
        best = max(note["confidence"] for note in notes)
        said = [note["summary"] for note in notes if note["confidence"] == best]
        return json.dumps({"summary": " ".join(said), "confidence": best})
    sure = 9 if "certainly" in content else 2
    return json.dumps({"summary": facts(request), "confidence": sure})


def test_parents_see_confidence_and_the_built_in_pipeline_answers(tmp_path):
    kit = Kit("", records, tmp_path)
    kit.path = "outline"
    text = "# R\n\n## A\n\nRed is 1.\n\n## B\n\nCertainly, certainly Red is 2.\n"
    planned = plan(kit, text, params={"question": "What is Red?"})
    (result,) = run(kit, text, params={"question": "What is Red?"}).results
    assert result.value["note"] == {"summary": "Red is 2.", "confidence": 9}
    assert planned.calls == (3, 3)
    (result,) = run(kit, BOOK).results
    assert [each["title"] for each in result.value["sections"]] == ["One", "Two", "Three"]
    low, high = kit.plan(PLAIN * 20).sent
    (result,) = kit.run(PLAIN * 20).results
    assert result.error is None
    assert low <= len(kit.requests) <= high


@pytest.mark.parametrize("on_error", ["fail", "skip"])
def test_a_failed_outline_is_a_failure_or_leaves_the_chunk_as_it_is(on_error, tmp_path):
    def handler(request):
        if head(request) == "Sections?":
            raise RequestError("no such luck")
        return facts_or_numbers(request)

    kit = Kit(TREE % f"{ANCHORS}      on_error: {on_error}\n", handler, tmp_path)
    (result,) = kit.run(PLAIN).results
    if on_error == "fail":
        assert result.error.message == "no such luck"
    else:
        assert (result.value, result.coverage) == (ALL, 1)


def test_titles_that_a_model_makes_too_long_exceed_no_window(tmp_path):
    def handler(request):
        answer = anchored(request)
        if head(request) != "Sections?":
            return answer
        record = json.loads(answer)
        for section in record["sections"]:
            section["title"] = "A long title " * 30
        return json.dumps(record)

    for window in (1100, 1400, 3000):
        kit = Kit(TREE % ANCHORS, handler, tmp_path, window=window)
        (result,) = kit.run(PLAIN, private=True).results
        assert (result.error is None and result.value == ALL) or kit.requests == []


def faulty(request):
    """Misbehave on three of five pieces and outlines, always in the same way on the same ones."""
    if head(request).startswith("Join"):
        return facts_or_numbers(request)
    seed = int(hashlib.sha256(fenced(request)[-1].encode()).hexdigest(), 16)
    match seed % 10:
        case 0:
            return ""
        case 1:
            return Reply("FAULT and on and on", Finish.LENGTH)
        case 2:
            return Reply("FAULT: I cannot help with that.", Finish.REFUSAL)
        case 3:
            return '{"sections": [{"title": 3}]}'
        case 4:
            raise RequestError("FAULT")
        case 5:
            return request.messages[-1].content[-40:]
        case _:
            return anchored(request)


def test_a_model_that_misbehaves_neither_hangs_a_run_nor_gets_into_later_prompts(tmp_path):
    kit = Kit(TREE % f"{ANCHORS}      on_error: skip\n", faulty, tmp_path)
    (result, again) = kit.run(paragraphs(60, words=16), paragraphs(60, words=16)).results
    assert result.error is None
    assert result.value == again.value
    assert 0 < result.coverage < 1
    joins = [r for r in kit.requests if head(r).startswith("Join")]
    assert joins
    assert not any("FAULT" in r.messages[-1].content for r in joins)
    totals = result.totals
    assert sum(totals.outcomes.values()) - totals.outcomes[Outcome.SKIPPED] == totals.calls
    assert {Outcome.INVALID, Outcome.REFUSED, Outcome.FAILED} & totals.outcomes.keys()
