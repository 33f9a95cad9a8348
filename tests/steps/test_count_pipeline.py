"""Counting by the built-in pipeline: parts are read by the model, added up by code."""

from __future__ import annotations

import json
import re
from collections import Counter

from tests.support.kit import Kit, fenced, paragraphs

from octavo.commands._cli.main import run_command_line

RULES = """
rules:
  - match: '(?s)Find every mention of: bells.*<text.*Mara'
    reply: '{"items": [{"name": "Great Bell", "count": 2}, {"name": "bell", "count": 0}]}'
default: '{"items": []}'
"""


def reader(request):
    """Count the words word0 to word9 in a part, as a perfect reader does, in changing case."""
    (part,) = fenced(request)
    found = Counter(re.findall(r"\bword\d\b", part))
    spelled = str.title if len(part) % 2 else str.lower
    return {"items": [{"name": spelled(name), "count": n} for name, n in found.items()]}


def count(handler, text, tmp_path):
    kit = Kit("", handler, tmp_path)
    kit.path = "count"
    (result,) = kit.run(text, params={"what": "words"}, private=True).results
    assert result.error is None, result.error
    return kit, result


def test_what_a_perfect_reader_finds_is_counted_exactly(tmp_path):
    text = paragraphs(200)
    kit, result = count(reader, text, tmp_path)
    truth = Counter(re.findall(r"\bword\d\b", text))
    assert len(kit.requests) > 10
    assert {row["value"].lower(): row["count"] for row in result.value["rows"]} == truth
    assert result.value["total"] == truth.total()
    counts = [row["count"] for row in result.value["rows"]]
    assert counts == sorted(counts, reverse=True)
    assert result.spans == ((0, len(text)),)


def test_a_text_of_one_part_is_counted_too(tmp_path):
    kit, result = count(reader, "One word1 and word2, and again word1.", tmp_path)
    assert len(kit.requests) == 1
    assert [row["count"] for row in result.value["rows"]] == [2, 1]


def test_nothing_found_is_a_count_of_none(tmp_path):
    _, result = count(lambda request: {"items": []}, paragraphs(5), tmp_path)
    assert result.value == {"rows": [], "total": 0, "distinct": 0}


def test_the_calls_are_those_of_the_plan(tmp_path):
    kit = Kit("", reader, tmp_path)
    kit.path = "count"
    plan = kit.plan(paragraphs(40), params={"what": "words"})
    kit.run(paragraphs(40), params={"what": "words"})
    assert plan.calls == (len(kit.requests),) * 2
    assert plan.depth == 1


def test_counting_runs_from_the_command_line(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "story.txt").write_text("Mara Venn heard the great bell. " * 20)
    asked = ("count", "--what", "bells", "-m", "scripted:rules.yaml", "story.txt")
    assert run_command_line(("plan", *asked)) == 0
    assert "tally" in capfd.readouterr().out
    assert run_command_line(("run", *asked)) == 0
    value = json.loads(capfd.readouterr().out)
    assert value == {"rows": [{"value": "Great Bell", "count": 2}], "total": 2, "distinct": 1}


def test_a_count_that_no_part_can_have_is_asked_for_again(tmp_path):
    def handler(request):
        return {"items": [{"name": "word1", "count": 3 if request.attempt else 6_520_002}]}

    kit, result = count(handler, "One word1.", tmp_path)
    assert [request.attempt for request in kit.requests] == [0, 1]
    assert result.value["total"] == 3
