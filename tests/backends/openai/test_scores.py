"""How likely a given text is, by a server that echoes plain completions."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.openai_calls import CLIENTS, backend
from tests.support.serving import Answer, failure, serving

from octavo.errors import BackendError
from octavo.protocols import Message, Request, Transient

ECHO = {
    "tokens": ["It", " was", " a", " rainy", " day", " and"],
    "token_logprobs": [None, -1.0, -2.0, -6.0, -4.0, -0.5],
    "top_logprobs": [None, {" is": -0.5}, {" a": -2.0}, {" sunny": -1.0}, {" day": -4.0}, {}],
}


def echoing(call):
    """Echo the prompt's tokens and one of the model's own."""
    return Answer(body={"choices": [{"text": "", "logprobs": ECHO}]})


def sent(url, request, **fields):
    async def run():
        opened = backend(url, prompt_logprobs=True, **fields)
        try:
            return await opened.send(request, lambda: None)
        finally:
            await opened.close()

    return asyncio.run(run())


SCORED = Request(
    (Message("user", "It was"), Message("assistant", " a rainy day")), max_tokens=1, scores=True
)


@pytest.mark.parametrize("client", CLIENTS)
def test_the_tokens_of_the_text_have_their_log_probabilities(client):
    with serving(answer=echoing) as server:
        reply = sent(server.url, SCORED, client=client)
    assert [(each.token, each.logprob) for each in reply.logprobs] == [
        (" a", -2.0),
        (" rainy", -6.0),
        (" day", -4.0),
    ]
    (call,) = server.calls
    assert call.path == "/completions"
    assert call.body["prompt"] == "It was a rainy day"
    assert call.body["echo"] is True


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(404, "no such path", "not_found"), BackendError),
        (failure(503, "busy", "overloaded"), Transient),
    ],
)
def test_what_a_refusal_means(answer, error):
    with serving(answer=lambda _: answer) as server, pytest.raises(error):
        sent(server.url, SCORED)


def test_only_a_profile_that_says_so_scores():
    assert not backend("http://localhost:1/v1").known.prompt_logprobs
    assert backend("http://localhost:1/v1", prompt_logprobs=True).known.prompt_logprobs
