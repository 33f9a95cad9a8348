"""The way to a vLLM server, which is started where none runs and restarted once when it dies."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from octavo.backends.openai.client import OpenAIClient
from octavo.backends.openai.json_access import as_count, as_object, as_text
from octavo.backends.vllm.model_files import find_tokenizer_file
from octavo.backends.vllm.server import VLLMServer, build_command, create_root_transport
from octavo.config.endpoint import resolve_endpoint
from octavo.errors import BackendError, ContextError, ModelError
from octavo.protocols.backends import Profile, Transient
from octavo.protocols.calls import Request
from octavo.protocols.transport import Transport

__all__ = ["VLLMConnection"]


Given = TypeVar("Given")

_CACHE_METRIC = re.compile(r"vllm:cache_config_info\{([^}]*)\}")
_METRIC_LABEL = re.compile(r'(\w+)="([^"]*)"')

_DEFAULT_MAX_CALLS = 256
"""Calls that a server computes at once, where nothing else is said."""

_SMALL_CALL_TOKENS = 1024
"""Tokens of a small call. A server that is sent more than fits its cache keeps the rest waiting, in
their order; one that is sent less stands idle."""

_MAX_RESTARTS = 1


class VLLMConnection:
    """The way to the server of one model, which is started where it has no address.

    `report_stage` is told what is being waited for, `report_capacity` how many calls the server is
    known to take at once. `window` is what a connected server tells.
    """

    def __init__(
        self,
        name: str,
        profile: Profile,
        url: str | None,
        report_stage: Callable[[str], None],
        report_capacity: Callable[[int], None],
    ) -> None:
        self._name = name
        self._profile = profile
        self._url = url
        self._report_stage = report_stage
        self._report_capacity = report_capacity
        self._server: VLLMServer | None = None
        self._client: OpenAIClient | None = None
        self._root: Transport | None = None
        self.window: int | None = None
        self._has_tokenizer = False
        self._cache_tokens: int | None = None
        self._start_count = 0
        self._connect_lock = asyncio.Lock()
        self._start_task: asyncio.Task[VLLMServer] | None = None
        self._given_up = False

    @property
    def parallel(self) -> int | None:
        """Calls that the server is known to take at once, once it is connected."""
        if self._cache_tokens is None:
            return None
        limit = self._profile.serve.max_num_seqs or _DEFAULT_MAX_CALLS
        return max(1, min(limit, self._cache_tokens // _SMALL_CALL_TOKENS))

    async def check(self) -> str:
        """Return how a running server is, or that there is a vLLM to start; starts nothing."""
        if self._url is not None:
            await self.connect()
            return "it answers and has the model"
        build_command(self._name, self._name, self._profile.serve, 0)
        return "vLLM is here and is started for a run"

    async def send(
        self, send: Callable[[OpenAIClient], Awaitable[Given]], request: Request | None = None
    ) -> Given:
        """Send a call; when the server dies meanwhile, send it to the restarted one.

        A `request` is checked for fit before.
        """
        while True:
            client = await self.connect()
            server = self._server
            try:
                if request is not None:
                    await self._require_fit(request)
                return await send(client)
            except Transient as fault:
                is_lost = fault.kind in {"connection", "server"}
                if not is_lost or server is None or not await server.is_dying():
                    raise

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

    async def connect(self) -> OpenAIClient:
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
        """Remove a server that died; raise BackendError when it was the second one."""
        server, self._server = self._server, None
        if server is None:
            return
        last_error = server.last_error
        is_last = self._start_count > _MAX_RESTARTS
        await server.close(keep_log=is_last)
        if is_last:
            raise BackendError(
                f"vLLM ended {self._start_count} times while it answered: {last_error}",
                hint="run the same command again: what was answered is kept",
            )
        self._report_stage(f"vLLM ended while it answered ({last_error}); starting it again")

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

    async def _set_up_client(self, url: str, headers: Mapping[str, str]) -> OpenAIClient:
        """Learn what a server that answers can do, and how it calls the model."""
        root = create_root_transport(url, dict(headers), self._profile.timeout)
        name = self._server.name if self._server else self._name
        client = self._create_client(url, name, headers)
        try:
            entry = self._find_served_model(await client.list_models(), url)
            if entry is not None and (served_name := as_text(entry.get("id"))) != name:
                await client.close()
                client = self._create_client(url, served_name, headers)
            self.window = as_count(entry.get("max_model_len")) if entry is not None else None
            capacity = self._server.capacity if self._server else None
            self._cache_tokens = capacity or await _fetch_cache_size(root)
        except BaseException:
            await client.close()
            await root.close()
            raise
        self._client, self._root = client, root
        profile = self._profile
        tokenizer = profile.tokenizer or find_tokenizer_file(self._name, profile.serve)
        self._has_tokenizer = tokenizer is not None
        if self.parallel is not None:
            self._report_capacity(self.parallel)
        return client

    def _find_served_model(
        self, models: Sequence[Mapping[str, Any]], url: str
    ) -> Mapping[str, Any] | None:
        """Return the model that is meant; None where a server lists none."""
        if self._server is not None:
            return next(iter(models), None)
        entry = next((each for each in models if self._name in _list_model_names(each)), None)
        if entry is None and models:
            served = ", ".join(sorted(as_text(each.get("id")) for each in models))
            raise ModelError(
                f"the server at {url} does not serve the model {self._name!r}",
                hint=f"choose one of: {served}",
            )
        return entry

    def _create_client(self, url: str, name: str, headers: Mapping[str, str]) -> OpenAIClient:
        profile = self._profile
        changes: dict[str, Any] = {
            "base_url": url,
            "headers": {**profile.headers, **headers},
            "stream": True,  # the first token is what calls that share a prompt wait for
            "structured": profile.structured is not False,
            "logprobs": True,
            "priority": True,
        }
        if isinstance(profile.embeddings, str):
            changes["embeddings"] = name  # one server has one model
        changed = profile.model_copy(update=changes)
        return OpenAIClient(name, changed, resolve_endpoint(changed, os.environ))

    async def _require_fit(self, request: Request) -> None:
        """Have the server count a prompt that may not fit, which costs no computing.

        Raises ContextError with the numbers when it does not.
        """
        window = self._profile.window or self.window
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


async def _fetch_cache_size(root: Transport) -> int | None:
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


def _list_model_names(model: Mapping[str, Any]) -> set[str]:
    """Return the names that a served model answers to, and the one it was loaded by."""
    return {as_text(model.get("id")), as_text(model.get("root"))}
