"""Scores of chunks: what each says, and that it is None where nothing can be said."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

import pytest
from tests.support.corpus import prose

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.errors import ContextError
from octavo.protocols import Capabilities, Reply, TokenLogprob
from octavo.scoring import (
    Scores,
    measure_boundaries,
    measure_clarity,
    measure_coherence,
    measure_cohesion,
    measure_stickiness,
)
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.vectors import to_vector

TEXT = "One thing.\n\nTwo things. And more.\n\n```\na\n\nb\n```\n\nThe end.\n"


def cut(text, *places, tokens=50):
    bounds = [0, *places, len(text)]
    return [Chunk(Span(a, b), tokens) for a, b in pairwise(bounds)]


def of(*marks, tokens=50):
    places = [TEXT.index(mark) for mark in marks]
    return measure_boundaries(Document(TEXT, "t"), cut(TEXT, *places, tokens=tokens), 100)


def test_borders_between_blocks_keep_all_of_them_whole():
    found = of("Two", "The end")
    assert (found.blocks, found.paragraphs, found.sentences) == (1, 1, 1)


def test_a_border_inside_a_block_breaks_it_and_a_fence_is_one_block():
    assert of("And more").blocks == 3 / 4
    assert of("b\n```").blocks == 3 / 4
    assert of("And more").sentences == 1
    assert of("And more").paragraphs == 0
    assert of("things").sentences == 0


def test_size_is_the_share_of_chunks_neither_tiny_nor_too_large():
    assert of("Two", tokens=9).size == 0
    assert of("Two", tokens=10).size == 1
    assert of("Two", tokens=101).size == 0
    assert of("Two", tokens=40).fill == pytest.approx(0.4)


def test_one_chunk_has_no_borders_and_no_text_has_no_scores():
    found = of()
    assert (found.blocks, found.sentences, found.paragraphs) == (1, None, None)
    assert octavo.score(Document("", "t")) == Scores(0)


def test_the_share_of_chunks_that_edits_change_is_least_by_structure():
    text = prose(60_000)
    stable = octavo.score(Document(text, "t"), tokens=100)
    moving = octavo.score(Document(text, "t"), tokens=100, by="tokens")
    assert 1 <= stable.changed <= 4
    assert moving.changed > 2 * stable.changed
    assert stable.mean > moving.mean


def directions(**near):
    """Embed a text by the words in it, each a direction."""

    async def embed(texts):
        return [to_vector([float(word in text) for word in near.values()]) for text in texts]

    return embed


PETS = "cat cat.\n\ncat too.\n\ndog dog.\n\ndog as well.\n"


def test_chunks_of_one_subject_are_more_cohesive_and_coherent():
    document = Document(PETS, "t")
    embed = directions(one="cat", other="dog")
    apart = cut(PETS, PETS.index("dog"))
    mixed = cut(PETS, PETS.index("cat too"), PETS.index("dog as"))
    assert asyncio.run(measure_cohesion(document, apart, embed)) == pytest.approx(1)
    assert asyncio.run(measure_cohesion(document, mixed, embed)) == pytest.approx(1 / math.sqrt(2))
    assert asyncio.run(measure_coherence(document, apart, embed)) == pytest.approx(1 / math.sqrt(2))
    whole = cut(PETS)
    assert asyncio.run(measure_coherence(document, whole, embed)) is None
    single = cut(PETS, *(PETS.index(word) for word in ("cat too", "dog dog", "dog as")))
    assert asyncio.run(measure_cohesion(document, single, embed)) is None


async def known_words(text, given):
    """A word that stood before costs nothing, any other one 3 nats."""
    words = text.split()
    return sum(3.0 for word in words if word not in given.split()) / len(words)


def test_chunks_that_do_without_each_other_are_clear_and_do_not_stick():
    document = Document("a b c d a b c d x y z w", "t")
    chunks = cut(document.text, 7, 15)
    assert asyncio.run(measure_clarity(document, chunks, known_words)) == pytest.approx(
        (math.exp(-3) + 1) / 2
    )
    # The first two explain each other: one edge each way, both of degree 2.
    assert asyncio.run(measure_stickiness(document, chunks, known_words)) == pytest.approx(1.0)
    assert asyncio.run(measure_stickiness(document, cut(document.text, 15), known_words)) == 0
    assert asyncio.run(measure_stickiness(document, cut(document.text), known_words)) is None
    assert asyncio.run(measure_clarity(document, cut(document.text), known_words)) is None


def test_a_graph_of_many_chunks_is_measured_in_part():
    asked = []

    async def counted(text, given):
        asked.append(text)
        return 1.0

    text = "word " * 400
    asyncio.run(measure_stickiness(Document(text, "t"), cut(text, *range(5, 2000, 5)), counted))
    assert len(asked) == 10 + 10 * 9


class Judge(ScriptedBackend):
    """Gives vectors as the scripted backend does, and log probabilities; counts the texts."""

    def __init__(self, most=10_000, **known):
        super().__init__(lambda _: "", identity="scripted:t", known=Capabilities(**known))
        self.judged = 0
        self.most = most

    async def send(self, request, started):
        assert request.scores
        given, text = (message.content for message in request.messages)
        self.judged += 1
        if self.judged > self.most:
            raise ContextError("it is too long")
        started()
        return Reply("", logprobs=(TokenLogprob(text, -1.0 if given else -2.0),))


LONG = "\n\n".join(f"Paragraph {n} says a thing or two of its own." for n in range(40))


def test_what_a_model_can_tell_is_asked_once(empty_home):
    judge = Judge(embeddings=True, prompt_logprobs=True)
    found = octavo.score(Document(LONG, "t"), tokens=60, model=judge)
    assert 0 < found.cohesion <= 1
    assert 0 < found.coherence <= 1
    assert found.clarity == pytest.approx(math.exp(-1))
    assert found.stickiness == 0
    again = Judge(embeddings=True, prompt_logprobs=True)
    assert octavo.score(Document(LONG, "t"), tokens=60, model=again) == found
    assert judge.judged
    assert again.judged == 0


def test_what_a_model_cannot_tell_is_none(empty_home):
    found = octavo.score(Document(LONG, "t"), tokens=60, model=Judge())
    assert (found.cohesion, found.coherence, found.clarity, found.stickiness) == (None,) * 4
    assert found.blocks == 1


def test_a_text_beyond_the_window_costs_its_scores_alone(empty_home):
    judge = Judge(most=3, embeddings=True, prompt_logprobs=True)
    found = octavo.score(Document(LONG, "t"), tokens=60, model=judge)
    assert (found.clarity, found.stickiness) == (None, None)
    assert 0 < found.cohesion <= 1


def test_the_scripted_backend_gives_all(empty_home):
    backend = ScriptedBackend(lambda _: "", identity="scripted:t")
    found = octavo.score(Document(LONG, "t"), tokens=60, model=backend)
    assert None not in found.as_dict().values()
    assert 0 < found.clarity < 1
