"""Chapter headings of plain text."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavo.loaders._support.book_headings import find_book_headings


def found(text):
    return [(heading.level, heading.title) for heading in find_book_headings(text)]


def test_chapters_that_say_so_are_headings():
    text = "PART ONE\n\nCHAPTER 1. The Inn\n\nRain.\n\nChapter II\n\nSun.\n\nEpilogue\n\nEnd.\n"
    assert found(text) == [
        (1, "PART ONE"),
        (2, "CHAPTER 1. The Inn"),
        (2, "Chapter II"),
        (2, "Epilogue"),
    ]


def test_a_title_below_a_number_belongs_to_the_heading():
    text = "Before.\n\n\nXIV\n\nThe Long Way\n\nThey walked.\n"
    (heading,) = find_book_headings(text)
    assert heading.title == "XIV. The Long Way"
    assert text[heading.span.start : heading.span.end] == "XIV\n\nThe Long Way"


def test_a_number_needs_two_blank_lines_above():
    assert found("It is\n\n12\n\npages long, this book.\n") == []
    assert found("text\n\n\n12\n\nAnd so it began on a day in May.\n") == [(2, "12")]


def test_a_chapter_word_in_a_paragraph_is_no_heading():
    assert found("He read\nchapter 4 of it\nand slept.\n") == []


def test_a_table_of_contents_is_no_heading():
    contents = "CHAPTER 1. One\n\nCHAPTER 2. Two\n\nCHAPTER 3. Three\n\n\n"
    body = "CHAPTER 1. One\n\nText.\n\nCHAPTER 2. Two\n\nText.\n\n"
    assert [
        title for _, title in found("Novel\n\n" + contents + "Preface\n\nHello.\n\n" + body)
    ] == [
        "Preface",
        "CHAPTER 1. One",
        "CHAPTER 2. Two",
    ]


def test_windows_lines_give_the_same():
    text = "PART ONE\n\nCHAPTER 1\n\nThe Inn\n\nIt rained.\n"
    assert found(text) == found(text.replace("\n", "\r\n")) == found(text.replace("\n", "\r"))


@given(st.lists(st.sampled_from(["Chapter 1", "IV", "7.", "Title", "Prologue", "", "", "x y."])))
def test_spans_lie_in_the_text_in_order(lines):
    text = "\n".join(lines)
    end = 0
    for heading in find_book_headings(text):
        assert end <= heading.span.start < heading.span.end <= len(text)
        assert heading.title
        end = heading.span.end
