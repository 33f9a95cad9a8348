"""Pipelines that were changed at random: valid, or refused with places; never a traceback."""

from __future__ import annotations

import pytest
from tests.support.mutations import Tally, judge, mutate, sources

from octavo.pipeline.registry import Registry


def test_a_mutated_pipeline_is_read_or_refused():
    tally = mutate(300, seed=7)
    assert tally.crashes == []
    assert tally.pipelines + tally.refused == 300
    assert tally.pipelines > 10
    assert len(tally.codes) > 10
    assert tally.slowest < 5


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("count.yaml", "{op: count", "{opch: count"),
        ("extract.yaml", "key: key}\n", "key: "),
    ],
)
def test_mutations_that_were_once_a_traceback_or_had_no_place(name, old, new):
    path, text = next((p, t) for p, t in sources().items() if p.endswith(name))
    assert old in text
    tally = Tally()
    judge(
        path, text[: text.index(old)] + new + text[text.index(old) + len(old) :], Registry(), tally
    )
    assert (tally.refused, tally.crashes) == (1, [])
