"""What the server can give, and what `map` and each other strategy get out of it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path

from tests.support.corpus import prose

from octavo.protocols import Profile
from octavo.tokens.choose import get_counter as counter_named

from .client import bodies, send, spoilt
from .ideal import ideal
from .noise import Noise, Recorder
from .runs import Ran, attached, documents, fold

__all__ = ["ceiling", "offline", "strategies"]

REPLY = 128
"""Tokens of every reply: what random weights write ends nowhere by itself."""

OPTIONS = {"ignore_eos": True, "max_tokens": REPLY}

QUESTION = "What does the captain say about the harbour?"

MAP = ("map", {"prompt": "List the facts."})

STRATEGIES = (
    ("margins", {"question": QUESTION}, "shuffled"),
    ("memory", {"question": QUESTION}, "in turn"),
    (*MAP, "shuffled"),
    ("summarize", {}, "shuffled"),
    ("ask", {"question": QUESTION}, "shuffled"),
    ("count", {"what": "ships"}, "shuffled"),
    ("lookup", {"question": QUESTION}, "shuffled"),
    ("outline", {}, "shuffled"),
    ("refine", {}, "in turn"),
)
"""Pipelines with their parameters, and how the same requests go without any care: all at once in
any order, or one after the other where each needs the reply before."""


def profile_of(server, options):
    """Return the profile for random weights: no schema is enforced, every reply has one length."""
    return attached(options.model, server, structured=False, options=OPTIONS)


async def recorded(options, counter, seed, known):
    """Return the requests of `map` over the documents of a seed: as many as are wanted, or more."""
    recorder = Recorder(known)
    texts = texts_for(options, counter, seed)
    await fold(*MAP, texts, recorder, attached_nowhere(options))
    return recorder.requests


def attached_nowhere(options):
    return Profile(model=f"vllm:{options.model}")


def texts_for(options, counter, seed):
    """Return documents of which `map` makes about as many requests as are wanted.

    A document of 31,000 tokens is split into 19 chunks of at most 2,000.
    """
    return documents(prose, counter, -(-options.requests // 19), 31_000, seed)


def known_of(options):
    noise = Noise(options.model, attached_nowhere(options))
    return replace(noise.known, window=options.max_model_len, parallel=256)


def offline(options, note):
    """Measure the engine alone, in a process of its own."""
    known = known_of(options)
    counter = counter_named(known.tokenizer or "estimate")
    requests = asyncio.run(recorded(options, counter, 7, known))[: options.requests]
    conversations = [
        [{"role": m.role, "content": m.content} for m in request.messages] for request in requests
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "conversations.json")
        path.write_text(json.dumps(conversations))
        script = Path(__file__).with_name("offline.py")
        command = [sys.executable, str(script), options.model, str(path), f"--reply={REPLY}"]
        command.append(f"--max-model-len={options.max_model_len}")
        if options.dummy:
            command.append("--dummy")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    for line in done.stdout.splitlines():
        if line.startswith("OFFLINE "):
            told = json.loads(line.removeprefix("OFFLINE "))
            told["rate"] = told["requests"] / told["seconds"]
            note("offline engine: {rate:.2f} requests/s".format(**told))
            return told
    note("the offline engine failed: " + (done.stdout + done.stderr)[-1500:])
    return None


async def ceiling(options, server, note, keep):
    """Measure a plain client at each width, and then the widest and `map` by turns.

    Both get documents of the same size, and so about as many requests: a server that computes 256
    at once works in waves, and a last wave that is not full would be the other's gain.
    """
    known = known_of(options)
    counter = counter_named(known.tokenizer or "estimate")
    profile = profile_of(server, options)
    rows = []

    async def plain(at_once, count, seed):
        requests = (await recorded(options, counter, seed, known))[:count]
        given = bodies(requests, server.name, OPTIONS)
        took = await send(server.base_url, server.headers, given, at_once)
        rows.append({"what": "plain client", "in_flight": at_once, **row(took), "seed": seed})
        keep("ceiling", rows)
        note(f"plain client, {at_once} in flight: {took.rate:.2f} requests/s")

    async def octavo(seed):
        backend = Noise(options.model, profile)
        texts = texts_for(options, counter, seed)
        ran = await fold(*MAP, texts, backend, profile)
        await backend.close()
        shown = {"requests": ran.sent, "rate": ran.sent / ran.seconds, **asdict(ran)}
        shown["rate_sending"] = ran.sent / ran.sending
        rows.append({"what": "octavo map", "in_flight": None, **shown, "seed": seed})
        keep("ceiling", rows)
        note(
            f"octavo map: {ran.sent} requests, {ran.sent / ran.seconds:.2f}/s, from the first call"
            f" on {ran.sent / ran.sending:.2f}/s {ran.error or ''}"
        )

    few = max(8, options.requests // 8)
    await plain(256, few, 11)  # the first requests find a cold server
    rows.clear()
    if options.widths:
        await plain(16, 2 * few, 12)
        await plain(64, 4 * few, 13)
    for round_ in range(options.rounds):
        await plain(256, None, 20 + round_)
        await octavo(40 + round_)
    return rows


def row(took):
    return {
        "requests": took.requests,
        "seconds": took.seconds,
        "rate": took.rate,
        "prompt": took.prompt,
        "cached": took.cached,
        "completion": took.completion,
    }


async def strategies(options, server, note, keep, left):
    """Measure each strategy over a document, and the same requests without care for order."""
    known = known_of(options)
    counter = counter_named(known.tokenizer or "estimate")
    profile = profile_of(server, options)
    (text,) = documents(prose, counter, 1, options.tokens, 90)
    size = counter.count(text)
    rows = []
    for name, params, order in STRATEGIES:
        if options.only and name not in options.only:
            continue
        if left() < 20:
            note(f"{name}: no time left")
            continue
        backend = Noise(options.model, profile)
        # A mark of its own in the document: what one strategy left in the cache helps no other.
        marked = f"{name.title()} edition.\n\n{text}"
        try:
            async with asyncio.timeout(left()):
                ran = await fold(name, params, [marked], backend, profile)
        except TimeoutError:
            note(f"{name}: not done in the time left")
            continue
        except Exception as error:  # noqa: BLE001 - the others still tell something
            note(f"{name}: {type(error).__name__}: {error}")
            continue
        finally:
            await backend.close()
        shown = {"strategy": name, "document": size, "order": order, **asdict(ran)}
        rows.append(shown)
        keep("strategies", rows)
        try:
            true = await ideal(server.base_url, server.headers, backend.requests)
        except Exception as error:  # noqa: BLE001 - the run's own figures stand
            note(f"{name}: its ideal is not known: {type(error).__name__} {error}")
        else:
            shown |= {"tokenized": true.prompt, "true_ideal": true.saved}
            keep("strategies", rows)
        note(told(name, ran, shown.get("true_ideal")))
        if ran.error is None and options.naive:
            await naive(options, server, backend.requests, order, shown, note, left)
            keep("strategies", rows)
    return rows


async def naive(options, server, requests, order, shown, note, left):
    """Send a run's requests again, none sharing a prefix with another."""
    given = spoilt(bodies(requests, server.name, OPTIONS))
    at_once = 1 if order == "in turn" else 256
    seed = None if order == "in turn" else 5
    try:
        async with asyncio.timeout(max(1.0, left())):
            took = await send(server.base_url, server.headers, given, at_once, order=seed)
    except (TimeoutError, ExceptionGroup, RuntimeError) as error:
        note(f"{shown['strategy']}, naive: {type(error).__name__} {error}")
        return
    shown["naive"] = row(took)
    times = took.seconds / shown["sending"]
    note(f"{shown['strategy']}, naive: {took.seconds:.1f} s, {times:.1f} times as long")


def told(name: str, ran: Ran, true: int | None) -> str:
    most = ran.ideal if true is None else true
    how = "told from the journal" if true is None else "in full blocks of the server's own tokens"
    least = max(1, ran.asked - most)
    return (
        f"{name}: {ran.sent} calls, {ran.seconds:.1f} s, {ran.prompt:,} tokens of prompts,"
        f" {ran.cached:,} cached ({ran.kept / (most or 1):.3f} of the ideal {most:,}, {how}),"
        f" {ran.computed:,} computed ({(ran.asked - ran.kept) / least:.3f} of the least)"
        f" {ran.error or ''}"
    )
