"""What a failing server means for a call and for the run."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import openai
import pytest
from tests.support.openai_calls import CLIENTS, REQUEST, backend, becomes, chat, saying, send
from tests.support.serving import Answer, Behaviour, serving

from octavo.backends.openai.error_mapping import build_exception
from octavo.backends.openai.rate_limit_headers import read_retry_after
from octavo.backends.openai.server_error import parse_server_error
from octavo.backends.transports.openai import translate_exception
from octavo.config.endpoint import Endpoint
from octavo.errors import (
    AuthError,
    BackendError,
    CallError,
    ContextError,
    ModelError,
    QuotaError,
    ReplyError,
    RequestError,
    UnreachableError,
)
from octavo.protocols import Transient, TransportReply

ENDPOINT = Endpoint("https://models.example/v1", 5.0)


def failing(status, error=None, headers=None, body=None):
    body = {"error": error} if body is None else body
    return chat(lambda _: Answer(status, body, headers or {}))


@pytest.mark.parametrize(
    ("status", "error", "expected", "words"),
    [
        (400, {"message": "bad field"}, RequestError, "bad field"),
        (422, {"message": "bad field"}, RequestError, "422"),
        (400, {"message": "no", "code": "context_length_exceeded"}, ContextError, "too long"),
        (400, {"message": "no", "type": "exceed_context_size_error"}, ContextError, "too long"),
        (
            400,
            {
                "message": "This model's maximum context length is 9 tokens. However, you",
                "code": 400,
            },
            ContextError,
            "9 tokens",
        ),
        (413, {"message": "Request too large for model"}, ContextError, "too long"),
        (401, {"message": "who are you"}, AuthError, "wants a key"),
        (403, {"message": "not you"}, AuthError, "wants a key"),
        (402, {"message": "pay"}, QuotaError, "pay"),
        (429, {"message": "pay", "code": "insufficient_quota"}, QuotaError, "pay"),
        (400, {"message": "what?", "code": "model_not_found"}, ModelError, "what?"),
        (302, {"message": ""}, BackendError, "redirect"),
    ],
)
def test_what_ends_a_call_or_a_run(status, error, expected, words):
    with (
        serving(Behaviour(model="gone"), answer=failing(status, error)) as server,
        pytest.raises(expected, match=words) as raised,
    ):
        send(server.url, name="gone")
    assert type(raised.value) is expected
    assert raised.value.__context__ is None


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("status", "kind"),
    [(408, "timeout"), (409, "server"), (429, "rate"), (500, "server"), (503, "server"),
     (504, "timeout"), (529, "rate")],
)  # fmt: skip
def test_what_may_be_tried_again(client, status, kind):
    answer = failing(status, {"message": "later"}, {"retry-after": "7"})
    with serving(answer=answer) as server, pytest.raises(Transient, match="later") as raised:
        send(server.url, client=client)
    assert (raised.value.kind, raised.value.retry_after) == (kind, 7.0)
    assert len(server.calls) == 1


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("kind", "expected"),
    [("reset", "connection"), ("cut", "connection"), ("json", "server"), ("empty", "server"),
     ("error200", "server"), ("500", "server"), ("429", "rate"), ("timeout", "timeout")],
)  # fmt: skip
def test_broken_answers_may_be_tried_again(client, stream, kind, expected):
    with (
        serving(Behaviour(faults={kind: 1})) as server,
        pytest.raises(Transient) as raised,
    ):
        send(server.url, client=client, stream=stream, timeout=0.2)
    assert raised.value.kind == expected
    assert raised.value.__context__ is None


@pytest.mark.parametrize("client", CLIENTS)
def test_a_call_given_up_is_given_up_at_the_server_too(client):
    """A timeout or a cancellation closes the connection: nothing goes on being generated."""

    async def run(url):
        opened = backend(url, client=client, timeout=0.1)
        with pytest.raises(Transient):
            await opened.send(REQUEST, lambda: None)
        task = asyncio.create_task(opened.send(REQUEST, lambda: None))
        await becomes(lambda: server.in_flight == 1 and len(server.log) == 1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await becomes(lambda: len(server.log) == 2)
        await opened.close()

    with serving(Behaviour(faults={"timeout": 1})) as server:
        asyncio.run(run(server.url))
    assert [entry.status for entry in server.log] == [0, 0]
    assert server.in_flight == 0


@pytest.mark.parametrize("client", CLIENTS)
def test_nothing_listening(client):
    with serving() as server:
        url = server.url
    with pytest.raises(Transient, match=r"127\.0\.0\.1") as raised:
        send(url, client=client)
    assert raised.value.kind == "connection"


@pytest.mark.parametrize("client", CLIENTS)
def test_https_to_a_plain_server_is_not_tried_again(client):
    with serving() as server, pytest.raises(UnreachableError) as raised:
        send(server.url.replace("http:", "https:"), client=client)
    assert "https or http" in raised.value.hint


def test_a_missing_model_lists_those_the_server_has():
    answer = failing(404, {"message": "no such model"})
    with (
        serving(Behaviour(model="mock-large"), answer=answer) as server,
        pytest.raises(ModelError, match="does not have the model 'mock'") as raised,
    ):
        send(server.url)
    assert "mock-large" in raised.value.hint


def test_a_wrong_path_is_told_from_a_missing_model():
    with serving() as server, pytest.raises(BackendError, match="no chat completions") as raised:
        send(server.url + "/api")
    assert "/v1" in raised.value.hint


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": {"message": "one"}}, "one"),
        ({"error": "two"}, "two"),
        ({"object": "error", "message": "three"}, "three"),
        ({"detail": "four"}, "four"),
        ({"detail": [{"loc": ["body", "n"], "msg": "five"}]}, "body.n: five"),
        ([{"error": {"message": "six"}}], "six"),
        ("<html>\n\tseven\x1b[2J</html>", "<html> seven [2J</html>"),
        ("8" * 400, "8" * 300 + "…"),
        ({"error": None}, ""),
        (None, ""),
        ({"choices": [], "message": "no error"}, ""),
    ],
)
def test_a_servers_own_words(body, expected):
    assert parse_server_error(TransportReply(400, {}, body)).message == expected


class Searched(dict):
    """A body that counts how often it is searched for an error."""

    times = 0

    def get(self, name, default=None):
        self.times += name == "error"
        return super().get(name, default)


@pytest.mark.parametrize("method", ["send", "sample", "embed", "contact"])
@pytest.mark.parametrize("status", [400, 401, 413, 429])
def test_an_error_is_searched_for_once(monkeypatch, method, status):
    body = Searched(error={"message": "it was refused", "code": "x"})
    monkeypatch.setattr("octavo.backends.transports.aiohttp.decode_json", lambda *_: body)
    arguments = {"send": (REQUEST, bool), "sample": ([REQUEST], bool), "embed": (["A text."],)}

    async def run(url):
        opened = backend(url, embeddings="mock")
        try:
            await getattr(opened, method)(*arguments.get(method, ()))
        finally:
            await opened.close()

    with (
        serving(answer=lambda _: Answer(status, {})) as server,
        contextlib.suppress(Transient, CallError, BackendError),
    ):
        asyncio.run(run(server.url))
    assert body.times == 1


def test_an_error_in_a_stream_is_an_error():
    error = {"error": {"message": "overloaded", "code": 503}}
    events = [{"choices": [{"delta": {"content": "A"}}]}, error]
    with (
        serving(answer=chat(lambda _: Answer(events=events))) as server,
        pytest.raises(Transient, match="overloaded") as raised,
    ):
        send(server.url, stream=True)
    assert raised.value.kind == "server"


@pytest.mark.parametrize("finish", ["error", "abort"])
def test_a_reply_that_the_server_gave_up_is_tried_again(finish):
    with serving(answer=saying("No", finish=finish)) as server, pytest.raises(Transient):
        send(server.url)


def test_googles_wait_is_in_the_body():
    details = [{"@type": "RetryInfo", "retryDelay": "12.5s"}]
    body = [{"error": {"code": 429, "message": "slow down", "details": details}}]
    headers = {"retry-after": "3"}
    error = build_exception(parse_server_error(TransportReply(429, headers, body)), ENDPOINT, "m")
    assert isinstance(error, Transient)
    assert error.retry_after == 12.5


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, 90.0),
        ({"retry-after": format_datetime(NOW - timedelta(seconds=90), usegmt=True)}, 0.0),
        ({"retry-after": "9", "retry-after-ms": "250"}, 0.25),
        ({"x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-reset-tokens": "250ms"}, 0.25),
        ({"x-ratelimit-reset-tokens": "2m59.56s"}, 179.56),
        ({"x-ratelimit-reset": str(int((NOW.timestamp() + 5) * 1000))}, 5.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp() + 5))}, 5.0),
        (
            {
                "x-ratelimit-reset-requests": "2s",
                "x-ratelimit-remaining-requests": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-tokens": "9000",
            },
            2.0,
        ),
        ({"x-ratelimit-reset-requests": "later"}, None),
    ],
)
def test_how_long_a_server_asks_to_wait(headers, seconds):
    assert read_retry_after(headers, NOW.timestamp) == pytest.approx(seconds)


def instance(kind: type[Exception]) -> Exception:
    """Make an exception of the client as its code would."""
    request = openai._httpx2.httpx2.Request("POST", "https://models.example/v1/chat/completions")
    status = inspect.getattr_static(kind, "status_code", None)
    status = status if isinstance(status, int) else 500
    body = {"error": {"message": "words"}}
    made = {
        "response": openai._httpx2.httpx2.Response(status, json=body, request=request),
        "request": request,
        "message": "words",
        "body": body,
        "unsent_messages": [],
        "completion": openai.types.chat.ChatCompletion.model_construct(usage=None),
    }
    wanted = inspect.signature(kind.__init__).parameters
    known = {name: made[name] for name in wanted if name in made}
    return kind(**known) if known else kind("words")


EXPECTED = {
    "APIConnectionError": Transient,
    "APIError": Transient,
    "APIResponseValidationError": Transient,
    "APIStatusError": Transient,
    "APITimeoutError": Transient,
    "AuthenticationError": AuthError,
    "BadRequestError": RequestError,
    "ConflictError": Transient,
    "ContentFilterFinishReasonError": ReplyError,
    "InternalServerError": Transient,
    "InvalidWebhookSignatureError": BackendError,
    "LengthFinishReasonError": ReplyError,
    "NotFoundError": RequestError,
    "OAuthError": AuthError,
    "OpenAIError": BackendError,
    "PermissionDeniedError": AuthError,
    "RateLimitError": Transient,
    "SubjectTokenProviderError": BackendError,
    "UnprocessableEntityError": RequestError,
    "WebSocketConnectionClosedError": Transient,
    "WebSocketQueueFullError": Transient,
}


def test_every_exception_of_the_openai_package_is_known():
    # The types are asked, since asking the values would load every lazy part of the package.
    exported = {
        name: value
        for module in (openai, openai._exceptions)
        for name, value in dict(vars(module)).items()
        if issubclass(type(value), type) and issubclass(value, Exception) and name[0] != "_"
    }
    assert exported.keys() == EXPECTED.keys()
    for name, kind in exported.items():
        found = translate_exception(instance(kind), ENDPOINT)
        if isinstance(found, TransportReply):
            found = build_exception(parse_server_error(found), ENDPOINT, "m")
        assert type(found) is EXPECTED[name], name
