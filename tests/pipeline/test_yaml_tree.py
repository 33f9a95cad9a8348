"""YAML is read as version 1.2 does, with places, within bounds, beyond its usual traps."""

from __future__ import annotations

import math
import time

import pytest

from octavo.pipeline.yaml_repair import read_tree
from octavo.pipeline.yaml_tree import parse_scalar


def read(text):
    problems = []
    root = read_tree(text, lambda *problem: problems.append(problem))
    return root, [(code, line, column) for code, _, line, column, _ in problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("Yes", "Yes"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("~", None),
        ("", None),
        ("-.inf", -math.inf),
    ],
)
def test_plain_words_are_those_of_yaml_1_2(text, value):
    assert parse_scalar(text) == value
    assert type(parse_scalar(text)) is type(value)


def test_quoted_words_are_text():
    root, problems = read("a: '010'\nb: \"true\"\nc: !!str 3\nd: |\n  no\n")
    assert root.data == {"a": "010", "b": "true", "c": "3", "d": "no\n"}
    assert problems == []


def test_places_count_characters():
    root, _ = read("é: [ü, {ß: 1}]\n")
    entry = root.entries["é"].value.items[1].entries["ß"]
    assert (entry.line, entry.column, entry.value.column) == (1, 9, 12)


@pytest.mark.parametrize(
    ("text", "data", "problems"),
    [
        ("a: 1\na: 2\nb: 3", {"a": 1, "b": 3}, [("duplicate-key", 2, 1)]),
        ("a: {{ x }}\nb: {{ y }} z", None, [("unquoted-jinja", 1, 4), ("unquoted-jinja", 2, 4)]),
        ("a: {% if x %}y{% endif %}", None, [("unquoted-jinja", 1, 4)]),
        ("a: [{{ x }}, 1]", None, [("unquoted-jinja", 1, 5)]),
        ("a:\n\tb: 1\n\tc: 2", {"a": {"b": 1, "c": 2}}, [("tab", 2, 1)]),
        (
            "a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> main\nc: 4",
            {"a": 1, "b": 2, "c": 4},
            [("merge-conflict", 2, 1)],
        ),
        ("a: !!int 3", {"a": 3}, [("tag", 1, 4)]),
        ("a: x\u2028y", {"a": "x y"}, [("syntax", 1, 5)]),
    ],
)
def test_traps_are_told_and_read_on(text, data, problems):
    root, found = read(text)
    assert found == problems
    assert root is not None
    if data is not None:
        assert root.data == data


def test_the_jinja_hint_can_be_copied():
    hints = []
    read_tree("a: {{ x }} and {{ y }}  # why\n", lambda *problem: hints.append(problem[4]))
    assert hints == ['write "{{ x }} and {{ y }}"']


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [1", ("syntax", 1, 4)),
        ("a: 'x", ("syntax", 1, 4)),
        ("a: b: c", ("syntax", 1, 5)),
        ("a: 1\n---\nb: 2", ("syntax", 2, 1)),
        ("? [a]\n: b", ("syntax", 1, 3)),
        ("a: \0", ("syntax", 1, 4)),
        ("a: \ud800", ("syntax", 1, 4)),
        ("a: &x [*x]", ("alias", 1, 8)),
        ("a: *x", ("alias", 1, 4)),
        ("[" * 41, ("too-large", 1, 41)),
    ],
)
def test_what_cannot_be_read_is_told_once(text, problem):
    assert read(text) == (None, [problem])


def test_bombs_are_bounded():
    levels = ["l0: &l0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 10)}]" for i in range(1, 12)]
    started = time.process_time()
    for text in ("\n".join(levels), "[" * 500_000, "- [\n" * 100_000, "a: " + "{ " * 300_000):
        root, problems = read(text)
        assert root is None
        assert problems[-1][0] in ("too-large", "syntax")
    assert time.process_time() - started < 5


def test_aliases_are_the_value_they_name():
    root, problems = read("a: &x {b: 1}\nc: *x")
    assert root.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert problems == []
