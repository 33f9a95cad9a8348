"""The chunker that scores best is taken, document by document."""

from __future__ import annotations

import pytest
from tests.support.corpus import prose
from tests.support.kit import Kit

import octavo
from octavo.errors import UsageError
from octavo.pipeline.registry import Registry
from octavo.text.document import Document


def borders(document, **options):
    return [c.span.start for c in octavo.split(document, **options)]


def test_the_better_borders_win_whatever_the_order():
    document = Document(prose(20_000), "t")
    structure = borders(document, tokens=200)
    for among in (["tokens", "structure"], ["structure", "tokens"]):
        assert borders(document, by="adaptive", tokens=200, among=among) == structure


def test_a_chunker_that_refuses_the_document_is_passed_over():
    document = Document(prose(5_000), "t.txt")
    expected = borders(document, by="tokens", tokens=100)
    assert borders(document, by="adaptive", tokens=100, among=["code", "tokens"]) == expected
    with pytest.raises(UsageError, match="programming language"):
        octavo.split(document, by="adaptive", among=["code"])


def test_what_is_kept_of_it_is_old_when_the_borders_of_one_of_them_are():
    registry = Registry()
    versions = [
        registry.get_chunker(name).version
        for name in ("structure", "headings", "sentences", "rows", "code", "tokens")
    ]
    assert len(versions) == 6
    assert registry.get_chunker("adaptive").version == sum(versions)


def test_embeddings_are_for_pipelines():
    with pytest.raises(UsageError, match="asks a model"):
        octavo.split(Document("x", "t"), by="adaptive", embeddings=True)


PIPELINE = """
octavo: 1
steps:
  - split: {by: adaptive, tokens: 60, embeddings: true, among: [structure, tokens]}
  - map: {prompt: {user: "{{ text }}"}, tokens: 50}
"""


def test_in_a_pipeline_embeddings_are_planned_and_asked_for_once(tmp_path, empty_home):
    kit = Kit(PIPELINE, lambda request: "noted", tmp_path)
    text = "\n\n".join(f"Paragraph {n} says a thing or two of its own." for n in range(30))
    plan = kit.plan(text)
    assert plan.steps[0].step == "split"
    assert plan.steps[0].calls_low >= 1
    kit.run(text)
    asked = len(kit.requests)
    assert asked > 5
    kit.run(text)
    assert kit.requests == []
