"""Serve the mock model on loopback until interrupted; the first line printed is its base URL.

    python tests/support/mock_server.py --port 8100 --latency 0.05 --jitter 0.2 --log calls.jsonl
    python tests/support/mock_server.py --fault 500=0.02 --fault reset=0.01 --rate 600
    python tests/support/mock_server.py --ceiling

`--ceiling` prints how many calls a second it answers at zero latency to a client in a process of
its own, and how many its processor time would allow; figures taken above half of that measure the
mock as well. `--log` writes one JSON
object a call: arrival and latency in seconds, hash of the body, status, fault, tokens.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.mock.behaviour import FAULTS, Behaviour
from tests.support.mock.load import ceiling
from tests.support.mock.server import MockServer


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    if options.load:
        print(f"{asyncio.run(ceiling(options.load, seconds=options.seconds)):.0f}")
        return
    try:
        behaviour = Behaviour(
            latency=options.latency,
            jitter=options.jitter,
            stragglers=options.stragglers,
            straggle=options.straggle,
            per_reply_token=options.per_reply_token,
            per_prompt_token=options.per_prompt_token,
            rate=options.rate,
            token_rate=options.token_rate,
            burst=options.burst,
            told=not options.untold,
            in_flight=options.in_flight,
            faults=dict(options.fault),
            seed=options.seed,
            model=options.model,
            window=options.window,
            cached=options.cached,
        )
    except ValueError as error:
        sys.exit(f"mock_server.py: {error}")
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(Path(options.log).open("a")) if options.log else None
        server = MockServer(behaviour, log=log)
        with contextlib.suppress(KeyboardInterrupt):
            seconds = options.seconds if options.ceiling else 0.0
            asyncio.run(_serve(server, options.port, seconds))


async def _serve(server: MockServer, port: int, measured: float) -> None:
    url = await server.start(port)
    print(url, flush=True)
    stopped = asyncio.Event()
    with contextlib.suppress(NotImplementedError):  # Windows has no signal handlers
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    if measured:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, __file__, "--load", url, "--seconds", str(measured)),
            stdout=asyncio.subprocess.PIPE,
        )
        spent = time.process_time()
        said, _ = await client.communicate()
        each = (time.process_time() - spent) / len(server.log)
        print(f"answered: {said.decode().strip()} calls/s")
        print(f"ceiling: {1 / each:.0f} calls/s on a core of its own ({each * 1e6:.0f} us a call)")
    else:
        await stopped.wait()
    await server.stop()


def _fault(text: str) -> tuple[str, float]:
    kind, _, share = text.partition("=")
    return kind, float(share or "nan")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--port", type=int, default=0, help="0 picks a free one")
    add("--latency", type=float, default=0.0, metavar="S", help="seconds a call")
    add("--jitter", type=float, default=0.0, metavar="SHARE", help="of the latency, around it")
    add("--stragglers", type=float, default=0.0, metavar="SHARE", help="share of slow calls")
    add("--straggle", type=float, default=10.0, metavar="TIMES", help="how much slower they are")
    add("--per-reply-token", type=float, default=0.0, metavar="S")
    add("--per-prompt-token", type=float, default=0.0, metavar="S", help="for uncached ones")
    add("--rate", type=float, default=0.0, metavar="N", help="calls a minute, then status 429")
    add("--token-rate", type=float, default=0.0, metavar="N", help="tokens a minute, likewise")
    add("--burst", type=float, default=1.0, metavar="S", help="seconds' worth of both at once")
    add("--untold", action="store_true", help="do not tell the limits in headers")
    add("--in-flight", type=int, default=0, metavar="N", help="calls at once, then status 429")
    add("--fault", type=_fault, action="append", default=[], metavar="KIND=SHARE",
        help=f"of {', '.join(FAULTS)}; may be repeated")  # fmt: skip
    add("--seed", type=int, default=0, help="of latencies and faults")
    add("--model", default="mock", help="the name that /models tells")
    add("--window", type=int, default=0, metavar="TOKENS", help="refuse longer prompts")
    add("--cached", action="store_true", help="model a prefix cache and tell its hits")
    add("--log", metavar="FILE", help="append one JSON object a call")
    add("--ceiling", action="store_true", help="measure, print and end")
    add("--seconds", type=float, default=3.0, metavar="S", help="that the ceiling is measured")
    add("--load", metavar="URL", help=argparse.SUPPRESS)
    return parser


if __name__ == "__main__":
    main()
