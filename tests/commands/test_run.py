"""`octavo run` as a user sees it: what goes where, and how it ends."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import tty

import pytest

PIPELINE = """\
octavo: 1
about: Say the text again.
params:
  tone: {type: choice, choices: [dry, warm], default: dry, about: how it sounds}
  length: {type: integer, default: 50, about: how long}
steps:
  - split: {by: structure, tokens: 200}
  - map: {prompt: "{{ tone }} {{ text }}", tokens: 60}
"""
TEXT = 'Call me [bold]Ishmael[/bold]. {{ 7 * 7 }} <b> & "caf\u00e9" \\n {% raw %}\n'
RULES = """\
rules:
  - contains: refuse me
    fail: refusal
  - contains: reject the key
    fail: auth
  - match: '(?s)\\w+ (.*)'
    reply: "${1}\\n\\n"
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    """A directory with a pipeline, rules, and inputs."""
    (tmp_path / "again.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "a.txt").write_text(TEXT, "utf-8")
    docs = tmp_path / "docs"
    (docs / "deep").mkdir(parents=True)
    (docs / "one.txt").write_text("The first.")
    (docs / "deep" / "two.md").write_text("The second.")
    return tmp_path


def test_the_bytes_are_the_same_in_a_pipe_a_file_and_on_a_terminal(place, octavo_process):
    piped = octavo_process("run", "again.yaml", "a.txt", *MODEL)
    assert piped.code == 0
    assert piped.stdout == TEXT.encode()
    assert piped.err == "a.txt: done, 1 call\n"

    filed = octavo_process("run", "again.yaml", "a.txt", *MODEL, "-o", "out.txt")
    assert filed.stdout == b""
    assert (place / "out.txt").read_bytes() == piped.stdout
    assert sorted(path.name for path in place.iterdir() if path.name.startswith(".")) == []

    ours, theirs = pty.openpty()
    tty.setraw(theirs)  # else the terminal itself would turn \n into \r\n
    done = subprocess.run(
        [sys.executable, "-m", "octavo", "run", "again.yaml", "a.txt", *MODEL],
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
        cwd=place,
        check=True,
    )
    os.close(theirs)
    assert os.read(ours, 10_000) == piped.stdout
    os.close(ours)
    assert b"\x1b" not in done.stderr


def test_on_a_terminal_the_bar_vanishes_and_without_colour_no_escape_is_written(
    place, octavo_on_terminal, monkeypatch
):
    plain = octavo_on_terminal("run", "again.yaml", "a.txt", *MODEL)
    assert plain.code == 0
    assert b"\x1b" not in plain.stdout
    monkeypatch.delenv("NO_COLOR")
    drawn = octavo_on_terminal("run", "again.yaml", "a.txt", *MODEL)
    assert b"\x1b" in drawn.stdout
    assert drawn.stdout.endswith(TEXT.replace("\n", "\r\n").encode())


@pytest.mark.parametrize(
    "arguments", [("plan", "again.yaml", "a.txt"), ("plan", "again.yaml", "no.txt")]
)
def test_on_a_terminal_a_plan_does_not_begin_behind_the_bar(
    arguments, place, octavo_on_terminal, monkeypatch
):
    monkeypatch.delenv("NO_COLOR")
    drawn = octavo_on_terminal(*arguments, *MODEL).stdout
    last = drawn.rpartition("\u2501".encode())[2]
    # The bar's line is left, gone back to and erased.
    _, erased, rest = last.partition(b"\r\x1b[1A\x1b[2K")
    assert erased
    assert rest.startswith((b"step", b"error"))


def test_standard_input_is_read_when_nothing_is_named(place, octavo):
    assert octavo("run", "again.yaml", *MODEL, stdin=b"From a pipe.").out == "From a pipe.\n"
    assert octavo("run", "again.yaml", "-", *MODEL, stdin=b"From a pipe.").out == "From a pipe.\n"


def test_a_terminal_is_no_input(place, octavo_on_terminal):
    done = octavo_on_terminal("run", "again.yaml", *MODEL)
    assert done.code == 2
    assert b"error: no input" in done.stdout


def test_several_results_stand_under_their_sources(place, octavo):
    done = octavo("run", "again.yaml", "docs", *MODEL)
    assert done.code == 0
    assert done.out == (
        "==> docs/deep/two.md <==\nThe second.\n\n==> docs/one.txt <==\nThe first.\n"
    )
    assert done.err.splitlines()[-1].startswith("2 documents, 2 calls")


def test_a_directory_mirrors_the_inputs(place, octavo):
    assert octavo("run", "again.yaml", "docs", *MODEL, "-o", "out").code == 0
    assert (place / "out/deep/two.md").read_text() == "The second.\n"
    assert (place / "out/one.txt.md").read_text() == "The first.\n"


def test_an_input_is_never_replaced_by_its_result(place, octavo):
    done = octavo("run", "again.yaml", "a.txt", *MODEL, "-o", "a.txt")
    assert done.code == 2
    assert done.err.startswith("error: a.txt: its result would replace it\nhelp: ")
    assert (place / "a.txt").read_text("utf-8") == TEXT


def test_json_is_one_object_a_line(place, octavo):
    done = octavo("run", "again.yaml", "a.txt", "docs", *MODEL, "--json")
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert [line["source"] for line in lines] == ["a.txt", "docs/deep/two.md", "docs/one.txt"]
    first = lines[0]
    assert first["result"].strip() == TEXT.strip()
    whole = {"source": "a.txt", "start": 0, "end": len(TEXT), "place": None}
    assert first["sources"] == [whole]
    assert first["coverage"] == 1.0
    assert first["usage"]["calls"] == 1
    assert {line["run"] for line in lines} == {"1"}


def test_a_failed_document_leaves_the_rest_and_says_how_to_go_on(place, octavo):
    (place / "docs/one.txt").write_text("Please refuse me.")
    (place / "docs/zwei.txt").write_text("The third.")
    stopped = octavo("run", "again.yaml", "docs", *MODEL, "-j", "1")
    assert stopped.code == 1
    assert "The second." in stopped.out
    assert "error: docs/one.txt: " in stopped.err
    assert stopped.err.splitlines()[-1].startswith("`octavo runs retry 1` asks again for what")
    kept = octavo("run", "again.yaml", "docs", *MODEL, "-k", "--json")
    assert kept.code == 1
    assert "-k" not in kept.err
    lines = [json.loads(line) for line in kept.out.splitlines()]
    assert [line["result"] and line["result"].strip() for line in lines] == [
        "The second.",
        None,
        "The third.",
    ]
    assert lines[1]["error"]


def test_an_unreadable_input_is_wrong_usage_alone_and_a_failure_beside_others(place, octavo):
    alone = octavo("run", "again.yaml", "gone.txt", *MODEL)
    assert alone.code == 2
    assert alone.stdout == b""
    assert alone.err == "error: gone.txt: there is no such file or directory\n"
    before = octavo("run", "again.yaml", "gone.txt", "a.txt", *MODEL)
    assert before.code == 2
    assert "-k starts them all" in before.err
    after = octavo("run", "again.yaml", "a.txt", "gone.txt", *MODEL)
    assert after.code == 1
    assert "-k" not in after.err
    beside = octavo("run", "again.yaml", "gone.txt", "a.txt", *MODEL, "-k")
    assert beside.code == 1
    assert beside.out.endswith(TEXT)


def test_a_pipe_that_brings_nothing_says_so(place, octavo):
    done = octavo("run", "again.yaml", *MODEL, stdin=b" \n")
    assert done.code == 2
    assert done.err.endswith("help: the command before the pipe wrote nothing, or blanks only\n")


def test_a_directory_that_is_not_there_comes_with_the_command_that_makes_it(place, octavo):
    done = octavo("run", "again.yaml", "a.txt", "-o", "no where/a.md", *MODEL)
    assert done.err.splitlines()[-1] == "help: mkdir -p 'no where'"


def test_a_rejected_key_ends_the_run_with_three(place, octavo):
    (place / "docs/one.txt").write_text("Now reject the key.")
    done = octavo("run", "again.yaml", "docs", *MODEL, "-k")
    assert done.code == 3
    assert done.err.count("error:") == 1


def test_quiet_says_nothing_but_errors(place, octavo):
    assert octavo("run", "again.yaml", "docs", *MODEL, "-q").stderr == b""
    done = octavo("run", "again.yaml", "gone.txt", *MODEL, "-q")
    assert done.err.startswith("error: gone.txt: ")
    assert "resume" not in done.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("run",), "say which pipeline to run"),
        (("run", "-m", "x", "again.yaml"), "help: write octavo run again.yaml -m x\n"),
        (("run", "-n", "map", "a.txt"), "help: write octavo run map -n a.txt\n"),
        (("run", "-n", "a.txt"), "help: write octavo run PIPELINE -n a.txt\n"),
        (("run", "sumarize", "a.txt"), "there is no pipeline 'sumarize'"),
        (("run", "again.yaml", "a.txt", "--length", "many", *MODEL), "'length' is a whole number"),
        (("run", "again.yaml", "a.txt", "-p", "colour=red", *MODEL), "no parameter 'colour'"),
        (("run", "again.yaml", "a.txt", "--loud", *MODEL), "No such option: --loud"),
        (("run", "again.yaml", "a.txt", "-j", "0", *MODEL), "--jobs"),
        (("run", "again.yaml", "a.txt", "-o", "no/where.md", *MODEL), "no is no directory"),
        (("run", "again.yaml", "a.txt", "-m", "parrot:polly"), "there is no backend 'parrot'"),
        (("run", "again.yaml", "a.txt", "-m", "nowhere"), "there is no profile 'nowhere'"),
    ],
)
def test_wrong_usage_ends_with_two_before_anything_runs(place, octavo, arguments, complaint):
    done = octavo(*arguments)
    assert done.code == 2
    assert done.stdout == b""
    assert complaint in done.err
    assert octavo("runs", "list").stdout == b""


