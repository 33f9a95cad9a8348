"""A backend for random weights: real requests and real computing, replies that can be read on.

What random weights write is noise that no step could read, and it never ends by itself. So each
reply is taken for whole and its text replaced by sentences or a record of the same number of
tokens, made of the prompt's and the reply's own text: the next prompts have the size that they
would have. Of the prompt's, too, since random weights may say the same to everything.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from hashlib import blake2b

from tests.support.mock.replies import record, sentences

from octavo.backends.vllm.backend import VLLMBackend
from octavo.protocols import Finish, Reply

__all__ = ["Noise", "Recorder"]


class Noise(VLLMBackend):
    """vLLM with random weights; keeps the requests, and when the first was sent."""

    def __init__(self, name, profile):
        super().__init__(name, profile)
        self.requests = []
        self.first = None

    async def send(self, request, started):
        if self.first is None:
            self.first = time.perf_counter()
        self.requests.append(request)
        reply = await super().send(request, started)
        return replace(reply, text=_told(request, reply), finish=Finish.STOP)


class Recorder:
    """Answers at once without a server and keeps the requests: what a run would send."""

    identity, model = "vllm", "recorder"

    def __init__(self, known):
        self.known = known
        self.requests = []

    async def contact(self):
        return self.known

    async def send(self, request, started):
        self.requests.append(request)
        started()
        return Reply(_told(request, Reply(str(len(self.requests)))))

    async def close(self):
        pass


def _told(request, reply):
    tokens = reply.usage.completion or request.max_tokens
    heard = f"{request.messages[-1].content}\0{reply.text}"
    number = int.from_bytes(blake2b(heard.encode(), digest_size=6).digest())
    if request.schema is None:
        return sentences(number, tokens)[0]
    if request.schema.get("title") == "revisions":
        return _revisions(number, tokens)
    return record(request.schema, number)[0]


def _revisions(number, tokens):
    """Return a record of facts that `memory` takes, of about so many tokens."""
    facts = [
        {"path": ["facts", f"n{number}{place}"], "op": "add", "value": [sentences(each, 11)[0]]}
        for place, each in enumerate(range(number, number + max(1, tokens // 48)))
    ]
    return json.dumps({"revisions": facts})
