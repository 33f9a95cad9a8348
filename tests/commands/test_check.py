"""`octavo check`: pipelines are valid, and committed results are what their sources would give."""

from __future__ import annotations

import json

import pytest

RULES = "rules:\n  - reply: A reply.\n"
PIPELINE = "octavo: 1\nsteps:\n  - split: {}\n  - map: {prompt: {user: 'Say: {{ text }}'}}\n"


@pytest.fixture
def project(tmp_path, octavo):
    """A directory with a pipeline, two documents, and their results with a lock."""
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "say.yaml").write_text(PIPELINE)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nOne.\n")
    (tmp_path / "docs/b.txt").write_text("Two.\n")
    done = octavo("run", "say.yaml", "-m", "scripted:rules.yaml", "docs", "-o", "out")
    assert done.code == 0, done.err
    return tmp_path


def rules(done):
    return [each["rule"] for each in json.loads(done.out)]


def test_all_problems_of_all_pipelines_are_told_at_their_places(tmp_path, octavo):
    (tmp_path / "one.yaml").write_text("octavo: 1\nsteps:\n  - splt: {}\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/two.yml").write_text(
        "octavo: 1\nsteps:\n  - map: {prompt: nope, tokens: x}\n"
    )
    (tmp_path / "other.yaml").write_text("services: {}\n")
    done = octavo("check")
    assert done.code == 1
    places = [line.split(": error[")[0] for line in done.out.splitlines() if ": error[" in line]
    assert places == [
        "one.yaml:3:5",
        "deep/two.yml:3:5",
        "deep/two.yml:3:19",
        "deep/two.yml:3:33",
    ]
    assert done.err == "2 files checked, 4 found\n"
    assert octavo("check", "--exit-zero").code == 0


def test_nothing_wrong_is_silent_on_standard_output_and_empty_json(project, octavo):
    done = octavo("check")
    assert (done.code, done.out) == (0, "")
    assert done.err == "2 files checked, all good\n"
    assert json.loads(octavo("check", "--output-format", "json").out) == []


def test_what_is_no_pipeline_and_no_lock_is_refused(project, octavo):
    assert octavo("check", "docs/a.md").code == 2
    assert octavo("check", "nowhere").code == 2
    (project / "out/octavo.lock").write_text("<<<<<<< ours\n")
    done = octavo("check")
    assert done.code == 2
    assert "resolve the conflict" in done.err


@pytest.mark.parametrize(
    ("path", "text", "rule"),
    [
        ("docs/a.md", "# A\n\nChanged.\n", "stale-result"),
        ("docs/a.md", None, "stale-result"),
        ("say.yaml", PIPELINE.replace("Say", "Tell"), "stale-result"),
        ("say.yaml", None, "stale-result"),
        ("out/a.md", "by hand\n", "edited-result"),
        ("out/a.md", None, "missing-result"),
    ],
)
def test_a_result_that_no_longer_holds_is_found(project, octavo, path, text, rule):
    if text is None:
        (project / path).unlink()
    else:
        (project / path).write_text(text)
    done = octavo("check", "out", "--output-format", "json")
    assert done.code == 1
    assert set(rules(done)) == {rule}


def test_comments_of_a_pipeline_and_another_place_make_nothing_stale(project, octavo):
    (project / "say.yaml").write_text("# a comment\n" + PIPELINE)
    assert octavo("check").code == 0
    moved = project / "moved"
    moved.mkdir()
    for name in ("say.yaml", "docs", "out"):
        (project / name).rename(moved / name)
    assert octavo("check", "moved").code == 0


def test_the_command_that_is_named_makes_it_right_again(project, octavo):
    (project / "docs/a.md").write_text("# A\n\nChanged.\n")
    [finding] = json.loads(octavo("check", "--output-format", "json").out)
    assert octavo(*finding["hint"].split()[1:]).code == 0
    done = octavo("check")
    assert (done.code, done.out) == (0, "")


