"""`octavo doctor`: what it finds, what it advises, how it ends."""

from __future__ import annotations

import json

import pytest
from tests.support.serving import Answer, Behaviour, serving

KEY = "sk-fake-0123456789abcdef"


@pytest.fixture
def doctor(octavo):
    def run(*arguments):
        done = octavo("doctor", "--json", *arguments)
        return done.code, {row["check"]: row for row in json.loads(done.out)}

    return run


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with serving(Behaviour(window=4096)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def test_all_is_well_and_nothing_was_paid(server, doctor, octavo):
    code, found = doctor("-m", "openai:mock")
    assert code == 0
    assert found["backend"]["message"] == "it answers and has the model"
    assert found["window"]["message"] == "4,096 tokens"
    assert found["tokenizer"]["state"] == "warn"  # no tokenizer is known for this name
    assert {call.method for call in server.calls} == {"GET"}
    lines = octavo("doctor", "-m", "openai:mock").out.splitlines()
    assert lines[0].startswith("ok    configuration  no file")
    assert any(line.startswith("      help: name its tokenizer.json") for line in lines)


def test_an_unreachable_server_is_three_and_says_what_to_do(doctor, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    code, found = doctor("-m", "openai:mock")
    assert code == 3
    assert found["backend"]["state"] == "fail"
    assert found["backend"]["hint"] == "start the server, or check base_url"
    assert found["journal"]["state"] == "ok"


def test_a_rejected_key_is_three_and_not_shown(doctor, octavo, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    reject = Answer(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
    with serving(answer=lambda call: reject) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        done = octavo("doctor", "-m", "openai:mock")
    assert done.code == 3
    assert KEY not in done.out + done.err
    assert "OPENAI_API_KEY" in done.out


def test_a_missing_model_is_three_and_the_others_are_named(doctor, monkeypatch):
    listed = Answer(200, {"data": [{"id": "a"}, {"id": "b"}]})
    with serving(answer=lambda call: listed) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        code, found = doctor("-m", "openai:c")
    assert code == 3
    assert found["backend"]["hint"] == "choose one of: a, b"


def test_a_damaged_journal_is_one(server, doctor, tmp_path, monkeypatch):
    monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / "j.sqlite"))
    (tmp_path / "j.sqlite").write_bytes(b"not a database at all" * 100)
    code, found = doctor("-m", "openai:mock")
    assert code == 1
    assert found["journal"]["state"] == "fail"
    assert found["journal"]["hint"]


def test_a_wrong_file_is_one_with_its_place(doctor, tmp_path):
    (tmp_path / "octavo.toml").write_text("jobs = 1\njbos = 2\n")
    code, found = doctor()
    assert code == 1
    assert "octavo.toml:2:1: error[unknown-key]" in found["configuration"]["message"]
    assert found["configuration"]["hint"] == "did you mean 'jobs'?"
    assert "backend" not in found


def test_a_variable_that_means_nothing_is_told(server, doctor, monkeypatch):
    monkeypatch.setenv("OCTAVO_JBOS", "3")
    monkeypatch.setenv("OCTAVO_JOBS", "3")
    monkeypatch.setenv("OCTAVO_TOKENIZER", "estimate")
    code, found = doctor("-m", "openai:mock")
    assert code == 0
    assert found["environment"]["message"] == "no option is set by OCTAVO_JBOS"


def test_the_embedded_model_needs_its_library(doctor, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    code, found = doctor()
    assert code == 3
    assert found["backend"]["hint"] == "pip install 'octavo[local]'"
