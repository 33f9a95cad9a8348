"""A model that vLLM serves: by a server that Octavo starts and stops, or by one that runs already.

It is addressed like any OpenAI-compatible server. On top of that vLLM keeps the beginnings of
prompts computed and reports how much of each it had, takes an order of calls, constrains replies to
a schema, counts a prompt with its own tokenizer, scores a given text, and reports the size of its
cache.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from octavo.backends.openai.backend import OpenAIBackend
from octavo.backends.openai.json_access import as_count, as_object, as_text
from octavo.backends.vllm.model_files import find_tokenizer_file, identify_model
from octavo.backends.vllm.server import VLLMServer, build_command, create_root_transport
from octavo.errors import BackendError, ContextError, ModelError, UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile, Transient
from octavo.protocols.calls import Embedded, Reply, Request, TokenLogprob
from octavo.protocols.transport import Transport

__all__ = ["BACKEND", "VLLMBackend", "add_version_path", "fetch_cache_size", "list_model_names"]


_CACHE_METRIC = re.compile(r"vllm:cache_config_info\{([^}]*)\}")
_METRIC_LABEL = re.compile(r'(\w+)="([^"]*)"')


async def fetch_cache_size(root: Transport) -> int | None:
    """Return the tokens that a server's cache holds, by its metrics, if it has some."""
    try:
        reply = await root.get("/metrics")
    except Transient:
        return None
    blocks = 0
    for found in _CACHE_METRIC.finditer(reply.body if isinstance(reply.body, str) else ""):
        labels = dict(_METRIC_LABEL.findall(found[1]))
        with suppress(KeyError, ValueError):
            blocks += int(labels["num_gpu_blocks"]) * int(labels["block_size"])
    return blocks or None


def list_model_names(model: Mapping[str, Any]) -> set[str]:
    """Return the names that a served model answers to, and the one it was loaded by."""
    return {as_text(model.get("id")), as_text(model.get("root"))}


def add_version_path(url: str | None) -> str | None:
    """Return a server's address with the `/v1` that its users tend to leave out."""
    if not url:
        return None
    plain = url.rstrip("/")
    return plain if "/" in plain.partition("://")[2] else f"{plain}/v1"


Given = TypeVar("Given")

_URL_VARIABLE = "OCTAVO_VLLM_URL"
_DEFAULT_MAX_CALLS = 256
"""Calls that a server computes at once, where nothing else is said."""

_SMALL_CALL_TOKENS = 1024
"""Tokens of a small call. A server that is sent more than fits its cache keeps the rest waiting, in
their order; one that is sent less stands idle."""

