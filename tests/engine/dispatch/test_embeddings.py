"""Texts are embedded once, several to a request, and kept."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from tests.support.desk import Desk

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.dispatch.embeddings import split_into_batches
from octavo.errors import BackendError, OctavoError, Outcome, RequestError, UsageError
from octavo.protocols import Capabilities, Embedded, Transient
from octavo.text.vectors import to_spelling_vector, to_vector


class Server(ScriptedBackend):
    """Embeds; what `faults` hold is raised first. Knows the most texts that were under way."""

    def __init__(self, *faults, vectors=None):
        super().__init__(lambda _: "")
        self.faults = list(faults)
        self.vectors = vectors
        self.flying = self.most = 0

    async def embed(self, texts):
        self.flying += 1
        self.most = max(self.most, self.flying)
        await asyncio.sleep(1)
        self.flying -= 1
        if self.faults:
            raise self.faults.pop()
        found = await super().embed(texts)
        return found if self.vectors is None else Embedded(self.vectors)


def desk(server, **more):
    return Desk(lambda _: "", embedding=server, **more)


def embedding(*texts):
    return lambda ask: ask.embed(texts, node="all")


def failing(*texts):
    """Return the error of an embedding, in a list: an error itself would be raised."""

    async def scenario(ask):
        with pytest.raises(OctavoError) as raised:
            await ask.embed(texts, node="all")
        return [raised.value]

    return scenario


def test_each_text_has_its_vector_in_order():
    texts = [f"Text {number}." for number in range(150)]
    server = Server()
    at = desk(server)
    found = at.run(embedding(*texts))
    assert list(found.vectors) == [to_spelling_vector(text) for text in texts]
    assert found.predicted is None
    assert [len(each) for each in server.embedded] == [64, 64, 22]
    assert at.account.outcomes == {Outcome.OK: 3}
    assert at.account.sent == 3
    assert at.account.prompt == 300


def test_what_the_journal_has_is_not_sent_again(tmp_path):
    path = tmp_path / "journal.sqlite"
    first, second, third = Server(), Server(), Server()
    desk(first, path=path).run(embedding("a b", "c"))
    at = desk(second, path=path)
    found = at.run(embedding("c", "d", "a b"))
    assert second.embedded == [("d",)]
    assert list(found.vectors) == [
        to_spelling_vector("c"),
        to_spelling_vector("d"),
        to_spelling_vector("a b"),
    ]
    at = desk(third, path=path)
    at.run(embedding("d", "c"))
    assert third.embedded == []
    assert at.account.outcomes == {Outcome.CACHED: 1}
    assert at.account.sent == 0


def test_one_text_is_sent_once_whoever_waits_for_it():
    server = Server()

    async def twice(ask):
        return await asyncio.gather(
            ask.embed(["same", "same", "one"], node="a"), ask.embed(["same", "two"], node="b")
        )

    one, two = desk(server).run(twice)
    assert sorted(server.embedded) == [("same", "one"), ("two",)]
    assert one.vectors[0] == one.vectors[1] == two.vectors[0] == to_spelling_vector("same")


def test_requests_are_under_the_limit_of_the_run():
    server = Server()
    desk(server, jobs=2).run(embedding(*map(str, range(64 * 6))))
    assert server.most == 2


def test_a_passing_fault_is_tried_again_and_counted():
    server = Server(Transient("busy", kind="rate"), Transient("down", kind="server"))
    at = desk(server)
    assert at.run(embedding("a")).vectors == (to_spelling_vector("a"),)
    assert at.account.sent == 3
    assert at.account.outcomes == {Outcome.OK: 1}


def test_a_lasting_fault_reaches_who_asked_and_is_in_the_account():
    server = Server(RequestError("no"))
    at = desk(server)
    (error,) = at.run(failing("a"))
    assert isinstance(error, RequestError)
    assert at.account.outcomes == {Outcome.FAILED: 1}


def test_a_backend_that_gives_too_few_vectors_is_unusable():
    (error,) = desk(Server(vectors=(to_vector([1]),))).run(failing("a", "b"))
    assert isinstance(error, BackendError)
    assert "1 vectors for 2 texts" in error.message


def test_a_model_that_does_not_embed_is_refused_before_anything_is_sent():
    server = Server()
    (error,) = desk(server, known=Capabilities()).run(failing("a"))
    assert isinstance(error, UsageError)
    assert "embeddings" in error.message
    assert "embeddings = " in error.hint
    assert server.embedded == []


def test_batches_hold_all_texts_in_order_within_bounds():
    texts = ["x" * length for length in (10, 99_990, 1, 200_000, 5, *[7] * 130)]
    groups = list(split_into_batches(texts))
    assert [text for group in groups for text in group] == texts
    assert all(len(group) <= 64 for group in groups)
    assert all(len(g) == 1 or sum(map(len, g)) <= 100_000 for g in groups)
    assert all(
        len(one) == 64 or sum(map(len, one)) + len(other[0]) > 100_000
        for one, other in pairwise(groups)
    )
    assert list(split_into_batches([])) == []
