from __future__ import annotations

import inspect

import pytest
import typer
from typer.main import get_command

from octavo.commands._cli.options.pipeline_commands import build_pipeline_function
from octavo.commands._cli.options.run_options import (
    ProgressMode,
    ResultFormat,
    RunOptions,
    declare_run_options,
)
from octavo.errors import UsageError
from octavo.pipeline.spec import Parameter, ParamType, Pipeline

PARAMS = (
    Parameter("question", about="what to answer", repeatable=True),
    Parameter("max_words", ParamType.INTEGER, "how long", default=300, required=False),
    Parameter("tone", ParamType.CHOICE, default="dry", required=False, choices=("dry", "warm")),
    Parameter("quotes", ParamType.BOOLEAN, "keep quotations", default=False, required=False),
)


def pipeline(*params):
    return Pipeline("ask", "Answer.", params, None, (), (), "", "ask.yaml", None, {})


def order(*arguments, params=PARAMS):
    """Return the order that a command line makes."""
    taken = []
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command("ask")(
        build_pipeline_function(pipeline(*params), lambda made: taken.append(made) or 0)
    )
    with (command := get_command(app)).make_context("ask", list(arguments)) as context:
        command.invoke(context)
    return taken[0]


def test_nothing_given_leaves_every_default_to_its_owner():
    made = order()
    assert made == RunOptions(made.pipeline, {}, made.invocation)


def test_every_option_reaches_the_order():
    made = order(
        *("a.txt", "docs", "-o", "out/", "-m", "openai:x", "-j", "4", "-k", "-n", "--fresh"),
        *("--private", "--json", "--glob", "*.md", "--glob", "*.txt", "--exclude", "old/*"),
        *("--encoding", "latin-1", "--timeout", "2.5", "--hedge", "3", "--progress", "plain", "-q"),
    )
    assert made == RunOptions(
        made.pipeline,
        {},
        made.invocation,
        inputs=("a.txt", "docs"),
        output="out/",
        model="openai:x",
        jobs=4,
        keep_going=True,
        dry_run=True,
        fresh=True,
        private=True,
        json=True,
        format=ResultFormat.JSON,
        glob=("*.md", "*.txt"),
        exclude=("old/*",),
        encoding="latin-1",
        timeout=2.5,
        hedge=3,
        progress=ProgressMode.PLAIN,
        quiet=True,
    )


def test_an_order_has_a_field_for_every_option():
    fields = set(RunOptions.__dataclass_fields__) - {"pipeline", "params", "invocation"}
    assert fields == set(inspect.signature(declare_run_options).parameters) - {"param"}


def test_parameters_are_flags_before_and_after_the_inputs():
    made = order("--question", "Who?", "moby.txt", "--max-words", "50", "--quotes", "--tone=warm")
    assert made.inputs == ("moby.txt",)
    assert made.params == {
        "question": ["Who?"],
        "max_words": ["50"],
        "quotes": [True],
        "tone": ["warm"],
    }


def test_a_boolean_can_be_turned_off():
    assert order("--no-quotes").params == {"quotes": [False]}


def test_pairs_say_the_same_as_flags():
    made = order("-p", "question=Who?", "-p", "question=a=b", "-p", "max_words=50")
    assert made.params == {"question": ["Who?", "a=b"], "max_words": ["50"]}


def test_flags_and_pairs_add_up_where_a_parameter_is_repeatable():
    assert order("--question", "Who?", "-p", "question=Why?").params == {
        "question": ["Who?", "Why?"]
    }


@pytest.mark.parametrize("pair", ["question", "=x"])
def test_a_pair_needs_a_name_and_a_value(pair):
    with pytest.raises(UsageError, match="not a parameter"):
        order("-p", pair)


@pytest.mark.parametrize("name", ["output", "model", "json", "help", "inputs", "param", "dry_run"])
def test_a_parameter_with_the_name_of_an_option_is_refused(name):
    with pytest.raises(UsageError, match=f"ask.yaml: the parameter '{name}' has the name"):
        order(params=(Parameter(name),))


def test_an_unknown_option_is_refused():
    with pytest.raises(typer.TyperException, match="--questoin"):
        order("--questoin", "Who?")
