"""A killed run goes on where it was: nothing durable is asked again and the result is the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections import Counter

import pytest
from tests.kill_child import fold
from tests.mock import Behaviour, serving

JOBS = 8
TIMES = 20
PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}
  - merge: {prompt: "Merge: {% for note in notes %}{{ note | fence }}{% endfor %}", tokens: 60}
"""


def book():
    """A text that splits into about sixty chunks."""
    order = random.Random(1)
    names = ["harbour", "lantern", "gull", "rope", "captain", "storm", "letter", "island"]
    sentences = [" ".join(order.choices(names, k=12)).capitalize() + "." for _ in range(900)]
    return "\n\n".join(" ".join(sentences[n : n + 6]) for n in range(0, 900, 6))


@pytest.fixture(scope="module")
def processes():
    """Processes that start with everything imported, as the installed command is once it runs."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.kill_child"])
    return context


@pytest.mark.timeout(180)
def test_a_killed_run_repeats_at_most_what_was_in_flight_and_ends_the_same(tmp_path, processes):
    (tmp_path / "p.yaml").write_text(PIPELINE)
    victim = None
    moment = -1
    asked = []

    def hook(call):
        if call.method == "POST":
            asked.append(call.digest)
            if len(asked) == moment:
                os.kill(victim.pid, signal.SIGKILL)

    def start(journal, output):
        arguments = (str(tmp_path / "p.yaml"), book(), server.url, str(journal), str(output), JOBS)
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
        assert len(calls) == len(asked) > 40
        order = random.Random(2)
        for time in range(TIMES):
            asked.clear()
            moment = order.randrange(1, len(calls))
            journal, output = tmp_path / f"journal{time}", tmp_path / f"{time}.txt"
            victim = start(journal, output)
            victim.join(60)
            assert victim.exitcode == -signal.SIGKILL
            assert not output.exists()
            moment = -1
            assert finished(journal, output) == expected
            times = Counter(asked)
            assert set(times) == calls
            assert sum(times.values()) - len(times) <= JOBS
