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
from typing import Any

from octavo.backends.completion import Draft, read, read_all, scored
from octavo.backends.dialect import Dialect, dialect_of
from octavo.backends.endpoint import Endpoint, locate
from octavo.backends.faults import fault, filtered, named, said, status_of, too_long
from octavo.backends.rate_limits import rate_limits
from octavo.backends.shape import count, items, record, text
from octavo.backends.vectors import read_vectors
from octavo.errors import BackendError, ContextError, ModelError, UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile, Transient
from octavo.protocols.calls import Finish, Reply, Request, TokenLogprob
from octavo.protocols.embeddings import Embedded
from octavo.protocols.transport import Transport, TransportReply

__all__ = ["BACKEND", "OpenAI"]

_CHAT = "/chat/completions"
_PLAIN = "/completions"
_MODELS = "/models"
_EMBEDDINGS = "/embeddings"
_GLANCE = 20.0
"""Seconds that a server may take to list its models, which nothing depends on."""
_SHOWN = 12
"""Models that an error lists."""
_WINDOWS = ("max_model_len", "context_length", "context_window", "max_context_length", "n_ctx")

_learnt: dict[tuple[str, str], Dialect] = {}
"""Dialects that servers have taught, by base URL, profile and model."""


class OpenAI:
    """A model behind an OpenAI-compatible server.

    Nothing is imported, read or connected before the first request. Raises UsageError for an
    address or options that cannot be.
    """

    def __init__(self, name: str, profile: Profile) -> None:
        if not name:
            raise UsageError("`openai:` needs a model's name", hint="write -m openai:gpt-5-mini")
        self._name = name
        self._profile = profile
        self._endpoint = locate(profile, os.environ)
        plain = dialect_of(profile, official=self._endpoint.official)
        self._memory = (self._endpoint.base_url, f"{name} {plain!r}")
        self._dialect = _learnt.get(self._memory, plain)
        self._transport: Transport | None = None
        self._opening = asyncio.Lock()
        self._listing: tuple[Mapping[str, Any], ...] | None = None

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
            cached_usage=self._endpoint.official,
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
        models = await self.models()
        mine = next((each for each in models if each.get("id") == self._name), None)
        if mine is None and len(models) == 1:
            mine = models[0]  # a server of one model answers to any name
        return replace(known, window=_window(mine)) if mine is not None else known

    async def check(self) -> str:
        """Return whether the server answers and has the model, by its list of models.

        Raises Transient, MissingKeyError and AuthError as `contact` does, and ModelError.
        """
        names = await self._names()
        # A server of one model answers to any name.
        if len(names) > 1 and self._name not in names:
            raise self._lacks(names)
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
        reply = await self._answer(
            lambda dialect: dialect.body(self._name, request), started, request.draft
        )
        if filtered(reply):
            return Reply(said(reply.body), finish=Finish.REFUSAL)
        return _metered(read(record(reply.body)), reply.headers)

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request with `n`; see Sampling.

        A server that refuses `n`, or does as if it were not there, answers the first alone.
        """
        request, most = requests[0], len(requests)
        reply = await self._answer(
            lambda dialect: dialect.several(self._name, request, most), started
        )
        if filtered(reply):
            return [Reply(said(reply.body), finish=Finish.REFUSAL)] * most
        replies = read_all(record(reply.body), most)
        if len(replies) < most and "n" not in self._dialect.refused:
            self._learn(self._dialect, "n")
        return [_metered(each, reply.headers) for each in replies]

    async def _answer(
        self,
        body_of: Callable[[Dialect], Mapping[str, Any]],
        started: Callable[[], None],
        draft: Callable[[str], None] | None = None,
    ) -> TransportReply:
        """Return what a chat was answered: a completion, or that its prompt was filtered."""
        transport = await self._open()
        while True:
            dialect = self._dialect
            body = body_of(dialect)
            reply = await self._post(transport, body, started, draft)
            if status_of(reply) < 300:
                if record(reply.body):
                    return reply
                kind = reply.headers.get("content-type", "no type")
                raise Transient(
                    f"{self._endpoint.place}: the answer is no JSON but {kind}", kind="server"
                )
            if filtered(reply):
                return reply
            name = named(reply, body)
            if name is None or not self._learn(dialect, name):
                raise await self._fault(reply)

    async def score(self, text: str, *, given: str = "") -> tuple[TokenLogprob, ...]:
        """Return the tokens of a text with their log probabilities; see protocols.Request."""
        body = {"prompt": given + text, "echo": True, "logprobs": 1, "max_tokens": 1}
        transport = await self._open()
        reply = await transport.post(_PLAIN, {"model": self._name, **body})
        if status_of(reply) == 404:
            raise BackendError(
                f"{self._endpoint.place} scores no texts: {said(reply.body) or 'no completions'}",
                hint="remove prompt_logprobs from the profile",
            )
        if status_of(reply) >= 300:
            raise await self._fault(reply)
        return scored(record(reply.body), given + text, len(given))

    @property
    def embedder(self) -> str:
        """The server as in calls' identity, and the embedding model that the profile names."""
        return f"{self._profile.identity or self._endpoint.host} {self._profile.embeddings}"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text.

        Raises Transient for what may be tried again, and what else `send` raises.
        """
        transport = await self._open()
        model = self._profile.embeddings
        reply = await transport.post(_EMBEDDINGS, {"model": model, "input": list(texts)})
        if status_of(reply) >= 300:
            if too_long(reply):
                raise ContextError(
                    f"{model} does not embed texts this long: {said(reply.body)}",
                    hint="split to fewer tokens",
                )
            if status_of(reply) == 404:
                raise ModelError(
                    f"{self._endpoint.place} does not embed by {model!r}: {said(reply.body)}",
                    hint="name a model that the server embeds by: embeddings in the profile",
                )
            raise fault(reply, self._endpoint, str(model))
        return read_vectors(record(reply.body), len(texts))

    async def close(self) -> None:
        """Close all connections; safe to call twice."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.close()

    async def _post(
        self,
        transport: Transport,
        body: Mapping[str, Any],
        started: Callable[[], None],
        draft: Callable[[str], None] | None,
    ) -> TransportReply:
        if not body.get("stream"):
            return await transport.post(_CHAT, body)
        whole = Draft(started, draft)
        reply = await transport.post(_CHAT, body, whole.event)
        return reply if reply.body is not None else replace(reply, body=whole.body())

    def _learn(self, used: Dialect, name: str) -> bool:
        """Tell whether there is another way to write what was refused, and take it from now on."""
        if self._dialect.refused > used.refused:
            return True  # a call beside this one has learnt something since
        other = used.without(name)
        if other is None:
            return False
        self._dialect = _learnt[self._memory] = other
        return True

    async def _fault(self, reply: TransportReply) -> Exception:
        error = fault(reply, self._endpoint, self._name)
        if status_of(reply) != 404 and not isinstance(error, ModelError):
            return error
        place = self._endpoint.place
        try:
            names = await self._names()
        except (Transient, BackendError):
            names = []
        if names and self._name not in names:
            return self._lacks(names)
        if names or isinstance(error, ModelError):
            said_so = said(reply.body)
            return ModelError(f"{place} does not serve the model {self._name!r}: {said_so}")
        return BackendError(
            f"there are no chat completions at {self._endpoint.base_url}",
            hint="check base_url: it usually ends in /v1",
        )

    def _lacks(self, names: list[str]) -> ModelError:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return ModelError(
            f"{self._endpoint.place} does not have the model {self._name!r}",
            hint=f"choose one of: {', '.join(names[:_SHOWN])}{more}",
        )

    async def _names(self) -> list[str]:
        return sorted(text(each.get("id")) for each in await self.models())

    async def models(self) -> tuple[Mapping[str, Any], ...]:
        """Return the server's list of models, asked for once; empty when it gives none.

        Raises what `contact` raises.
        """
        transport = await self._open()
        if self._listing is None:
            try:
                async with asyncio.timeout(_GLANCE):
                    reply = await transport.get(_MODELS)
            except TimeoutError:
                fault = f"{self._endpoint.place}: no list of models within {_GLANCE:g} s"
                raise Transient(fault, kind="timeout") from None
            self._listing = self._listed(reply)
        return self._listing

    def _listed(self, reply: TransportReply) -> tuple[Mapping[str, Any], ...]:
        if status_of(reply) < 300:
            found = items(record(reply.body).get("data"))
            return tuple(record(each) for each in found if record(each).get("id"))
        error = fault(reply, self._endpoint, self._name)
        # A key may be good for calls and not for lists; then servers speak of scopes.
        unknown = status_of(reply) == 401 and "scope" not in said(reply.body)
        if isinstance(error, Transient) or unknown:
            raise error
        return ()

    async def _open(self) -> Transport:
        """Return the transport; the key is read and the client imported for the first one."""
        async with self._opening:
            if self._transport is None:
                key = await self._endpoint.source.read(os.environ)
                self._endpoint = replace(self._endpoint, key=key)
                self._transport = _transport(self._profile.client, self._endpoint)
            return self._transport


def _metered(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """Return a reply with what the server said of its rate limits, if it did."""
    told = rate_limits(headers)
    return replace(reply, limits=told) if told else reply


def _transport(client: str, endpoint: Endpoint) -> Transport:
    if client == "openai":
        from octavo.backends.transports.openai import (  # noqa: PLC0415 - only at the first call
            OpenAITransport,
        )

        return OpenAITransport(endpoint)
    from octavo.backends.transports.aiohttp import (  # noqa: PLC0415 - only at the first call
        AiohttpTransport,
    )

    return AiohttpTransport(endpoint)


def _window(model: Mapping[str, Any]) -> int | None:
    """Return the tokens that a model takes, in one of the words that servers have for it."""
    for place in (record(model.get("top_provider")), model, record(model.get("meta"))):
        for name in _WINDOWS:
            if tokens := count(place.get(name)):
                return tokens
    return None


BACKEND = BackendType(
    name="openai",
    about="any OpenAI-compatible server: OPENAI_BASE_URL, or base_url in a profile",
    open=OpenAI,
)
"""The backend of `-m openai:gpt-5-mini`."""
