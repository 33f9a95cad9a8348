"""Every example of the README runs as it is printed, without a model: the rules answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import octavo
from octavo.commands._cli.main import run_command_line
from octavo.config.profiles import resolve_model

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RULES = "scripted:examples/rules.yaml"


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [
    line
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("octavo ") and "examples/" in line
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with the examples, in which the rules are the configured model."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "octavo.toml").write_text(f'default = "{RULES}"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def octavo_in(project, capfd):
    """Run `octavo ARGUMENTS` in this process, with the rules, and return its standard output."""

    def run(*arguments):
        capfd.readouterr()
        code = run_command_line(arguments)
        out, err = capfd.readouterr()
        assert code == 0, err
        return out

    return run


def test_the_readme_has_five_one_liners_or_more():
    assert len(COMMANDS) >= 5


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs_as_it_is_printed(command, project):
    scripts = project / "bin"
    scripts.mkdir()
    (scripts / "octavo").write_text(f'#!/bin/sh\nexec {sys.executable} -m octavo "$@"\n')
    (scripts / "octavo").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}"},
        timeout=50,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    written = [
        path
        for path in project.rglob("*")
        if path.is_file() and not {"examples", "bin", "octavo.toml"} & set(path.parts)
    ]
    assert done.stdout.strip() or done.stderr.strip() or written


def test_the_story_is_summarized_from_its_parts(octavo_in):
    summary = octavo_in("run", "summarize", "examples/story.md")
    assert "Mara Venn" in summary
    assert len(summary.split()) < 150


def test_refining_reaches_the_end_of_the_story(octavo_in):
    done = json.loads(octavo_in("run", "refine", "--json", "examples/story.md"))
    assert done["coverage"] == 1
    assert done["result"]


def test_mapping_keeps_the_order_of_the_story(octavo_in):
    names = octavo_in("run", "map", "--prompt", "List the people", "examples/story.md")
    assert names.split("\n\n")[0] == "Mara Venn"


def test_a_question_is_answered_from_the_parts_that_know(octavo_in):
    answer = octavo_in("run", "ask", "--question", "Who cast the bell?", "examples/story.md")
    assert answer == "Aldous Venn, the last bell-founder in the valley, cast the bell.\n"


@pytest.mark.parametrize("pipeline", ["gist", "chain"])
def test_other_ways_of_reading_answer_the_same_question(octavo_in, pipeline):
    question = ("--question", "Who cast the bell?")
    done = json.loads(octavo_in("run", pipeline, *question, "--json", "examples/story.md"))
    assert done["result"] == "Aldous Venn cast the bell."
    assert done["coverage"] == 1


def test_several_questions_get_an_answer_each(octavo_in):
    asked = ("--question", "Who cast the bell?", "--question", "Who was the king?")
    text = octavo_in("run", "ask", *asked, "examples/story.md")
    assert text == (
        "## Who cast the bell?\n\n"
        "Aldous Venn, the last bell-founder in the valley, cast the bell.\n\n"
        "## Who was the king?\n\n"
        "The document does not answer this question.\n"
    )
    answers = json.loads(octavo_in("run", "ask", *asked, "--json", "examples/story.md"))["answers"]
    assert [bool(answer["sources"]) for answer in answers] == [True, False]


def test_a_question_that_no_part_answers_gets_the_pipelines_own_words(octavo_in):
    answer = octavo_in("run", "ask", "--question", "Who was the king?", "examples/story.md")
    assert answer == "The document does not answer this question.\n"


def test_a_planted_problem_is_annotated_and_ends_with_one(project, capfd):
    page = project / "examples/docs/install.md"
    text = page.read_text()
    page.write_text(text + "\nTODO: say which ports are used.\n")
    (command,) = (each for each in COMMANDS if each.startswith("octavo run review"))
    assert run_command_line(command.split()[1:]) == 1
    out, _ = capfd.readouterr()
    assert out == (
        f"::error file=examples/docs/install.md,line={text.count(chr(10)) + 2},col=1,"
        "title=octavo%3A placeholder::This is not written yet.\n"
    )


def test_records_of_the_story_are_found_where_they_stand(octavo_in):
    story = Path("examples/story.md").read_text(encoding="utf-8")
    found = octavo_in("run", "extract", "--schema", "examples/person.json", "examples/story.md")
    records = json.loads(found)["records"]
    assert [each["record"]["name"] for each in records] == ["Mara Venn", "Tobias Reck"]
    trades = [each["fields"]["trade"] for each in records]
    assert [story[at["start"] : at["end"]] for at in trades] == ["sold rope and nails", "mayor"]


def test_a_short_page_is_asked_once(octavo_in):
    page = "examples/docs/troubleshooting.md"
    asked = ("run", "ask", "--question", "What does exit code 70 mean?", "--json", page)
    done = json.loads(octavo_in(*asked))
    assert done["result"] == "Exit code 70 means a fault of Pocketmill itself."
    assert done["usage"]["calls"] == 1


def test_the_pipeline_of_the_readme_is_the_one_in_the_examples():
    (shown,) = blocks("yaml")
    assert shown == (ROOT / "examples/pipelines/index.yaml").read_text(encoding="utf-8")


def test_a_parameter_of_the_example_pipeline_is_an_option(octavo_in):
    help_text = octavo_in("run", "examples/pipelines/index.yaml", "--help")
    assert "--reader" in help_text


def test_the_profiles_of_the_readme_are_accepted(project):
    (shown,) = blocks("toml")
    (project / "octavo.toml").write_text(shown)
    assert resolve_model(None, cwd=project, env={}).profile.base_url == "http://localhost:8000/v1"
    cloud = resolve_model("cloud", cwd=project, env={}).profile
    assert cloud.model == "openai:gpt-5-mini"
    assert cloud.api_key_cmd


def test_the_python_of_the_readme_runs(project, capsys):
    (shown,) = blocks("python")
    exec(compile(shown, "README.md", "exec"), {})
    assert capsys.readouterr().out.startswith("Aldous Venn")


def test_the_documentation_is_read_in_all_its_formats(project):
    done = octavo.run("summarize", *sorted(Path("examples/docs").iterdir()), model=RULES)
    assert [Path(result.source).suffix for result in done.results].count(".md") == 6
    assert all(result.value for result in done.results)
    page = next(r.value for r in done.results if r.source.endswith("faq.html"))
    assert "<p>" not in page


def bash(project, command, **environment):
    """Run a line of the README as it is printed; return its standard output and error."""
    scripts = project / "bin"
    scripts.mkdir(exist_ok=True)
    (scripts / "octavo").write_text(f'#!/bin/sh\nexec {sys.executable} -m octavo "$@"\n')
    (scripts / "octavo").chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", **environment},
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


def test_a_book_is_summarized_from_a_pipe(project):
    (command,) = re.findall(r"^cat book.txt \| octavo .*$", README, re.MULTILINE)
    chapters = (
        f"CHAPTER {number}\n\n"
        + "\n\n".join(
            f"On day {day} of chapter {number} the ferry crossed {day + 2} times. "
            f"Nobody in Orrin counted them but Mara, who wrote each into book {number}."
            for day in range(60)
        )
        for number in range(1, 31)
    )
    (project / "book.txt").write_text("\n\n".join(chapters))
    out, err = bash(project, command)
    summary = (project / "summary.md").read_text()
    assert out == ""
    assert 5 < len(summary.split()) < 600
    assert re.search(r"^-: done, \d\d+ calls$", err, re.MULTILINE)  # many parts, merged by a tree
    _, again = bash(project, command)
    assert re.search(r"done, (\d+) calls, \1 from the journal$", again, re.MULTILINE)
    assert (project / "summary.md").read_text() == summary


def test_a_directory_becomes_a_tree_and_the_second_run_sends_nothing(project):
    first, second = (line for line in COMMANDS if line.startswith("octavo run refine"))
    _, told = bash(project, first)
    tree = {
        path.relative_to(project / "summaries").as_posix(): path.stat().st_mtime_ns
        for path in (project / "summaries").rglob("*.md")
    }
    inputs = sorted(path.name for path in Path("examples/docs").iterdir() if path.suffix != ".py")
    assert sorted(tree) == [f"{name}.md".replace(".md.md", ".md") for name in inputs]
    assert {"faq.html.md", "install.md"} <= tree.keys()
    assert "from the journal" not in told.splitlines()[-1]
    _, told = bash(project, second)
    assert re.search(r"(\d+) calls \(\1 from the journal\)", told.splitlines()[-1])
    for name, time in tree.items():
        assert (project / "summaries" / name).stat().st_mtime_ns == time
