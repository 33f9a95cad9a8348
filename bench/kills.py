"""Kill a run at random, a hundred times, and go on: what is sent again, and what comes out.

    python bench/kills.py [--times 100] [--jobs 8]

`process`: the run gets SIGKILL at a random request, and is started again. `server`: the mock server
gets it, and is started again on the same port while the run waits. `disk`: the journal may grow to
a random size only, as on a full disk; then the run is started again with room. `sent again` counts
requests with the bytes of an earlier one, of one trial; at most the calls in flight may be. (A
killed server only knows what it answered: there it counts answered calls that were sent again.) The
exit code is 1 when more are, or when a result differs by a byte from that of a run left alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import root_path
from tests.support import mock_server
from tests.support.folding import PIPELINE, book, fold
from tests.support.mock.behaviour import Behaviour
from tests.support.mock.server import MockServer

LATENCY = 0.01


class Bench:
    """One text and pipeline, the result that must come out, and where trials are kept."""

    def __init__(self, directory, jobs):
        self.directory = Path(directory)
        self.jobs = jobs
        self.text = book(900, random.Random(1))
        self.pipeline = self.directory / "p.yaml"
        self.pipeline.write_text(PIPELINE)
        # The fork server has no other way.
        os.environ["PYTHONPATH"] = str(Path(__file__).parents[1])
        self.processes = multiprocessing.get_context("forkserver")
        self.processes.set_forkserver_preload(["tests.support.folding"])
        self.trials = 0

    def fresh(self):
        """Return the paths of a journal and a result that do not exist yet."""
        self.trials += 1
        place = self.directory / str(self.trials)
        place.mkdir()
        return place / "journal", place / "result.txt"

    def start(self, url, journal, output, pages=None):
        arguments = (str(self.pipeline), self.text, url, str(journal), str(output), self.jobs)
        process = self.processes.Process(target=fold, args=(*arguments, pages))
        process.start()
        return process

    def whole(self, url, journal, output):
        """Run to the end; return the result."""
        process = self.start(url, journal, output)
        process.join(120)
        if process.exitcode != 0:
            sys.exit(f"a run that nobody disturbed ended with {process.exitcode}")
        return output.read_bytes()


@contextmanager
def served(hook=None):
    """Serve in a thread of this process; `hook` is told of each chat request."""

    def heard(call):
        if call.method == "POST" and hook is not None:
            hook(call)

    server = MockServer(Behaviour(latency=LATENCY, jitter=0.5), answer=heard)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result()
    try:
        yield server.url
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def kill_process(bench, times, order):
    """Yield, for each trial, what the server was asked and what came out."""
    asked, victim, moment = [], None, -1

    def hook(call):
        asked.append(call.digest)
        if len(asked) == moment:
            os.kill(victim.pid, signal.SIGKILL)

    with served(hook) as url:
        expected = bench.whole(url, *bench.fresh())
        calls = len(set(asked))
        for _ in range(times):
            asked.clear()
            moment = order.randrange(1, calls)
            journal, output = bench.fresh()
            victim = bench.start(url, journal, output)
            victim.join(120)
            assert victim.exitcode == -signal.SIGKILL
            assert not output.exists()
            moment = -1
            same = bench.whole(url, journal, output) == expected
            yield Counter(asked), same


def kill_server(bench, times, order):
    """Do the same with the server, which then has no memory of what it answered."""
    log = bench.directory / "log.jsonl"

    def start(port=0):
        script = mock_server.__file__
        options = ["--latency", LATENCY, "--jitter", 0.5, "--log", log, "--port", port]
        server = subprocess.Popen(
            [sys.executable, script, *map(str, options)], stdout=subprocess.PIPE, text=True
        )
        return server, server.stdout.readline().strip()

    def logged():
        return [json.loads(line)["digest"] for line in log.read_text().splitlines()]

    server, url = start()
    port = url.rpartition(":")[2].partition("/")[0]
    expected = bench.whole(url, *bench.fresh())
    calls = len(logged())
    for _ in range(times):
        log.write_text("")
        moment = order.randrange(1, calls)
        journal, output = bench.fresh()
        run = bench.start(url, journal, output)
        while log.read_bytes().count(b"\n") < moment and run.is_alive():
            time.sleep(0.0005)
        server.kill()
        server.wait()
        server.stdout.close()
        server, _ = start(port)
        run.join(120)
        same = run.exitcode == 0 and output.read_bytes() == expected
        yield Counter(logged()), same
    server.terminate()
    server.wait()
    server.stdout.close()


def fill_disk(bench, times, order):
    """Do the same with a journal that cannot grow."""
    asked = []
    with served(lambda call: asked.append(call.digest)) as url:
        journal, output = bench.fresh()
        expected = bench.whole(url, journal, output)
        pages = journal.stat().st_size // 16384
        for _ in range(times):
            asked.clear()
            journal, output = bench.fresh()
            run = bench.start(url, journal, output, order.randrange(pages // 2, pages))
            run.join(120)
            if run.exitcode:
                assert run.exitcode in {101, 102}, run.exitcode
                assert not output.exists()
                bench.whole(url, journal, output)
            yield Counter(asked), output.read_bytes() == expected


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=8, help="calls in flight")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    line = "{:<8} {:>6} {:>6} {:>16} {:>17} {:>10}"
    print(
        line.format("killed", "times", "calls", "sent again, most", "sent again, mean", "identical")
    )
    holds = True
    for name, trial in {"process": kill_process, "server": kill_server, "disk": fill_disk}.items():
        again, same, calls = [], 0, 0
        with tempfile.TemporaryDirectory() as directory:
            bench = Bench(directory, options.jobs)
            for asked, identical in trial(bench, options.times, random.Random(options.seed)):
                again.append(sum(asked.values()) - len(asked))
                calls = len(asked)
                same += identical
        mean = sum(again) / len(again)
        print(line.format(name, len(again), calls, max(again), f"{mean:.2f}", same), flush=True)
        holds = holds and same == len(again) and max(again) <= options.jobs
    if not holds:
        sys.exit(1)


if __name__ == "__main__":
    main()
