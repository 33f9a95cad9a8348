"""What vLLM gives on a GPU, and what Octavo gets out of it.

    python bench/gpu.py speed MODEL --dummy            # the ceiling, and map against it
    python bench/gpu.py strategies MODEL --dummy       # each strategy over 100,000 tokens
    python bench/gpu.py both MODEL --dummy             # these two on one server
    python bench/gpu.py real MODEL                     # every pipeline on real weights
    python bench/gpu.py survival MODEL                 # the server killed, and Octavo
    python bench/gpu.py all MODEL --dummy --real SMALL_MODEL
    python bench/gpu.py table                          # docs/gpu.md from the results

MODEL is a directory or a name that vLLM loads. `--dummy` takes its shape with random weights: they
measure speed, and nothing else. Results are written to `bench/results` as they come, so that a run
which is cut short leaves what it had; `--budget` seconds end it in order. Without a GPU, `--command
"python tests/support/vllm_standin.py serve"` tries the whole with a stand-in, whose figures mean
nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shlex
import time
from pathlib import Path

import root_path
from serving.host import facts, gpu_memory
from serving.real import real
from serving.speed import ceiling, offline, strategies
from serving.survival import survival
from tools.gpu_page import table

from octavo.backends.vllm.server import VLLMServer
from octavo.errors import OctavoError
from octavo.protocols import Profile, Serve

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "bench" / "results"
BEGUN = time.monotonic()


def note(words):
    print(f"[{time.monotonic() - BEGUN:6.1f}] {words}", flush=True)


class Book:
    """The results of one part, written whenever something is added."""

    def __init__(self, name, options):
        self.path = Path(options.results) / f"{name}{options.mark}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.told = {
            "host": facts(),
            "model": Path(options.model).name,
            "dummy": options.dummy,
            "stand_in": bool(options.command),
        }

    def keep(self, name, rows):
        self.told[name] = rows
        self.path.write_text(json.dumps(self.told, indent=1, default=str) + "\n")


def serve_of(options, *, eager=False):
    """Return the options of the server, as a profile has them."""
    said = {"max_model_len": options.max_model_len}
    if options.dummy:
        said["load_format"] = "dummy"
    if options.command:
        said["command"] = shlex.split(options.command)
    arguments = shlex.split(options.arguments)
    if eager and not options.command:
        arguments.append("--enforce-eager")
    if arguments:
        said["arguments"] = arguments
    return said


async def served(options, work):
    """Start a server, do the work with it, and stop it."""
    serve = Serve(**serve_of(options))
    profile = Profile(model=f"vllm:{options.model}", serve=serve)
    begun = time.monotonic()
    try:
        server = await VLLMServer.start(options.model, profile, note)
    except OctavoError as error:
        explain(error)
        raise
    note(f"answers after {time.monotonic() - begun:.0f} s; cache of {server.capacity} tokens")
    try:
        return await work(server)
    finally:
        await server.close()
        note("server stopped")


def explain(error):
    """Print why there is no server, with the end of its log."""
    note(f"no server: {error} ({error.hint})")
    log = Path((error.hint or "").rpartition("its log is ")[2])
    if log.is_file():
        print(log.read_text("utf-8", "replace")[-5000:], flush=True)


def left(options):
    return lambda: options.budget - (time.monotonic() - BEGUN)


def speed(options):
    book = Book("speed", options)
    if not options.command and options.offline:
        before = gpu_memory()
        book.keep("offline", offline(options, note))
        until = time.monotonic() + 30  # the driver takes a moment to give memory back
        while time.monotonic() < until and gpu_memory() > [used + 1000 for used in before]:
            time.sleep(0.5)
    asyncio.run(served(options, lambda server: ceiling(options, server, note, book.keep)))


def both(options):
    """Run the ceiling and strategies on one server, since a start takes more than a minute."""
    speeds, books = Book("speed", options), Book("strategies", options)
    time_left = left(options)

    async def work(server):
        books.keep("capacity", server.capacity)
        try:
            async with asyncio.timeout(max(1.0, time_left())):
                await ceiling(options, server, note, speeds.keep)
        except TimeoutError:
            note("the ceiling: not done in the time left")
        return await strategies(options, server, note, books.keep, time_left)

    asyncio.run(served(options, work))


def each_strategy(options):
    book = Book("strategies", options)
    time_left = left(options)

    async def work(server):
        book.keep("capacity", server.capacity)
        return await strategies(options, server, note, book.keep, time_left)

    asyncio.run(served(options, work))


def on_real_weights(options):
    book = Book("real", options)
    time_left = left(options)

    async def work(server):
        return await asyncio.to_thread(real, options, server, note, book.keep, time_left)

    asyncio.run(served(options, work))


def killed(options):
    book = Book("survival", options)
    survival(options, serve_of(options, eager=True), note, book.keep)


def everything(options):
    small = argparse.Namespace(**vars(options))
    small.model, small.dummy = options.real or options.model, options.dummy and not options.real
    small.max_model_len = min(options.max_model_len, 8192)
    parts = ((speed, options), (each_strategy, options), (on_real_weights, small), (killed, small))
    for part, chosen in parts:
        try:
            part(chosen)
        except Exception as error:  # noqa: BLE001 - the other parts still tell something
            note(f"{part.__name__} failed: {type(error).__name__}: {error}")
    table(Path(options.results))


PARTS = {
    "speed": speed,
    "strategies": each_strategy,
    "both": both,
    "real": on_real_weights,
    "survival": killed,
    "all": everything,
}


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("part", choices=[*PARTS, "table"])
    add("model", nargs="?")
    add("--real", metavar="MODEL", help="real weights for what random ones cannot show")
    add("--dummy", action="store_true", help="random weights")
    add("--max-model-len", type=int, default=131072)
    add("--requests", type=int, default=512, help="chunks of 2,000 tokens")
    add("--rounds", type=int, default=2, help="of the widest client and of map, in turn")
    add("--tokens", type=int, default=100_000, help="of the document of each strategy")
    add("--only", nargs="*", metavar="NAME", help="of the strategies, or pipelines")
    add("--widest", dest="widths", action="store_false", help="no client of 16 and 64 in flight")
    add("--no-naive", dest="naive", action="store_false")
    add("--kill", nargs="*", choices=["server", "octavo"], default=["server", "octavo"])
    add("--cleared", metavar="FILE", help="made once a killed Octavo's GPU was looked at")
    add("--mark", default="", help="ends the names of the results, as `-2` of a second run")
    add("--text", metavar="FILE", help="what the real weights read")
    add("--killed", type=int, default=60_000, help="characters read while something is killed")
    add("--budget", type=float, default=560.0, help="seconds after which nothing is begun")
    add("--no-offline", dest="offline", action="store_false")
    add("--command", help="what starts the server, where vLLM is not here")
    add("--arguments", default="", help="further arguments of the server, in one word")
    add("--results", default=str(RESULTS))
    options = parser.parse_args()
    if options.part == "table":
        print(table(Path(options.results)))
        return
    if options.model is None:
        parser.error("which model?")
    os.environ.pop("OCTAVO_VLLM_URL", None)
    # The command is run in other directories, and Octavo may be here as source only.
    paths = [str(ROOT / "cli"), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(path).resolve()) for path in paths if path)
    PARTS[options.part](options)


if __name__ == "__main__":
    main()
