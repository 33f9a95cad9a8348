"""Embeddings of an OpenAI-compatible server."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.openai_calls import CLIENTS, backend
from tests.support.serving import Answer, Behaviour, failure, serving

import octavo
from octavo.errors import ContextError, ModelError, RequestError
from octavo.protocols import Transient
from octavo.text.vectors import compute_cosine


def embed(url, *texts, **fields):
    async def run():
        opened = backend(url, **{"embeddings": "small", **fields})
        try:
            return await opened.embed(texts)
        finally:
            await opened.close()

    return asyncio.run(run())


@pytest.mark.parametrize("client", CLIENTS)
def test_one_request_embeds_several_texts(client):
    with serving() as server:
        found = embed(server.url, "the white whale", "a white whale", "tax law", client=client)
    one, near, far = found.vectors
    assert compute_cosine(one, near) > compute_cosine(one, far)
    assert found.usage.prompt > 0
    assert [(call.path, call.body["model"]) for call in server.calls] == [("/embeddings", "small")]
    assert server.calls[0].body["input"] == ["the white whale", "a white whale", "tax law"]


def test_vectors_belong_to_texts_by_their_index():
    data = [{"index": 1, "embedding": [2, 2]}, {"index": 0, "embedding": [1, 1]}]
    with serving(answer=lambda _: Answer(body={"data": data})) as server:
        found = embed(server.url, "a", "b")
    assert [list(each) for each in found.vectors] == [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    "data",
    [[], [{"index": 0, "embedding": [1]}], [{"index": 0, "embedding": []}, {"index": 1}], "none"],
)
def test_an_answer_without_a_vector_for_each_text_is_no_answer(data):
    sent = Answer(body={"data": data})
    with serving(answer=lambda _: sent) as server, pytest.raises(Transient, match="for 2 texts"):
        embed(server.url, "a", "b")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (failure(404, "no such model", "not_found"), ModelError),
        (failure(400, "too many tokens", "context_length_exceeded"), ContextError),
        (failure(400, "bad", "bad"), RequestError),
        (failure(429, "slow down", "rate"), Transient),
        (failure(500, "oops", "server_error"), Transient),
    ],
)
def test_what_a_refusal_means(answer, error):
    with serving(answer=lambda _: answer) as server, pytest.raises(error):
        embed(server.url, "a")


def test_only_a_profile_that_names_a_model_embeds():
    assert backend("http://localhost:1/v1", embeddings="small").known.embeddings
    assert not backend("http://localhost:1/v1").known.embeddings


def test_keys_know_the_host_and_the_model_that_embeds_and_no_port():
    one = backend("http://lab:1/v1", embeddings="small")
    same = backend("http://lab:2/v1", "other", embeddings="small", options={"top_p": 1})
    assert one.embedder == same.embedder
    assert one.embedder != backend("http://lab:1/v1", embeddings="large").embedder
    assert one.embedder != backend("http://hall:1/v1", embeddings="small").embedder


PIPELINE = """
octavo: 1
params:
  question: {type: string}
steps:
  - split: {tokens: 60}
  - select: {by: embeddings, query: question, keep: 1, least: 1}
"""


def test_a_profile_of_its_own_embeds_elsewhere(tmp_path, monkeypatch):
    text = "\n\n".join(f"Part {n}. " + f"{word} " * 30 for n, word in enumerate(["cod", "eel"]))
    path = tmp_path / "p.yaml"
    path.write_text(PIPELINE)
    with serving() as chat, serving(Behaviour(model="bge")) as other:
        (tmp_path / "octavo.toml").write_text(
            f'[profiles.lab]\nmodel = "openai:mock"\nbase_url = "{chat.url}"\n'
            f'[profiles.lab.embeddings]\nmodel = "openai:bge"\nbase_url = "{other.url}"\n'
        )
        monkeypatch.chdir(tmp_path)
        found = octavo.run(
            path, octavo.Document(text, "x"), model="lab", params={"question": "eel"}
        )
    assert "eel" in found.text
    assert {call.path for call in other.calls} == {"/embeddings"}
    assert "/embeddings" not in {call.path for call in chat.calls}
