"""Signals and readers that go away: what was paid for is kept, and how it ends is told."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager

import pytest
from tests.support.serving import Answer, Behaviour, serving

KEY = "sk-fake-0123456789abcdef"
PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 100}
  - map: {prompt: "Sum up: {{ text }}", tokens: 40}
"""


@pytest.fixture
def command(tmp_path):
    """Return a function that gives the command for some inputs at a server."""
    (tmp_path / "p.yaml").write_text(PIPELINE)

    def of(server, *arguments):
        environment = {**os.environ, "OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": KEY}
        line = [sys.executable, "-m", "octavo", "run", "p.yaml", *arguments, "-m", "openai:mock"]
        return {"args": line, "env": environment, "cwd": tmp_path}

    return of


def chunks(number):
    return "\n\n".join(
        f"# Part {n}\n\n" + f"Sentence {n} of many words. " * 12 for n in range(number)
    )


@contextmanager
def started(run):
    """Start a run with its streams in pipes; however the test ends, nothing of it stays."""
    process = subprocess.Popen(**run, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def asked(server):
    return [call.digest for call in server.calls if call.method == "POST"]


def wait_for_calls(server, number, process):
    while len(asked(server)) < number:
        assert process.poll() is None
        os.sched_yield()


def test_ctrl_c_keeps_what_is_in_flight(tmp_path, command):
    (tmp_path / "book.md").write_text(chunks(30))
    with serving(Behaviour(latency=0.2)) as server:
        run = command(server, "book.md", "-j", "4")
        with started(run) as process:
            wait_for_calls(server, 6, process)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
        assert (process.returncode, out) == (130, b"")
        assert b"`octavo runs resume 1` goes on" in err
        assert len(asked(server)) < 30
        again = subprocess.run(**run, capture_output=True, timeout=30, check=False)
        assert again.returncode == 0
        assert again.stdout.endswith(b"\n")
        # A call that was in flight at the signal has landed: nothing is asked a second time.
        assert max(Counter(asked(server)).values()) == 1


def test_a_request_to_end_is_obeyed_in_order(tmp_path, command):
    (tmp_path / "book.md").write_text(chunks(10))
    with (
        serving(Behaviour(latency=0.2)) as server,
        started(command(server, "book.md", "-j", "1")) as process,
    ):
        wait_for_calls(server, 1, process)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=20)[0] == b""
        assert process.returncode == 143


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_closed_terminal_costs_no_reply(tmp_path, command, number, code):
    (tmp_path / "book.md").write_text(chunks(30))
    with serving(Behaviour(latency=0.3)) as server:
        run = command(server, "book.md", "-j", "8")
        with started(run) as process:
            wait_for_calls(server, 12, process)
            process.send_signal(number)
            assert process.communicate(timeout=20)[0] == b""
        assert process.returncode == code
        assert len(asked(server)) < 30
        again = subprocess.run(**run, capture_output=True, timeout=30, check=False)
        assert again.returncode == 0
        assert max(Counter(asked(server)).values()) == 1


def test_a_run_whose_terminal_is_closed_goes_on_without_asking_twice(tmp_path, command):
    """Its streams are the terminal, which then refuses every byte."""
    (tmp_path / "book.md").write_text(chunks(30))
    with serving(Behaviour(latency=0.3)) as server:
        run = command(server, "book.md", "-j", "8")
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(run["cwd"])
            os.execve(run["args"][0], run["args"], {**run["env"], "TERM": "xterm"})
        while len(asked(server)) < 12:
            if select.select([terminal], [], [], 0)[0]:
                os.read(terminal, 65536)
            os.sched_yield()
        os.close(terminal)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 129
        again = subprocess.run(**run, capture_output=True, timeout=30, check=False)
        assert again.returncode == 0
        assert max(Counter(asked(server)).values()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_server_that_does_not_answer_holds_nobody_up(tmp_path, command, number, code):
    (tmp_path / "book.md").write_text(chunks(3))

    with (
        serving(Behaviour(latency=60)) as server,
        started(command(server, "book.md", "-j", "2")) as process,
    ):
        wait_for_calls(server, 2, process)
        process.send_signal(number)
        begun = time.monotonic()
        _, err = process.communicate(timeout=20)
        assert time.monotonic() - begun < 5
        assert process.returncode == code
        assert b"`octavo runs resume 1` goes on" in err


def test_a_run_that_was_started_to_outlive_its_terminal_does(tmp_path, command):
    (tmp_path / "book.md").write_text(chunks(6))
    with serving(Behaviour(latency=0.2)) as server:
        run = command(server, "book.md", "-j", "1")
        run["args"] = ["nohup", *run["args"]]
        with started(run) as process:
            wait_for_calls(server, 2, process)
            process.send_signal(signal.SIGHUP)
            assert process.communicate(timeout=20)[0]
        assert process.returncode == 0


def test_the_second_signal_stops_at_once(tmp_path, command):
    (tmp_path / "book.md").write_text(chunks(3))
    with (
        serving(Behaviour(latency=60)) as server,
        started(command(server, "book.md")) as process,
    ):
        wait_for_calls(server, 1, process)
        process.send_signal(signal.SIGINT)
        assert b"interrupted" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


def test_a_reader_that_goes_away_ends_the_run_silently(tmp_path, command):
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(12):
        (docs / f"{number:02}.md").write_text(f"Document {number} says something.")
    with serving(Behaviour(latency=0.05)) as server:
        run = command(server, "docs", "-j", "1", "--progress", "none")
        with started(run) as process:
            assert process.stdout.readline() == b"==> docs/00.md <==\n"
            process.stdout.close()
            err = process.stderr.read()
            assert (process.wait(20), err) == (141, b"")
        stopped_after = len(asked(server))
        assert stopped_after < 12
        again = subprocess.run(**run, capture_output=True, timeout=30, check=True)
        assert again.stdout.count(b"==> ") == 12
        assert max(Counter(asked(server)).values()) == 1


def test_a_reader_that_does_not_read_stops_no_call(tmp_path, command):
    docs = tmp_path / "docs"
    docs.mkdir()
    for number in range(12):
        (docs / f"{number:02}.md").write_text(f"Document {number} says something.")

    def at_length(call):
        if call.method == "GET":
            return None
        choice = {"message": {"content": f"{call.digest.hex()} says more. " * 1000}}
        return Answer(body={"choices": [choice]})

    with serving(answer=at_length) as server:
        run = command(server, "docs", "-j", "1", "--progress", "none")
        with started(run) as process:
            wait_for_calls(server, 12, process)  # though a pipe holds two of their replies
            out, err = process.communicate(timeout=20)
        assert (process.returncode, err.count(b"\n")) == (0, 1)
        assert out == subprocess.run(**run, capture_output=True, timeout=30, check=True).stdout
    assert len(out) > 12 * 40_000


def test_a_key_is_never_told(tmp_path, command, empty_home):
    (tmp_path / "a.md").write_text("Something.")

    def quote(call):
        if call.method == "GET":
            return None
        return Answer(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})

    with serving(answer=quote) as server:
        run = command(server, "a.md")
        run["args"].insert(3, "--debug")
        done = subprocess.run(**run, capture_output=True, timeout=30, check=False)
    assert done.returncode == 3
    assert b"error: " in done.stderr
    assert KEY.encode() not in done.stdout + done.stderr
    for path in [*empty_home.rglob("*"), *tmp_path.rglob("*")]:
        if path.is_file():
            assert KEY.encode() not in path.read_bytes()