def test_the_help_of_a_pipeline_shows_its_parameters(place, octavo):
    done = octavo("run", "again.yaml", "--help")
    assert done.code == 0
    assert "Say the text again." in done.out
    options, parameters = done.out.split("Parameters of again")
    assert "-m, --model MODEL" in options
    assert "--tone" not in options
    assert "--tone dry|warm" in parameters
    assert "how it sounds  [default: dry]" in parameters
    assert "--length INTEGER" in parameters


def imported_by_a_cached_run(place, *names):
    code = (
        "import sys; from octavo.commands._cli.main import run_command_line;"
        f"code = run_command_line(['run', 'again.yaml', 'a.txt', *{MODEL!r}]);"
        f"print([name for name in {names!r} if name in sys.modules], code, file=sys.stderr)"
    )
    ended = [
        subprocess.run(
            [sys.executable, "-c", code], cwd=place, capture_output=True, check=True, text=True
        )
        for _ in range(2)
    ]
    assert ended[0].stdout == ended[1].stdout
    return ended[1].stderr


def test_what_was_answered_is_not_asked_again_and_needs_no_library(place):
    heavy = (
        "openai aiohttp httpx2 toktok tiktoken tokenizers xllamacpp selectolax nupunkt"
        " rich.progress octavo.commands._cli.progress.bar"
    )
    seen = imported_by_a_cached_run(place, *heavy.split())
    assert seen == "a.txt: done, 1 call, 1 from the journal\n[] 0\n"


