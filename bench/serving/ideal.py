"""The most that a prefix cache could have had, from the server's own tokens of every prompt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import aiohttp
import orjson
from tests.support.haystack.cache import PrefixCache

__all__ = ["Ideal", "ideal"]

_AT_ONCE = 16


@dataclass(frozen=True)
class Ideal:
    """Tokens of prompts, and of those the ones in full blocks that an earlier prompt began with."""

    prompt: int
    saved: int


async def ideal(url, headers, requests):
    """Return the ideal of requests in the order in which they were sent.

    The server applies its chat template and tokenizer; blocks have 16 tokens, vLLM's default.
    """
    root = url.removesuffix("/v1")
    room = asyncio.Semaphore(_AT_ONCE)

    async def tokens(session, request):
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        body = orjson.dumps({"messages": messages})
        async with room, session.post(f"{root}/tokenize", data=body) as response:
            response.raise_for_status()
            return orjson.loads(await response.read())["tokens"]

    kind = {"Content-Type": "application/json", **headers}
    async with aiohttp.ClientSession(headers=kind) as session:
        prompts = await asyncio.gather(*(tokens(session, request) for request in requests))
    cache = PrefixCache()
    cache.read(prompts)
    return Ideal(cache.prompt, cache.saved)
