from __future__ import annotations

import json
import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import FitError, ReplyError, SpecErrors
from octavo.tokens.choose import get_counter

REDUCE = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Read:\\n{{ text | fence }}", tokens: 40}
  - filter: {where: "'nothing' not in text"}
  - reduce:
      prompt: "Answer:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      collapse: "Collapse:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      tokens: 60
      note_tokens: 40
      room: 300
"""


def collect(request):
    words = " ".join(fenced(request)).replace(".", "").split()
    return " ".join(word for word in words if word.isdigit()) + "."


def kinds(kit):
    return [request.messages[-1].content.split(":")[0] for request in kit.requests]


def test_notes_that_fit_are_reduced_by_one_call(tmp_path):
    kit = Kit(REDUCE.replace("room: 300", "room: 8000"), collect, tmp_path)
    assert kit.run(paragraphs(10)).text == "0 1 2 3 4 5 6 7 8 9."
    assert kinds(kit).count("Answer") == 1
    assert "Collapse" not in kinds(kit)


def test_notes_that_do_not_fit_are_collapsed_in_order_until_they_do(tmp_path):
    kit = Kit(REDUCE, collect, tmp_path)
    (result,) = kit.run(paragraphs(40)).results
    assert result.value == " ".join(str(n) for n in range(40)) + "."
    assert kinds(kit).count("Collapse") > 2
    assert kinds(kit).count("Answer") == 1
    assert result.spans == ((0, len(paragraphs(40))),)


def test_notes_that_a_filter_takes_out_are_not_seen_and_not_a_source(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("Read") and "Paragraph 3." not in str(request):
            return "nothing here"
        return collect(request)

    kit = Kit(REDUCE, handler, tmp_path)
    text = paragraphs(10)
    (result,) = kit.run(text).results
    assert result.value == "3."
    (span,) = result.spans
    assert "Paragraph 3." in text[span.start : span.end]
    assert span.length < len(text) / 2


def test_when_nothing_is_left_the_result_says_so_without_a_call(tmp_path):
    pipeline = REDUCE + "      empty: Not in this text.\n"
    kit = Kit(pipeline, lambda request: "nothing here", tmp_path)
    assert kit.run(paragraphs(10)).text == "Not in this text."
    assert set(kinds(kit)) == {"Read"}


def test_when_nothing_is_left_and_no_word_for_it_the_document_fails(tmp_path):
    (result,) = Kit(REDUCE, lambda _: "nothing here", tmp_path).run(paragraphs(10)).results
    assert isinstance(result.error, ReplyError)


def test_a_model_that_only_echoes_ends(tmp_path):
    kit = Kit(REDUCE, lambda request: "word " * 25 + ".", tmp_path)
    (result,) = kit.run(paragraphs(60)).results
    assert result.error is None
    assert len(kit.requests) < 2 * kinds(kit).count("Read")


@pytest.mark.parametrize("without", ["collapse", "space"])
def test_what_could_not_end_is_refused_before_anything_is_sent(tmp_path, without):
    pipeline = REDUCE.replace("room: 300", "room: 90")
    if without == "collapse":
        pipeline = "".join(line for line in REDUCE.splitlines(True) if "collapse" not in line)
    kit = Kit(pipeline, collect, tmp_path)
    (result,) = kit.run(paragraphs(40)).results
    assert isinstance(result.error, FitError)
    assert kit.requests == []


def test_the_run_lies_within_the_plan(tmp_path):
    kit = Kit(REDUCE, collect, tmp_path)
    plan = kit.plan(paragraphs(40))
    kit.run(paragraphs(40))
    assert plan.sent[0] <= len(kit.requests) <= plan.sent[1]


RECORD = """{
"type": "object",
"properties": {
    "numbers": {"type": "array"}, "kind": {"type": "string"}, "has_info": {"type": "boolean"}
},
"required": ["numbers", "kind", "has_info"]
}"""
RECORDS = """
octavo: 1
params: {question: {type: string, default: Which numbers?}}
steps:
  - split: {tokens: 120}
  - map: {prompt: "Read:\\n{{ text | fence }}", schema: record, tokens: 40}
  - filter: {where: has_info}
  - reduce:
      prompt: "Answer {{ question }}:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      collapse: "Collapse {{ question }}:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      note_schema: record
      where: has_info
      tokens: 60
      note_tokens: 60
      room: 300
      empty: Nothing.
"""


def read(request):
    """Return the record that a prompt's paragraphs or records come to."""
    texts = fenced(request)
    if request.messages[-1].content.startswith("Read"):
        numbers = [int(number) for number in re.findall(r"Paragraph (\d+)\.", texts[0])]
    else:
        numbers = [number for text in texts for number in json.loads(text)["numbers"]]
    return {
        "numbers": numbers,
        "kind": "even" if sum(numbers) % 2 == 0 else "odd",
        "has_info": True,
    }


