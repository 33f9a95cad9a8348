"""The page of GPU results: several runs make one page, and nothing that was measured is hidden."""

from __future__ import annotations

import json

import pytest
from tools import gpu_page as page

HOST = {
    "date": "2026-01-01", "gpu": ["H100"], "driver": "1", "python": "3.12", "versions": {},
}  # fmt: skip
HEAD = {"host": HOST, "model": "big", "dummy": True, "stand_in": False}


def speed(plain, ours, offline=None):
    rows = [{"what": "plain client", "in_flight": 256, "requests": 512, "rate": r} for r in plain]
    rows += [
        {"what": "octavo map", "in_flight": None, "requests": 512, "rate": r, "sending": 512 / r}
        for r in ours
    ]
    return HEAD | {"ceiling": rows, **({"offline": offline} if offline else {})}


def strategy(name, kept, **more):
    row = {"strategy": name, "document": 1000, "sent": 3, "failed": 0, "prompt": 100}
    return row | {"seconds": 1.0, "cached": kept, "asked": 100, "kept": kept, "ideal": 50, **more}


def killed(**more):
    return {
        "what": "octavo killed", "replies_then": 10, "empty_after": 0.1, "empty": True,
        "memory_then": [0], "memory_before": [0], "exit": 0, "outcomes": {"ok": 5}, **more,
    }  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "DOCS", tmp_path / "docs" / "gpu.md")

    def write(**results):
        for name, told in results.items():
            path = tmp_path / f"{name.replace('_', '-')}.json"
            path.write_text(json.dumps(told))
        return page.table(tmp_path)

    return write


def test_each_run_has_its_own_speeds_and_share(written):
    text = written(speed=speed([20.0], [18.0]), speed_2=speed([20.0, 18.0], [19.0, 18.5]))
    assert text.index("reaches 0.900") < text.index("reaches 0.987")
    assert "Rounds: 2." in text


def test_the_best_of_a_run_may_be_the_engine_alone(written):
    assert "reaches 0.900" in written(speed=speed([18.0], [18.0], {"requests": 508, "rate": 20.0}))


def test_a_later_run_of_a_strategy_replaces_the_earlier_which_is_still_told(written):
    text = written(
        strategies=HEAD | {"strategies": [strategy("margins", 49), strategy("memory", 40)]},
        strategies_2=HEAD | {"strategies": [strategy("memory", 44, true_ideal=44)]},
    )
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in rows] == ["margins", "memory"]
    assert "about 0.980" in rows[0]
    assert "| 1.000 |" in rows[1]
    assert "An earlier run of `memory`" in text
    assert "about 0.800 of the ideal" in text


def test_pipelines_of_all_runs_stand_in_one_table(written):
    def rows(*names):
        return [
            {"pipeline": n, "exit": 0, "replies": 1, "outcomes": {}, "prompt": 9, "cached": 0}
            for n in names
        ]

    text = written(real=HEAD | {"real": rows("ask", "map")}, real_2=HEAD | {"real": rows("count")})
    found = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert found == ["ask", "count", "map"]


def test_a_kill_that_could_not_be_done_again_leaves_what_was(written):
    text = written(
        survival=HEAD | {"survival": [killed(replies_then=17)]},
        survival_2=HEAD | {"survival": [{"what": "octavo killed", "failed": "no"}]},
    )
    assert "after 17 replies" in text


def test_figures_of_a_stand_in_make_no_page_of_the_docs(written, tmp_path):
    written(speed=speed([20.0], [18.0]) | {"stand_in": True})
    assert not (tmp_path / "docs" / "gpu.md").exists()
    assert (tmp_path / "gpu.md").exists()