def test_a_result_deep_in_a_tree_is_made_right_in_the_lock_of_the_tree(project, octavo):
    (project / "docs/deep").mkdir()
    (project / "docs/deep/c.md").write_text("Three.\n")
    say = ("run", "say.yaml", "-m", "scripted:rules.yaml", "docs", "-o", "out")
    assert octavo(*say).code == 0
    (project / "docs/deep/c.md").write_text("Four.\n")
    [finding] = json.loads(octavo("check", "--output-format", "json").out)
    assert octavo(*finding["hint"].split()[1:]).code == 0
    assert (octavo("check").code, list(project.rglob("octavo.lock"))) == (
        0,
        [project / "out/octavo.lock"],
    )


def test_rows_of_tables_are_checked_and_made_right_again(project, octavo):
    table = project / "rows.csv"
    table.write_text("id,body\n1,One.\n2,\n3,Three.\n")
    say = ("run", "say.yaml", "-k", "-m", "scripted:rules.yaml", "--text-column", "body")
    assert octavo(*say, "rows.csv", "-o", "rows").code == 1  # a row has no text
    assert octavo("check", "rows").code == 0
    table.write_text("id,body\n1,One.\n3,Tree.\n")
    [finding] = json.loads(octavo("check", "rows", "--output-format", "json").out)
    assert finding["message"] == "its source rows.csv has changed"
    (project / "rows/rows.csv/4.md").unlink()
    assert octavo(*finding["hint"].split()[1:]).code == 0
    assert octavo("check", "rows").code == 0


def test_a_lock_names_no_place_of_the_machine_that_wrote_it(project, octavo):
    (project / "octavo.toml").write_text('default = "scripted:rules.yaml"\n')
    assert octavo("run", "say.yaml", "docs", "-o", "out").code == 0
    lock = (project / "out/octavo.lock").read_text()
    assert str(project) not in lock
    assert '"model": "scripted:../rules.yaml"' in lock
    (project / "octavo.toml").unlink()
    (project / "docs/a.md").write_text("# A\n\nChanged.\n")
    [finding] = json.loads(octavo("check", "--output-format", "json").out)
    assert "-m scripted:rules.yaml " in finding["hint"]


def test_nothing_to_check_is_said(project, octavo):
    done = octavo("check", "docs")
    assert (done.code, done.err) == (0, "nothing to check: no pipelines and no octavo.lock here\n")


def test_a_lock_is_the_same_bytes_again_and_drops_what_is_gone(project, octavo):
    lock = project / "out/octavo.lock"
    before = lock.read_bytes()
    again = ("run", "say.yaml", "-m", "scripted:rules.yaml", "docs", "-o", "out")
    assert octavo(*again).code == 0
    assert lock.read_bytes() == before
    (project / "docs/b.txt").unlink()
    (project / "out/b.txt.md").unlink()
    assert octavo(*again).code == 0
    assert list(json.loads(lock.read_text())["results"]) == ["a.md"]


def test_no_lock_is_written_where_none_is_wanted_or_nothing_is_kept(project, octavo):
    run = ("run", "say.yaml", "-m", "scripted:rules.yaml", "docs/a.md")
    assert octavo(*run, "-o", "a.out", "--no-lock").code == 0
    assert octavo(*run, "-o", "/dev/null").code == 0
    assert octavo(*run).code == 0
    assert not (project / "octavo.lock").exists()


def test_annotations_are_escaped_and_capped_and_the_summary_has_all(tmp_path, octavo, monkeypatch):
    steps = "".join(f"  - 'a%{n}::b': {{}}\n" for n in range(14))
    (tmp_path / "bad,file.yaml").write_text(f"octavo: 1\nsteps:\n{steps}")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    done = octavo("check", "--output-format", "github")
    assert done.code == 1
    commands = [line for line in done.out.splitlines() if line.startswith("::")]
    assert len(commands) == 11
    assert commands[0].startswith("::error file=bad%2Cfile.yaml,line=3,col=5,title=octavo%3A ")
    assert "'a%250::b'" in commands[0]
    assert commands[-1].startswith("::notice title=octavo::4 more")
    assert (tmp_path / "summary.md").read_text().count("\n| bad,file.yaml:") == 14
