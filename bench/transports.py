"""Processor time of a call through each client, against the mock server at zero latency.

    python bench/transports.py [--calls 2000]

Each figure is the median of several rounds in one process, the server in another. A call is a
prompt of about 1,000 tokens and a reply of about 150, through the whole backend: the request
written, sent, answered, read.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import time

import root_path
from tests.support import mock_server

from octavo.backends.openai.backend import BACKEND
from octavo.protocols import Message, Profile, Request


async def measure(url: str, client: str, in_flight: int, calls: int, *, stream: bool) -> None:
    profile = Profile(model="openai:mock", base_url=url, client=client, stream=stream)
    backend = BACKEND.open("mock", profile)
    prompts = iter(range(10 * calls))

    async def worker(count: int) -> None:
        for _ in range(count):
            text = f"{next(prompts)} " + "word " * 800
            await backend.send(Request((Message("user", text),), 150), lambda: None)

    async def together(count: int) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(worker(count // in_flight))

    await together(in_flight)  # imports, connections
    spent, took = [], []
    for _ in range(5):
        cpu, wall = time.process_time(), time.perf_counter()
        await together(calls)
        done = calls // in_flight * in_flight
        spent.append((time.process_time() - cpu) / done * 1000)
        took.append(done / (time.perf_counter() - wall))
    await backend.close()
    each, rate = statistics.median(spent), statistics.median(took)
    kind = "stream" if stream else "whole"
    print(f"{client:8} {kind:7} {in_flight:9} {each:16.2f} {min(spent):8.2f} {rate:9.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=1024, help="a round")
    options = parser.parse_args()
    mock = mock_server.__file__
    server = subprocess.Popen([sys.executable, mock], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = server.stdout.readline().strip()
    print(f"{'client':8} {'reply':7} in flight  CPU ms (median)      min   calls/s")
    try:
        for client in ("aiohttp", "openai"):
            for stream in (False, True):
                for in_flight in (64, 256):
                    run = measure(url, client, in_flight, options.calls, stream=stream)
                    asyncio.run(run)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