_MAX_RESTARTS = 1


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
        self._url = add_version_path(profile.base_url or os.environ.get(_URL_VARIABLE))
        if self._url is not None:
            self._create_client(self._url, name)  # says now what is wrong with the address
        self._server: VLLMServer | None = None
        self._client: OpenAIBackend | None = None
        self._root: Transport | None = None
        self._window: int | None = None
        self._has_tokenizer = False
        self._cache_tokens: int | None = None
        self._start_count = 0
        self._connect_lock = asyncio.Lock()
        self._start_task: asyncio.Task[VLLMServer] | None = None
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
        """The model with its revision and quantization; see `vllm_model.named`."""
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
        await self._connect()
        known = self.known
        return replace(
            known,
            window=known.window or self._window,
            parallel=known.parallel or self._compute_parallel(),
        )

    async def check(self) -> str:
        """Return how a running server is, or that there is a vLLM to start; starts nothing.

        Raises what `contact` and `send` raise.
        """
        if self._url is not None:
            await self._connect()
            return "it answers and has the model"
        build_command(self._name, self._name, self._profile.serve, 0)
        return "vLLM is here and is started for a run"

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer one request, starting the server first if this is the first one.

        A server of Octavo's own that dies is started once more, and the calls that were in flight
        are sent again. Raises what the openai backend raises, UsageError when there is no vLLM,
        BackendError and ModelError when it does not come up or dies again.
        """
        verified = None if request.scores else request
        return await self._send_with_restart(lambda client: client.send(request, started), verified)

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request; see Sampling. Raises what `send` raises."""
        return await self._send_with_restart(
            lambda client: client.sample(requests, started), requests[0]
        )

    async def _send_with_restart(
        self, send: Callable[[OpenAIBackend], Awaitable[Given]], request: Request | None = None
    ) -> Given:
        """Return what a server gives, its successor where it dies meanwhile."""
        while True:
            client = await self._connect()
            server = self._server
            try:
                if request is not None:
                    await self._require_fit(request)
                return await send(client)
            except Transient as fault:
                lost = fault.kind in {"connection", "server"}
                if not lost or server is None or not await server.is_dying():
                    raise

    async def score(self, text: str, *, given: str = "") -> tuple[TokenLogprob, ...]:
        """Return the tokens of a text with their log probabilities; see protocols.Request."""
        return await self._send_with_restart(lambda client: client.score(text, given=given))

    @property
    def embedder(self) -> str:
        """The model that embeds, wherever it is served."""
        return f"vllm {self.model}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text, by a model that embeds; raises what `send` raises."""
        return await self._send_with_restart(lambda client: client.embed(texts))

    async def close(self) -> None:
        """Stop a server of Octavo's own and close all connections; safe to call twice."""
        self.give_up()
        if self._start_task is not None:
            with suppress(BaseException):
                await self._start_task
        await self._disconnect()
        server, self._server = self._server, None
        if server is not None:
            await server.close()

    def give_up(self) -> None:
        """Start nothing any more; see protocols.Starting."""
        # Cancelled once: a second time would interrupt the server's end.
        if self._start_task is not None and not self._given_up:
            self._start_task.cancel()
        self._given_up = True

    async def _connect(self) -> OpenAIBackend:
        """Return the way to the server, starting it when there is none or it has died."""
        async with self._connect_lock:
            if self._client is not None and (self._server is None or self._server.alive):
                return self._client
            await self._disconnect()
            if self._url is not None:
                return await self._set_up_client(self._url, {})
            await self._remove_dead_server()
            server = self._server = await self._start_server()
            return await self._set_up_client(server.base_url, server.headers)

    async def _remove_dead_server(self) -> None:
        """Clear up after a server that died; raises BackendError when it was the second one."""
        server, self._server = self._server, None
        if server is None:
            return
        words = server.last_error
        last = self._start_count > _MAX_RESTARTS
        await server.close(keep_log=last)
        if last:
            raise BackendError(
                f"vLLM ended {self._start_count} times while it answered: {words}",
                hint="run the same command again: what was answered is kept",
            )
        self._report_stage(f"vLLM ended while it answered ({words}); starting it again")

    async def _start_server(self) -> VLLMServer:
        if self._given_up:
            raise BackendError("the run was stopped before vLLM had started")
        self._start_count += 1
        # A task of its own, so that it can be given up while several calls wait for it.
        self._start_task = asyncio.ensure_future(
            VLLMServer.start(self._name, self._profile, self._report_stage)
        )
        try:
            return await self._start_task
        except asyncio.CancelledError:
            if not self._given_up:
                self._start_task.cancel()
                raise
            raise BackendError("the run was stopped before vLLM had started") from None
        finally:
            self._report_stage("")

    def _report_stage(self, stage: str) -> None:
        if self.stage is not None:
            self.stage(stage)

    async def _set_up_client(self, url: str, headers: Mapping[str, str]) -> OpenAIBackend:
        """Learn what a server that answers can do, and how it calls the model."""
        root = create_root_transport(url, dict(headers), self._profile.timeout)
        client = self._create_client(
            url, self._server.name if self._server else self._name, headers
        )
        try:
            mine = self._find_served_model(await client.list_models(), url)
            if mine is not None and as_text(mine.get("id")) != client.model:
                await client.close()
                client = self._create_client(url, as_text(mine.get("id")), headers)
            self._window = as_count(mine.get("max_model_len")) if mine is not None else None
            told = self._server.capacity if self._server else None
            self._cache_tokens = told or await fetch_cache_size(root)
        except BaseException:
            await client.close()
            await root.close()
            raise
        self._client, self._root = client, root
        self._has_tokenizer = self.known.tokenizer is not None
        if self.capacity is not None and (parallel := self._compute_parallel()):
            self.capacity(parallel)
        return client

    def _find_served_model(
        self, models: Sequence[Mapping[str, Any]], url: str
    ) -> Mapping[str, Any] | None:
        """Return the model that is meant; None where a server lists none."""
        if self._server is not None:
            return next(iter(models), None)
        mine = next((each for each in models if self._name in list_model_names(each)), None)
        if mine is None and models:
            served = ", ".join(sorted(as_text(each.get("id")) for each in models))
            raise ModelError(
                f"the server at {url} does not serve the model {self._name!r}",
                hint=f"choose one of: {served}",
            )
        return mine

    def _create_client(
        self, url: str, name: str, headers: Mapping[str, str] | None = None
    ) -> OpenAIBackend:
        profile = self._profile
        changes: dict[str, Any] = {
            "base_url": url,
            "headers": {**profile.headers, **(headers or {})},
            "stream": True,  # the first token is what calls that share a prompt wait for
            "structured": profile.structured is not False,
            "logprobs": True,
            "priority": True,
        }
        if isinstance(profile.embeddings, str):
            changes["embeddings"] = name  # one server has one model
        return OpenAIBackend(name, profile.model_copy(update=changes))

    def _compute_parallel(self) -> int | None:
        if self._cache_tokens is None:
            return None
        most = self._profile.serve.max_num_seqs or _DEFAULT_MAX_CALLS
        return max(1, min(most, self._cache_tokens // _SMALL_CALL_TOKENS))

    async def _require_fit(self, request: Request) -> None:
        """Have the server count a prompt that may not fit, which costs no computing.

        Raises ContextError with the numbers when it does not.
        """
        window = self._profile.window or self._window
        if window is None or self._root is None or self._has_tokenizer:
            return
        size = sum(len(message.content.encode("utf-8", "replace")) for message in request.messages)
        if size / 2 + request.max_tokens <= window:  # text takes more than two bytes a token
            return
        messages = [{"role": each.role, "content": each.content} for each in request.messages]
        reply = await self._root.post("/tokenize", {"messages": messages})
        tokens = as_count(as_object(reply.body).get("count"))
        if tokens is not None and tokens + request.max_tokens > window:
            raise ContextError(
                f"a prompt of {tokens:,} tokens and a reply of {request.max_tokens:,} do not fit"
                f" the window of {window:,} tokens of {self._name}",
                hint="split to fewer tokens, or raise max_model_len in the profile's `serve`",
            )

    async def _disconnect(self) -> None:
        client, self._client = self._client, None
        root, self._root = self._root, None
        for each in (client, root):
            if each is not None:
                await each.close()


BACKEND = BackendType(
    name="vllm",
    about="a model by vLLM, which is started for the run; or a server that runs, at"
    f" {_URL_VARIABLE}",
    open=VLLMBackend,
)
"""The backend of `-m vllm:Qwen/Qwen3-8B`."""
