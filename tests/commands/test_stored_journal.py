"""A journal that an earlier program wrote: it answers every call, and the results are the same.

`stored/` has the journal as version 5 left it, compressed; the rules that answered; the document
and pipelines of its own; and, for each of `runs.json`, what `octavo run --json` printed. Among its
calls are cut replies, records that did not fit, were cut or were mended, and texts that broke a
rule of `require`. None of it may be written anew: what is asked otherwise, everyone pays again.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import pytest
import yaml

from octavo import run
from octavo.protocols import Capabilities

STORED = Path(__file__).with_name("stored")
RUNS = json.loads((STORED / "runs.json").read_text())
RESULTS = json.loads((STORED / "results.json").read_text())
ON_DISK = "journal.sqlite"


class Unwilling:
    """Has the identity of the rules and answers nothing."""

    model = "scripted"
    known = Capabilities(window=32_000, structured=True, embeddings=True)
    embedder = "scripted spelling 1"

    def __init__(self):
        rules = yaml.safe_load((STORED / "rules.yaml").read_text())
        plain = json.dumps(rules, ensure_ascii=False, sort_keys=True)
        self.identity = f"scripted:{hashlib.sha256(plain.encode()).hexdigest()}"
        self.asked = []

    async def contact(self):
        return self.known

    async def send(self, request, started):
        self.asked.append(request)
        raise AssertionError(f"not in the journal: {request.messages[-1].content[:500]}")

    async def embed(self, texts):
        self.asked.append(texts)
        raise AssertionError(f"not in the journal: {texts[0][:500]}")

    async def close(self):
        pass


@pytest.fixture(scope="module")
def restored(tmp_path_factory):
    """Return a folder with everything that was there, the journal too."""
    folder = tmp_path_factory.mktemp("stored") / "books"
    shutil.copytree(STORED, folder)
    connection = sqlite3.connect(folder / ON_DISK, isolation_level=None)
    with gzip.open(STORED / "journal_5.sql.gz", "rt", encoding="utf-8") as dump:
        connection.executescript(dump.read())
    connection.close()
    return folder


@pytest.fixture
def place(restored, tmp_path, monkeypatch):
    """Make the test's directory a copy of that folder."""
    shutil.copytree(restored, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / ON_DISK))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_everything_that_was_run_has_its_results():
    assert list(RUNS) == list(RESULTS)


@pytest.mark.parametrize("name", RUNS)
def test_a_stored_journal_answers_every_call(name, place):
    pipeline, params = RUNS[name]
    backend = Unwilling()
    done = run(pipeline, "bell.md", model=backend, params=params, jobs=1)
    assert backend.asked == []
    assert done.report.totals.sent == 0
    (result,), (stored,) = done.results, RESULTS[name]
    assert result.error is None
    assert json.dumps(result.value) == json.dumps(stored["result"])
    spans = [[each["start"], each["end"]] for each in stored["sources"]]
    assert [list(span) for span in result.spans] == spans
    assert result.coverage == stored["coverage"]


@pytest.mark.parametrize("name", RUNS)
def test_the_command_prints_what_it_printed_and_sends_nothing(name, place, octavo):
    pipeline, params = RUNS[name]
    given = [part for key, value in params.items() for part in ("-p", f"{key}={value}")]
    model = ("-m", "scripted:rules.yaml")
    done = octavo("run", pipeline, "bell.md", *model, "--json", "--exit-zero", *given)
    assert done.code == 0, done.err
    printed = [json.loads(line) for line in done.out.splitlines()]
    for each in printed:
        usage = each.pop("usage")
        assert usage["sent"] == 0
        assert set(usage["outcomes"]) <= {"cached", "truncated", "repaired"}
        each["calls"] = usage["calls"]
        del each["run"]
    assert json.dumps(printed) == json.dumps(RESULTS[name])
    ran = json.loads(octavo("runs", "show", "--json", "--calls").out)
    assert [call for call in ran["calls"] if call["attempts"]] == []
    assert ran["calls"]
