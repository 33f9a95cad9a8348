"""Any server that speaks OpenAI's chat completions.

What servers differ in is settled by asking: a request that one refuses, naming a field it doesn't
take, costs nothing, is written another way and sent again; what was learnt holds for the process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from octavo.backends.openai.dialect import Dialect, build_dialect
from octavo.backends.openai.error_mapping import (
    build_exception,
    find_refused_field,
    is_filtered,
    is_too_long,
)
from octavo.backends.openai.json_access import as_count, as_list, as_object, as_text
from octavo.backends.openai.rate_limit_headers import read_rate_limits
from octavo.backends.openai.replies import (
    StreamedCompletion,
    parse_echoed_logprobs,
    parse_embeddings,
    parse_replies,
    parse_reply,
)
from octavo.backends.openai.server_error import read_message, read_status
from octavo.config.endpoint import Endpoint, resolve_endpoint
from octavo.errors import BackendError, ContextError, ModelError, UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile, Transient
from octavo.protocols.calls import Embedded, Finish, Reply, Request, TokenLogprob
from octavo.protocols.transport import Transport, TransportReply

__all__ = ["BACKEND", "OpenAIBackend"]


_CHAT_PATH = "/chat/completions"
_COMPLETIONS_PATH = "/completions"
_MODELS_PATH = "/models"
_EMBEDDINGS_PATH = "/embeddings"
_MODELS_TIMEOUT = 20.0
"""Seconds that a server may take to list its models, which nothing depends on."""

_SHOWN_MODELS = 12
"""Models that an error lists."""

_WINDOW_FIELDS = (
    "max_model_len",
    "context_length",
    "context_window",
    "max_context_length",
    "n_ctx",
)

_learned_dialects: dict[tuple[str, str], Dialect] = {}
"""Dialects that servers have taught, by base URL, profile and model."""


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
        plain = build_dialect(profile, official=self._endpoint.is_openai)
        self._dialect_key = (self._endpoint.base_url, f"{name} {plain!r}")
        self._dialect = _learned_dialects.get(self._dialect_key, plain)
        self._transport: Transport | None = None
        self._open_lock = asyncio.Lock()
        self._models: tuple[Mapping[str, Any], ...] | None = None

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
        profile = self._profile
        return Capabilities(
            window=profile.window,
            tokenizer=profile.tokenizer,
            structured=self._dialect.structured,
            logprobs=bool(profile.logprobs),
            prompt_logprobs=bool(profile.prompt_logprobs),
            embeddings=isinstance(profile.embeddings, str),
            samples=True,
            cached_usage=self._endpoint.is_openai,
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
        models = await self.list_models()
        mine = next((each for each in models if each.get("id") == self._name), None)
        if mine is None and len(models) == 1:
            mine = models[0]  # a server of one model answers to any name
        return replace(known, window=_find_window(mine)) if mine is not None else known

    async def check(self) -> str:
        """Return whether the server answers and has the model, by its list of models.

        Raises Transient, MissingKeyError and AuthError as `contact` does, and ModelError.
        """
        names = await self._list_model_names()
        # A server of one model answers to any name.
        if len(names) > 1 and self._name not in names:
            raise self._build_model_error(names)
        return "it answers and has the model" if names else "it answers and lists no models"

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Answer one request; `started` is called at the first token when the reply is streamed.

        Raises Transient for what may be tried again, MissingKeyError, AuthError, QuotaError and
        ModelError for what ends a run, ContextError and RequestError for what ends a call.
        """
        if request.scores:
            given, text = (message.content for message in request.messages)
            tokens = await self.score(text, given=given)
            started()
            return Reply("", logprobs=tuple(TokenLogprob(t.token, t.logprob) for t in tokens))
        reply = await self._request_chat(
            lambda dialect: dialect.build_body(self._name, request), started, request.draft
        )
        if is_filtered(reply):
            return Reply(read_message(reply.body), finish=Finish.REFUSAL)
        return _with_rate_limits(parse_reply(as_object(reply.body)), reply.headers)

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request with `n`; see Sampling.

        A server that refuses `n`, or does as if it were not there, answers the first alone.
        """
        request, most = requests[0], len(requests)
        reply = await self._request_chat(
            lambda dialect: dialect.build_samples_body(self._name, request, most), started
        )
        if is_filtered(reply):
            return [Reply(read_message(reply.body), finish=Finish.REFUSAL)] * most
        replies = parse_replies(as_object(reply.body), most)
        if len(replies) < most and "n" not in self._dialect.refused:
            self._learn_refused_field(self._dialect, "n")
        return [_with_rate_limits(each, reply.headers) for each in replies]

    async def _request_chat(
        self,
        body_of: Callable[[Dialect], Mapping[str, Any]],
        started: Callable[[], None],
        draft: Callable[[str], None] | None = None,
    ) -> TransportReply:
        """Return what a chat was answered: a completion, or that its prompt was filtered."""
        transport = await self._open_transport()
        while True:
            dialect = self._dialect
            body = body_of(dialect)
            reply = await self._post_chat(transport, body, started, draft)
            if read_status(reply) < 300:
                if as_object(reply.body):
                    return reply
                kind = reply.headers.get("content-type", "no type")
                raise Transient(
                    f"{self._endpoint.netloc}: the answer is no JSON but {kind}", kind="server"
                )
            if is_filtered(reply):
                return reply
            name = find_refused_field(reply, body)
            if name is None or not self._learn_refused_field(dialect, name):
                raise await self._explain_error(reply)

    async def score(self, text: str, *, given: str = "") -> tuple[TokenLogprob, ...]:
        """Return the tokens of a text with their log probabilities; see protocols.Request."""
        body = {"prompt": given + text, "echo": True, "logprobs": 1, "max_tokens": 1}
        transport = await self._open_transport()
        reply = await transport.post(_COMPLETIONS_PATH, {"model": self._name, **body})
        if read_status(reply) == 404:
            raise BackendError(
                f"{self._endpoint.netloc} scores no texts:"
                f" {read_message(reply.body) or 'no completions'}",
                hint="remove prompt_logprobs from the profile",
            )
        if read_status(reply) >= 300:
            raise await self._explain_error(reply)
        return parse_echoed_logprobs(as_object(reply.body), given + text, len(given))

    @property
    def embedder(self) -> str:
        """The server as in calls' identity, and the embedding model that the profile names."""
        return f"{self._profile.identity or self._endpoint.host} {self._profile.embeddings}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text.

        Raises Transient for what may be tried again, and what else `send` raises.
        """
        transport = await self._open_transport()
        model = self._profile.embeddings
        reply = await transport.post(_EMBEDDINGS_PATH, {"model": model, "input": list(texts)})
        if read_status(reply) >= 300:
            if is_too_long(reply):
                raise ContextError(
                    f"{model} does not embed texts this long: {read_message(reply.body)}",
                    hint="split to fewer tokens",
                )
            if read_status(reply) == 404:
                raise ModelError(
                    f"{self._endpoint.netloc} does not embed by {model!r}:"
                    f" {read_message(reply.body)}",
                    hint="name a model that the server embeds by: embeddings in the profile",
                )
            raise build_exception(reply, self._endpoint, str(model))
        return _with_rate_limits(parse_embeddings(as_object(reply.body), len(texts)), reply.headers)

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _post_chat(
        self,
        transport: Transport,
        body: Mapping[str, Any],
        started: Callable[[], None],
        draft: Callable[[str], None] | None,
    ) -> TransportReply:
        if not body.get("stream"):
            return await transport.post(_CHAT_PATH, body)
        whole = StreamedCompletion(started, draft)
        reply = await transport.post(_CHAT_PATH, body, whole.add_event)
        return reply if reply.body is not None else replace(reply, body=whole.build_body())

    def _learn_refused_field(self, used: Dialect, name: str) -> bool:
        """Tell whether there is another way to write what was refused, and take it from now on."""
        if self._dialect.refused > used.refused:
            return True  # a call beside this one has learnt something since
        other = used.drop_field(name)
        if other is None:
            return False
        self._dialect = _learned_dialects[self._dialect_key] = other
        return True

    async def _explain_error(self, reply: TransportReply) -> Exception:
        error = build_exception(reply, self._endpoint, self._name)
        if read_status(reply) != 404 and not isinstance(error, ModelError):
            return error
        place = self._endpoint.netloc
        try:
            names = await self._list_model_names()
        except (Transient, BackendError):
            names = []
        if names and self._name not in names:
            return self._build_model_error(names)
        if names or isinstance(error, ModelError):
            said_so = read_message(reply.body)
            return ModelError(f"{place} does not serve the model {self._name!r}: {said_so}")
        return BackendError(
            f"there are no chat completions at {self._endpoint.base_url}",
            hint="check base_url: it usually ends in /v1",
        )

    def _build_model_error(self, names: list[str]) -> ModelError:
        more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
        return ModelError(
            f"{self._endpoint.netloc} does not have the model {self._name!r}",
            hint=f"choose one of: {', '.join(names[:_SHOWN_MODELS])}{more}",
        )

    async def _list_model_names(self) -> list[str]:
        return sorted(as_text(each.get("id")) for each in await self.list_models())

    async def list_models(self) -> tuple[Mapping[str, Any], ...]:
        """Return the server's list of models, asked for once; empty when it gives none.

        Raises what `contact` raises.
        """
        transport = await self._open_transport()
        if self._models is None:
            try:
                async with asyncio.timeout(_MODELS_TIMEOUT):
                    reply = await transport.get(_MODELS_PATH)
            except TimeoutError:
                fault = f"{self._endpoint.netloc}: no list of models within {_MODELS_TIMEOUT:g} s"
                raise Transient(fault, kind="timeout") from None
            self._models = self._parse_models(reply)
        return self._models

    def _parse_models(self, reply: TransportReply) -> tuple[Mapping[str, Any], ...]:
        if read_status(reply) < 300:
            found = as_list(as_object(reply.body).get("data"))
            return tuple(as_object(each) for each in found if as_object(each).get("id"))
        error = build_exception(reply, self._endpoint, self._name)
        # A key may be good for calls and not for lists; then servers speak of scopes.
        unknown = read_status(reply) == 401 and "scope" not in read_message(reply.body)
        if isinstance(error, Transient) or unknown:
            raise error
        return ()

    async def _open_transport(self) -> Transport:
        """Return the transport; the key is read and the client imported for the first one."""
        async with self._open_lock:
            if self._transport is None:
                key = await self._endpoint.key_source.read(os.environ)
                self._endpoint = replace(self._endpoint, key=key)
                self._transport = _create_transport(self._profile.client, self._endpoint)
            return self._transport


Answered = TypeVar("Answered", Reply, Embedded)


def _with_rate_limits(reply: Answered, headers: Mapping[str, str]) -> Answered:
    """Return a reply with what the server said of its rate limits, if it did."""
    told = read_rate_limits(headers)
    return replace(reply, limits=told) if told else reply


def _create_transport(client: str, endpoint: Endpoint) -> Transport:
    if client == "openai":
        from octavo.backends.transports.openai import (  # noqa: PLC0415 - only at the first call
            OpenAITransport,
        )

        return OpenAITransport(endpoint)
    from octavo.backends.transports.aiohttp import (  # noqa: PLC0415 - only at the first call
        AiohttpTransport,
    )

    return AiohttpTransport(endpoint)


def _find_window(model: Mapping[str, Any]) -> int | None:
    """Return the tokens that a model takes, in one of the words that servers have for it."""
    for place in (as_object(model.get("top_provider")), model, as_object(model.get("meta"))):
        for name in _WINDOW_FIELDS:
            if tokens := as_count(place.get(name)):
                return tokens
    return None


BACKEND = BackendType(
    name="openai",
    about="any OpenAI-compatible server: OPENAI_BASE_URL, or base_url in a profile",
    open=OpenAIBackend,
)
"""The backend of `-m openai:gpt-5-mini`."""
