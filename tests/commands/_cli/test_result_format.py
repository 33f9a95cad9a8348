from __future__ import annotations

import json

import pytest

from octavo.commands._cli.output.result_format import as_json, as_text
from octavo.commands._cli.terminal import encode
from octavo.engine.report import Result, Totals
from octavo.errors import Outcome, ReplyError
from octavo.text.span import Span


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("One line.", "One line.\n"),
        ("Ends already.\n", "Ends already.\n"),
        ("  kept \n\n\n", "  kept \n"),
        ("", "\n"),
        ({"name": "Zo\u00eb"}, '{\n  "name": "Zo\u00eb"\n}\n'),
        ([{"a": 1}], '[\n  {\n    "a": 1\n  }\n]\n'),
    ],
)
def test_a_result_ends_with_exactly_one_newline(value, text):
    assert as_text(Result("a.txt", value)) == text


def test_the_json_line_says_where_the_result_is_from_and_what_it_took():
    totals = Totals({Outcome.OK: 2, Outcome.CACHED: 1}, sent=3, prompt=100, completion=20)
    spans, places = (Span(0, 5), Span(9, 12)), ("page 1", None)
    result = Result("a.txt", "Line\n\u2028two", spans, places, 0.75, totals)
    line = as_json(result, "17")
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "source": "a.txt",
        "result": "Line\n\u2028two",
        "sources": [
            {"source": "a.txt", "start": 0, "end": 5, "place": "page 1"},
            {"source": "a.txt", "start": 9, "end": 12, "place": None},
        ],
        "coverage": 0.75,
        "usage": {
            "calls": 3,
            "sent": 3,
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "cached_tokens": None,
            "hit_rate": None,
            "ideal_hit_rate": None,
            "outcomes": {"ok": 2, "cached": 1},
        },
        "run": "17",
    }


def test_a_failed_document_is_a_json_line_too():
    error = ReplyError("the reply is empty", outcome="invalid")
    line = json.loads(as_json(Result("a.txt", None, error=error), "17"))
    assert line["result"] is None
    assert line["error"] == "the reply is empty"


def test_half_a_surrogate_pair_is_no_reason_to_fail():
    assert encode("a\udfffb") == b"a?b"
