"""Extracting, compressing and looking up from the command line, answered by rules."""

from __future__ import annotations

import json

import pytest

SCHEMA = (
    '{"type": "object", "properties": {"name": {"type": "string"}, "year": {"type": "integer"}}}'
)
RULES = r"""
rules:
  - match: 'Answer, score and verdict'
    record: {answer: It hangs above the mantel., score: 9, parts: enough}
  - match: '(?s)Reason and score.*harpoon|harpoon.*(Reason and score)'
    record: {reason: It is named., score: 9}
  - contains: Reason and score
    record: {reason: Nothing., score: 0}
  - match: '(?s)(?P<quote>Ada Byron[^.]*\.).*Records in the part'
    record:
      records:
        - {quote: "Ada Byron was mate in 1851.", record: {name: Ada Byron, year: 1851}}
  - contains: Records in the part
    record: {records: []}
  - match: '(?s)<text [0-9a-f]+>\n(?P<first>[^.]*\.).*Rewritten part'
    reply: $first
  - contains: "hangs above the mantel"
    reply: Above the mantel.
default: The text does not say.
"""
FILLER = "They went on deck and looked at the sea and the clouds, and mended what was torn. "
BOOK = "\n\n".join(
    [
        *(f"Day {number} began with rain. {FILLER * 12}" for number in range(6)),
        f"Ada Byron was mate in 1851. {FILLER * 12}",
        f"A harpoon hangs above the mantel. {FILLER * 12}",
        *(f"Day {number} began with snow. {FILLER * 12}" for number in range(6, 12)),
    ]
)


@pytest.fixture
def book(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "person.json").write_text(SCHEMA)
    (tmp_path / "book.txt").write_text(BOOK)
    return tmp_path / "book.txt"


MODEL = ("-m", "scripted:rules.yaml", "-q")


def test_records_come_with_their_places(octavo, book):
    ended = octavo("run", "extract", "--schema", "person.json", *MODEL, book)
    assert ended.code == 0, ended.err
    (found,) = json.loads(ended.out)["records"]
    assert found["record"] == {"name": "Ada Byron", "year": 1851}
    assert {path: BOOK[each["start"] : each["end"]] for path, each in found["fields"].items()} == {
        "name": "Ada Byron",
        "year": "1851",
    }


def test_a_schema_that_is_none_is_wrong_at_its_line_and_nothing_runs(octavo, book):
    (book.parent / "person.json").write_text('{\n  "type": "objekt"\n}')
    ended = octavo("run", "extract", "--schema", "person.json", *MODEL, book)
    assert ended.code == 2
    assert "person.json:2:" in ended.err
    assert ended.out == ""
    ended = octavo("run", "extract", *MODEL, book)
    assert ended.code == 2
    assert "--schema" in ended.err


def test_a_document_is_told_more_briefly(octavo, book):
    long = "\n\n".join(f"Day {number} began with rain. {FILLER * 40}" for number in range(4))
    book.write_text(long)
    ended = octavo("run", "compress", "--ratio", "0.6", *MODEL[:2], book)
    assert ended.code == 0, ended.err
    assert len(ended.out) < 0.6 * len(long)
    assert [f"Day {number} " in ended.out for number in range(4)] == [True] * 4
    assert "got no shorter" not in ended.err
    ended = octavo("run", "compress", "--tokens", "5", *MODEL[:2], book)
    assert ended.code == 0, ended.err
    assert "tokens, not to 5" in ended.err


@pytest.mark.parametrize("by", ["bm25", "embeddings", "relevance"])
@pytest.mark.parametrize("rounds", [0, 2])
def test_a_question_is_answered_from_what_was_chosen(octavo, book, by, rounds):
    asked = ("--question", "Where does the harpoon hang, above the mantel?")
    ended = octavo("run", "lookup", "--by", by, "--rounds", str(rounds), *asked, *MODEL, book)
    assert ended.code == 0, ended.err
    assert ended.out == "Above the mantel.\n"


@pytest.mark.parametrize("command", ["plan", "run"])
def test_what_the_model_cannot_do_is_refused_before_anything_runs(octavo, book, command):
    ended = octavo(command, "lookup", "--by", "entropy", "--question", "Where?", *MODEL, book)
    assert ended.code == 2
    assert "log probabilities" in ended.err
    (book.parent / "rules.yaml").write_text(f"embeddings: false\n{RULES}")
    ended = octavo(command, "lookup", "--by", "embeddings", "--question", "Where?", *MODEL, book)
    assert ended.code == 2
    assert "embeddings" in ended.err
    ended = octavo(command, "lookup", "--by", "magic", "--question", "Where?", *MODEL, book)
    assert ended.code == 2
    assert "bm25" in ended.err
