"""Run options are declared once: flags, variables, files and programs refuse the same values."""

from __future__ import annotations

import inspect
import math
import re
from typing import get_type_hints

import pytest

import octavo
from octavo.config.run_options import RUN_OPTIONS, RunOptions
from octavo.errors import UsageError

BOUNDED = {name: each for name, each in RUN_OPTIONS.items() if each.option.bounds}
API_OPTIONS = [
    (function, name)
    for function in (octavo.run, octavo.plan)
    for name in inspect.signature(function).parameters
    # A program may give documents and a backend.
    if name in RUN_OPTIONS and name not in {"inputs", "model"}
]
RUN = ("run", "map", "--prompt", "Ask", "a.md")


def refused_values(declared):
    bounds = declared.option.bounds
    values = [-2, bounds.above]
    if bounds.most is not None:
        values.append(bounds.most + 4)
    return values if declared.type is int else [*values, math.nan]


REFUSED = [(name, value) for name, each in BOUNDED.items() for value in refused_values(each)]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_a_number_out_of_bounds_is_refused_wherever_it_is_given(
    tmp_path, octavo, monkeypatch, name, value
):
    flag = BOUNDED[name].flag
    by_flag = octavo(*RUN, flag, value)
    monkeypatch.setenv(f"OCTAVO_{name.upper()}", str(value))
    by_variable = octavo(*RUN)
    monkeypatch.delenv(f"OCTAVO_{name.upper()}")
    assert by_flag.code == by_variable.code == 2
    assert by_flag.err == by_variable.err
    assert re.match(rf"error: {flag} \S+ is not (above|between) .*\nhelp: \w+", by_flag.err)
    (tmp_path / "octavo.toml").write_text(f"quiet = true\n{name} = {value}\n")
    by_file = octavo("-C", tmp_path, *RUN)
    assert by_file.code == 2
    assert by_file.err.startswith(f"{tmp_path}/octavo.toml:2:1: error[wrong-type]: {name!r} must ")
    assert by_file.err.count("help: ") == 1


@pytest.mark.parametrize(
    ("line", "told", "fix"),
    [
        ("hedge = 0.5", "'hedge' must be a number above 1", "write a number above 1"),
        ("max_cost = 0", "'max_cost' must be a number above 0", "write a number above 0"),
        ("jobs = 2.5", "'jobs' must be a whole number", "write a whole number"),
        (
            'encoding = "nope"',
            "unknown text encoding 'nope'",
            'name one as Python does, for example encoding = "latin-1"',
        ),
    ],
)
def test_a_wrong_value_in_a_file_is_told_with_its_line_and_one_fix(
    tmp_path, octavo, line, told, fix
):
    (tmp_path / "octavo.toml").write_text(f"\n{line}\n")
    done = octavo("-C", tmp_path, *RUN)
    assert (done.code, done.out) == (2, "")
    first, *_, last = done.err.splitlines()
    assert re.fullmatch(rf"{tmp_path}/octavo\.toml:2:1: error\[\S+\]: {re.escape(told)}", first)
    assert last == f"help: {fix}"


def test_all_wrong_values_of_a_file_are_told_together(tmp_path, octavo):
    (tmp_path / "octavo.toml").write_text('hedge = 1\nencoding = "nope"\nmax_cost = nan\n')
    told = octavo("-C", tmp_path, *RUN).err
    assert re.findall(r"octavo\.toml:(\d):1: error", told) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_cost": math.nan}, "max_cost=nan is not above 0"),
        ({"jobs": -2}, "jobs=-2 is not above 0"),
        ({"jobs": 2.5}, "jobs=2.5 is not a whole number"),
        ({"jobs": True}, "jobs=True is not a whole number"),
        ({"allow_partial": 5.0}, "allow_partial=5.0 is not between 0 and 1"),
        ({"max_calls": 0}, "max_calls=0 is not above 0"),
        ({"max_minutes": -1}, "max_minutes=-1 is not above 0"),
        ({"max_minutes": "1"}, "max_minutes='1' is not a number"),
    ],
)
def test_a_program_is_refused_before_anything_is_read(options, message):
    with pytest.raises(UsageError, match=f"^{re.escape(message)}$") as caught:
        octavo.run("no-such-pipeline", "no-such-file", **options)
    assert caught.value.hint


def test_a_program_may_plan_with_no_other_jobs_either():
    with pytest.raises(UsageError, match="jobs=0 is not above 0") as caught:
        octavo.plan("no-such-pipeline", jobs=0)
    assert caught.value.hint == "give more, or leave it out"


def test_a_hint_shows_an_example_as_a_program_writes_it():
    with pytest.raises(UsageError) as caught:
        octavo.run("no-such-pipeline", allow_partial=98)
    assert caught.value.hint.endswith("for example allow_partial=0.98")


@pytest.mark.parametrize(("function", "name"), API_OPTIONS)
def test_a_program_has_the_names_types_and_defaults_of_the_options(function, name):
    parameter = inspect.signature(function).parameters[name]
    assert parameter.default == RUN_OPTIONS[name].default
    assert get_type_hints(function)[name] == get_type_hints(RunOptions)[name]


def test_limits_without_end_and_whole_numbers_are_taken(tmp_path):
    (tmp_path / "rules.yaml").write_text("default: Fine.\n")
    document = octavo.Document("One.", source="a.txt")
    done = octavo.run(
        "map",
        document,
        model=f"scripted:{tmp_path}/rules.yaml",
        params={"prompt": "Ask"},
        private=True,
        max_cost=math.inf,
        max_minutes=3,
        allow_partial=1,
    )
    assert done.text == "Fine."
