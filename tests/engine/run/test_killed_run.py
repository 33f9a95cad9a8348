"""A killed run goes on where it was: nothing durable is asked again and the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections import Counter

import pytest
from tests.support.folding import PIPELINE, book, fold
from tests.support.serving import Behaviour, serving

from octavo.engine.journal.store import Journal

JOBS = 8
TIMES = 6  # bench/kills.py does it a hundred times, and kills the server and fills the disk as well


@pytest.fixture(scope="module")
def processes():
    """Processes that start with everything imported, as the installed command is once it runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.folding"])
    return context


@pytest.mark.timeout(180)
def test_a_killed_run_repeats_at_most_what_was_in_flight_and_ends_the_same(tmp_path, processes):
    (tmp_path / "p.yaml").write_text(PIPELINE)
    text = book(450, random.Random(1))
    victim = None
    moment = -1
    asked = []

    def hook(call):
        if call.method == "POST":
            asked.append(call.digest)
            if len(asked) == moment:
                os.kill(victim.pid, signal.SIGKILL)

    def start(journal, output):
        arguments = (str(tmp_path / "p.yaml"), text, server.url, str(journal), str(output), JOBS)
        process = processes.Process(target=fold, args=arguments)
        process.start()
        return process

    def finished(journal, output):
        process = start(journal, output)
        process.join(60)
        assert process.exitcode == 0
        return output.read_text()

    with serving(Behaviour(latency=0.01, jitter=0.5), answer=hook) as server:
        expected = finished(tmp_path / "whole", tmp_path / "whole.txt")
        calls = set(asked)
        assert len(calls) == len(asked) > 25
        order = random.Random(2)
        for time in range(TIMES):
            asked.clear()
            moment = order.randrange(1, len(calls))
            journal, output = tmp_path / f"journal{time}", tmp_path / f"{time}.txt"
            victim = start(journal, output)
            victim.join(60)
            assert victim.exitcode == -signal.SIGKILL
            assert not output.exists()
            assert_prompts_can_be_read_back(journal, text)
            moment = -1
            assert finished(journal, output) == expected
            times = Counter(asked)
            assert set(times) == calls
            assert sum(times.values()) - len(times) <= JOBS


def assert_prompts_can_be_read_back(path, text):
    """Check that what was asked is in the journal for every reply that is."""
    with Journal(path) as journal:
        for (call,) in journal.query("SELECT id FROM calls"):
            prompt = journal.read_messages(call)[-1].content
            part = prompt.removeprefix("Sum up: ").partition("\n")[2].rpartition("\n")[0]
            assert prompt.startswith("Merge: ") or (len(part) > 100 and part in text)
