"""A model that vLLM serves: by a server that Octavo starts and stops, or by one that runs already.

It is addressed like any OpenAI-compatible server. On top of that vLLM keeps the beginnings of
prompts computed and reports how much of each it had, takes an order of calls, constrains replies to
a schema, counts a prompt with its own tokenizer, scores a given text, and reports the size of its
cache.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from octavo.backends.vllm.model_files import find_tokenizer_file, identify_model
from octavo.config.endpoint import require_allowed_options, resolve_endpoint
from octavo.errors import UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile
from octavo.protocols.calls import Embedded, Reply, Request

if TYPE_CHECKING:
    from octavo.backends.vllm.connection import VLLMConnection

__all__ = ["BACKEND", "VLLMBackend"]


_URL_VARIABLE = "OCTAVO_VLLM_URL"


class VLLMBackend:
    """A model behind vLLM; nothing is started, imported or connected before it is needed.

    `base_url` in the profile, else OCTAVO_VLLM_URL, names a server that runs. Raises UsageError
    for an address or options that cannot be.
    """

    def __init__(self, name: str, profile: Profile) -> None:
        if not name:
            hint = "write -m vllm:Qwen/Qwen3-8B"
            raise UsageError("`vllm:` needs a model's name or directory", hint=hint)
        self._name = name
        self._profile = profile
        self._url = _add_version_path(profile.base_url or os.environ.get(_URL_VARIABLE))
        if self._url is not None:
            resolve_endpoint(profile.model_copy(update={"base_url": self._url}), os.environ)
            require_allowed_options(profile)
        self._connection: VLLMConnection | None = None
        self._given_up = False
        self.stage: Callable[[str], None] | None = None
        self.capacity: Callable[[int], None] | None = None

    @property
    def identity(self) -> str:
        """The profile's word, else `vllm`; with the options, which change the answers."""
        name = self._profile.identity or "vllm"
        if not self._profile.options:
            return name
        options = json.dumps(self._profile.options, sort_keys=True, default=str)
        return f"{name}#{hashlib.sha256(options.encode()).hexdigest()[:16]}"

    @property
    def model(self) -> str:
        """The model with its revision and quantization; see `model_files.identify_model`."""
        return identify_model(self._name, self._profile.serve)

    @property
    def known(self) -> Capabilities:
        """What holds for any vLLM, what the profile says, and the tokenizer if it is here."""
        profile = self._profile
        return Capabilities(
            window=profile.window or profile.serve.max_model_len,
            tokenizer=profile.tokenizer or find_tokenizer_file(self._name, profile.serve),
            structured=True,
            logprobs=True,
            prompt_logprobs=True,
            embeddings=isinstance(profile.embeddings, str),
            tokenize=True,
            samples=True,
            cached_usage=True,
            priority=True,
            parallel=profile.parallel,
        )

    async def contact(self) -> Capabilities:
        """Return what is known, with the window and the capacity that the server tells.

        Starts the server if it is Octavo's own. Raises what `send` raises.
        """
        connection = self._open_connection()
        await connection.connect()
        known = self.known
        return replace(
            known,
            window=known.window or connection.window,
            parallel=known.parallel or connection.parallel,
        )

    async def check(self) -> str:
        """Return how a running server is, or that there is a vLLM to start; starts nothing.

        Raises what `contact` and `send` raise.
        """
        return await self._open_connection().check()

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer one request, starting the server first if this is the first one.

        A server of Octavo's own that dies is started once more, and the calls that were in flight
        are sent again. Raises what the openai backend raises, UsageError when there is no vLLM,
        BackendError and ModelError when it does not come up or dies again.
        """
        verified = None if request.scores else request
        return await self._open_connection().send(
            lambda client: client.send(request, started), verified
        )

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request; see Sampling. Raises what `send` raises."""
        return await self._open_connection().send(
            lambda client: client.sample(requests, started), requests[0]
        )

    @property
    def embedder(self) -> str:
        """The model that embeds, wherever it is served."""
        return f"vllm {self.model}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text, by a model that embeds; raises what `send` raises."""
        return await self._open_connection().send(lambda client: client.embed(texts))

    async def close(self) -> None:
        """Stop a server of Octavo's own and close all connections; safe to call twice."""
        self.give_up()
        if self._connection is not None:
            await self._connection.close()

    def give_up(self) -> None:
        """Start nothing any more; see protocols.Starting."""
        self._given_up = True
        if self._connection is not None:
            self._connection.give_up()

    def _open_connection(self) -> VLLMConnection:
        if self._connection is None:
            from octavo.backends.vllm.connection import (  # noqa: PLC0415 - only at the first call
                VLLMConnection,
            )

            self._connection = VLLMConnection(
                self._name, self._profile, self._url, self._report_stage, self._report_capacity
            )
            if self._given_up:
                self._connection.give_up()
        return self._connection

    def _report_stage(self, stage: str) -> None:
        if self.stage is not None:
            self.stage(stage)

    def _report_capacity(self, calls: int) -> None:
        if self.capacity is not None:
            self.capacity(calls)


def _add_version_path(url: str | None) -> str | None:
    """Return a server's address with the `/v1` that its users tend to leave out."""
    if not url:
        return None
    address = url.rstrip("/")
    return address if "/" in address.partition("://")[2] else f"{address}/v1"


BACKEND = BackendType(
    name="vllm",
    about="a model by vLLM, which is started for the run; or a server that runs, at"
    f" {_URL_VARIABLE}",
    open=VLLMBackend,
)
"""The backend of `-m vllm:Qwen/Qwen3-8B`."""
