"""The loops of splitting: what they find, and that the native ones find the same."""

from __future__ import annotations

import re
import runpy
import time
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.splitting import kernel, loops

try:
    from octavo.text.splitting import native
except ImportError:
    native = None

needs_native = pytest.mark.skipif(native is None, reason="was built without a C compiler")

LINES = st.lists(
    st.sampled_from(["\n", "\r\n", " ", "\t", "\f", "\v", "\r", "a", "é", "字", "👍", "\ud800"]),
    max_size=60,
).map("".join)


@needs_native
def test_the_native_loops_run_where_they_were_built():
    assert (native.VERSION == loops.VERSION) == kernel.NATIVE
    assert kernel.NATIVE, "they were built from an older version: install the package again"
    for name in set(kernel.__all__) - {"NATIVE"}:
        assert getattr(kernel, name) is getattr(native, name)


@needs_native
def test_native_loops_of_another_version_do_not_run(monkeypatch):
    monkeypatch.setattr(native, "VERSION", loops.VERSION - 1)
    found = runpy.run_path(kernel.__file__)
    assert not found["NATIVE"]
    assert found["find_cheapest_cuts"] is loops.find_cheapest_cuts


@needs_native
@given(st.text(max_size=80) | LINES, st.data())
def test_both_find_the_same_blank_lines(text, data):
    begin = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(begin, len(text)))
    assert native.find_blank_lines(text, begin, stop) == loops.find_blank_lines(text, begin, stop)


@given(LINES)
def test_blank_lines_are_those_of_a_pattern(text):
    ends, gaps = kernel.find_blank_lines(text, 0, len(text))
    runs = list(re.finditer(r"\n(?:[ \t\r\f\v]*\n)+", text))
    assert ends == [run.end() for run in runs]
    assert gaps == [
        run.end()
        for run in runs
        if "\n\n\n" in run[0] or "\r\n\r\n\r\n" in text[max(run.start() - 1, 0) : run.end()]
    ]


@needs_native
@given(st.text(max_size=200) | LINES, st.data())
def test_both_give_borders_the_same_hashes(text, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=20).map(sorted))
    assert native.hash_boundaries(text, places) == loops.hash_boundaries(text, places)


def test_a_borders_hash_is_that_of_the_characters_around_it():
    text = "x" * 40 + "字é👍" + "y" * 40
    around = text[42 - 32 : 42 + 32].encode()
    assert kernel.hash_boundaries(text, [42]) == [zlib.crc32(around) * 0x9E3779B1 % 2**32]


@needs_native
@given(st.text(max_size=200) | LINES, st.data())
def test_both_draw_the_same_costs(text, data):
    places = data.draw(st.lists(st.integers(0, len(text)), max_size=20).map(sorted))
    prices = data.draw(
        st.lists(st.integers(-(2**20), 2**20), min_size=len(places), max_size=len(places))
    )
    assert native.price_boundaries(text, places, prices) == loops.price_boundaries(
        text, places, prices
    )


def test_the_least_hash_costs_nothing_and_the_worst_nearly_all():
    costs = loops.weigh_hashes(range(0, 2**32, 2**20))
    assert (costs[0], costs[-1]) == (0, loops.UNIT)
    assert costs == sorted(costs)


FENCES = st.lists(
    st.sampled_from(["`", "``", "```", "````", "~~~", "\n", " ", "\t", "\u3000", "x", " " * 62]),
    max_size=40,
).map("".join)


@needs_native
@given(FENCES, st.sampled_from("`~"))
def test_both_find_the_same_fences(text, sign):
    assert native.find_fence_marks(text, sign) == loops.find_fence_marks(text, sign)


@needs_native
@given(st.lists(st.integers(1, 50), max_size=60), st.integers(0, 80), st.data())
def test_both_keep_the_same_places(lengths, short, data):
    bounds = [sum(lengths[:count]) for count in range(len(lengths) + 1)]
    prices = data.draw(st.lists(st.integers(-1, 1), min_size=len(lengths), max_size=len(lengths)))
    assert native.select_boundaries(bounds, prices, short) == loops.select_boundaries(
        bounds, prices, short
    )


ITEMS = st.lists(st.tuples(st.integers(0, 30), st.integers(-20, 40)), min_size=1, max_size=60)


@needs_native
@given(ITEMS, st.integers(30, 90), st.integers(0, 30), st.booleans())
def test_both_take_the_same_path(items, room, each, more):
    sizes, costs = zip(*items, strict=True)
    found = native.find_cheapest_cuts(sizes, costs, room, each, more=more)
    assert found == loops.find_cheapest_cuts(sizes, costs, room, each, more=more)


