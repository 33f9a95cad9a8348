"""A plain client: the same requests, so many at once, with nothing around them."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass

import aiohttp
import orjson

__all__ = ["Took", "bodies", "send", "spoilt"]


@dataclass(frozen=True)
class Took:
    """Requests answered, seconds, and tokens as the server counted them."""

    requests: int
    seconds: float
    prompt: int
    cached: int
    completion: int

    @property
    def rate(self):
        return self.requests / self.seconds

    @property
    def computed(self):
        return self.prompt - self.cached


def bodies(requests, model, options):
    """Return requests as the bodies of unstreamed chat completions."""
    return [
        {
            "model": model,
            "messages": [{"role": m.role, "content": m.content} for m in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": request.temperature or 0.0,
            "seed": number,
            **options,
        }
        for number, request in enumerate(requests)
    ]


def spoilt(given, seed=1):
    """Return the same bodies, each with a beginning of its own, so that none shares a prefix."""
    draw = random.Random(seed)
    changed = []
    for body in given:
        first, *rest = body["messages"]
        salt = f"[{draw.getrandbits(64):016x}] "
        changed.append(body | {"messages": [{**first, "content": salt + first["content"]}, *rest]})
    return changed


async def send(url, headers, given, at_once, *, order=None):
    """Send all bodies, at most `at_once` at a time; `order` is a seed to shuffle them by."""
    queue = [orjson.dumps(body) for body in given]
    if order is not None:
        random.Random(order).shuffle(queue)
    waiting = iter(queue)
    usages = []

    async def worker(session):
        for raw in waiting:
            async with session.post(f"{url}/chat/completions", data=raw) as response:
                reply = orjson.loads(await response.read())
            if "usage" not in reply:
                msg = f"the server said: {str(reply)[:300]}"
                raise RuntimeError(msg)
            usages.append(reply["usage"])

    wide = aiohttp.TCPConnector(limit=0)
    patience = aiohttp.ClientTimeout(total=None)
    kind = {"Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession(connector=wide, timeout=patience, headers=kind) as session:
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for _ in range(min(at_once, len(queue))):
                group.create_task(worker(session))
        seconds = time.perf_counter() - begun
    details = [usage.get("prompt_tokens_details") or {} for usage in usages]
    return Took(
        requests=len(usages),
        seconds=seconds,
        prompt=sum(usage["prompt_tokens"] for usage in usages),
        cached=sum(each.get("cached_tokens") or 0 for each in details),
        completion=sum(usage["completion_tokens"] for usage in usages),
    )
