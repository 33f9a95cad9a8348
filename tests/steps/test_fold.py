from __future__ import annotations

import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import ReplyError
from octavo.protocols import Finish, Reply

FOLD = """
octavo: 1
steps:
  - split: {tokens: 200}
  - fold:
      first: "First, {{ words }} words:\\n{{ text | fence }}"
      next: "Next:\\n{{ summary | fence('summary') }}\\n{{ text | fence }}"
      shorten: "Shorten {{ have }} to {{ words }}:\\n{{ summary | fence }}"
      tokens: 400
      words: 30
"""


def numbers(texts):
    words = " ".join(texts).replace(".", "").split()
    return [word for word in words if word.isdigit()]


def test_the_running_text_goes_through_all_parts_in_order(tmp_path):
    kit = Kit(FOLD, lambda request: " ".join(numbers(fenced(request))) + ".", tmp_path)
    plan = kit.plan(paragraphs(20))
    (result,) = kit.run(paragraphs(20)).results
    assert result.value == " ".join(str(n) for n in range(20)) + "."
    assert result.spans == ((0, len(paragraphs(20))),)
    assert len(kit.requests) == plan.calls[0] > 5
    assert len(kit.requests) < plan.calls[1] == plan.depth  # every text may need shortening


def test_a_text_that_grew_too_long_is_shortened_with_its_length_named(tmp_path):
    def handler(request):
        text = request.messages[-1].content
        if text.startswith("Shorten"):
            return " ".join(fenced(request)[0].split()[:30])
        return f"{fenced(request)[-1][:12]} " + "word " * 58

    kit = Kit(FOLD, handler, tmp_path)
    (result,) = kit.run(paragraphs(6)).results
    assert len(result.value.split()) == 30
    shortened = [r for r in kit.requests if r.messages[-1].content.startswith("Shorten 60 to 30")]
    assert len(shortened) > 3


def test_a_model_that_never_shortens_is_asked_a_bounded_number_of_times(tmp_path):
    kit = Kit(FOLD, lambda request: "word " * 60, tmp_path)
    (result,) = kit.run(paragraphs(6)).results
    assert result.error is None
    assert len(kit.requests) <= 2 * kit.plan(paragraphs(6)).calls[1]


def test_one_chunk_is_asked_once(tmp_path):
    kit = Kit(FOLD, lambda request: "Short.", tmp_path)
    assert kit.run("Only this.").text == "Short."
    assert len(kit.requests) == 1


def shortening(request):
    """Return the words there are and the words wanted, where a prompt asks to shorten."""
    match = re.match(r"Shorten (\d+) to (\d+):", request.messages[-1].content)
    return tuple(map(int, match.groups())) if match else None


def test_each_try_to_shorten_asks_for_a_twentieth_less_and_none_twice(tmp_path):
    """The limit shrinks by the same amount each time, from the first try on."""
    wanted = []

    def handler(request):
        if (found := shortening(request)) is not None:
            wanted.append(found[1])
            return "word " * (found[0] + 1)
        return "word " * 200 + "."

    pipeline = FOLD.replace("words: 30", "words: 100\n      tries: 4")
    kit = Kit(pipeline, handler, tmp_path)
    (result,) = kit.run("Only this.").results
    assert wanted == [100, 95, 90, 85]
    assert len(result.value.split()) == 201  # what is longer still is not taken


def test_the_text_nearest_to_the_length_is_kept_when_none_fits(tmp_path):
    lengths = iter([50, 12, 45])

    def handler(request):
        if shortening(request):
            return "word " * next(lengths)
        return "word " * 100

    kit = Kit(FOLD.replace("words: 30", "words: 30\n      tries: 3"), handler, tmp_path)
    (result,) = kit.run("Only this.").results
    assert len(result.value.split()) == 45


def test_a_shorter_text_that_ends_in_mid_sentence_is_tried_again(tmp_path):
    replies = iter(["word " * 30, "word " * 29 + "word."])
    kit = Kit(FOLD, lambda r: next(replies) if shortening(r) else "word " * 99 + "word.", tmp_path)
    assert kit.run("Only this.").text.endswith("word.")
    assert [shortening(r) for r in kit.requests][1:] == [(100, 30), (30, 28)]


