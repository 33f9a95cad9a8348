from __future__ import annotations

import pytest
from tests.strategies.kit import Kit, fenced, paragraphs

from octavo.errors import FitError, ReplyError

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
