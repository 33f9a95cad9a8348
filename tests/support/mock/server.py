"""A lean OpenAI-compatible server whose replies depend on the request alone.

HTTP is read by hand (Content-Length only, one request at a time on a connection), since a framework
would be slower than the clients that this is made to measure.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from hashlib import blake2b
from typing import Any, TextIO

import orjson

from .answer import BROKEN, Answer, Call, Decided, Entry, events, failure, too_long
from .behaviour import Behaviour, PrefixCache, RateLimit
from .connection import Connection
from .replies import embedding, record, sentences

__all__ = ["MockServer"]


class MockServer:
    """Serves one Behaviour on loopback and logs every chat call in `log`, in order of their end.

    `answer`, when given, may return an Answer for a call, or None to leave it to the behaviour.
    With `keep`, `calls` has every request.
    """

    def __init__(
        self,
        behaviour: Behaviour | None = None,
        *,
        answer: Callable[[Call], Answer | None] | None = None,
        log: TextIO | None = None,
        keep: bool = False,
    ) -> None:
        self.behaviour = behaviour or Behaviour()
        self.answer = answer
        self.calls: list[Call] = []
        self.log: list[Entry] = []
        self.url = ""
        self.in_flight = 0
        self.most_in_flight = 0
        self.connections: set[Connection] = set()
        self._keep = keep
        self._file = log
        self._turns: Counter[bytes] = Counter()
        self._limits = self._limits_of(self.behaviour)
        self._cache = PrefixCache() if self.behaviour.cached else None
        self._start = time.monotonic()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> str:
        """Listen on loopback; return the base URL."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self, loop), "127.0.0.1", port, backlog=2048
        )
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self.url

    async def stop(self) -> None:
        """Close the socket and all connections."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self.connections):
            connection.transport.abort()
        await asyncio.sleep(0)

    def now(self) -> float:
        """Return the seconds since the server was made."""
        return time.monotonic() - self._start

    def write(self, entry: Entry) -> None:
        """Log one call."""
        self.log.append(entry)
        if self._file is not None:
            self._file.write(orjson.dumps(asdict(entry)).decode() + "\n")
            self._file.flush()

    def decide(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> Decided:
        """Return the answer to a request, without waiting."""
        digest = blake2b(raw, digest_size=16).digest()
        turn = self._turns[digest]
        self._turns[digest] += 1
        try:
            body = orjson.loads(raw) if raw else None
        except orjson.JSONDecodeError:
            answer = failure(400, "the body is no JSON", "invalid_request_error")
        else:
            call = Call(method, path.removeprefix("/v1"), headers, body, digest, turn)
            if self._keep:
                self.calls.append(call)
            chosen = self.answer(call) if self.answer is not None else None
            answer = chosen or self._answer(call)
        return digest, turn, answer

    def _answer(self, call: Call) -> Answer:
        if call.method == "GET" and call.path == "/models":
            model = {"id": self.behaviour.model, "object": "model", "owned_by": "mock"}
            if self.behaviour.window:
                model["max_model_len"] = self.behaviour.window
            return Answer(body={"object": "list", "data": [model]})
        if call.method == "POST" and call.path == "/chat/completions":
            if not isinstance(call.body, dict) or not call.body.get("messages"):
                return failure(400, "a chat has messages", "invalid_request_error")
            if (refused := self._limited(call.body)) is not None:
                return refused
            answer = self._chat(call)
            return replace(answer, headers={**answer.headers, **self._told()})
        if call.method == "POST" and call.path == "/embeddings":
            return self._embeddings(call)
        return failure(404, f"no such path: {call.path}", "not_found")

    def _embeddings(self, call: Call) -> Answer:
        body = call.body if isinstance(call.body, dict) else {}
        texts = body.get("input")
        texts = [texts] if isinstance(texts, str) else texts
        if not texts or not all(isinstance(text, str) for text in texts):
            return failure(400, "the input is a text or a list of texts", "invalid_request_error")
        data = [
            {"object": "embedding", "index": place, "embedding": embedding(text)}
            for place, text in enumerate(texts)
        ]
        prompt = sum(len(text) // 4 + 1 for text in texts)
        seconds = self.behaviour.time(call.digest, call.turn, prompt, 0)
        fault = self.behaviour.fault(call.digest, call.turn)
        spent = {"seconds": seconds, "prompt": prompt, "fault": fault}
        if fault in BROKEN:
            return BROKEN[fault](**spent)
        usage = {"prompt_tokens": prompt, "total_tokens": prompt}
        listed = {"object": "list", "model": body.get("model"), "data": data, "usage": usage}
        return Answer(body=listed, broken=fault == "cut", **spent)

    @staticmethod
    def _limits_of(behaviour: Behaviour) -> dict[str, RateLimit]:
        rates = {"requests": behaviour.rate, "tokens": behaviour.token_rate}
        return {
            of: RateLimit(rate, burst=behaviour.burst, of=of) for of, rate in rates.items() if rate
        }

    def _limited(self, body: Mapping[str, Any]) -> Answer | None:
        """Refuse a call that is beyond the limits, or take what it costs."""
        if 0 < self.behaviour.in_flight <= self.in_flight:
            return failure(429, "too many calls at once", "rate_limit_exceeded")
        if not self._limits:
            return None
        tokens = len(orjson.dumps(body["messages"])) // 4 + _longest(body)
        costs = {"requests": 1.0, "tokens": float(tokens)}
        wait = max(each.wait(self.now(), costs[of]) for of, each in self._limits.items())
        if wait:
            headers = self._told() | {"retry-after": f"{math.ceil(wait)}"}
            headers["retry-after-ms"] = f"{wait * 1000:.0f}"
            shown = headers if self.behaviour.told else {}
            return failure(429, "too many calls", "rate_limit_exceeded", shown)
        for of, each in self._limits.items():
            each.take(costs[of])
        return None

    def _told(self) -> dict[str, str]:
        """Return the headers that every answer has."""
        if not self.behaviour.told:
            return {}
        return {
            name: value for each in self._limits.values() for name, value in each.headers().items()
        }

    def _chat(self, call: Call) -> Answer:
        behaviour, body = self.behaviour, call.body
        messages = orjson.dumps(body["messages"])
        prompt = len(messages) // 4
        limit = _longest(body)
        if behaviour.window and prompt + limit > behaviour.window:
            return too_long(prompt + limit, behaviour.window)
        chosen = messages + b"%d" % (body.get("seed") or 0)
        number = int.from_bytes(blake2b(chosen, digest_size=8).digest())
        schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
        text, tokens, finish = record(schema, number) if schema else sentences(number, limit)
        cached = self._cache.take(messages.decode()) if self._cache is not None else 0
        seconds = behaviour.time(call.digest, call.turn, prompt - cached, tokens)
        fault = behaviour.fault(call.digest, call.turn)
        spent = {"seconds": seconds, "prompt": prompt, "cached": cached, "fault": fault}
        if fault in BROKEN:
            return BROKEN[fault](**spent)
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if fault == "length":
            message["content"], finish = text[: len(text) // 2], "length"
        if fault == "refusal":
            message |= {"content": None, "refusal": "I can't help with that."}
            finish = "content_filter"
        usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": tokens}
        usage["total_tokens"] = prompt + tokens
        if self._cache is not None:
            usage["prompt_tokens_details"] = {"cached_tokens": cached}
        head = {"id": "chatcmpl-mock", "created": 0, "model": behaviour.model}
        empty, broken = fault == "empty", fault == "cut"
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": finish}
            head |= {"object": "chat.completion", "choices": [] if empty else [choice]}
            return Answer(body=head | {"usage": usage}, reply=tokens, broken=broken, **spent)
        if not (body.get("stream_options") or {}).get("include_usage"):
            usage = {}
        sent = events(head, None if empty else message, finish, usage)
        return Answer(events=sent, reply=tokens, broken=broken, **spent)


def _longest(body: Mapping[str, Any]) -> int:
    """Return the most tokens that a reply may have."""
    return body.get("max_completion_tokens") or body.get("max_tokens") or 256