PREVIOUS = FOLD.replace("words: 30", "words: 40\n      compress: previous")


def test_in_the_papers_form_the_text_before_is_shortened_by_its_share_and_the_update_redone(
    tmp_path,
):
    def handler(request):
        text = request.messages[-1].content
        if (found := shortening(request)) is not None:
            return "old " * (found[1] - 1) + "old."
        if text.startswith("Next"):
            summary, part = fenced(request)
            new = part.split(".")[0]
            return f"{summary} {new}. " + "long " * (60 if len(summary.split()) > 35 else 10)
        return "first " * 40

    kit = Kit(PREVIOUS, handler, tmp_path)
    plan = kit.plan(paragraphs(8))
    (result,) = kit.run(paragraphs(8)).results
    assert result.error is None
    wanted = [found[1] for request in kit.requests if (found := shortening(request))]
    parts = plan.calls[0]
    assert wanted == sorted(wanted)
    assert set(wanted) <= {round(40 * part / parts) for part in range(1, parts)}
    assert plan.sent[0] <= len(kit.requests) <= plan.sent[1]


@pytest.mark.parametrize("compress", ["result", "previous"])
def test_the_plan_bounds_what_a_model_that_never_shortens_is_asked(tmp_path, compress):
    pipeline = FOLD.replace("words: 30", f"words: 30\n      compress: {compress}")
    kit = Kit(pipeline, lambda request: "word " * 60 + str(len(str(request))), tmp_path)
    plan = kit.plan(paragraphs(6))
    (result,) = kit.run(paragraphs(6)).results
    assert result.error is None
    assert plan.sent[0] < len(kit.requests) <= plan.sent[1]
    assert plan.depth == plan.sent[1]


def test_words_of_scripts_without_blanks_are_counted(tmp_path):
    long = "\u6f22\u5b57\u3042\u308a" * 40 + "\u3002"
    short = "\u6f22\u5b57\u3042\u308a" * 15 + "\u3002"
    kit = Kit(FOLD, lambda request: short if shortening(request) else long, tmp_path)
    assert kit.run("Only this.").text == short
    assert len(kit.requests) == 2


def test_parts_may_be_read_from_the_last_on(tmp_path):
    pipeline = FOLD.replace("words: 30", "words: 30\n      order: reverse")
    kit = Kit(pipeline, lambda request: " ".join(numbers(fenced(request))) + ".", tmp_path)
    (result,) = kit.run(paragraphs(20)).results
    read = [int(number) for number in result.value.strip(".").split()]
    assert sorted(read) == list(range(20))
    assert read[0] > read[-1] == 0


def test_a_part_whose_update_fails_may_be_left_out_and_the_running_text_goes_on(tmp_path):
    def handler(request):
        *_, part = fenced(request)
        cut = Reply("and on and on", Finish.LENGTH)
        return (
            cut
            if " 7 " in f" {part} ".replace(".", " ")
            else " ".join(numbers(fenced(request))) + "."
        )

    (failed,) = Kit(FOLD, handler, tmp_path).run(paragraphs(20)).results
    assert isinstance(failed.error, ReplyError)
    kit = Kit(
        FOLD.replace("      words: 30", "      words: 30\n      on_error: skip"), handler, tmp_path
    )
    (result,) = kit.run(paragraphs(20)).results
    kept = [int(each) for each in numbers([result.value])]
    assert 7 not in kept
    assert {0, 19} < set(kept)
    assert kept == sorted(kept)
    assert 0.5 < result.coverage < 1


def test_a_text_that_cannot_be_shortened_may_stay_as_it_is(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("Shorten"):
            return ""
        return "word " * 59 + "end."

    kit = Kit(
        FOLD.replace("      words: 30", "      words: 30\n      on_error: skip"), handler, tmp_path
    )
    (result,) = kit.run(paragraphs(2)).results
    assert len(result.value.split()) == 60
    assert result.coverage == 1
