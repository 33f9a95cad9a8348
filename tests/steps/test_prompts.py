"""What a prompt may see: its own part of the document and nothing of the rest."""

from __future__ import annotations

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.engine.dispatch.key import compute_key

PIPELINES = ["summarize", "map", "ask"]
PARAMS = {"map": {"prompt": "List the numbers"}, "ask": {"question": "Which numbers?"}}


def keys(kit):
    return [compute_key(request, identity="i", model="m") for request in kit.requests]


def first_words(request):
    words = " ".join(fenced(request)[-1].split()[:8]) + "."
    if request.schema is None:
        return words
    texts = dict.fromkeys(("extracted", "rationale", "answer"), words)
    return {**texts, "has_info": True, "confidence": 5}


def run(name, text, tmp_path):
    kit = Kit("", first_words, tmp_path)
    kit.path = name
    (result,) = kit.run(text, params=PARAMS.get(name), private=True).results
    assert result.error is None, result.error
    return kit


@pytest.mark.parametrize("name", PIPELINES)
def test_a_chunk_more_changes_no_other_chunks_call(name, tmp_path):
    """A paragraph added at the end or the beginning leaves nearly all keys as they were."""
    text = paragraphs(400)
    before = run(name, text, tmp_path)
    for changed in (text + "\n\nOne more paragraph.", "One more paragraph.\n\n" + text):
        after = run(name, changed, tmp_path)
        leaves = {key for key, r in zip(keys(before), before.requests, strict=True) if one(r)}
        lost = leaves - set(keys(after))
        assert len(leaves) > 15
        assert len(lost) <= 6, f"{len(lost)} of {len(leaves)} parts are asked again"


def one(request):
    return len(fenced(request)) == 1


@pytest.mark.parametrize("name", PIPELINES)
def test_neither_the_name_nor_the_place_of_a_document_changes_a_call(name, tmp_path):
    kit = run(name, paragraphs(60), tmp_path)
    again = Kit("", kit.handler, tmp_path)
    again.path = name
    again.run("Another one first.", paragraphs(60), params=PARAMS.get(name), private=True)
    assert set(keys(kit)) <= set(keys(again))


def test_document_text_is_never_a_template(tmp_path):
    text = "Braces {{ 7 * 7 }} and {% raw %} and [bold]brackets[/bold] and {# this #}."
    kit = run("summarize", text, tmp_path)
    assert text in fenced(kit.requests[0])[0]
