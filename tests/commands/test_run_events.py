"""`--events FILE` and `-v`: what happens in a run, for programs and for curious people."""

from __future__ import annotations

import json
import re

import pytest
from tests.support.serving import Behaviour, serving

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 60}
  - map: {prompt: "Sum up: {{ text }}", tokens: 60}
  - reduce: {prompt: "Join: {% for n in notes %}{{ n }}{% endfor %}", tokens: 60}
"""
RULES = """\
rules:
  - contains: refuse me
    fail: refusal
  - match: '(?s).*'
    reply: "A short reply."
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "p.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text(RULES)
    parts = (f"# {n}\n\n" + f"words of {n} " * 14 for n in range(3))
    (tmp_path / "a.md").write_text("\n\n".join(parts))
    (tmp_path / "b.md").write_text("Please refuse me.")
    return tmp_path


def events(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_everything_that_happens_is_a_line(place, octavo):
    done = octavo("run", "p.yaml", "a.md", "b.md", *MODEL, "-k", "--events", "e.jsonl", "--json")
    assert done.code == 1
    found = events(place / "e.jsonl")
    assert {each["v"] for each in found} == {1}
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", each["time"]) for each in found)
    kinds = [each["event"] for each in found]
    assert (kinds[0], kinds[-1]) == ("run_started", "run_ended")
    assert found[0]["pipeline"] == "p"
    assert found[0]["model"] == "scripted:rules.yaml"
    sent = [(e["source"], e["key"]) for e in found if e["event"] == "call_sent"]
    ended = {(e["source"], e["key"]): e for e in found if e["event"] == "call_done"}
    assert set(sent) == set(ended)
    outcomes = sorted(each["outcome"] for each in ended.values())
    assert outcomes == sorted(["ok"] * (len(ended) - 1) + ["refused"])
    assert all(each["node"] and each["step"] for each in ended.values())
    documents = {e["source"]: e for e in found if e["event"] == "document_done"}
    lines = {line["source"]: line for line in map(json.loads, done.out.splitlines())}
    assert documents["a.md"]["error"] is None
    assert documents["a.md"]["usage"] == lines["a.md"]["usage"]
    assert documents["b.md"]["error"] == lines["b.md"]["error"]
    end = found[-1]
    assert (end["exit_code"], end["documents"], end["failed"]) == (1, 2, 1)


def test_what_the_journal_answers_is_told_as_such(place, octavo):
    octavo("run", "p.yaml", "a.md", *MODEL)
    assert octavo("run", "p.yaml", "a.md", *MODEL, "--events", "e.jsonl").code == 0
    found = events(place / "e.jsonl")
    assert "call_sent" not in {each["event"] for each in found}
    ended = [each for each in found if each["event"] == "call_done"]
    assert {(each["outcome"], each["attempts"]) for each in ended} == {("cached", 0)}
    assert found[-1]["exit_code"] == 0


def test_a_run_that_cannot_go_on_ends_with_its_code(place, octavo, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    done = octavo("run", "p.yaml", "gone.md", *MODEL, "--events", "e.jsonl")
    assert events(place / "e.jsonl")[-1]["exit_code"] == done.code == 2
    done = octavo("run", "p.yaml", "a.md", "-m", "parrot:x", "--events", "e.jsonl")
    (end,) = events(place / "e.jsonl")
    assert (end["event"], end["exit_code"], done.code) == ("run_ended", 2, 2)
    assert "parrot" in end["error"]


@pytest.mark.parametrize("target", ["-", "no/where.jsonl"])
def test_a_place_that_cannot_be_is_refused_before_anything_runs(place, octavo, target):
    done = octavo("run", "p.yaml", "a.md", *MODEL, "--events", target)
    assert done.code == 2
    assert done.err.startswith("error: --events ")
    assert octavo("runs", "list").stdout == b""


def test_verbose_tells_what_is_used_and_each_call(place, octavo):
    done = octavo("run", "p.yaml", "a.md", *MODEL, "-v")
    lines = done.err.splitlines()
    assert lines[0].startswith("model scripted:rules.yaml, journal ")
    calls = [line for line in lines if line.startswith("a.md: map, ")]
    assert len(calls) > 1
    assert all(line.endswith(": ok") for line in calls)
    assert octavo("run", "p.yaml", "a.md", *MODEL, "-v", "-q").err == ""


def test_a_draft_is_shown_on_a_terminal_and_only_the_result_stays(
    place, octavo_on_terminal, octavo_process, monkeypatch
):
    monkeypatch.delenv("NO_COLOR")
    with serving(Behaviour(latency=0.8, first=0.2)) as server:
        environment = {"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "sk-fake-0123456789abcdef"}
        line = ("run", "p.yaml", "a.md", "-m", "openai:mock")
        drawn = octavo_on_terminal(*line, **environment)
        streamed = [call.body.get("stream") for call in server.calls if call.method == "POST"]
        piped = octavo_process(*line, **environment)
        asked = len([call for call in server.calls if call.method == "POST"])
    result = piped.out.strip()
    assert drawn.code == piped.code == 0
    assert asked == len(streamed)  # a streamed reply is the same call
    assert streamed.count(True) == 1  # the last step's
    screen = drawn.out.replace("\r\n", "\n")
    assert screen.endswith(result + "\n")
    assert screen.count(result[:12]) > 1  # it was there as a draft before
    assert b"\x1b" not in piped.stdout + piped.stderr
