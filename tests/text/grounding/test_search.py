"""Pieces of a text are found where they stand, in time that grows with its length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import octavo.text
from octavo.text.grounding.search import find_pieces
from octavo.text.normalize import normalize_for_match

HERE = str(Path(octavo.text.__file__).parent)


def seen(text, *pieces):
    """Return what stands at each piece's place, marked where it is not to the letter."""
    return [
        None if place is None else ("" if place.exact else "~") + text[slice(*place.span)]
        for place in find_pieces(text, pieces)
    ]


def test_the_first_place_of_each_piece_between_edges_of_words():
    text = "The party made art. Art, 1,200 pieces (12 lost), was their pride; pi is 3.14."
    assert seen(text, "art", "Art", "12", "200", "1,200", "3", "14", "14.", "part", "made art") == [
        "art", "Art", "12", None, "1,200", None, None, None, None, "made art",
    ]  # fmt: skip
    (place,) = find_pieces(text, ["art"])
    assert place.span.start == text.index("art.")


@pytest.mark.parametrize(
    ("text", "piece", "found"),
    [
        ("He said \u201cno\u201d \u2013 twice.", 'he said "no" - twice', "~He said “no” – twice"),  # noqa: RUF001
        ("A long\n   line\u00a0here", "a long line here", "~A long\n   line\u00a0here"),
        ("An exam-\nple of well-known", "example of well-known", "~exam-\nple of well-known"),
        ("**Bold** words `here`", "bold words here", "~Bold** words `here"),
        ("The caf\u00e9 closed", "cafe\u0301", "~caf\u00e9"),
        ("Straße 5", "STRASSE", "~Straße"),
        ("他任职于\n北京大学。", "任职于北京大学", "~任职于\n北京大学"),
        ("\u5f20\u4e09\u5728\u5317\u4eac", "\u5317\u4eac", "\u5317\u4eac"),
        ("\u4ef7\u683c\uff11\uff12\u5143", "12\u5143", "~\uff11\uff12\u5143"),
        ("\uc11c\uc6b8\uc5d0\uc11c", "\uc11c\uc6b8", "\uc11c\uc6b8"),
        ("nothing here", "something", None),
        ("anything", "", None),
        ("anything", " \n", None),
    ],
)  # fmt: skip
def test_case_white_space_and_typography_do_not_count(text, piece, found):
    assert seen(text, piece) == [found]


def test_a_folded_character_knows_where_it_came_from():
    text = "\ufb01ne \u2026 end"
    folded = normalize_for_match(text)
    assert folded.text == "fine ... end"
    assert text[slice(*folded.to_source_span(0, 2))] == "\ufb01"
    assert text[slice(*folded.to_source_span(5, 8))] == "\u2026"


@given(st.text(alphabet="ab \n-\u5317\uff11.1\u0301*", max_size=60), st.data())
def test_what_stands_between_blanks_is_found_to_the_letter(text, data):
    words = [word for word in text.split() if word]
    pieces = data.draw(st.lists(st.sampled_from(words), max_size=5)) if words else []
    for place, piece in zip(find_pieces(text, pieces), pieces, strict=True):
        assert place is not None
        assert place.exact
        assert text[slice(*place.span)] == piece
        # The first place: nothing that ends in edges comes before.
        assert place.span.start <= text.index(piece) or text.find(piece, place.span.start) >= 0


@given(
    st.lists(st.text(alphabet="ab-\u5317 ", min_size=1, max_size=8), max_size=8),
    st.text(alphabet="ab-\u5317 ", max_size=80),
)
def test_many_pieces_are_found_as_each_alone(pieces, text):
    assert find_pieces(text, pieces) == [find_pieces(text, [piece])[0] for piece in pieces]


def steps(text, pieces):
    """Return how many lines of ours run to find pieces: loops count, whatever the machine does."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not frame.f_code.co_filename.startswith(HERE):
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        find_pieces(text, pieces)
    finally:
        sys.settrace(before)
    return count


def ordinary(size):
    text = " ".join(
        f"word{number * 7919 % 9973} \u5317\u4eac{number}\u3002" for number in range(size)
    )
    return text, [text[at : at + 60].upper() for at in range(0, len(text), 120)]


def nested(size):
    """Every piece ends wherever another does, and most are met inside of words only."""
    text = "ab" * size + " " + "a" * size
    return text, ["a" * length for length in range(1, int(size**0.5))] + ["b" + "ab" * 20 + " a"]


def absent(size):
    return "a" * size + "b", ["a" * length + "c" for length in range(1, int(size**0.5))]


@pytest.mark.parametrize("case", [ordinary, nested, absent])
def test_four_times_the_text_and_pieces_take_four_times_the_steps(case):
    small, large = (steps(*case(size)) for size in (250, 1000))
    assert large < 4.6 * small
