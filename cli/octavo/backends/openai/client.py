"""Sends requests to a server that speaks OpenAI's chat completions.

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
from octavo.backends.openai.server_error import ServerError, parse_server_error
from octavo.config.endpoint import Endpoint
from octavo.errors import BackendError, ContextError, ModelError, RequestError
from octavo.protocols.backends import Profile, Transient
from octavo.protocols.calls import Embedded, Finish, Reply, Request, TokenLogprob
from octavo.protocols.transport import Transport, TransportReply

__all__ = ["OpenAIClient"]


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

_INVALID_RECORD_CODE = "json_validate_failed"
"""Groq's word for a reply that does not fit the schema, which it keeps to itself."""

_learned_dialects: dict[tuple[str, str], Dialect] = {}
"""Dialects that servers have taught, by base URL, profile and model."""


class OpenAIClient:
    """Sends the requests of one backend; connects at the first.

    Raises UsageError for options that cannot be.
    """

    def __init__(self, name: str, profile: Profile, endpoint: Endpoint) -> None:
        self._name = name
        self._profile = profile
        self._endpoint = endpoint
        default_dialect = build_dialect(profile, official=endpoint.is_openai)
        self._dialect_key = (endpoint.base_url, f"{name} {default_dialect!r}")
        self._dialect = _learned_dialects.get(self._dialect_key, default_dialect)
        self._transport: Transport | None = None
        self._open_lock = asyncio.Lock()
        self._models: tuple[Mapping[str, Any], ...] | None = None
        self._has_answered = False
        self._unread: set[bytes] = set()

    async def fetch_window(self) -> int | None:
        """Return the window that the server's list of models tells, if it does.

        Raises what `list_models` raises.
        """
        models = await self.list_models()
        model_entry = next((each for each in models if each.get("id") == self._name), None)
        if model_entry is None and len(models) == 1:
            model_entry = models[0]  # a server of one model answers to any name
        return None if model_entry is None else _find_window(model_entry)

    async def check(self) -> str:
        """Return whether the server answers and has the model, by its list of models.

        Raises what `list_models` raises, and ModelError.
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
            tokens = await self._score(text, given)
            started()
            return Reply("", logprobs=tokens)
        reply = await self._request_chat(
            lambda dialect: dialect.build_body(self._name, request), started, request.draft
        )
        if isinstance(reply, ServerError):
            return Reply(reply.message, finish=Finish.REFUSAL)
        return _with_rate_limits(parse_reply(as_object(reply.body)), reply.headers)

    async def sample(
        self, requests: Sequence[Request], started: Callable[[], None]
    ) -> Sequence[Reply]:
        """Answer samples of one prompt by one request with `n`; see Sampling.

        A server that refuses `n`, or does as if it were not there, answers the first alone.
        """
        request, count = requests[0], len(requests)
        reply = await self._request_chat(
            lambda dialect: dialect.build_samples_body(self._name, request, count), started
        )
        if isinstance(reply, ServerError):
            return [Reply(reply.message, finish=Finish.REFUSAL)] * count
        replies = parse_replies(as_object(reply.body), count)
        if len(replies) < count and "n" not in self._dialect.refused:
            self._learn_refused_field(self._dialect, "n")
        return [_with_rate_limits(each, reply.headers) for each in replies]

    async def _request_chat(
        self,
        body_of: Callable[[Dialect], Mapping[str, Any]],
        started: Callable[[], None],
        draft: Callable[[str], None] | None = None,
    ) -> TransportReply | ServerError:
        """Return the reply to a chat, or the error of one whose prompt was filtered."""
        transport = await self._open_transport()
        left_out: set[str] = set()
        while True:
            dialect = self._dialect
            body = {name: each for name, each in body_of(dialect).items() if name not in left_out}
            reply = await self._post_chat(transport, body, started, draft)
            error = parse_server_error(reply)
            if error is None:
                self._require_object(reply, body)
                return reply
            if is_filtered(error):
                return error
            if _INVALID_RECORD_CODE in error.codes and "response_format" in body:
                left_out.add("response_format")  # for this call: others give records
                continue
            name = find_refused_field(error, body)
            if name is None or not self._learn_refused_field(dialect, name):
                raise await self._explain_error(error)

    def _require_object(self, reply: TransportReply, request_body: Mapping[str, Any]) -> None:
        """Raise where a reply is no JSON object: as what may pass at first, then as an error.

        JSON that is broken or missing is a broken transfer and may always pass.
        """
        if as_object(reply.body):
            self._has_answered = True
            return
        kind = reply.headers.get("content-type", "no type")
        message = f"{self._endpoint.netloc}: the answer is no JSON but {kind}"
        is_broken = "json" in kind.partition(";")[0].rpartition("/")[2].split("+")
        digest = hashlib.sha256(json.dumps(request_body, default=str).encode()).digest()
        if is_broken or not reply.body or digest not in self._unread:
            self._unread.add(digest)
            raise Transient(message, kind="server")
        if self._has_answered:
            raise RequestError(f"{message}, twice")
        raise BackendError(f"{message}, twice", hint="check base_url: it usually ends in /v1")

    async def _score(self, text: str, given: str) -> tuple[TokenLogprob, ...]:
        """Return the tokens of a text with their log probabilities; see protocols.Request."""
        body = {"prompt": given + text, "echo": True, "logprobs": 1, "max_tokens": 1}
        transport = await self._open_transport()
        body = {"model": self._name, **body}
        reply = await transport.post(_COMPLETIONS_PATH, body)
        error = parse_server_error(reply)
        if error is not None and error.status == 404:
            raise BackendError(
                f"{self._endpoint.netloc} scores no texts: {error.message or 'no completions'}",
                hint="remove prompt_logprobs from the profile",
            )
        if error is not None:
            raise await self._explain_error(error)
        self._require_object(reply, body)
        return parse_echoed_logprobs(as_object(reply.body), given + text, len(given))

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text.

        Raises Transient for what may be tried again, and what else `send` raises.
        """
        transport = await self._open_transport()
        model = self._profile.embeddings
        body = {"model": model, "input": list(texts)}
        reply = await transport.post(_EMBEDDINGS_PATH, body)
        if (error := parse_server_error(reply)) is not None:
            if is_too_long(error):
                raise ContextError(
                    f"{model} does not embed texts this long: {error.message}",
                    hint="split to fewer tokens",
                )
            if error.status == 404:
                raise ModelError(
                    f"{self._endpoint.netloc} does not embed by {model!r}: {error.message}",
                    hint="name a model that the server embeds by: embeddings in the profile",
                )
            raise build_exception(error, self._endpoint, str(model))
        self._require_object(reply, body)
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
        stream = StreamedCompletion(started, draft)
        reply = await transport.post(_CHAT_PATH, body, stream.add_event)
        if reply.body is not None:
            return reply
        if "stream" not in body and "stream" not in self._dialect.refused:
            self._dialect = replace(self._dialect, says_whole=True)
            _learned_dialects[self._dialect_key] = self._dialect
        return replace(reply, body=stream.build_body())

    def _learn_refused_field(self, dialect: Dialect, name: str) -> bool:
        """Switch to a dialect without the refused field; return whether there is one."""
        if self._dialect.refused > dialect.refused:
            return True  # a call beside this one has learnt something since
        next_dialect = dialect.drop_field(name)
        if next_dialect is None:
            return False
        self._dialect = _learned_dialects[self._dialect_key] = next_dialect
        return True

    async def _explain_error(self, error: ServerError) -> Exception:
        exception = build_exception(error, self._endpoint, self._name)
        if error.status != 404 and not isinstance(exception, ModelError):
            return exception
        try:
            names = await self._list_model_names()
        except (Transient, BackendError):
            names = []
        if names and self._name not in names:
            return self._build_model_error(names)
        if names or isinstance(exception, ModelError):
            return ModelError(
                f"{self._endpoint.netloc} does not serve the model {self._name!r}: {error.message}"
            )
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

        Raises Transient when the server does not answer, MissingKeyError, and AuthError for a key
        that it does not know.
        """
        transport = await self._open_transport()
        if self._models is None:
            try:
                async with asyncio.timeout(_MODELS_TIMEOUT):
                    reply = await transport.get(_MODELS_PATH)
            except TimeoutError:
                message = f"{self._endpoint.netloc}: no list of models within {_MODELS_TIMEOUT:g} s"
                raise Transient(message, kind="timeout") from None
            self._models = self._parse_models(reply)
        return self._models

    def _parse_models(self, reply: TransportReply) -> tuple[Mapping[str, Any], ...]:
        error = parse_server_error(reply)
        if error is None:
            entries = as_list(as_object(reply.body).get("data"))
            return tuple(as_object(each) for each in entries if as_object(each).get("id"))
        exception = build_exception(error, self._endpoint, self._name)
        # A key may be good for calls and not for lists; then servers speak of scopes.
        is_unknown_key = error.status == 401 and "scope" not in error.message
        if isinstance(exception, Transient) or is_unknown_key:
            raise exception
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
    """Return a reply with the rate limits that the headers report."""
    limits = read_rate_limits(headers)
    return replace(reply, limits=limits) if limits else reply


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
