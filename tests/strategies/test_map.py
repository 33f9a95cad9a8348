from __future__ import annotations

import pytest
from tests.strategies.kit import Kit, fenced, paragraphs

from octavo.errors import FitError, RequestError

MAP = """
octavo: 1
steps:
  - split: {tokens: 200}
  - map: {prompt: "Sum up:\\n{{ text | fence }}", tokens: 50%s}
"""


def first_words(request):
    return " ".join(fenced(request)[0].split()[:2])


def test_every_chunk_is_asked_once_and_the_notes_stand_in_order(tmp_path):
    kit = Kit(MAP % "", first_words, tmp_path)
    text = "\n\n".join(" ".join(f"w{n}x{i}" for i in range(60)) + "." for n in range(20))
    result = kit.run(text).results[0]
    parts = sorted((fenced(request)[0] for request in kit.requests), key=text.index)
    assert len(parts) > 5
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert result.value == "\n\n".join(" ".join(part.split()[:2]) for part in parts)
    assert result.spans == ((0, len(text)),)
    assert result.coverage == 1


def test_one_failed_call_fails_its_document_and_says_where(tmp_path):
    def handler(request):
        if "Paragraph 7." in fenced(request)[0]:
            raise RequestError("no such luck")
        return "Fine."

    (result,) = Kit(MAP % "", handler, tmp_path).run(paragraphs(20)).results
    assert result.value is None
    assert result.error.message == "no such luck"


def test_with_skip_the_rest_goes_on_and_the_coverage_tells(tmp_path):
    def handler(request):
        if "Paragraph 7." in fenced(request)[0]:
            raise RequestError("no such luck")
        return "Fine."

    (result,) = Kit(MAP % ", on_error: skip", handler, tmp_path).run(paragraphs(20)).results
    assert "Fine." in result.value
    assert 0.8 < result.coverage < 1


def test_what_cannot_fit_is_refused_before_anything_is_sent(tmp_path):
    kit = Kit(MAP % "", first_words, tmp_path, window=150)
    (result,) = kit.run(paragraphs(20)).results
    assert isinstance(result.error, FitError)
    assert "150" in str(result.error)
    assert kit.requests == []
    with pytest.raises(FitError):
        kit.plan(paragraphs(20))


def test_documents_come_out_in_the_order_they_went_in(tmp_path):
    kit = Kit(MAP % "", first_words, tmp_path)
    results = kit.run(*(f"Document {n}." for n in range(30))).results
    assert [result.value for result in results] == [f"Document {n}." for n in range(30)]
