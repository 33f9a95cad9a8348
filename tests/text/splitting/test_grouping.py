"""Groups and trees over chunks: whole, within bounds, chosen by content, always ending."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.errors import FitError
from octavo.text.splitting.grouping import build_tree, group_neighbours

ITEMS = st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(1, 100)), max_size=120)


@given(ITEMS, st.integers(2, 9), st.integers(200, 900))
def test_groups_cover_all_items_in_order_within_the_bounds(items, most, room):
    borders, sizes = [b for b, _ in items], [s for _, s in items]
    found = group_neighbours(borders, sizes, max_items=most, max_tokens=room)
    assert [i for group in found for i in group] == list(range(len(items)))
    for group in found:
        assert 1 <= len(group) <= most
        assert len(group) == 1 or sum(sizes[i] for i in group) <= room
    assert group_neighbours(borders, sizes, max_items=most, max_tokens=room) == found


@given(ITEMS, st.integers(2, 9), st.integers(200, 900))
def test_a_tree_ends_in_one_root_over_all_items(items, most, room):
    borders, sizes = [b for b, _ in items], [s for _, s in items]
    levels = build_tree(borders, sizes, size=100, max_items=most, max_tokens=room)
    width = len(items)
    for level in levels:
        assert [i for group in level for i in group] == list(range(width))
        assert len(level) < width
        width = len(level)
    assert width <= 1 or not items


def test_items_that_can_never_be_merged_are_refused_with_the_numbers():
    with pytest.raises(FitError, match="200 tokens"):
        build_tree([1, 2, 3], [100, 100, 100], size=100, max_tokens=150)


def test_an_item_more_leaves_most_groups_as_they_were():
    order = random.Random(3)
    borders = [order.getrandbits(32) for _ in range(300)]
    before = {tuple(borders[i] for i in group) for group in group_neighbours(borders, [1] * 300)}
    changed = []
    for _ in range(30):
        place = order.randrange(300)
        more = [*borders[:place], order.getrandbits(32), *borders[place:]]
        after = {tuple(more[i] for i in group) for group in group_neighbours(more, [1] * 301)}
        changed.append(len(after - before))
    assert sorted(changed)[15] <= 3
