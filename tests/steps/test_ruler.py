"""The benchmark of exactness, small: with a perfect reader a strategy is exact or says why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.haystack.measure import measure
from tests.support.haystack.page import FORM, Row, page, read
from tests.support.haystack.prefix import cut, figure
from tests.support.haystack.strategies import STRATEGIES
from tests.support.haystack.tasks import TASKS
from tests.support.kit import paragraphs

from octavo.tokens.choose import get_counter

COUNT = get_counter("o200k_base").count
QUESTIONS = {task.name: task.make(4096, 7, COUNT) for task in TASKS}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_a_perfect_reader_makes_a_strategy_exact(strategy, task):
    question = QUESTIONS[task.name]
    assert 4000 < COUNT(question.text) <= 4096
    for window in (4096, 8192):
        row = measure(strategy, task, question, window)
        allowed = {"no", "luck"} if task.name in strategy.cannot else {"exact"}
        if strategy.whole and window == 8192:
            allowed = {"exact"}
        if strategy.name == "whole" and window == 4096:
            allowed = {"refused"}
        assert row.verdict in allowed
        assert row.largest <= window
        assert row.verdict == "refused" or 1 <= row.depth <= row.calls


def test_the_page_is_written_from_what_was_printed():
    rows = {}
    for window, verdict in ((4096, "refused"), (8192, "exact")):
        for length in (4096, 262144):
            row = Row(verdict) if verdict == "refused" else Row(verdict, 12, 3, 12345, 8000, 0.25)
            rows["variables", length, window, "margins, apart"] = row
    for window in (4096, 8192, 32768):
        rows["needle", 4096, window, "whole"] = Row("exact", 1, 1, 3000, 3600)
    printed = [
        FORM.format(
            task,
            f"{length // 1024}k",
            f"{window // 1024}k",
            strategy,
            row.verdict,
            *(
                (row.calls, row.depth, row.prompt, row.largest, f"{row.saved:.0%}")
                if row.calls
                else [""] * 5
            ),
        )
        for (task, length, window, strategy), row in rows.items()
    ]
    assert read(["", "task tokens", *printed, "count, variables: it counts"]) == rows
    written = page(rows)
    assert "| margins, apart | refused / exact | refused / exact |" in written
    assert "| margins, apart | 12 (3) | 12 (3) |" in written
    assert "| whole, window 32k | exact |  |" in written
    assert "none were wrong" in written
    assert "98% of its window" in written


def test_the_page_of_the_documentation_has_every_strategy_at_every_length_and_no_defect():
    """At 4k to 256k tokens each strategy is exact or named among those that cannot be."""
    text = (Path(__file__).parents[2] / "docs" / "ruler.md").read_text(encoding="utf-8")
    for task in TASKS:
        table = text.partition(f"(`{task.name}`)\n")[2].partition("\n#")[0].strip().splitlines()
        assert table[0] == "| strategy | 4k | 8k | 16k | 32k | 64k | 128k | 256k |"
        strategies = {strategy.name: strategy for strategy in STRATEGIES}
        lines = {line.strip("| ").partition(" | ")[0]: line for line in table[2:]}
        assert set(strategies) <= set(lines)
        for title, line in lines.items():
            strategy = strategies[title.partition(", window")[0]]
            _, *cells = line.strip("| ").split(" | ")
            assert len(cells) == 7
            found = {verdict for cell in cells for verdict in cell.split(" / ")}
            allowed = {"exact"}
            if task.name in strategy.cannot:
                allowed = {"no", "luck"} | ({"exact"} if strategy.whole else set())
            if title == "whole":
                allowed |= {"refused"}
            if title.endswith("window 320k"):
                allowed = {"exact"}
            assert found <= allowed, (task.name, line)


def test_what_a_task_asks_for_stands_in_its_text_and_nowhere_else():
    needle, keys, variables, common, frequent = QUESTIONS.values()
    for question in (needle, keys, variables):
        assert all(question.text.count(each) in {1, 2} for each in question.answer)
    listed = [word for word in common.text.split() if word.isalpha()]
    assert {listed.count(word) for word in common.answer} == {30}
    assert {listed.count(word) for word in set(listed) - set(common.answer)} == {3}
    counts = [frequent.text.split().count(word) for word in frequent.answer]
    assert counts == sorted(counts, reverse=True)
    assert frequent.text.split().count("...") > 2 * counts[0]


@pytest.mark.parametrize("name", ["margins", "memory"])
def test_a_prefix_cache_computes_little_more_than_the_document(name):
    """At most 1.05 of the ideal: document, each call's own instruction, and the replies."""
    found = figure(name, cut(paragraphs(300), 25_000))
    assert found.calls > 6
    assert found.prompt > 1.5 * found.ideal
    assert 0.95 < found.ratio <= 1.05