def test_a_cached_run_imports_nothing_that_only_other_runs_need(place):
    unneeded = (
        "tomllib octavo.commands.plan octavo.commands._cli.output.event_log"
        " octavo.commands._cli.output.lock_file octavo.config.profile_file"
        " octavo.chunkers._support.pieces octavo.chunkers.code.chunker octavo.text.splitting.cuts"
        " octavo.engine.dispatch.budget octavo.engine.dispatch.circuit_breaker"
        " octavo.engine.dispatch.concurrency octavo.engine.dispatch.hedging"
        " octavo.engine.dispatch.lane octavo.engine.dispatch.pricing"
        " octavo.engine.dispatch.rate_limit octavo.engine.dispatch.retry"
        " octavo.engine.journal.history"
        " octavo.engine.journal.prefix_reuse octavo.engine.journal.runs octavo.engine.plan.plan"
        " octavo.engine.run.gather octavo.engine.run.lanes octavo.loaders.office.extraction"
        " octavo.steps.memory.step octavo.steps._support.refining"
    )
    seen = imported_by_a_cached_run(place, *unneeded.split())
    assert seen == "a.txt: done, 1 call, 1 from the journal\n[] 0\n"


def test_a_dry_run_is_the_plan_and_asks_nothing(place, octavo):
    planned = octavo("plan", "again.yaml", "docs", *MODEL)
    assert planned.code == 0
    assert octavo("run", "again.yaml", "docs", *MODEL, "-n").stdout == planned.stdout
    assert octavo("runs", "list").stdout == b""
    lines = planned.out.splitlines()
    assert lines[0].split() == [
        *("step", "calls", "cached", "tokens", "in", "tokens", "out", "why"),
    ]
    assert lines[2].split()[:3] == ["map", "2", "0"]
    assert lines[2].endswith("  new")
    assert "2 documents, depth 1" in lines[-3]
    assert lines[-2] == "cost: none (it runs on this machine); time: unknown before a first run"
    more = r"if replies are cut or unusable: at most 2 more calls, \d+ tokens"
    assert re.fullmatch(more, lines[-1])


