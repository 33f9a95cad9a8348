"""Pipelines that were changed at random: valid, or refused with places; never a traceback."""

from __future__ import annotations

from bench.mutations import mutate


def test_a_mutated_pipeline_is_read_or_refused():
    tally = mutate(300, seed=7)
    assert tally.crashes == []
    assert tally.pipelines + tally.refused == 300
    assert tally.pipelines > 10
    assert len(tally.codes) > 10
    assert tally.slowest < 5
