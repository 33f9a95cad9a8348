"""Parameters get values of their declared types, or all problems are told."""

from __future__ import annotations

import pytest

from octavo.errors import SpecError, UsageError
from octavo.pipeline.params import parse_pairs, resolve_params
from octavo.pipeline.spec import Parameter, ParamType

QUESTION = Parameter("question", about="what to answer", repeatable=True)
WORDS = Parameter("word_count", ParamType.INTEGER, default=300, required=False)
SHARE = Parameter("share", ParamType.NUMBER, default=0.5, required=False)
QUICK = Parameter("quick", ParamType.BOOLEAN, default=False, required=False)
TONE = Parameter("tone", ParamType.CHOICE, required=False, choices=("dry", "warm"))
ALL = (QUESTION, WORDS, SHARE, QUICK, TONE)


def test_strings_are_read_as_the_declared_types():
    given = parse_pairs(
        ["question=a=b", "question=c", "word-count=10", "share=1e-1", "quick=yes", "tone=dry"]
    )
    assert resolve_params(ALL, given) == {
        "question": ("a=b", "c"),
        "word_count": 10,
        "share": 0.1,
        "quick": True,
        "tone": "dry",
    }


def test_values_of_programs_are_taken_as_they_are():
    given = {"question": "why?", "word_count": 10, "share": 2, "quick": True}
    assert resolve_params(ALL, given) == {
        "question": ("why?",),
        "word_count": 10,
        "share": 2.0,
        "quick": True,
        "tone": None,
    }


def test_defaults_fill_what_is_not_given():
    assert resolve_params((WORDS, TONE), {}) == {"word_count": 300, "tone": None}


def test_all_problems_are_told_at_once():
    with pytest.raises(UsageError) as caught:
        resolve_params(ALL, {"wordcount": "3", "word_count": "3.5", "share": "nan", "tone": "dri"})
    assert caught.value.message.splitlines() == [
        "5 parameters are wrong:",
        "  there is no parameter 'wordcount'; did you mean 'word_count'?",
        "  the parameter 'question' needs a value (what to answer); add --question VALUE",
        "  the parameter 'word_count' is a whole number, not '3.5'; write a whole number such as 8",
        "  the parameter 'share' is a number, not 'nan'; write a number such as 0.5",
        "  the parameter 'tone' is one of its choices, not 'dri'; did you mean 'dry'?",
    ]


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        (WORDS, True),
        (WORDS, 1.5),
        (WORDS, "1" * 5000),
        (SHARE, "1e999"),
        (QUICK, "maybe"),
        (TONE, 3),
        (Parameter("name"), 3),
        (WORDS, ["1", "2"]),
    ],
)
def test_values_of_other_types_are_refused(parameter, value):
    with pytest.raises(UsageError) as caught:
        resolve_params((parameter,), {parameter.name: value})
    assert caught.value.hint


def test_a_pair_needs_an_equals_sign():
    with pytest.raises(UsageError, match="not a parameter: 'question', '=x'"):
        parse_pairs(["question", "tone=dry", "=x"])


SHAPE = Parameter("shape", ParamType.JSON)


@pytest.mark.parametrize("given", ['{"a": [1]}', ' {"a": [1]}', {"a": [1]}, ['{"a": [1]}']])
def test_json_is_given_as_it_is(given):
    shape = resolve_params([SHAPE], {"shape": given})["shape"]
    assert shape.value == {"a": [1]}
    assert shape.path == "--shape"


def test_json_is_read_from_a_file_and_errors_name_its_line(tmp_path):
    path = tmp_path / "shape.json"
    path.write_bytes(b"\xef\xbb\xbf[{}, 2]")
    for given in (path, str(path), [str(path)]):
        shape = resolve_params([SHAPE], {"shape": given})["shape"]
        assert shape.value == [{}, 2]
        assert shape.path == str(path)
    path.write_text('{\n  "a": 1\n  "b": 2\n}')
    with pytest.raises(SpecError) as wrong:
        resolve_params([SHAPE], {"shape": path})
    assert (wrong.value.position.line, wrong.value.position.column) == (3, 3)


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "cannot be read"), (b"\xff{}", "not UTF-8 at byte 0"), (b" " * 1_000_001, "more than")],
)
def test_a_file_that_is_none_is_said_to_be(tmp_path, content, message):
    path = tmp_path / "shape.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=message):
        resolve_params([SHAPE], {"shape": path})