def answer(request):
    found = read(request)
    return found if request.schema else " ".join(map(str, found["numbers"])) + "."


def records(tmp_path, handler=answer, pipeline=RECORDS, **options):
    (tmp_path / "record.json").write_text(RECORD)
    return Kit(pipeline, handler, tmp_path, **options)


def test_records_are_collapsed_to_records_and_keep_order_and_sources(tmp_path):
    kit = records(tmp_path)
    text = paragraphs(40)
    (result,) = kit.run(text).results
    assert result.value == " ".join(str(n) for n in range(40)) + "."
    assert result.spans == ((0, len(text)),)
    collapsed = [r for r in kit.requests if r.messages[-1].content.startswith("Collapse")]
    assert len(collapsed) > 2
    assert all(request.schema for request in collapsed)


def test_whether_a_note_says_anything_is_a_field_and_not_a_phrase_in_it(tmp_path):
    """A record that holds the words of a refusal is kept, and an empty one is not."""

    def handler(request):
        found = answer(request)
        if request.schema and request.messages[-1].content.startswith("Read"):
            found["kind"] = "not mentioned, no information"
            found["has_info"] = found["numbers"] == [3]
        return found

    text = paragraphs(10)
    (result,) = records(tmp_path, handler).run(text).results
    assert result.value == "3."
    (span,) = result.spans
    assert "Paragraph 3." in text[span.start : span.end]


def test_collapsed_notes_without_information_are_left_out_too(tmp_path):
    def handler(request):
        found = answer(request)
        if request.messages[-1].content.startswith("Collapse"):
            found["has_info"] = 0 in found["numbers"]
        return found

    text = paragraphs(40)
    kit = records(tmp_path, handler)
    low, high = kit.plan(text).sent
    (result,) = kit.run(text).results
    numbers = [int(number) for number in result.value.strip(".").split()]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) < 40
    assert result.spans[-1].end < len(text)
    assert low <= len(kit.requests) <= high


def test_when_all_records_are_empty_the_result_says_so_without_another_call(tmp_path):
    kit = records(tmp_path, lambda request: {"numbers": [], "kind": "", "has_info": False})
    (result,) = kit.run(paragraphs(10)).results
    assert result.value == "Nothing."
    assert result.spans == ()
    assert set(kinds(kit)) == {"Read"}


@pytest.mark.parametrize("window", [480, 700, 2000])
def test_the_prompt_the_question_and_the_reply_are_part_of_the_budget(tmp_path, window):
    question = "Which of the numbers that this text names are in it, " * 5
    kit = records(tmp_path, window=window)
    (result,) = kit.run(paragraphs(16), params={"question": question}).results
    assert result.value == " ".join(str(n) for n in range(16)) + "."
    for request in kit.requests:
        prompt = sum(octavo_tokens(message.content) for message in request.messages)
        assert prompt + request.max_tokens <= window


def octavo_tokens(text):
    return get_counter("estimate-1").count(text)


def test_a_model_that_pads_its_notes_ends_after_the_rounds_that_were_allowed(tmp_path):
    """Notes that do not shrink must not go round forever."""

    def handler(request):
        found = answer(request)
        if request.schema:
            found["kind"] = "padding " * 12
        return found

    pipeline = RECORDS.replace("room: 300", "room: 200\n      rounds: 2")
    kit = records(tmp_path, handler, pipeline)
    (result,) = kit.run(paragraphs(60)).results
    assert isinstance(result.error, ReplyError)
    assert "after 2 rounds" in result.error.message
    rounds = [kind for kind in kinds(kit) if kind.startswith("Collapse")]
    reads = kinds(kit).count("Read")
    assert len(rounds) <= reads / 2 + reads / 4 + 2


def test_no_call_is_sent_that_could_not_make_its_notes_fewer_tokens(tmp_path):
    kit = records(tmp_path)
    kit.run(paragraphs(40))
    for request in kit.requests:
        if request.messages[-1].content.startswith("Collapse"):
            texts = fenced(request)
            assert len(texts) > 1
            assert sum(octavo_tokens(text) + 24 for text in texts) > 60 + 24


def test_a_note_longer_than_it_was_allowed_to_be_is_an_error_and_not_a_loop(tmp_path):
    def handler(request):
        found = answer(request)
        if request.schema and 5 in found["numbers"]:
            found["kind"] = "word " * 400
        return found

    kit = records(tmp_path, handler)
    (result,) = kit.run(paragraphs(20)).results
    assert isinstance(result.error, ReplyError)
    assert "one of them has" in result.error.message
    assert "Answer" not in {kind.split()[0] for kind in kinds(kit)}


