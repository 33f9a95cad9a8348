"""Rules applied to documents: what is found, where, and what is dropped."""

from __future__ import annotations

import json

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import SpecErrors
from octavo.text.finding import Severity

PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 200}
  - review:
      prompt: review/part
      fail: warning
      rules:
        - {name: no-todo, rule: Nothing is left to do.}
        - {name: no-passive, rule: Somebody acts., severity: notice}
"""


def finding(rule, quote, message="So it is."):
    return {"rule": rule, "quote": quote, "message": message}


def reply(*findings):
    return json.dumps({"findings": findings})


@pytest.fixture
def kit(tmp_path):
    return Kit(PIPELINE, None, tmp_path)


def test_a_finding_has_the_line_and_the_words_of_the_document(kit):
    text = "# Start\n\nAll is well.\n\nPlease  TODO:\nwrite this.\n"
    kit.handler = lambda request: reply(finding("no-todo", "please todo: write"))
    [result] = kit.run(text).results
    [found] = result.findings
    assert (found.line, found.column) == (5, 1)
    assert found.quote == "Please  TODO:\nwrite" == text[found.start : found.end]
    assert (found.rule, found.severity, found.fails) == ("no-todo", Severity.ERROR, True)


def test_what_is_quoted_and_not_there_is_dropped_and_counted(kit):
    kit.handler = lambda request: reply(finding("no-todo", "invented"), finding("no-todo", "Well"))
    [result] = kit.run("Well then.").results
    assert [each.quote for each in result.findings] == ["Well"]
    assert result.value["unverified"] == 1


def test_findings_of_all_parts_stand_in_the_order_of_the_document_each_once(kit):
    def handler(request):
        [text] = fenced(request)
        words = text.split()
        return reply(
            finding("no-passive", words[-1]),
            finding("no-todo", words[0]),
            finding("no-todo", words[0]),
        )

    text = paragraphs(12)
    kit.handler = handler
    [result] = kit.run(text).results
    starts = [each.start for each in result.findings]
    assert starts == sorted(starts)
    assert len(starts) == 2 * len(kit.requests)
    lines = text.splitlines()
    for each in result.findings:
        assert lines[each.line - 1][each.column - 1 :].startswith(each.quote)


def test_only_what_is_severe_enough_fails(kit):
    kit.handler = lambda request: reply(finding("no-passive", "Well"))
    [result] = kit.run("Well then.").results
    assert [each.fails for each in result.findings] == [False]


def test_the_model_is_held_to_the_names_of_the_rules(kit):
    answers = iter([reply(finding("other", "Well")), reply(finding("no-todo", "Well"))])
    kit.handler = lambda request: next(answers)
    [result] = kit.run("Well then.").results
    assert [each.rule for each in result.findings] == ["no-todo"]
    assert len(kit.requests) == 2


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("[]", "rules"),
        ("[{name: a, rule: b}, {name: a, rule: c}]", "two rules 'a'"),
        ("[{name: A B, rule: b}]", "name"),
        ("[{name: a, rule: b, severity: fatal}]", "severity"),
    ],
)
def test_wrong_rules_are_told_before_anything_is_asked(tmp_path, rules, said):
    pipeline = f"octavo: 1\nsteps: [split: {{}}, review: {{prompt: review/part, rules: {rules}}}]\n"
    kit = Kit(pipeline, None, tmp_path)
    with pytest.raises(SpecErrors, match=said):
        kit.run("Text.")
