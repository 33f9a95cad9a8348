"""The page on strategies has every pipeline, step and paper, and its formulas are the plan's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.kit import Kit, paragraphs

import octavo
from octavo.pipeline.registry import Registry

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")
PIPELINES = sorted(path.stem for path in (ROOT / "pipelines").glob("*.yaml"))
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")


def test_every_step_has_a_section():
    sections = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(sections) == sorted(Registry().list_names("step"))


def test_every_built_in_pipeline_has_a_row_that_leads_to_its_step():
    rows = dict(re.findall(r"^\| [^|]+ \| \[`(\w+)`\]\(#(\w+)\) \|", PAGE, re.MULTILINE))
    assert sorted(rows) == PIPELINES
    for name, step in rows.items():
        text = (ROOT / "pipelines" / f"{name}.yaml").read_text(encoding="utf-8")
        assert re.search(rf"^ +(- )?{step}:", text, re.MULTILINE), name
        assert f"### `{step}`" in PAGE


@pytest.mark.parametrize("folder", ["pipelines", "prompts", "cli/octavo/steps"])
def test_every_paper_that_a_strategy_names_is_on_the_page(folder):
    paths = list((ROOT / folder).rglob("*.*"))
    assert len(paths) > 10
    for path in paths:
        # How a text is cut is no strategy.
        if path.suffix in {".py", ".yaml", ".j2"} and path.parent.name != "chunk":
            missing = set(ARXIV.findall(path.read_text(encoding="utf-8"))) - set(
                ARXIV.findall(PAGE)
            )
            assert not missing, path


def test_every_link_of_the_page_leads_to_a_section():
    titles = {
        re.sub(r"[^a-z -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= titles


# What the page says of calls and depth for N parts, where replies do not decide it.
FORMULAS = {
    "map: {prompt: map/each}": (lambda n: n, lambda _: 1),
    "fold: {first: refine/first, next: refine/next, tokens: 60}": (lambda n: n, lambda n: n),
    "memory: {prompt: memory/revise, schema: memory/facts, answer: memory/answer, tokens: 60}": (
        lambda n: n + 1,
        lambda n: n + 1,
    ),
    "margins: {read: margins/read, answer: margins/answer, classify: none}": (
        lambda n: n + 1,
        lambda n: n + 1,
    ),
    "margins: {read: margins/read, answer: margins/answer, classify: none, mode: segments}": (
        lambda n: n + 1,
        lambda _: 2,
    ),
}


@pytest.mark.parametrize("step", FORMULAS, ids=lambda step: step.partition(":")[0])
def test_a_plan_has_the_calls_and_the_depth_that_the_page_says(step, tmp_path):
    params = "{question: {type: string, default: Who?}, prompt: {type: string, default: List.},"
    params += " what: {type: string, default: all}}"
    head = f"octavo: 1\nparams: {params}\nsteps:\n- split: {{tokens: 200}}\n- {step}\n"
    kit = Kit(head, lambda _: "", tmp_path)
    text = paragraphs(24)
    parts = Kit(head.rpartition("- ")[0] + "- map: {prompt: map/each}\n", lambda _: "", tmp_path)
    count = parts.plan(text).calls[0]
    kit.path.write_text(head)
    calls, depth = FORMULAS[step]
    planned = kit.plan(text)
    assert count > 5
    assert planned.calls == (calls(count),) * 2
    assert planned.depth == depth(count)


def test_merging_takes_as_many_calls_and_levels_as_the_page_says(tmp_path):
    head = """octavo: 1
params: {length: {type: integer, default: 60}}
steps:
- split: {tokens: 200}
- map: {prompt: summarize/part, words: 40, tokens: 60}
- merge: {prompt: summarize/merge, words: 60, tokens: 90, fan_in: 4}
"""
    planned = Kit(head, lambda _: "", tmp_path).plan(paragraphs(40))
    parts, merges = (step.calls_low for step in planned.steps[1:])
    assert (parts - 1) / 3 <= merges <= parts - 1
    assert planned.depth <= 1 + parts


def test_extracting_takes_at_least_as_many_calls_as_the_page_says(tmp_path):
    head = """octavo: 1
params: {what: {type: string, default: all}}
steps:
- split: {tokens: 200}
- extract: {prompt: extract/read, schema: outline/section, passes: '2'}
"""
    planned = Kit(head, lambda _: "", tmp_path).plan(paragraphs(24))
    count = len(octavo.split(octavo.Document(paragraphs(24), "a.txt"), tokens=200))
    low, high = planned.calls
    assert count > 5
    assert low >= 2 * count - 2
    assert high <= 3 * low
