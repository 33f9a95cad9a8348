"""The key of a call: equal keys mean equal replies are wanted.

Samples of one prompt have keys of their own. Those that wait at the same time may be asked for by
one request, and share the key of their prompt.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

from octavo.protocols import Request

__all__ = ["can_join_samples", "compute_key", "compute_prompt_key"]


_VERSION = b"octavo key 1"


def compute_key(request: Request, *, identity: str, model: str) -> bytes:
    """Return the SHA-256 that names a call.

    It covers the backend's identity, the model, and the neutral request: messages, sampling,
    schema, sample and attempt number. Nothing about time, place, order or the server's dialect
    enters, so the same question always has the same key. A golden test holds the keys of an
    example: changing them makes everyone pay again.
    """
    head = json.dumps(
        [
            identity,
            model,
            request.max_tokens,
            request.temperature,
            request.schema,
            request.logprobs,
            request.sample,
            request.attempt,
            [[message.role, len(message.content)] for message in request.messages],
            *(("scores",) if request.scores else ()),
        ],
        sort_keys=True,
        separators=(",", ":"),
    )
    digest = hashlib.sha256(_VERSION)
    digest.update(head.encode())
    for message in request.messages:
        digest.update(message.content.encode("utf-8", "surrogatepass"))
    return digest.digest()


def can_join_samples(request: Request) -> bool:
    """Tell whether other samples of a request's prompt may be asked for together with it.

    The first sample goes alone: it is that of a step that asks once, and mostly greedy, and
    greedily all samples would be the same.
    """
    return request.sample > 0 and request.temperature != 0


def compute_prompt_key(request: Request) -> bytes:
    """Return a name that requests share that differ in their sample numbers alone."""
    return compute_key(replace(request, sample=0), identity="", model="")
