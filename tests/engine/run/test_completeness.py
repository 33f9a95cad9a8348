"""Every part of a document is accounted for, and what is missing is told."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.runs import list_calls, list_runs
from octavo.engine.journal.store import Journal
from octavo.errors import AuthError, CallError, QuotaError, RequestError
from octavo.protocols import Finish, Reply

MAP = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60, on_error: skip}
"""
GIVEN = ("ok", "cached")


def flawed(request):
    """Answer, except that each ninth paragraph is refused, rejected or empty."""
    text = fenced(request)[0]
    if "Paragraph 9." in text:
        raise RequestError("not allowed")
    if "Paragraph 18." in text:
        return Reply("no", finish=Finish.REFUSAL)
    if "Paragraph 27." in text:
        return ""
    return f"{text[:20]} fine."


@pytest.fixture
def kit(tmp_path):
    return Kit(MAP, flawed, tmp_path)


def last_run():
    with Journal(find_journal_path()) as journal:
        [run] = list_runs(journal, last=1)
        return run, list_calls(journal, run.id)


def test_the_ledger_accounts_for_every_part_and_coverage_for_every_character(kit):
    text = paragraphs(40)
    parts = kit.plan(text).steps[1].calls_high
    done = kit.run(text)
    run, ledger = last_run()
    assert len(ledger) == parts == done.report.totals.calls
    counts = Counter(entry.outcome for entry in ledger)
    assert counts["ok"] + counts["cached"] == parts - 3  # equal parts are asked once
    assert counts["failed"] == counts["refused"] == counts["invalid"] == 1
    [result] = done.results
    lost = 0
    for entry in ledger:
        if entry.outcome not in GIVEN:
            _, start, _, end = entry.node.split()
            lost += int(end) - int(start)
    assert result.coverage == pytest.approx(1 - lost / len(text))
    assert sum(span.length for span in result.spans) == len(text) - lost
    assert (done.report.failed, done.report.partial, run.status) == (0, 1, "partial")


@pytest.mark.parametrize(("share", "partial"), [(0.9, 0), (0.99, 1)])
def test_a_partial_result_is_accepted_or_not(kit, share, partial):
    kit.path.write_text(MAP.replace(", on_error: skip", ""))
    with pytest.raises(CallError):
        assert kit.run(paragraphs(40)).text
    done = kit.run(paragraphs(40), allow_partial=share)
    assert 0.9 < done.results[0].coverage < 0.99
    assert (done.report.failed, done.report.partial) == (0, partial)


def test_no_new_document_is_started_after_one_that_lacks_too_much(kit):
    """Some dozens are open by the time that the first one ends."""
    texts = [paragraphs(40), *(f"Text {n}." for n in range(200))]
    assert kit.run(*texts, jobs=1).report.documents < 100
    assert kit.run(*texts, jobs=1, allow_partial=0.9).report.documents == 201


@pytest.mark.parametrize("error", [AuthError("no"), QuotaError("no credit")])
def test_what_ends_a_run_is_asked_once(tmp_path, error):
    def refuse(_):
        raise error

    kit = Kit(MAP, refuse, tmp_path)
    with pytest.raises(type(error)):
        kit.run(paragraphs(10), jobs=1)
    assert len(kit.requests) == 1
    _, ledger = last_run()
    assert sum(entry.attempts for entry in ledger) == 1


def test_what_ends_a_call_is_asked_once(tmp_path):
    def reject(_):
        raise RequestError("not allowed")

    kit = Kit(MAP, reject, tmp_path)
    kit.run(paragraphs(10))
    assert max(Counter(kit.requests).values()) == 1
