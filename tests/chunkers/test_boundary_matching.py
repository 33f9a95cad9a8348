"""Places are found again in a changed text, and repeats are not taken for them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from octavo.chunkers._support.boundary_matching import match_boundaries

PLACES = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 6)), max_size=30).map(
    lambda steps: [(sum(s for s, _ in steps[: i + 1]), mark) for i, (_, mark) in enumerate(steps)]
)


@given(PLACES)
def test_an_unchanged_text_keeps_all_of_its_places(places):
    assert match_boundaries(places, places) == set(range(len(places)))


@given(PLACES, st.integers(0, 50))
def test_what_is_moved_as_a_whole_is_kept(places, by):
    unique = [(position, index) for index, (position, _) in enumerate(places)]
    assert match_boundaries(unique, [(p + by, mark) for p, mark in unique]) == set(
        range(len(unique))
    )


def test_a_repeat_counts_only_where_it_was():
    before = [(0, 1), (100, 7), (200, 2)]
    after = [(0, 1), (50, 7), (100, 7), (150, 7), (200, 2)]
    assert match_boundaries(before, after) == {0, 2, 4}


def test_places_that_changed_their_order_are_not_both_kept():
    assert len(match_boundaries([(0, 1), (10, 2)], [(0, 2), (10, 1)])) == 1
