from __future__ import annotations

import pytest
import typer
from typer.main import get_command

from octavo.commands._cli.options.pipeline_commands import build_pipeline_function
from octavo.config.run_options import ProgressMode, ResultFormat, RunOptions
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


def request(*arguments, params=PARAMS):
    """Return the request that a command line makes."""
    taken = []
    app = typer.Typer(rich_markup_mode=None, add_completion=False)
    app.command("ask")(
        build_pipeline_function(pipeline(*params), lambda made: taken.append(made) or 0)
    )
    with (command := get_command(app)).make_context("ask", list(arguments)) as context:
        command.invoke(context)
    return taken[0]


def test_nothing_given_leaves_every_default_to_its_owner():
    made = request()
    assert (made.options, made.params) == (RunOptions(), {})


def test_every_option_reaches_the_request():
    made = request(
        *("a.txt", "docs", "-o", "out/", "-m", "openai:x", "-j", "4", "-k", "-n", "--fresh"),
        *("--private", "--json", "--glob", "*.md", "--glob", "*.txt", "--exclude", "old/*"),
        *("--encoding", "latin-1", "--timeout", "2.5", "--hedge", "3", "--progress", "plain", "-q"),
    )
    assert made.params == {}
    assert made.options == RunOptions(
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


def test_parameters_are_flags_before_and_after_the_inputs():
    made = request("--question", "Who?", "moby.txt", "--max-words", "50", "--quotes", "--tone=warm")
    assert made.options.inputs == ("moby.txt",)
    assert made.params == {
        "question": ["Who?"],
        "max_words": ["50"],
        "quotes": [True],
        "tone": ["warm"],
    }


def test_a_boolean_can_be_turned_off():
    assert request("--no-quotes").params == {"quotes": [False]}


def test_pairs_say_the_same_as_flags():
    made = request("-p", "question=Who?", "-p", "question=a=b", "-p", "max_words=50")
    assert made.params == {"question": ["Who?", "a=b"], "max_words": ["50"]}


def test_flags_and_pairs_add_up_where_a_parameter_is_repeatable():
    assert request("--question", "Who?", "-p", "question=Why?").params == {
        "question": ["Who?", "Why?"]
    }


@pytest.mark.parametrize("pair", ["question", "=x"])
def test_a_pair_needs_a_name_and_a_value(pair):
    with pytest.raises(UsageError, match="not a parameter"):
        request("-p", pair)


@pytest.mark.parametrize("name", ["output", "model", "json", "help", "inputs", "param", "dry_run"])
def test_a_parameter_with_the_name_of_an_option_is_refused(name):
    with pytest.raises(UsageError, match=f"ask.yaml: the parameter '{name}' has the name"):
        request(params=(Parameter(name),))


def test_an_unknown_option_is_refused():
    with pytest.raises(typer.TyperException, match="--questoin"):
        request("--questoin", "Who?")