def test_a_single_record_is_asked_about_where_the_result_is_text(tmp_path):
    pipeline = RECORDS.replace("      empty: Nothing.\n", "")
    kit = records(tmp_path, answer, pipeline)
    assert kit.run("Paragraph 3.").text == "3."
    assert [kind.split()[0] for kind in kinds(kit)] == ["Read", "Answer"]
    assert kit.plan("Paragraph 3.").calls == (2, 2)


BY = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Read:\\n{{ text | fence }}", schema: record, tokens: 40}
  - reduce:
      by: kind
      prompt: "Answer {{ group }}:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      tokens: 60
"""


def test_notes_are_reduced_by_the_value_of_a_field_in_the_order_in_which_groups_begin(tmp_path):
    kit = records(tmp_path, answer, BY)
    text = paragraphs(7, words=90)
    low, high = kit.plan(text).sent
    (result,) = kit.run(text, jobs=1).results
    assert result.error is None
    again = kit.run(text, jobs=16, fresh=True).results[0]
    kinds_in_order = list(dict.fromkeys(found["kind"] for found in map(read, reads(kit, text))))
    assert [each["kind"] for each in result.value] == kinds_in_order
    numbers = [[int(number) for number in each["text"].strip(".").split()] for each in result.value]
    assert sorted(number for each in numbers for number in each) == list(range(7))
    assert all(each == sorted(each) for each in numbers)
    assert again.value == result.value
    assert low <= len(kit.requests) <= high


@pytest.mark.parametrize(("alike", "groups"), [("unicode", 3), ("case", 2)])
def test_groups_are_as_alike_as_is_said(alike, groups, tmp_path):
    def handler(request):
        if not request.messages[-1].content.startswith("Read"):
            return "Told."
        (said,) = fenced(request)
        kind = "Ship" if "Paragraph 0." in said else "boat" if "Paragraph 1." in said else "ship"
        return json.dumps({"numbers": [], "kind": kind, "has_info": True})

    pipeline = BY.replace("by: kind\n", f"by: kind\n      alike: {alike}\n")
    (result,) = records(tmp_path, handler, pipeline).run(paragraphs(4, words=90)).results
    assert len(result.value) == groups


def reads(kit, text):
    texts = [r for r in kit.requests if r.messages[-1].content.startswith("Read")]
    return sorted(texts, key=lambda request: text.index(fenced(request)[0]))


def test_groups_of_records_have_their_value_under_the_fields_name(tmp_path):
    kit = records(tmp_path, answer, BY.replace("by: kind", "by: kind\n      schema: record"))
    (result,) = kit.run(paragraphs(7, words=90)).results
    assert {each["kind"] for each in result.value} == {"even", "odd"}
    assert sorted(n for each in result.value for n in each["numbers"]) == list(range(7))


def test_a_step_may_follow_the_groups(tmp_path):
    pipeline = BY + '  - map: {prompt: "Answer more:\\n{{ text | fence }}", tokens: 60}\n'

    def handler(request):
        if "more" in request.messages[-1].content:
            return json.loads(fenced(request)[0])["kind"]
        return answer(request)

    (result,) = records(tmp_path, handler, pipeline).run(paragraphs(7, words=90)).results
    assert sorted(result.value.split("\n\n")) == ["even", "odd"]


def test_a_field_that_the_notes_lack_is_refused_before_anything_is_sent(tmp_path):
    with pytest.raises(SpecErrors, match="'kinds' is no field"):
        records(tmp_path, answer, BY.replace("by: kind", "by: kinds")).run("Text.")


CHECKED = RECORDS.replace(
    "      tokens: 60\n", "      tokens: 60\n      refine: 3\n      check: check\n"
)


@pytest.mark.parametrize(("fine_after", "calls"), [(0, 1), (1, 2), (9, 3)])
def test_the_result_is_improved_until_a_round_finds_it_fine(tmp_path, fine_after, calls):
    seen = []

    def handler(request):
        text = request.messages[-1].content
        if not text.startswith("Check"):
            return answer(request)
        *_, note = fenced(request)
        seen.append(note)
        if note.count("!") >= fine_after:
            return {"fine": True, "note": None}
        return {"fine": False, "note": note + "!"}

    (tmp_path / "check.j2").write_text(
        "Check:{% for each in notes %}\n{{ each | fence }}{% endfor %}\n{{ note | fence('note') }}"
    )
    kit = records(tmp_path, handler, CHECKED)
    plan = kit.plan("Paragraph 3.")
    (result,) = kit.run("Paragraph 3.").results
    assert result.value == "3." + "!" * min(fine_after, 3)
    assert seen == ["3." + "!" * number for number in range(calls)]
    assert plan.sent[0] <= len(kit.requests) <= plan.sent[1]
    assert plan.depth == 2 + 3


def test_refining_without_a_prompt_is_refused(tmp_path):
    with pytest.raises(SpecErrors, match="`refine` needs a prompt `check`"):
        records(tmp_path, answer, CHECKED.replace("      check: check\n", "")).run("Text.")
