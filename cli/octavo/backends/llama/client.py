"""Asks the process of the embedded model: what a call becomes there, and what a reply means."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

from octavo.backends.llama.download import fetch_weights
from octavo.backends.llama.model_file import DEFAULT_MODEL, ModelFile
from octavo.backends.llama.process import LlamaProcess, LlamaSettings, count_available_cores
from octavo.backends.llama.weights import SMOLLM2, find_models_directory
from octavo.errors import BackendError, ContextError, RequestError, UsageError
from octavo.protocols.backends import Profile
from octavo.protocols.calls import Embedded, Finish, Reply, Request, TokenLogprob, Usage
from octavo.text.encoding import replace_surrogates
from octavo.text.vectors import to_vector

__all__ = ["LlamaClient"]


_EMBEDDING_WINDOW = 2048
"""Tokens of a text that is embedded: all of it is computed at once, in memory that grows with the
square."""

_VARIED_TEMPERATURE = 0.7
"""The temperature of further samples and attempts, which greedily would all be the same."""


class LlamaClient:
    """Starts the model's processes, one to reply and one to embed, and sends them calls.

    `options` are what every request's body gets.
    """

    def __init__(
        self,
        file: ModelFile,
        profile: Profile,
        window: int,
        options: Mapping[str, Any],
        report_progress: Callable[[str, int, int], None],
    ) -> None:
        self._file = file
        self._profile = profile
        self._window = window
        self._options = options
        self._report_progress = report_progress
        self._lock = asyncio.Lock()
        self._process: LlamaProcess | None = None
        self._embedding: LlamaProcess | None = None

    async def check(self) -> str:
        """Return whether the model's file is here; raises UsageError without llama.cpp."""
        _require_library()
        directory = find_models_directory()
        if self._file.path is None and not (directory / SMOLLM2.file).exists():
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

    async def embed(self, file: ModelFile, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text, by the model of a file."""
        async with self._lock:
            if self._embedding is None or not self._embedding.alive:
                await _close_process(self._embedding)
                self._embedding = await self._start(file, embeds=True)
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
        path = await fetch_weights(SMOLLM2, find_models_directory(), self._report_progress)
        if await asyncio.to_thread(lambda: ModelFile(DEFAULT_MODEL, path).digest) != SMOLLM2.sha256:
            raise BackendError(
                f"{path} is not the model that {DEFAULT_MODEL} stands for",
                hint="remove the file, and it is fetched again",
            )
        return path

    def _build_body(self, request: Request) -> dict[str, Any]:
        """Return the request as llama.cpp's server takes it."""
        is_repeat = request.sample > 0 or request.attempt > 0
        temperature = request.temperature
        if temperature is None:
            temperature = _VARIED_TEMPERATURE if is_repeat else 0.0
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
        prefix, text = (message.content for message in request.messages)
        grammar: list[str] = []
        max_tokens = 1
        for word, numbers in self._split_words(replace_surrogates(text)):
            if numbers is None:
                grammar.append(json.dumps(word, ensure_ascii=False))
                max_tokens += len(word.encode())
            else:
                grammar += [f"<[{number}]>" for number in numbers]
                max_tokens += len(numbers)
        return {
            "prompt": prefix or "\n",
            "grammar": f"root ::= {' '.join(grammar)}",
            "max_tokens": max_tokens,
            "temperature": 0.0,
            "logprobs": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


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


def _require_library() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError(
            "the embedded model needs the package xllamacpp, which is not installed",
            hint="pip install 'octavo[local]'",
        )
