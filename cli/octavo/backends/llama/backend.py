"""The embedded model: llama.cpp on this machine, without a server, a key or a network.

It answers one call at a time, computing each with all processors: several at once were at most a
tenth faster, took a quarter of a gigabyte more for each, and rounded otherwise depending on
their neighbours. A call is greedy unless it asks for a temperature or is a further sample or
attempt, so the same call has the same reply.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from octavo.backends.llama.model_file import ModelFile, find_model
from octavo.backends.llama.weights import SMOLLM2
from octavo.errors import UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile
from octavo.protocols.calls import Embedded, Reply, Request

if TYPE_CHECKING:
    from octavo.backends.llama.client import LlamaClient

__all__ = ["BACKEND", "LlamaBackend"]


_MAX_UNASKED_WINDOW = 8192
"""Tokens of window that are taken unasked: the memory for it grows with it, for large models to
many gigabytes."""

_SMOLLM2_OPTIONS: Mapping[str, Any] = {
    "repeat_penalty": 1.1,
    "repeat_last_n": 256,
    "dry_multiplier": 0.8,
    "dry_allowed_length": 10,
    "dry_penalty_last_n": 256,
    "stop": ["</text "],
}
"""What keeps the smallest of models from going round in circles, over about the length of a reply
(a longer memory would hold the words of the document against it), and from going on behind a
repeated end of the fenced text. Other models need no such help."""


class LlamaBackend:
    """A GGUF model in a process that is started at the first call.

    `progress` is told about the model's file when that has to be fetched.
    """

    def __init__(self, file: ModelFile, profile: Profile) -> None:
        self._file = file
        self._profile = profile
        self._client: LlamaClient | None = None
        self.progress: Callable[[str, int, int], None] | None = None

    @property
    def identity(self) -> str:
        """The constant `llama` with a hash of the sampling that every call gets."""
        return self._identity

    @property
    def model(self) -> str:
        """The SHA-256 of the model's file; raises UsageError when it cannot be read."""
        return self._digest

    @property
    def known(self) -> Capabilities:
        """What the file's header says; raises UsageError when the profile wants more of it."""
        return self._known

    async def contact(self) -> Capabilities:
        """Return what is known: the model need not be loaded for it."""
        return self.known

    async def check(self) -> str:
        """Return whether the model's file is here; raises UsageError without llama.cpp."""
        return await self._open_client().check()

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer a request, loading the model first if this is the first one.

        Raises UsageError when llama.cpp is not installed, BackendError when the model cannot be
        fetched, loaded or kept alive, ContextError and RequestError when it refuses the request.
        """
        return await self._open_client().send(request, started)

    @property
    def embedder(self) -> str:
        """The SHA-256 of the file that embeds, and how its vectors are made."""
        file = self._embedding_file
        return f"llama:{file.digest} {'own' if file.has_pooling else 'mean'}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text: the mean of its tokens' in a model that writes.

        The model is loaded for it in a process of its own, so that replies stay the same to the
        last bit. Raises what `send` raises; ContextError for a text over 2,048 tokens.
        """
        return await self._open_client().embed(self._embedding_file, texts)

    async def close(self) -> None:
        """End the model's processes."""
        if self._client is not None:
            await self._client.close()

    def _open_client(self) -> LlamaClient:
        if self._client is None:
            from octavo.backends.llama.client import (  # noqa: PLC0415 - only at the first call
                LlamaClient,
            )

            self._client = LlamaClient(
                self._file, self._profile, self._window, self._options, self._report_progress
            )
        return self._client

    def _report_progress(self, name: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(name, done, total)

    @cached_property
    def _embedding_file(self) -> ModelFile:
        """The file that the profile names for embeddings, else the model's own."""
        named = self._profile.embeddings
        return find_model(named) if isinstance(named, str) else self._file

    @cached_property
    def _identity(self) -> str:
        options = json.dumps(dict(self._options), sort_keys=True)
        return f"llama:{hashlib.sha256(options.encode()).hexdigest()[:12]}"

    @cached_property
    def _options(self) -> Mapping[str, Any]:
        """What every request's body gets: the profile's options over the model's own."""
        if self._digest != SMOLLM2.sha256:
            return self._profile.options
        return {**_SMOLLM2_OPTIONS, **self._profile.options}

    @cached_property
    def _digest(self) -> str:
        return self._file.digest

    @cached_property
    def _known(self) -> Capabilities:
        return Capabilities(
            window=self._window,
            tokenizer=self._profile.tokenizer or self._tokenizer,
            structured=True,
            logprobs=True,
            embeddings=True,
            prompt_logprobs=self._can_score,
            cached_usage=True,
            parallel=1,
        )

    @cached_property
    def _can_score(self) -> bool:
        """Whether the tokenizer is one that a given text can be forced by; the default's is."""
        if self._file.path is None:
            return True
        from octavo.tokens.gguf.counter import get_word_tokenizer  # noqa: PLC0415 - only for a file

        return get_word_tokenizer(self._file.path) is not None

    @property
    def _window(self) -> int:
        trained = self._file.trained_window or _MAX_UNASKED_WINDOW
        wanted = self._profile.window or min(trained, _MAX_UNASKED_WINDOW)
        if wanted > trained:
            raise UsageError(
                f"the profile's window of {wanted} tokens is more than the {trained} that "
                f"{self._file.name} was trained for",
                hint=f"set `window = {trained}`, or leave it out",
            )
        return wanted

    @property
    def _tokenizer(self) -> str:
        """The file itself; for the default model the estimate, which needs no file to count."""
        path = self._file.path
        return str(path.absolute()) if path and path.suffix.lower() == ".gguf" else "estimate"


def _open(name: str, profile: Profile) -> LlamaBackend:
    return LlamaBackend(find_model(name), profile)


BACKEND = BackendType(
    name="llama",
    about="a model on this machine: smollm2, or a GGUF file by path",
    open=_open,
)
"""The backend of `-m llama:smollm2` and `-m llama:PATH`."""
