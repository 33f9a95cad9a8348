"""A killed run goes on where it was: nothing durable is asked again and the result is the same."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter

from tests.mock import Behaviour, serving

JOBS = 8
TIMES = 20


def words(number):
    """A text that splits into about sixty chunks."""
    order = random.Random(number)
    names = ["harbour", "lantern", "gull", "rope", "captain", "storm", "letter", "island"]
    sentences = (" ".join(order.choices(names, k=12)).capitalize() + "." for _ in range(1200))
    return "\n\n".join(" ".join(next(sentences) for _ in range(6)) for _ in range(200))


def command(tmp_path, book, journal, url):
    environment = {
        **os.environ,
        "OCTAVO_JOURNAL": str(journal),
        "OPENAI_BASE_URL": url,
        "OPENAI_API_KEY": "sk-not-a-real-key",
    }
    pipeline = tmp_path / "p.yaml"
    pipeline.write_text(
        "octavo: 1\n"
        "steps:\n"
        "  - split: {by: structure, tokens: 250}\n"
        '  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}\n'
        "  - merge: {prompt: \"Merge: {{ notes | map('fence') | join }}\", tokens: 60}\n"
    )
    arguments = ["run", str(pipeline), str(book), "-m", "openai:mock", "-j", str(JOBS)]
    return [sys.executable, "-m", "octavo", *arguments], environment


def finished(arguments, environment):
    done = subprocess.run(arguments, env=environment, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def test_a_killed_run_repeats_at_most_what_was_in_flight_and_ends_the_same(tmp_path):
    book = tmp_path / "book.txt"
    book.write_text(words(1))
    order = random.Random(2)
    with serving(Behaviour(latency=0.02, jitter=0.5)) as server:
        arguments, environment = command(tmp_path, book, tmp_path / "whole", server.url)
        expected = finished(arguments, environment)
        asked = {call.digest for call in server.calls if call.method == "POST"}
        assert len(asked) > 40
        for time in range(TIMES):
            server.calls.clear()
            arguments, environment = command(tmp_path, book, tmp_path / f"j{time}", server.url)
            process = subprocess.Popen(
                arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            moment = order.randrange(1, len(asked))
            while sum(call.method == "POST" for call in server.calls) < moment:
                assert process.poll() is None
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
            partial, _ = process.communicate(timeout=10)
            assert partial in (b"", expected)
            assert finished(arguments, environment) == expected
            times = Counter(call.digest for call in server.calls if call.method == "POST")
            assert set(times) == asked
            assert sum(times.values()) - len(times) <= JOBS
