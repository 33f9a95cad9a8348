from __future__ import annotations

import asyncio

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import FitError, Outcome, SpecErrors
from octavo.tokens.choose import get_counter

MERGE = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Sum up:\\n{{ text | fence }}", tokens: 40}
  - merge:
      prompt: "Merge:{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
      tokens: 40
      fan_in: 4
"""


def collect(request):
    """Answer with the numbers of all paragraphs that a prompt speaks of."""
    words = " ".join(fenced(request)).replace(".", "").split()
    return " ".join(word for word in words if word.isdigit()) + "."


def test_every_part_reaches_the_root_once_and_in_order(tmp_path):
    kit = Kit(MERGE, collect, tmp_path)
    (result,) = kit.run(paragraphs(40)).results
    assert result.value == " ".join(str(n) for n in range(40)) + "."
    assert result.coverage == 1
    assert all(len(fenced(request)) <= 4 for request in kit.requests)


def test_a_single_chunk_passes_without_a_merge(tmp_path):
    kit = Kit(MERGE, collect, tmp_path)
    assert kit.run("Paragraph 3.").results[0].value == "3."
    assert len(kit.requests) == 1


def test_a_merge_waits_for_its_own_children_only(tmp_path):
    """While one leaf hangs, every merge that doesn't need it is asked."""
    text = paragraphs(40)
    plan = Kit(MERGE, collect, tmp_path).plan(text)
    others = plan.sent[0] - (plan.depth - 1)  # all but the path from this leaf to the root
    seen = []
    released = []

    async def handler(request):
        seen.append(request)
        if fenced(request)[0].startswith("Paragraph 0."):
            for _ in range(10_000):
                if len(seen) >= others:
                    released.append(True)
                    break
                await asyncio.sleep(0)
        return collect(request)

    Kit(MERGE, handler, tmp_path).run(text, jobs=64)
    assert released


def test_the_plan_of_a_tree_is_exact(tmp_path):
    kit = Kit(MERGE, collect, tmp_path)
    text = paragraphs(60)
    plan = kit.plan(text)
    kit.run(text)
    assert plan.sent == (len(kit.requests), len(kit.requests))


def test_notes_that_cannot_be_merged_are_refused_before_anything_is_sent(tmp_path):
    kit = Kit(MERGE.replace("tokens: 40\n      fan", "tokens: 400\n      fan"), collect, tmp_path)
    kit.window = 500
    (result,) = kit.run(paragraphs(40)).results
    assert isinstance(result.error, FitError)
    assert kit.requests == []


@pytest.mark.parametrize("window", [400, 1000])
def test_no_prompt_exceeds_the_window(tmp_path, window):
    kit = Kit(MERGE, lambda request: "word " * 30 + ".", tmp_path, window=window)
    (result,) = kit.run(paragraphs(60)).results
    assert result.error is None
    assert kit.plan(paragraphs(61)).largest <= window


def asked_words(kit):
    """Return the words asked for at each height, from prompts that show both."""
    shown = [r.messages[-1].content.split(":")[0] for r in kit.requests]
    found = {}
    for line in shown:
        if line.startswith("Merge"):
            _, height, words = line.split()
            found.setdefault(int(height), set()).add(int(words))
    return found


HEIGHTS = MERGE.replace('"Merge:', '"Merge {{ height }} {{ words }}:').replace(
    "fan_in: 4", "OPTIONS"
)


def test_lengths_by_height_count_from_the_leaves(tmp_path):
    kit = Kit(HEIGHTS.replace("OPTIONS", "fan_in: 3\n      words: [10, 20]"), collect, tmp_path)
    kit.run(paragraphs(40))
    shallow = asked_words(kit)
    kit.run(paragraphs(80), fresh=True)
    deep = asked_words(kit)
    assert len(deep) > len(shallow) > 2
    assert shallow[1] == deep[1] == {10}
    assert all(words == {20} for found in (shallow, deep) for h, words in found.items() if h > 1)


def test_a_factor_counts_lengths_from_the_root(tmp_path):
    kit = Kit(
        HEIGHTS.replace("OPTIONS", "fan_in: 3\n      words: 900\n      factor: 0.65"),
        collect,
        tmp_path,
    )
    kit.run(paragraphs(40))
    by_height = asked_words(kit)
    top = max(by_height)
    assert by_height == {h: {round(900 * 0.65 ** (top - h))} for h in range(1, top + 1)}