def test_the_plan_as_json_says_what_the_run_then_does(place, octavo):
    def plan():
        return json.loads(octavo("plan", "again.yaml", "docs", *MODEL, "--json").out)

    before = plan()
    assert before["calls"] == {"low": 2, "high": 2, "cached": 0}
    assert before["depth"] == 1
    assert before["sent"] == {"low": 2, "high": 2}
    assert before["cost"] == {"low": 0.0, "high": 0.0}
    assert before["again"]["calls"] == 2
    assert before["again"]["tokens"].keys() == {"prompt", "completion"}
    assert before["seconds"] is None
    assert before["reasons"] == {"new": 2}
    assert before["tokens"]["prompt"]["high"] > 0
    assert [step["step"] for step in before["steps"]] == ["split", "map"]
    ran = octavo("run", "again.yaml", "docs", *MODEL, "--json")
    assert sum(json.loads(line)["usage"]["calls"] for line in ran.out.splitlines()) == 2
    after = plan()
    assert after["calls"] == {"low": 2, "high": 2, "cached": 2}
    assert after["reasons"] == {}
    assert after["sent"] == {"low": 0, "high": 0}
    lines = octavo("plan", "again.yaml", "docs", *MODEL).out.splitlines()
    assert lines[-1] == "nothing would be sent: the journal answers every call"


def test_a_plan_with_an_unreadable_input_says_so(place, octavo):
    done = octavo("plan", "again.yaml", "gone.txt", "a.txt", *MODEL)
    assert done.code == 1
    assert "error: gone.txt" in done.err
    assert octavo("plan", "again.yaml", "gone.txt", *MODEL).code == 2


def test_a_plan_names_the_documents_that_the_journal_fails_and_plans_the_others(place, octavo):
    (place / "rules.yaml").write_text("rules: [{contains: Alpha, reply: ''}]\ndefault: Fine.\n")
    (place / "b.txt").write_text("Alpha.")
    assert octavo("run", "again.yaml", "b.txt", *MODEL).code == 1
    planned = octavo("plan", "again.yaml", "b.txt", "docs", *MODEL)
    assert planned.code == 1
    assert planned.err.splitlines() == [
        "error: b.txt: the reply is empty",
        "the journal has replies of no use; `octavo runs retry` asks for them again",
    ]
    assert planned.out.splitlines()[2].split()[:3] == ["map", "3", "1"]
    assert octavo("run", "again.yaml", "docs", *MODEL).code == 0


def test_five_kinds_of_bad_yaml_print_five_errors_and_send_nothing(place, octavo):
    (place / "bad.yaml").write_text(
        "octavo: 1\n"
        "abuot: A slip.\n"
        "params:\n"
        "  tone: {type: colour}\n"
        "steps:\n"
        "  - split: {by: structure, tokens: many}\n"
        "  - mapp: {prompt: x/y}\n"
        "  - map: {prompt: not/there}\n"
        "  - map: {prompt: not/there}\n"
    )
    done = octavo("run", "bad.yaml", "a.txt", *MODEL)
    assert done.code == 2
    assert done.stdout == b""
    assert done.err.count("bad.yaml:") >= 5
    assert done.err.count("error[") >= 5


def test_private_runs_leave_nothing(place, octavo, empty_home):
    assert octavo("run", "again.yaml", "a.txt", *MODEL, "--private").code == 0
    assert not list(empty_home.rglob("*.sqlite"))