@given(ITEMS, st.integers(30, 90), st.integers(0, 30))
def test_no_other_path_is_cheaper(items, room, each):
    sizes, costs = map(list, zip(*items, strict=True))
    least = [0] + [10**9] * len(sizes)
    for end in range(1, len(sizes) + 1):
        for start in range(end):
            if sum(sizes[start:end]) <= room:
                price = least[start] + each + (costs[start] if start else 0)
                least[end] = min(least[end], price)
    cuts = [0, *kernel.find_cheapest_cuts(sizes, costs, room, each), len(sizes)]
    parts = list(pairwise(cuts))
    assert all(sum(sizes[a:b]) <= room for a, b in parts)
    assert sum(each + (costs[a] if a else 0) for a, _ in parts) == least[-1]


@given(ITEMS, st.integers(30, 90), st.integers(0, 30), st.data())
def test_cuts_that_are_settled_early_are_those_of_the_whole(items, room, each, data):
    sizes, costs = map(list, zip(*items, strict=True))
    found: list[int] = []
    begin = 0
    for end in sorted(data.draw(st.sets(st.integers(1, len(sizes)), max_size=5))):
        if cuts := kernel.find_cheapest_cuts(
            sizes[begin:end], costs[begin:end], room, each, more=True
        ):
            found += [begin + cut for cut in cuts]
            begin += cuts[-1]
    found += [
        begin + cut for cut in kernel.find_cheapest_cuts(sizes[begin:], costs[begin:], room, each)
    ]
    assert found == kernel.find_cheapest_cuts(sizes, costs, room, each)


def test_a_path_that_never_settles_takes_linear_time():
    """Where all places are alike, as many ways run side by side as a part has items."""
    sizes, costs = [1] * 40_000, [0] * 40_000
    for loop in {kernel.find_cheapest_cuts, loops.find_cheapest_cuts}:
        began = time.process_time()
        assert loop(sizes, costs, 10_000, 1, more=True) == []
        assert time.process_time() - began < 1  # sixteen seconds, were all compared each time


def test_any_budget_will_do_however_large():
    for loop in (kernel, loops):
        assert loop.find_cheapest_cuts([1, 2], [0, 0], 10**30, 1) == []
        assert loop.select_boundaries([0, 1, 2], [0], 10**30) == []


class Meddler:
    """A number that empties the list it is in when it is asked which."""

    def __init__(self, number, items):
        self.number = number
        self.items = items

    def __index__(self):
        self.items.clear()
        return self.number


@needs_native
def test_numbers_that_change_their_list_do_no_harm():
    places: list[object] = []
    places += [Meddler(1, places), *map(str, range(1000))]
    with pytest.raises(TypeError):
        native.hash_boundaries("abc", places)
    places += [Meddler(1, places), *range(1000)]
    assert native.hash_boundaries("abc", places)[:3] == loops.hash_boundaries("abc", [1, 0, 1])


@needs_native
@pytest.mark.parametrize(
    "call",
    [
        lambda: native.find_blank_lines("a\n\n\nb\n\n" * 40, 0, 240),
        lambda: native.hash_boundaries("é" * 80, [1000] * 40),
        lambda: native.find_cheapest_cuts([3000] * 40, [1000] * 40, 6000, 5),
        lambda: native.find_cheapest_cuts([3000] * 40, list(range(1000, 1040)), 6000, 5, more=True),
        lambda: native.price_boundaries("a" * 80, [1000] * 40, [1000] * 40),
        lambda: native.find_fence_marks("```\n字\n" * 10, "`"),
        lambda: native.select_boundaries(list(range(0, 9000, 30)), [0] * 290, 10),
    ],
)
def test_no_memory_at_any_moment_is_an_error_and_nothing_else(call):
    memory = pytest.importorskip("_testcapi")
    whole = call()
    refused = 0
    for moment in range(400):
        memory.set_nomemory(moment, moment + 1)
        try:
            found = call()
        except MemoryError:
            found = None
        finally:
            memory.remove_mem_hooks()
        refused += found is None
        assert found in (None, whole)
    assert refused > 3


@needs_native
@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: native.hash_boundaries("a", ["x"]), TypeError),
        (lambda: native.hash_boundaries(b"a", [0]), TypeError),
        (lambda: native.hash_boundaries("a", 5), TypeError),
        (lambda: native.select_boundaries([3, 2, 1], [0], 5), ValueError),
        (lambda: native.find_cheapest_cuts([1, 2], [0], 5, 1), ValueError),
        (lambda: native.find_cheapest_cuts([2**70], [0], 5, 1), OverflowError),
        (lambda: native.find_cheapest_cuts([2**62] * 3, [0] * 3, 2**63 - 1, 1), OverflowError),
        (lambda: native.price_boundaries("a", [0], [2**63 - 1]), OverflowError),
        (lambda: native.select_boundaries([-(2**63), 0, 2**63 - 1], [0], 5), OverflowError),
        (lambda: native.select_boundaries([0, 1, 2], [0], "5"), TypeError),
        (lambda: native.find_blank_lines(None, 0, 1), TypeError),
        (lambda: native.price_boundaries("a", [0], []), ValueError),
        (lambda: native.find_fence_marks("a", "``"), TypeError),
    ],
)
def test_what_the_native_loops_cannot_take_is_an_error(call, error):
    with pytest.raises(error):
        call()
