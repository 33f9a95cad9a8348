"""Steps over the notes of all documents."""

from __future__ import annotations

import pytest
from tests.support.kit import Kit, fenced, paragraphs

PIPELINE = """
octavo: 1
whole: {prompt: {user: "Whole: {{ text | fence }}"}}
steps:
  - split: {tokens: 200}
  - map: {prompt: {user: "Part: {{ text | fence }}"}, tokens: 20}
  - merge:
      prompt: {user: "Join: {% for note in notes %}{{ note | fence }}{% endfor %}"}
      tokens: 20
gather:
  - merge:
      prompt: {user: "All: {% for note in notes %}{{ note | fence }}{% endfor %}"}
      tokens: 20
      fan_in: 3
"""


def said(request):
    return request.messages[-1].content


def reply(request):
    """Answer with the first word of each text, so that order and grouping show."""
    return " ".join(text.split()[-1] for text in fenced(request))


@pytest.fixture
def kit(tmp_path):
    return Kit(PIPELINE, reply, tmp_path)


def texts(count):
    return [f"Document number d{n}" for n in range(count)]


def test_all_documents_become_one_result_in_the_order_of_the_inputs(kit):
    done = kit.run(*texts(5))
    gathering = [fenced(each) for each in kit.requests if said(each).startswith("All:")]
    first = [note for group in gathering for note in group if note.startswith("d")]
    assert [each for each in first if " " not in each] == [f"d{n}" for n in range(5)]
    [result] = done.results
    assert result.source == "gathered"
    assert result.value.endswith("d4")


def test_the_sources_are_spans_of_the_documents(kit):
    given = [paragraphs(9), "Short d1", "Short d2"]
    [result] = kit.run(*given).results
    cited = list(zip(result.origins, result.spans, strict=True))
    assert [(origin, span.start, span.end) for origin, span in cited] == [
        ("0.txt", 0, len(given[0])),
        ("1.txt", 0, len(given[1])),
        ("2.txt", 0, len(given[2])),
    ]
    assert [member.source for member in result.members] == ["0.txt", "1.txt", "2.txt"]
    assert result.coverage == 1


def test_an_edit_or_a_new_document_asks_only_what_it_changes(kit, tmp_path):
    many = texts(30)
    kit.run(*many)
    kit.run(*many)
    assert kit.requests == []
    kit.run(*many[:11], "Changed d10x", *many[12:])
    assert len([each for each in kit.requests if said(each).startswith("Whole:")]) == 1
    assert len(kit.requests) <= 8
    kit.run(*many[:7], "Another e", *many[7:])
    assert len(kit.requests) <= 16


def test_one_document_passes_through_unasked(kit):
    [result] = kit.run("Only d0").results
    assert (result.value, len(kit.requests)) == ("d0", 1)


def test_a_failure_ends_the_run_unless_it_is_to_go_on(kit):
    def broken(request):
        return "" if "d1" in said(request) else reply(request)

    kit.handler = broken
    done = kit.run(*texts(3))
    assert [result.error is not None for result in done.results] == [True]
    kit.handler = broken
    done = kit.run(*texts(3), keep_going=True)
    failed, gathered = done.results
    assert failed.source == "1.txt"
    assert (gathered.value, gathered.source) == ("d0 d2", "gathered")
    assert [member.source for member in gathered.members] == ["0.txt", "2.txt"]


def test_each_question_is_gathered_for_itself(tmp_path):
    pipeline = """
octavo: 1
each: question
params: {question: {type: string, repeatable: true}}
steps:
  - split: {}
  - map: {prompt: {user: "{{ text | fence }} {{ question }}"}}
gather:
  - reduce:
      prompt: {user: "{{ question }}? {% for note in notes %}{{ note | fence }}{% endfor %}"}
"""
    kit = Kit(pipeline, lambda request: said(request)[-3:] + " yes.", tmp_path)
    [result] = kit.run(*texts(2), params={"question": ["who", "why"]}).results
    assert [each.asked for each in result.answers] == ["who", "why"]
    assert all(each.origins == ("0.txt", "1.txt") for each in result.answers)


def test_the_plan_is_exact_and_counts_what_is_gathered(kit):
    given = [paragraphs(9), *texts(9)]
    planned = kit.plan(*given)
    done = kit.run(*given)
    assert planned.calls == (len(kit.requests), len(kit.requests))
    steps = {step.step: step.calls_low for step in planned.steps}
    gathering = [each for each in kit.requests if said(each).startswith("All:")]
    assert steps["merge-2"] == len(gathering)
    assert planned.depth == 3 + 3
    again = kit.plan(*given)
    assert again.sent == (0, 0)
    assert done.results


def test_a_run_may_end_with_any_step(kit):
    [result] = kit.run(*texts(5), until="merge-2").results
    assert result.source == "gathered"
    results = kit.run(*texts(5), until="merge").results
    assert [each.source for each in results] == [f"{n}.txt" for n in range(5)]
