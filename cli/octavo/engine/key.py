"""The name of a call: equal keys mean equal replies are wanted."""

from __future__ import annotations

import hashlib
import json

from octavo.protocols import Request

__all__ = ["compute_key"]

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
