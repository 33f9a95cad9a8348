"""Taking things out of the journal takes out what was meant, and all of it."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests.support.kit import Kit, paragraphs

import octavo
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.retention import clear, collect_stats, prune
from octavo.engine.journal.store import Journal

MERGE = """
octavo: 1
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}
  - merge: {prompt: "Merge: {% for note in notes %}{{ note | fence }}{% endfor %}", tokens: 60}
"""
SECRET = "The password of the lighthouse is marmalade, as nobody else may ever know."


def fine(request):
    text = request.messages[-1].content
    # Long ones lie deflated, so that bytes on the disk would not show a word in them.
    more = "marmalade" if "marmalade" in text else "It is all fine. " * 40
    return f"{text[-60:]} {more}"


@pytest.fixture
def kit(tmp_path):
    return Kit(MERGE, fine, tmp_path)


def run(kit, texts):
    """Fold texts by their names in one run."""
    documents = [octavo.Document(text, name) for name, text in texts.items()]
    kit.backend = kit._backend()
    return octavo.run(kit.path, *documents, model=kit.backend).report.totals


def age(days):
    """Make everything older."""
    with Journal(find_journal_path()) as journal:
        journal.execute("UPDATE calls SET used = used - ?", (days,))
        journal.execute("UPDATE runs SET started = started - ?", (days * 86_400,))


def held():
    """Return all bytes that are on disk of the journal."""
    return b"".join(file.read_bytes() for file in sorted(find_journal_path().parent.iterdir()))


def test_stats_say_what_is_held(kit, monkeypatch):
    sent = run(kit, {"a.txt": paragraphs(20)}).sent
    run(kit, {"a.txt": paragraphs(20)})
    with Journal(find_journal_path()) as journal:
        found = collect_stats(journal)
    assert (found.calls, found.runs) == (sent, 2)
    assert found.size == sum(
        file.stat().st_size
        for file in find_journal_path().parent.iterdir()
        if file.suffix == ".sqlite"
    )
    assert found.since == pytest.approx(time.time(), abs=60)
    [share] = found.shares
    assert (share.pipeline, share.runs, share.calls) == (kit.path.stem, 2, sent)


def test_what_no_run_wanted_for_long_is_taken_out(kit):
    run(kit, {"old.txt": paragraphs(30)})
    age(40)
    recent = {"new.txt": "Something else. " * 300}
    run(kit, recent)
    with Journal(find_journal_path()) as journal:
        removed = prune(journal, days=30)
        assert removed.calls > 10
        assert (removed.runs, removed.held) == (1, False)
        assert removed.freed > 0
    assert run(kit, recent).sent == 0
    assert run(kit, {"old.txt": paragraphs(30)}).sent == removed.calls


def test_what_a_run_found_again_is_not_old(kit):
    sent = run(kit, {"a.txt": paragraphs(30)}).sent
    age(40)
    assert run(kit, {"a.txt": paragraphs(30)}).sent == 0
    with Journal(find_journal_path()) as journal:
        removed = prune(journal, days=30)
    assert (removed.calls, removed.runs) == (0, 1)
    assert run(kit, {"a.txt": paragraphs(30)}).sent == 0
    assert sent > 0


def test_the_oldest_go_first_down_to_a_size(kit):
    for number in range(4):
        age(10)
        run(kit, {f"{number}.txt": paragraphs(60).replace("word", f"word{number}x")})
    with Journal(find_journal_path()) as journal:
        before = collect_stats(journal)
        removed = prune(journal, size=before.size * 3 // 4)
        after = collect_stats(journal)
    assert 0 < removed.calls < before.calls
    assert after.size <= before.size * 3 // 4
    assert run(kit, {"3.txt": paragraphs(60).replace("word", "word3x")}).sent == 0
    assert run(kit, {"0.txt": paragraphs(60).replace("word", "word0x")}).sent > 0


def test_nothing_of_a_cleared_source_stays(kit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = {"private/a.txt": f"{paragraphs(9)}\n\n{SECRET}\n\n{paragraphs(6)}"}
    other = {"b.txt": paragraphs(30).replace("word", "other").replace("Para", "Other para")}
    run(kit, secret | other)
    run(kit, {"copy.txt": secret["private/a.txt"]})
    assert b"marmalade" in held()
    with Journal(find_journal_path()) as journal:
        assert clear(journal, source=Path("elsewhere")).calls == 0
        assert clear(journal, source=Path("private")).calls > 0
    assert b"marmalade" not in held()
    assert run(kit, other).sent == 0
    assert run(kit, secret).sent > 0


def test_clearing_all_leaves_an_empty_journal(kit):
    run(kit, {"a.txt": f"{SECRET} {paragraphs(30)}"})
    with Journal(find_journal_path()) as journal:
        assert clear(journal).runs == 1
        found = collect_stats(journal)
    assert (found.calls, found.texts, found.runs, found.shares) == (0, 0, 0, ())
    assert found.size < 400_000
    assert b"marmalade" not in held()
    assert run(kit, {"a.txt": paragraphs(30)}).sent > 0


def test_a_journal_in_use_keeps_its_size_for_now(kit, monkeypatch):
    monkeypatch.setattr("octavo.engine.journal.retention._BUSY", 10)
    run(kit, {"a.txt": paragraphs(30)})
    with Journal(find_journal_path()) as journal, Journal(find_journal_path()) as other:
        other.connection.execute("BEGIN")
        other.query("SELECT count(*) FROM calls")
        assert clear(journal).held
        other.connection.execute("COMMIT")
    with Journal(find_journal_path()) as journal:
        assert collect_stats(journal).calls == 0
