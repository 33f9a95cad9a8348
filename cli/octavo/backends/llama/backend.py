"""The embedded model: llama.cpp on this machine, without a server, a key or a network.

It answers one call at a time, computing each with all processors: several at once were at most a
tenth faster, took a quarter of a gigabyte more for each, and rounded otherwise depending on
their neighbours. A call is greedy unless it asks for a temperature or is a further sample or
attempt, so the same call has the same reply.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from octavo.backends.llama.model_file import DEFAULT_MODEL, ModelFile, find_model
from octavo.backends.llama.process import LlamaProcess, LlamaSettings, count_available_cores
from octavo.backends.llama.weights import SMOLLM2, fetch_weights, find_models_directory
from octavo.errors import BackendError, ContextError, RequestError, UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile
from octavo.protocols.calls import Embedded, Finish, Reply, Request, TokenLogprob, Usage
from octavo.text.encoding import replace_surrogates
from octavo.text.vectors import to_vector

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

_EMBEDDING_WINDOW = 2048
"""Tokens of a text that is embedded: all of it is computed at once, in memory that grows with the
square."""

_VARIED_TEMPERATURE = 0.7
"""The temperature of further samples and attempts, which greedily would all be the same."""


class LlamaBackend:
    """A GGUF model in a process that is started at the first call.

    `progress` is told about the model's file when that has to be fetched.
    """

    def __init__(self, file: ModelFile, profile: Profile) -> None:
        self._file = file
        self._profile = profile
        self._lock = asyncio.Lock()
        self._process: LlamaProcess | None = None
        self._embedding: LlamaProcess | None = None
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
        _require_library()
        place = find_models_directory()
        if self._file.path is None and not (place / SMOLLM2.file).exists():
            return f"ready; the first run fetches the model, {SMOLLM2.size / 1e6:,.0f} MB"
        return "ready"

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer a request, loading the model first if this is the first one.

        Raises UsageError when llama.cpp is not installed, BackendError when the model cannot be
        fetched, loaded or kept alive, ContextError and RequestError when it refuses the request.
        """
        async with self._lock:
            if self._process is None or not self._process.alive:
                await _close_process(self._process)
                self._process = await self._start(self._file)
            body = await asyncio.to_thread(
                self._build_scoring_body if request.scores else self._build_body, request
            )
            answer = await self._process.ask(body, started, self._profile.timeout, request.draft)
        if "error" in answer:
            raise _build_call_error(answer["error"])
        reply = _parse_reply(answer["reply"], self._file.name)
        if request.scores:
            tokens = tuple(TokenLogprob(t.token, t.logprob) for t in reply.logprobs if t.token)
            return replace(reply, text="", logprobs=tokens)
        return reply

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
        async with self._lock:
            if self._embedding is None or not self._embedding.alive:
                await _close_process(self._embedding)
                self._embedding = await self._start(self._embedding_file, embeds=True)
            # The library embeds no empty text; a blank has a vector.
            body = {"texts": [text or " " for text in texts]}
            answer = await self._embedding.ask(body, lambda: None, self._profile.timeout)
        if "error" in answer:
            raise _build_embedding_error(answer["error"])
        vectors = tuple(to_vector(each) for each in answer["vectors"])
        return Embedded(vectors, Usage(prompt=answer["tokens"]))

    async def close(self) -> None:
        """End the model's processes."""
        processes = (self._process, self._embedding)
        self._process = self._embedding = None
        for process in processes:
            await _close_process(process)

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
            prompt_logprobs=self._file.path is None or self._split_words is not None,
            cached_usage=True,
            parallel=1,
        )

    @cached_property
    def _split_words(self) -> Callable[[str], Iterable[tuple[str, list[int] | None]]] | None:
        from octavo.tokens.gguf.counter import (  # noqa: PLC0415 - few runs score texts
            get_word_tokenizer,
        )

        return get_word_tokenizer(self._file.path or find_models_directory() / SMOLLM2.file)

    def _build_scoring_body(self, request: Request) -> dict[str, Any]:
        """Return the request that has the model write a given text and say how likely it was.

        The library gives no probabilities of a prompt's tokens, so the text is forced as a reply
        by a grammar, token by token; a word with tokens that are pieces of characters, as a word.
        That takes as long as writing it would.
        """
        assert self._split_words is not None
        given, text = (message.content for message in request.messages)
        grammar: list[str] = []
        most = 1
        for word, numbers in self._split_words(replace_surrogates(text)):
            if numbers is None:
                grammar.append(json.dumps(word, ensure_ascii=False))
                most += len(word.encode())
            else:
                grammar += [f"<[{number}]>" for number in numbers]
                most += len(numbers)
        return {
            "prompt": given or "\n",
            "grammar": f"root ::= {' '.join(grammar)}",
            "max_tokens": most,
            "temperature": 0.0,
            "logprobs": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }

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

    async def _start(self, file: ModelFile, *, embeds: bool = False) -> LlamaProcess:
        _require_library()
        path = file.path or await self._fetch_default()
        cores = count_available_cores()
        if not embeds:
            return await LlamaProcess.start(LlamaSettings(path, self._window, cores))
        window = min(file.trained_window or _EMBEDDING_WINDOW, _EMBEDDING_WINDOW)
        pools = not file.has_pooling
        return await LlamaProcess.start(
            LlamaSettings(path, window, cores, embeds=True, pools=pools)
        )

    async def _fetch_default(self) -> Path:
        """Return the default model's file, fetched if need be and checked in any case."""
        path = await fetch_weights(SMOLLM2, find_models_directory(), self.progress)
        if await asyncio.to_thread(lambda: ModelFile(DEFAULT_MODEL, path).digest) != SMOLLM2.sha256:
            raise BackendError(
                f"{path} is not the model that {DEFAULT_MODEL} stands for",
                hint="remove the file, and it is fetched again",
            )
        return path

    def _build_body(self, request: Request) -> dict[str, Any]:
        """Return the request as llama.cpp's server takes it."""
        again = request.sample > 0 or request.attempt > 0
        temperature = request.temperature
        if temperature is None:
            temperature = _VARIED_TEMPERATURE if again else 0.0
        body: dict[str, Any] = {
            "messages": [
                {"role": message.role, "content": message.content} for message in request.messages
            ],
            "max_tokens": request.max_tokens,
            "temperature": temperature,
            "seed": request.sample * 1000 + request.attempt,
            "stream": True,
            "stream_options": {"include_usage": True},
            "return_progress": True,
        }
        if request.schema is not None:
            schema = {"name": "reply", "schema": request.schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if request.logprobs:
            body["logprobs"] = True
            body["top_logprobs"] = request.logprobs
        for name, value in self._options.items():
            if value is None:
                body.pop(name, None)
            else:
                body[name] = value
        return body


def _build_call_error(error: Mapping[str, Any]) -> ContextError | RequestError:
    """Return what the library's refusal means; asking the same again would change nothing."""
    message = str(error.get("message", error))
    if error.get("type") == "exceed_context_size_error":
        return ContextError(f"the embedded model's window is too small: {message}")
    return RequestError(f"the embedded model refused the request: {message}")


def _build_embedding_error(error: Mapping[str, Any]) -> ContextError | RequestError:
    """Return what the library's refusal to embed a text means."""
    message = str(error.get("message", error))
    if "too large" in message or error.get("type") == "exceed_context_size_error":
        return ContextError(
            f"a text is too long to be embedded: {message}", hint="split to fewer tokens"
        )
    return RequestError(f"the embedded model does not embed: {message}")


async def _close_process(process: LlamaProcess | None) -> None:
    if process is not None:
        await process.close()


def _parse_reply(answer: Mapping[str, Any], model: str) -> Reply:
    """Return an answer of the process as a reply."""
    usage: Mapping[str, Any] = answer["usage"] or {}
    details: Mapping[str, Any] = usage.get("prompt_tokens_details") or {}
    return Reply(
        text=answer["text"],
        finish=Finish.LENGTH if answer["finish"] == "length" else Finish.STOP,
        usage=Usage(
            prompt=usage.get("prompt_tokens"),
            completion=usage.get("completion_tokens"),
            cached=details.get("cached_tokens"),
        ),
        reasoning=answer["reasoning"],
        logprobs=tuple(
            TokenLogprob(
                entry["token"],
                entry["logprob"],
                tuple((top["token"], top["logprob"]) for top in entry["top_logprobs"]),
            )
            for entry in answer["logprobs"]
        ),
        model=model,
    )


def _open(name: str, profile: Profile) -> LlamaBackend:
    return LlamaBackend(find_model(name), profile)


def _require_library() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError(
            "the embedded model needs the package xllamacpp, which is not installed",
            hint="pip install 'octavo[local]'",
        )


BACKEND = BackendType(
    name="llama",
    about="a model on this machine: smollm2, or a GGUF file by path",
    open=_open,
)
"""The backend of `-m llama:smollm2` and `-m llama:PATH`."""
