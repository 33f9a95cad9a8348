"""`octavo split` is a filter from documents to JSON Lines."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from octavo.tokens.toktok import Toktok

TEXT = "# Harbour\n\n" + "".join(
    f"## Day {day}\n\n" + "The {{ tide }} came in [slowly], and nobody spoke. " * 12 + "\n\n"
    for day in range(1, 6)
)


@pytest.fixture
def book(tmp_path):
    path = tmp_path / "book.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def lines(ended):
    assert (ended.code, ended.err) == (0, "")
    return [json.loads(line) for line in ended.out.splitlines()]


def test_chunks_join_to_the_text_and_keep_to_the_budget(octavo, book):
    chunks = lines(octavo("split", "--tokens", 100, "book.md"))
    assert list(chunks[0]) == ["start", "end", "tokens", "headings", "text"]
    assert "".join(chunk["text"] for chunk in chunks) == TEXT
    assert all(TEXT[chunk["start"] : chunk["end"]] == chunk["text"] for chunk in chunks)
    counts = Toktok("o200k_base").count_batch([chunk["text"] for chunk in chunks])
    assert [chunk["tokens"] for chunk in chunks] == counts
    assert max(counts) <= 100
    assert chunks[-1]["headings"] == ["Harbour", "Day 5"]


def test_the_tokenizer_decides_the_borders(octavo, book):
    few = lines(octavo("split", "--tokens", 100, "--tokenizer", "estimate", "book.md"))
    assert "".join(chunk["text"] for chunk in few) == TEXT
    assert len(few) >= len(lines(octavo("split", "--tokens", 100, "book.md")))


def test_several_documents_are_named(octavo, book, tmp_path):
    (tmp_path / "a.txt").write_text("short")
    chunks = lines(octavo("split", "."))
    assert chunks[0]["source"] == "a.txt"
    assert {chunk["source"] for chunk in chunks} == {"a.txt", "book.md"}


def test_standard_input_comes_through(octavo):
    (chunk,) = lines(octavo("split", stdin="naïve 🚢\r\n".encode()))
    assert (chunk["text"], chunk["start"], chunk["end"]) == ("naïve 🚢\r\n", 0, 9)


def test_an_empty_document_has_no_chunks(octavo):
    assert lines(octavo("split", stdin=b"")) == []


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--tokens", "0", "book.md"], "--tokens 0"),
        (["--by", "structur", "book.md"], "structure"),
        (["nothing.md"], "nothing.md"),
        (["--by", "rows", "-p", "rows=0", "book.md"], "-p rows=0"),
        (["--by", "rows", "-p", "row=1", "book.md"], "rows, table"),
        (["--by", "rows", "--by", "tokens", "book.md"], "--score"),
        (["--by", "code", "book.md"], "language"),
        (["--previous", "book.md", "book.md"], "--previous"),
        (["--previous", "none.jsonl", "book.md"], "none.jsonl"),
        (["--by", "tokens", "--previous", "book.jsonl", "book.md"], "book.jsonl"),
        (["--score-model", "x", "book.md"], "--score"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_printed(octavo, book, arguments, word):
    ended = octavo("split", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert word in ended.err


def test_the_options_of_a_chunker_are_given_by_name(octavo, book):
    chunks = lines(octavo("split", "--by", "headings", "-p", "level=1", "--tokens", 900, "book.md"))
    assert len(chunks) == 1
    table = b"a,b\n1,2\n3,4\n"
    rows = lines(octavo("split", "--by", "rows", "-p", "table=csv", "-p", "rows=1", stdin=table))
    assert [row["text"] for row in rows] == ["a,b\n1,2\n", "3,4\n"]
    assert rows[1]["context"] == {"header": "a,b"}


def test_what_stands_around_a_chunk_is_beside_it(octavo, book):
    chunks = lines(
        octavo("split", "--tokens", 100, "--before", 9, "--after", 9, "--title", "book.md")
    )
    assert list(chunks[1]) == ["start", "end", "tokens", "headings", "context", "text"]
    assert "".join(chunk["text"] for chunk in chunks) == TEXT
    for chunk in chunks:
        context = chunk["context"]
        assert context["title"] == "Harbour"
        assert TEXT[: chunk["start"]].rstrip().endswith(context.get("before", ""))
        assert TEXT[chunk["end"] :].lstrip().startswith(context.get("after", ""))
    assert "before" not in chunks[0]["context"]
    assert "after" not in chunks[-1]["context"]


def test_an_earlier_split_is_a_hint(octavo, book, tmp_path):
    before = octavo("split", "--tokens", 100, "book.md")
    (tmp_path / "before.jsonl").write_text(before.out, encoding="utf-8")
    book.write_text(f"A line more.\n\n{TEXT}", encoding="utf-8")
    after = lines(octavo("split", "--tokens", 100, "--previous", "before.jsonl", "book.md"))
    texts = {chunk["text"] for chunk in lines(before)}
    assert sum(chunk["text"] not in texts for chunk in after) <= 2


def test_an_earlier_split_may_have_any_line_end_in_its_texts(octavo, tmp_path):
    (tmp_path / "a.md").write_bytes("One\u2028two\x85three\x0b\u2029.\n\nFour.\n".encode())
    before = octavo("split", "a.md")
    (tmp_path / "before.jsonl").write_bytes(before.stdout)
    after = octavo("split", "--previous", "before.jsonl", "a.md")
    assert (after.code, after.stdout) == (0, before.stdout)


def test_scores_are_a_table_or_json(octavo, book):
    table = octavo("split", "--score", "--by", "structure", "--by", "tokens", "book.md").out
    head, *rows = table.splitlines()
    assert head.split()[:5] == ["source", "by", "chunks", "size", "fill"]
    assert [row.split()[1] for row in rows] == ["structure", "tokens"]
    (scores,) = lines(octavo("split", "--score", "--json", "--tokens", 100, "book.md"))
    assert scores["by"] == "structure"
    assert scores["cohesion"] is None
    assert scores["fill"] > 0.5


def test_scores_of_a_model_are_asked_for_by_name(octavo, book, tmp_path):
    (tmp_path / "rules.yaml").write_text("rules: []\ndefault: x\n")
    command = ("split", "--score", "--json", "--tokens", 100)
    (scores,) = lines(octavo(*command, "--score-model", "scripted:rules.yaml", "book.md"))
    assert scores["clarity"] is None


def test_a_closed_pipe_is_silent(book):
    with subprocess.Popen(
        [sys.executable, "-m", "octavo", "split", "--tokens", "16", str(book)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 141


def test_no_key_journal_or_network_is_needed(octavo, book, tmp_path, empty_home):
    octavo("split", "book.md")
    assert [path for path in empty_home.rglob("*") if path.is_file()] == []