CONTEXT = (
    MERGE.replace(
        '"Merge:',
        "\"Merge:{% if before %}\\n{{ before | fence('before') }}{% endif %}",
    )
    + "      context: true\n"
)


def test_with_context_a_node_sees_what_the_one_before_it_came_to(tmp_path):
    def handler(request):
        text = request.messages[-1].content
        if "<before" in text:
            _, *own = fenced(request)
            words = " ".join(own).replace(".", "").split()
            return " ".join(word for word in words if word.isdigit()) + "."
        return collect(request)

    kit = Kit(CONTEXT, handler, tmp_path)
    (result,) = kit.run(paragraphs(40)).results
    assert result.value == " ".join(str(n) for n in range(40)) + "."
    shown = [r.messages[-1].content for r in kit.requests]
    merges = [text for text in shown if text.startswith("Merge")]
    alone = [text for text in merges if "<before" not in text]
    assert 1 <= len(alone) < len(merges) / 2  # the first of each level


def test_context_makes_a_level_wait_and_the_plan_says_so(tmp_path):
    text = paragraphs(40)
    plain = Kit(MERGE, collect, tmp_path).plan(text)
    ordered = Kit(CONTEXT, collect, tmp_path).plan(text)
    assert ordered.calls == plain.calls
    nodes = plain.calls[0] - plain.steps[1].calls_low
    assert plain.depth < 6 < ordered.depth <= nodes + 1


def test_with_context_no_prompt_exceeds_the_window(tmp_path):
    kit = Kit(CONTEXT, lambda request: "word " * 20 + ".", tmp_path, window=500)
    (result,) = kit.run(paragraphs(60)).results
    assert result.error is None
    count = get_counter("estimate-1").count
    for request in kit.requests:
        assert count(request.messages[-1].content) + request.max_tokens <= 500


REQUIRE = MERGE + "      words: 10\n      require: [sentence, length]\n"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ("0 1 2 and then", "does not end with a complete sentence"),
        ("word " * 29 + "word.", "it has 30 words where 10 were asked for; remove about 20"),
    ],
)
def test_a_reply_that_breaks_a_rule_is_asked_for_once_more_with_what_is_wrong(tmp_path, bad, said):
    def handler(request):
        if not request.messages[0].content.startswith("Merge"):
            return collect(request)
        return "Good." if len(request.messages) > 1 else bad

    kit = Kit(REQUIRE, handler, tmp_path)
    (result,) = kit.run(paragraphs(8)).results
    assert result.value == "Good."
    again = [request for request in kit.requests if len(request.messages) > 1]
    assert all(said in request.messages[-1].content for request in again)
    assert all(request.messages[-2].content == bad for request in again)


@pytest.mark.parametrize("bad", ["word " * 29 + "word", "Never whole and"])
def test_a_model_that_never_keeps_the_rules_is_asked_twice_and_never_the_same(tmp_path, bad):
    """No loop at temperature 0: a second request differs, and there is no third."""
    kit = Kit(REQUIRE, lambda r: bad if "Merge" in str(r) else collect(r), tmp_path)
    (result,) = kit.run(paragraphs(8)).results
    assert result.value == bad.strip()
    merges = [r for r in kit.requests if r.messages[0].content.startswith("Merge")]
    firsts = [r for r in merges if r.attempt == 0]
    assert len(merges) == 2 * len(firsts)
    assert len({str(r.messages) for r in merges}) == len(merges)


def test_a_second_reply_that_is_worse_is_not_taken(tmp_path):
    def handler(request):
        if not request.messages[0].content.startswith("Merge"):
            return collect(request)
        return "word " * 40 if len(request.messages) > 1 else "word " * 29 + "word."

    kit = Kit(REQUIRE, handler, tmp_path)
    (result,) = kit.run(paragraphs(8)).results
    assert result.value.endswith("word.")
    assert set(result.totals.outcomes) <= {Outcome.OK, Outcome.CACHED}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("words: [10, 20]\n      factor: 0.5", "one number of `words`"),
        ("factor: 0.5", "one number of `words`"),
        ("require: [length]", "needs `words`"),
    ],
)
def test_options_that_contradict_each_other_are_refused(tmp_path, options, said):
    with pytest.raises(SpecErrors, match=said):
        Kit(MERGE + f"      {options}\n", collect, tmp_path).run("Text.")
