"""The benchmark of exactness, small: with a perfect reader a strategy is exact or says why not."""

from __future__ import annotations

import pytest
from bench.haystack.strategies import STRATEGIES
from bench.haystack.tasks import TASKS
from bench.prefix import cut, figure
from bench.ruler import measure
from tests.strategies.kit import paragraphs

from octavo.tokens.choose import counter

COUNT = counter("o200k_base").count
QUESTIONS = {task.name: task.make(4096, 7, COUNT) for task in TASKS}


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
def test_a_perfect_reader_makes_a_strategy_exact(strategy, task):
    question = QUESTIONS[task.name]
    assert 4000 < COUNT(question.text) <= 4096
    for window in (4096, 8192):
        row = measure(strategy, task, question, window)
        allowed = {"no", "luck"} if task.name in strategy.cannot else {"exact"}
        if strategy.name == "whole" and window == 4096:
            allowed = {"refused"}
        assert row.verdict in allowed
        assert row.largest <= window
        assert row.verdict == "refused" or 1 <= row.depth <= row.calls


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
