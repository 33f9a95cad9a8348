"""Rows of tables: whole records, the header beside each chunk, prose by structure."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.corpus import prose

from octavo.chunkers.rows import CHUNKER
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.text.document import Document
from octavo.tokens.choose import get_counter

TOKTOK = get_counter("o200k_base")
RECORDS = [f'{n},"port {n}, north\nquay ""{n}""",{n * 7}\r\n' for n in range(40)]
CSV = "ship,harbour,tons\r\n" + "".join(RECORDS)


def split(text, source, **options):
    document = MARKDOWN.load(text.encode(), source, None)
    chunks = asyncio.run(CHUNKER.run(document, CHUNKER.options(**options), TOKTOK, None))
    assert "".join(texts(text, chunks)) == text
    return chunks


def texts(text, chunks):
    return [text[chunk.span.start : chunk.span.end] for chunk in chunks]


def test_records_stay_whole_and_the_header_stands_beside_them():
    first, *others = split(CSV, "ships.csv", tokens=100)
    assert len(others) > 5
    assert first.context == ()
    assert CSV.startswith("ship,harbour,tons")
    assert {chunk.context for chunk in others} == {(("header", "ship,harbour,tons"),)}
    starts = {CSV.index(record) for record in RECORDS}
    assert {chunk.span.start for chunk in others} <= starts


def test_each_row_can_have_a_chunk_of_its_own():
    chunks = split(CSV, "ships.csv", tokens=100, rows=1)
    assert texts(CSV, chunks[1:]) == RECORDS[1:]
    assert texts(CSV, chunks[:1]) == ["ship,harbour,tons\r\n" + RECORDS[0]]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_the_one_that_the_header_has(separator):
    text = separator.join("abc") + "\n" + separator.join(['"1\n2"', "3", "4"]) + "\n5" * 2 + "\n"
    chunks = split(text, "t.csv", tokens=100, rows=1)
    assert [text[chunk.span.start] for chunk in chunks[1:]] == ["5", "5"]


def test_a_quotation_mark_that_is_never_closed_swallows_no_rows():
    text = 'a,b\n1,"2\n' + "3,4\n" * 50
    assert len(split(text, "t.csv", tokens=100, rows=1)) == 51


TABLE = "| ship | tons |\n| --- | ---: |\n" + "".join(f"| s{n} | {n} |\n" for n in range(60))
MIXED = f"# Fleet\n\n{prose(2000)}\n{TABLE}\n{prose(2000, seed=5)}"


def test_a_table_in_a_text_is_cut_at_rows_and_never_behind_its_header():
    chunks = split(MIXED, "fleet.md", tokens=120)
    start = MIXED.index(TABLE)
    header = "| ship | tons |\n| --- | ---: |"
    inside = [c for c in chunks if start < c.span.start < start + len(TABLE)]
    assert len(inside) > 2
    assert {chunk.context for chunk in inside} == {(("header", header),)}
    assert all(MIXED[chunk.span.start :].startswith("| s") for chunk in inside)
    assert not any(MIXED[c.span.start :].startswith(("| ---", "| s0 ")) for c in chunks)
    assert {c.context for c in chunks if c not in inside} == {()}
    assert {chunk.headings for chunk in inside} == {("Fleet",)}


def test_few_rows_a_chunk_leave_the_text_around_as_it_is():
    chunks = split(MIXED, "fleet.md", tokens=400, rows=5)
    tables = [text for text in texts(MIXED, chunks) if text.startswith("| s")]
    assert tables
    assert max(text.count("\n| s") + 1 for text in tables) <= 5


def test_a_table_in_a_code_fence_is_code():
    text = f"```\n{TABLE}```\n"
    assert {chunk.context for chunk in split(text, "t.md", tokens=60)} == {()}


def test_a_table_without_rows_and_one_line_are_no_tables():
    for text in ("a,b\n", "", "| a |\n| - |\n", "a | b\n"):
        (*chunks,) = split(text, "t.csv", tokens=50)
        assert {chunk.context for chunk in chunks} <= {()}


def test_the_name_decides_unless_the_option_does():
    document = Document(CSV, "ships.txt")
    run = asyncio.run(CHUNKER.run(document, CHUNKER.options(tokens=90, table="csv"), TOKTOK, None))
    assert run[1].context
