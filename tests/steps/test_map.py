from __future__ import annotations

import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

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


CHECKED = """
octavo: 1
steps:
  - split: {tokens: 120}
  - map:
      prompt: "List:\\n{{ text | fence }}"
      check: "Check:\\n{{ text | fence }}\\n{{ note | fence('note') }}"
      refine: 2
      tokens: 40
"""


def test_a_note_is_checked_against_its_own_text_until_it_is_fine(tmp_path):
    """The first look misses every odd number; the second finds it, and the third nothing more."""

    def handler(request):
        numbers = re.findall(r"Paragraph (\d+)\.", fenced(request)[0])
        if request.schema is None:
            return " ".join(["found", *(n for n in numbers if int(n) % 2 == 0)])
        note = " ".join(["found", *numbers])
        fine = fenced(request)[1] == note
        return {"fine": fine, "note": None if fine else note}

    kit = Kit(CHECKED, handler, tmp_path)
    plan = kit.plan(paragraphs(20))
    (result,) = kit.run(paragraphs(20)).results
    assert re.findall(r"\d+", result.value) == [str(number) for number in range(20)]
    assert plan.sent[0] <= len(kit.requests) <= plan.sent[1]
    assert plan.depth == 3


def test_a_checked_record_fits_its_schema_with_its_references(tmp_path):
    """The note's schema stands inside the one of a round, and still means the same."""
    (tmp_path / "found.json").write_text(
        '{"type": "object", "$defs": {"n": {"type": "integer"}}, "required": ["n"],'
        ' "properties": {"n": {"$ref": "#/$defs/n"}}}'
    )

    def handler(request):
        text = request.messages[-1].content
        if text.startswith("List"):
            return {"n": 1}
        if "seven" in str(request.messages):
            return {"fine": False, "note": {"n": 7}}
        return {"fine": False, "note": {"n": "seven"}}  # asked again, with what is wrong

    kit = Kit(CHECKED.replace("refine: 2", "refine: 1\n      schema: found"), handler, tmp_path)
    (result,) = kit.run("Text.").results
    assert result.value == {"n": 7}
