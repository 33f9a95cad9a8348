"""Shares that keep to a budget, by weight."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.steps.compress.shares import allot_shares


def total(sizes, shares):
    return sum(size * share for size, share in zip(sizes, shares, strict=True))


def test_what_weighs_least_is_shortened_most_and_some_not_at_all():
    assert allot_shares([100] * 4, [0.0, 0.1, 0.6, 1.0], 240, 0.25) == [0.3, 0.35, 0.75, 1.0]
    assert allot_shares([100] * 4, [0.0] * 4, 240, 0.25) == [0.6] * 4
    assert allot_shares([100, 100], [0.0, 1.0], 500, 0.25) == [1.0, 1.0]
    assert allot_shares([100, 100], [0.0, 1.0], 10, 0.25) == [0.25, 0.25]
    assert allot_shares([], [], 10, 0.25) == []


def test_nothing_is_shortened_by_less_than_is_worth_a_call():
    assert allot_shares([100, 900], [0.0, 1.0], 970, 0.25) == [0.7, 1.0]
    assert 0.95 not in allot_shares([1000], [0.5], 970, 0.25)


PIECES = st.lists(st.tuples(st.integers(0, 900), st.floats(0, 1)), max_size=12)


@given(PIECES, st.integers(0, 5000), st.sampled_from([0.1, 0.25, 0.33, 0.9]))
def test_the_budget_is_kept_wherever_it_can_be(pieces, budget, least):
    sizes, weights = [size for size, _ in pieces], [weight for _, weight in pieces]
    shares = allot_shares(sizes, weights, budget, least)
    assert all(least <= share <= 1 for share in shares)
    if total(sizes, [least] * len(sizes)) <= budget:
        assert total(sizes, shares) <= budget + 1e-6
    else:
        assert shares == [least] * len(sizes)
    for (one, share), (other, another) in combinations(zip(weights, shares, strict=True), 2):
        assert one == other or (one < other) == (share < another) or share == another


@given(PIECES, st.integers(0, 5000))
def test_a_larger_budget_takes_nothing_from_anyone(pieces, budget):
    sizes, weights = [size for size, _ in pieces], [weight for _, weight in pieces]
    small, large = (allot_shares(sizes, weights, each, 0.25) for each in (budget, budget + 300))
    assert all(one <= other for one, other in zip(small, large, strict=True))


def test_a_small_edit_elsewhere_changes_few_shares():
    weights = [each / 20 for each in range(21)]
    before = allot_shares([100] * 21, weights, 1200, 0.25)
    after = allot_shares([100] * 20 + [103], weights, 1200, 0.25)
    changed = sum(one != other for one, other in zip(before, after, strict=True))
    assert changed <= 3
    assert total([100] * 21, before) == pytest.approx(1200, abs=60)
