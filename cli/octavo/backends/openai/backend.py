"""A backend for any server that speaks OpenAI's chat completions.

It says what keys and plans need. What sends is imported at the first request: a run that finds all
replies in the journal has none.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from octavo.config.endpoint import require_allowed_options, resolve_endpoint
from octavo.errors import UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile
from octavo.protocols.calls import Embedded, Reply, Request

if TYPE_CHECKING:
    from octavo.backends.openai.client import OpenAIClient

__all__ = ["BACKEND", "OpenAIBackend"]


class OpenAIBackend:
    """A model behind an OpenAI-compatible server.

    Nothing is imported, read or connected before the first request. Raises UsageError for an
    address or options that cannot be.
    """

    def __init__(self, name: str, profile: Profile) -> None:
        if not name:
            raise UsageError("`openai:` needs a model's name", hint="write -m openai:gpt-5-mini")
        self._name = name
        self._profile = profile
        self._endpoint = resolve_endpoint(profile, os.environ)
        require_allowed_options(profile)
        self._client: OpenAIClient | None = None

    @property
    def identity(self) -> str:
        """The profile's word, else the host without its port; with the options, if there are any.

        Options change the answers, so a call with others is another call.
        """
        name = self._profile.identity or self._endpoint.host
        if not self._profile.options:
            return name
        options = json.dumps(self._profile.options, sort_keys=True, default=str)
        return f"{name}#{hashlib.sha256(options.encode()).hexdigest()[:16]}"

    @property
    def place(self) -> str:
        """The server's base URL."""
        return self._endpoint.base_url

    @property
    def model(self) -> str:
        """The model's name."""
        return self._name

    @property
    def known(self) -> Capabilities:
        """What the profile says; of OpenAI's own server, what is documented."""
        profile, is_openai = self._profile, self._endpoint.is_openai
        return Capabilities(
            window=profile.window,
            tokenizer=profile.tokenizer,
            structured=is_openai if profile.structured is None else profile.structured,
            logprobs=bool(profile.logprobs),
            prompt_logprobs=bool(profile.prompt_logprobs),
            embeddings=isinstance(profile.embeddings, str),
            samples=True,
            cached_usage=is_openai,
            parallel=profile.parallel,
        )

    async def contact(self) -> Capabilities:
        """Return what is known, with the window that the server's list of models tells.

        A server that has no list or does not show it leaves the window unknown. Raises Transient
        when it does not answer, MissingKeyError, and AuthError for a key it does not know.
        """
        known = self.known
        if known.window is not None:
            return known
        return replace(known, window=await self._open_client().fetch_window())

    async def check(self) -> str:
        """Return whether the server answers and has the model, by its list of models.

        Raises Transient, MissingKeyError and AuthError as `contact` does, and ModelError.
        """
        return await self._open_client().check()

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer one request; `started` is called at the first token when the reply is streamed.

        Raises Transient for what may be tried again, MissingKeyError, AuthError, QuotaError and
        ModelError for what ends a run, ContextError and RequestError for what ends a call.
        """
        return await self._open_client().send(request, started)

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request with `n`; see Sampling.

        A server that refuses `n`, or does as if it were not there, answers the first alone.
        """
        return await self._open_client().sample(requests, started)

    @property
    def embedder(self) -> str:
        """The server as in calls' identity, and the embedding model that the profile names."""
        return f"{self._profile.identity or self._endpoint.host} {self._profile.embeddings}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text.

        Raises Transient for what may be tried again, and what else `send` raises.
        """
        return await self._open_client().embed(texts)

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        if self._client is not None:
            await self._client.close()

    def _open_client(self) -> OpenAIClient:
        if self._client is None:
            from octavo.backends.openai.client import (  # noqa: PLC0415 - only at the first call
                OpenAIClient,
            )

            self._client = OpenAIClient(self._name, self._profile, self._endpoint)
        return self._client


BACKEND = BackendType(
    name="openai",
    about="any OpenAI-compatible server: OPENAI_BASE_URL, or base_url in a profile",
    open=OpenAIBackend,
)
"""The backend of `-m openai:gpt-5-mini`."""
