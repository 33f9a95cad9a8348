"""What a document is, and the headings above its places."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from octavo.text.document import Document, Heading, heading_path, iter_heading_paths
from octavo.text.span import Span


def test_the_hash_is_of_the_text_alone():
    one = Document("naïve 🚢", "a.md", metadata={"title": "A"})
    other = Document("naïve 🚢", "b.md")
    assert one.hash == other.hash == hashlib.sha256("naïve 🚢".encode()).hexdigest()
    assert one != other


def test_half_characters_have_a_hash_of_their_own():
    assert Document("\ud800", "-").hash != Document("\ufffd", "-").hash


def test_a_slice_is_the_text_of_its_span():
    document = Document("zero one two", "-")
    assert document.slice(Span(5, 8)) == "one"
    assert document.slice(Span(5, 5)) == ""


def test_a_path_has_the_last_heading_of_each_level_above():
    outline = tuple(
        Heading(level, title, Span(at, at + 1))
        for level, title, at in [(1, "A", 5), (3, "a", 10), (2, "b", 20), (1, "B", 30)]
    )
    assert heading_path(outline, 4) == ()
    assert heading_path(outline, 5) == ("A",)
    assert heading_path(outline, 19) == ("A", "a")
    assert heading_path(outline, 25) == ("A", "b")
    assert heading_path(outline, 99) == ("B",)


HEADINGS = st.lists(st.tuples(st.integers(1, 6), st.integers(0, 50)), max_size=12).map(
    lambda pairs: tuple(
        Heading(level, str(at), Span(at, at))
        for at, level in sorted({at: level for level, at in pairs}.items())
    )
)


@given(HEADINGS, st.lists(st.integers(0, 60), max_size=20).map(sorted))
def test_many_paths_are_as_one_by_one(outline, positions):
    expected = [heading_path(outline, position) for position in positions]
    assert list(iter_heading_paths(outline, positions)) == expected
    for path, position in zip(expected, positions, strict=True):
        above = [heading for heading in outline if heading.span.start <= position]
        assert path == () if not above else path[-1] == above[-1].title
