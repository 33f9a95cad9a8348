from __future__ import annotations

import asyncio

import pytest
from tests.strategies.kit import Kit, fenced, paragraphs

from octavo.errors import FitError

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
