"""The embedded model itself: SmolLM2 through llama.cpp, a few tokens at a time."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest

from octavo.backends.llama.backend import BACKEND
from octavo.backends.llama.download import fetch_weights
from octavo.backends.llama.weights import SMOLLM2, find_models_directory
from octavo.errors import CallError, ContextError, RequestError
from octavo.protocols import Finish, Message, Profile, Request
from octavo.text.vectors import compute_cosine

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("xllamacpp") is None, reason="the extra `local` is not installed"
    ),
    pytest.mark.timeout(300),  # the first run fetches 93 MB, and processors may be busy
]

MODELS = find_models_directory()
"""Where the user's own runs keep it: found before a test's empty home takes its place."""

SEA = "The Baltic Sea is shallow."
TOWN = "Lund has been a town since 990."


@pytest.fixture(scope="module", autouse=True)
def model_file():
    """Fetch the model once, as a first run would."""
    return asyncio.run(fetch_weights(SMOLLM2, MODELS))


@pytest.fixture
def answers(monkeypatch, model_file):
    """Send requests to the model one after another; an error takes the place of its reply."""
    monkeypatch.setenv("OCTAVO_MODELS", str(model_file.parent))

    def send(*requests, name="smollm2"):
        async def one(backend, request):
            try:
                return await backend.send(request, lambda: None)
            except CallError as error:
                return error

        async def run():
            backend = BACKEND.open(name, Profile(model=f"llama:{name}", window=512))
            try:
                return [await one(backend, request) for request in requests]
            finally:
                await backend.close()

        return asyncio.run(run())

    return send


def request(text, **more):
    more.setdefault("max_tokens", 8)
    messages = (Message("system", "Say it in other words."), Message("user", text))
    return Request(messages, **more)


def test_a_reply_depends_on_its_request_alone(answers, model_file):
    """Whatever was asked before, kept or computed together, and by which name it was started."""
    sea, town = request(SEA, logprobs=2), request(TOWN, logprobs=2)
    replies = answers(sea, town, sea) + answers(town, town, name=str(model_file))
    said = [(reply.text, reply.logprobs) for reply in replies]
    assert said[0] == said[2] != said[1]
    assert said[1] == said[3] == said[4]
    assert (replies[1].usage.cached or 0) > 0, "the common beginning was computed twice"
    first = replies[0]
    assert first.finish is Finish.LENGTH
    assert (first.usage.completion, first.usage.prompt > 10) == (8, True)
    assert "".join(entry.token for entry in first.logprobs) == first.text
    assert all(entry.top[0][1] >= entry.top[1][1] for entry in first.logprobs)


def test_a_record_fits_its_schema(answers):
    schema = {
        "type": "object",
        "properties": {"town": {"type": "string", "maxLength": 10}, "year": {"type": "integer"}},
        "required": ["town", "year"],
        "additionalProperties": False,
    }
    (reply,) = answers(request(TOWN, schema=schema, max_tokens=40))
    record = json.loads(reply.text)
    assert set(record) == {"town", "year"}
    assert isinstance(record["year"], int)


def test_further_samples_differ_and_can_be_had_again(answers):
    zero, one = (request(SEA, sample=number, temperature=1.5) for number in (0, 1))
    first, second, again = answers(zero, one, zero)
    assert first.text == again.text != second.text


def test_what_cannot_be_answered_is_refused_and_the_next_call_is_not(answers):
    long, odd, fine = answers(
        request(SEA * 100), request(SEA, schema={"type": "no such type"}), request(SEA)
    )
    assert isinstance(long, ContextError)
    assert "512" in str(long)
    assert isinstance(odd, RequestError)
    assert fine.text


def test_texts_that_share_words_are_near_and_no_vector_depends_on_its_neighbours(
    monkeypatch, model_file
):
    monkeypatch.setenv("OCTAVO_MODELS", str(model_file.parent))

    async def run():
        backend = BACKEND.open("smollm2", Profile(model="llama:smollm2", window=512))
        try:
            found = await backend.embed(["The Baltic Sea is shallow.", SEA + " It is cold.", TOWN])
            alone = await backend.embed([TOWN, ""])
            with pytest.raises(ContextError, match="too long"):
                await backend.embed(["sea " * 3000])
            again = await backend.embed([SEA])
        finally:
            await backend.close()
        return found, alone, again

    found, alone, again = asyncio.run(run())
    one, near, far = found.vectors
    assert compute_cosine(one, near) > compute_cosine(one, far)
    assert alone.vectors[0] == far
    assert again.vectors == (one,)
    assert found.usage.prompt > 10


def test_a_given_text_is_scored_token_by_token_after_what_came_before(answers):
    text = ' A cat — 汉字 😀 "sat" \\ down.\n\nThen it slept.'

    def scores(given):
        return Request((Message("user", given), Message("assistant", text)), 1, scores=True)

    cats, again, quarks = answers(scores("Cats sit."), scores("Cats sit."), scores("Quarks, too"))
    assert "".join(token.token for token in cats.logprobs) == text
    assert all(token.logprob <= 0 for token in cats.logprobs)
    assert cats.logprobs == again.logprobs != quarks.logprobs
    assert cats.text == ""
