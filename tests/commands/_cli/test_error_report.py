from __future__ import annotations

import pytest

from octavo import errors
from octavo.commands._cli import error_report as failure
from octavo.commands._cli.signals import Interrupted
from octavo.errors import (
    AuthError,
    BudgetReached,
    InputError,
    Position,
    RunFailed,
    SpecError,
    SpecErrors,
    UsageError,
)

SPEC = SpecError(
    "'mapreduce' is not a step",
    code="unknown-step",
    position=Position("book.yaml", 7, 5, "  - mapreduce: {}"),
    hint="did you mean 'map'?",
)


def test_an_error_is_one_sentence_and_one_thing_to_do(capsys):
    assert failure.report(UsageError("no such model", hint="octavo ls")) == 2
    assert capsys.readouterr().err == "error: no such model\nhelp: octavo ls\n"


def test_a_problem_in_a_pipeline_shows_its_place(capsys):
    assert failure.report(SPEC) == 2
    assert capsys.readouterr().err.splitlines() == [
        "book.yaml:7:5: error[unknown-step]: 'mapreduce' is not a step",
        "   7 |   - mapreduce: {}",
        "     |     ^",
        "help: did you mean 'map'?",
    ]


def test_all_problems_of_a_pipeline_are_shown(capsys):
    assert failure.report(SpecErrors((SPEC, SPEC))) == 2
    assert capsys.readouterr().err.count("book.yaml:7:5: error[unknown-step]") == 2


def test_the_caret_stands_under_its_column_in_a_long_line(capsys):
    source = "x" * 500 + "HERE" + "y" * 500
    position = Position("a.yaml", 1, 501, source)
    failure.report(SpecError("bad", code="bad", position=position))
    _, line, caret = capsys.readouterr().err.splitlines()
    assert line[caret.index("^") :].startswith("HERE")
    assert len(line) < 200


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.OctavoError)
        and kind not in {SpecError, SpecErrors}
    ],
)
def test_each_error_ends_with_its_own_code(name, capsys):
    kind = getattr(errors, name)
    extra = {"InputError": {"source": "a.txt"}, "ReplyError": {"outcome": "refused"}}
    assert failure.report(kind("went wrong", **extra.get(name, {}))) == kind.exit_code
    assert "went wrong" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("together", "code"),
    [
        ((RunFailed("a"), BudgetReached("b")), 4),
        ((RunFailed("a"), BudgetReached("b"), AuthError("c")), 3),
        ((AuthError("c"), Interrupted(2)), 130),
        ((InputError("a", source="x"), RunFailed("b")), 1),
    ],
)
def test_of_several_errors_the_most_urgent_gives_the_code(together, code, capsys):
    assert failure.report(ExceptionGroup("several", [together[0], *together[1:]])) == code
    assert capsys.readouterr().err.count("error: ") == sum(
        not isinstance(error, Interrupted) for error in together
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [(KeyboardInterrupt(), 130), (Interrupted(15), 143), (BrokenPipeError(), 141)],
)
def test_signals_and_closed_pipes_are_silent(error, code, capfd):
    assert failure.report(error) == code
    assert capfd.readouterr() == ("", "")


def broken(key):
    raise ZeroDivisionError(f"cannot use {key}")


def test_a_defect_saves_its_traceback_without_values(capsys, empty_home, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "hunter2hunter2")
    with pytest.raises(ZeroDivisionError) as caught:
        broken("hunter2hunter2")
    assert failure.report(caught.value) == 70
    err = capsys.readouterr().err
    assert err.startswith("error: unexpected ZeroDivisionError: cannot use [key]\nhelp: ")
    [saved] = (empty_home / ".local/state/octavo/crashes").iterdir()
    assert str(saved) in err
    assert saved.stat().st_mode & 0o777 == 0o600
    text = saved.read_text()
    assert "in broken" in text
    assert "hunter2" not in text + err


@pytest.mark.parametrize(
    ("error", "told"),
    [(ZeroDivisionError("it"), "help: this is a defect"), (RunFailed("it"), "traceback: ")],
)
def test_debug_saves_the_traceback_of_any_error_and_names_the_file(error, told, capsys, empty_home):
    failure.report(error, debug=True)
    err = capsys.readouterr().err
    [saved] = (empty_home / ".local/state/octavo/crashes").iterdir()
    assert err.splitlines()[-1].startswith(told)
    assert str(saved) in err
    assert type(error).__name__ in saved.read_text()


def test_a_private_run_keeps_no_traceback(capsys, empty_home):
    with pytest.raises(ZeroDivisionError) as caught:
        broken("it")
    assert failure.report(caught.value, private=True) == 70
    assert "Traceback" not in capsys.readouterr().err
    assert failure.report(caught.value, private=True, debug=True) == 70
    assert "in broken" in capsys.readouterr().err
    assert not (empty_home / ".local").exists()


def test_nothing_that_an_error_quotes_can_steer_the_terminal(capsys):
    failure.report(InputError("odd \x1b[2J\r\x07\udce9 name", source="a\x1b[31m.txt"))
    err = capsys.readouterr().err
    assert err == "error: a\\x1b[31m.txt: odd \\x1b[2J\\x0d\\x07\\udce9 name\n"
