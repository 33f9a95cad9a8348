"""Whatever a server does wrong, the ledger tells every attempt and no answered call is repeated."""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import partial

import pytest
from tests.support.kit import paragraphs
from tests.support.mock.behaviour import FAULTS
from tests.support.serving import Behaviour, serving

import octavo
from octavo.engine.dispatch.retry import RetryPolicy
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.runs import list_calls
from octavo.engine.journal.store import Journal
from octavo.engine.run import lanes

MAP = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60, on_error: skip}
"""
ANSWERS = (None, "length", "refusal", "context")
"""What a request ends with; all else is a fault after which the same request is sent again."""


@pytest.fixture
def impatient(monkeypatch):
    """Wait next to nothing between two attempts."""
    monkeypatch.setattr(
        lanes, "RetryPolicy", partial(RetryPolicy, first_delay=0.001, jitter=lambda: 1.0)
    )


# A server that says 429 is sent less for some time, so that fault has tests on a virtual clock.
@pytest.mark.parametrize("kinds", [set(FAULTS) - {"429"}, {"reset", "cut"}, {"timeout"}])
def test_attempts_are_those_that_the_server_saw(tmp_path, impatient, monkeypatch, kinds):
    (tmp_path / "p.yaml").write_text(MAP)
    text = paragraphs(50)
    with serving(Behaviour(faults=dict.fromkeys(kinds, 0.04), seed=3)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.chdir(tmp_path)
        profile = '[profiles.mock]\nmodel = "openai:mock"\ntimeout = 0.2'
        (tmp_path / "octavo.toml").write_text(profile)
        document = octavo.Document(text, "book.txt")
        done = octavo.run("p.yaml", document, model="mock", jobs=16)
        entries = sorted(server.log, key=lambda entry: entry.turn)
    with Journal(find_journal_path()) as journal:
        ledger = list_calls(journal, 1)
    injected = Counter(entry.fault for entry in entries)
    assert len(injected) > len(kinds) // 2
    assert sum(row.attempts for row in ledger) == len(entries) == done.report.totals.sent
    seen = defaultdict(list)
    for entry in entries:
        seen[entry.digest].append(entry.fault)
    for faults in seen.values():
        assert faults[-1] in ANSWERS
        assert not set(faults[:-1]) & set(ANSWERS)
    # Every part is in the ledger, and what is not in the result is what ended badly.
    left_out = [row for row in ledger if row.outcome not in {"ok", "cached", "truncated"}]
    spans = [tuple(map(int, row.node.split()[1::2])) for row in left_out]
    lost = sum(end - start for start, end in spans)
    assert done.results[0].coverage == pytest.approx(1 - lost / len(text))
    assert sum(span.length for span in done.results[0].spans) == len(text) - lost
