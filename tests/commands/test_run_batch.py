"""Many documents: which are taken, what is written where, and what a second run does."""

from __future__ import annotations

import csv
import io
import json
import subprocess

import pytest
import yaml

PIPELINE = """\
octavo: 1
params:
  tone: {default: dry}
steps:
  - split: {by: structure, tokens: 200}
  - map: {prompt: "{{ tone }} {{ text }}", tokens: 60}
"""
RECORDS = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 200}
  - map: {prompt: "{{ text }}", schema: note, tokens: 60}
"""
RULES = """\
rules:
  - contains: refuse me
    fail: refusal
  - match: '(?s)dry (.*)'
    reply: "${1}"
  - match: '(?s)warm (.*)'
    reply: "Dear ${1}"
  - contains: "I am a.txt"
    record: {name: Ada, born: 1815}
"""
MODEL = ("-m", "scripted:rules.yaml")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "again.yaml").write_text(PIPELINE)
    (tmp_path / "rules.yaml").write_text(RULES)
    docs = tmp_path / "docs"
    for name in ("b.md", "a.txt", "deep/c.md", "drafts/d.md"):
        (docs / name).parent.mkdir(parents=True, exist_ok=True)
        (docs / name).write_text(f"# {name}\n\nI am {name}.\n")
    (docs / ".gitignore").write_text("drafts/\n")
    return tmp_path


@pytest.fixture
def run(octavo, place):
    def of(*arguments, **options):
        return octavo("run", "again.yaml", *arguments, *MODEL, **options)

    return of


def sources(done):
    return [json.loads(line)["source"] for line in done.out.splitlines()]


def test_the_order_is_that_of_the_names_and_gitignore_is_honoured(run):
    assert sources(run("docs", "--json")) == ["docs/a.txt", "docs/b.md", "docs/deep/c.md"]
    every = run("docs", "--json", "--no-gitignore")
    assert sources(every)[-1] == "docs/drafts/d.md"


def test_a_pattern_that_the_shell_left_alone_is_expanded(run):
    assert sources(run("docs/**/*.md", "--json")) == ["docs/b.md", "docs/deep/c.md"]
    assert sources(run("docs/*.md", "--json")) == ["docs/b.md"]
    none = run("docs/*.pdf")
    assert (none.code, none.err.splitlines()[0]) == (2, "error: docs/*.pdf: nothing matches")


def test_what_a_run_has_written_is_no_input_of_the_next(run, place):
    assert run("docs", "-o", "docs/out/").code == 0
    again = run("docs", "-o", "docs/out/", "--json")
    assert again.err.splitlines()[-1].startswith("3 documents, 3 calls (3 from the journal)")
    assert sorted(path.name for path in (place / "docs/out").rglob("*") if path.is_file()) == [
        *("a.txt.json", "a.txt.md", "b.md", "b.md.json", "c.md", "c.md.json", "octavo.lock"),
    ]


def test_a_second_run_sends_nothing_and_rewrites_nothing(run, place):
    first = run("docs", "-o", "out")
    times = {path: path.stat().st_mtime_ns for path in (place / "out").rglob("*.md")}
    (place / "docs/b.md").write_text("# b.md\n\nI have changed.\n")
    second = run("docs", "-o", "out")
    assert (first.code, second.code) == (0, 0)
    assert "3 calls (2 from the journal)" in second.err.splitlines()[-1]
    changed = [p.name for p, time in times.items() if p.stat().st_mtime_ns != time]
    assert changed == ["b.md"]


def test_a_table_at_the_end_tells_what_became_of_each(run, place):
    (place / "docs/deep/c.md").write_text("refuse me")
    done = run("docs", "-k", "-o", "out")
    assert done.code == 1
    table = [line.split() for line in done.err.splitlines() if line.startswith(("doc",))][-4:]
    assert table[0][:3] == ["document", "status", "calls"]
    assert [row[:3] for row in table[1:]] == [
        ["docs/a.txt", "done", "1"],
        ["docs/b.md", "done", "1"],
        ["docs/deep/c.md", "failed", "1"],
    ]
    assert "document" not in run("docs/a.txt").err.split("\n")[-2]
    assert run("docs", "-k", "-o", "out", "-q").err.count("\n") == 1  # the error alone


def test_front_matter_tells_what_made_a_result_and_stays_the_same(run, place):
    first = run("docs/a.txt", "--front-matter", "--tone", "warm")
    again = run("docs/a.txt", "--front-matter", "--tone", "warm", "-o", "out.md")
    assert (place / "out.md").read_bytes() == first.stdout
    assert again.code == 0
    _, matter, text = first.out.split("---\n", 2)
    facts = yaml.safe_load(matter)["octavo"]
    assert facts["source"] == "docs/a.txt"
    assert len(facts["source_sha256"]) == len(facts["pipeline_sha256"]) == 64
    assert facts["pipeline"] == "again"
    assert facts["params"] == {"tone": "warm"}
    assert facts["model"] == "scripted:rules.yaml"
    assert facts["coverage"] == 1.0
    assert text.strip().startswith("Dear # a.txt")


COLUMN = ("--text-column", "text")
TABLE = 'id,text,note\n7,First.,"a ""b"""\n8,Second.,\n'


def test_rows_keep_their_columns_from_csv_to_csv_and_json_lines(run, place):
    (place / "t.csv").write_text(TABLE)
    done = run("t.csv", "--format", "csv", *COLUMN)
    assert done.out == ('id,note,source,result\n7,"a ""b""",t.csv:2,First.\n8,,t.csv:3,Second.\n')
    assert run("t.csv", "-o", "out.csv", *COLUMN).stdout == b""
    assert (place / "out.csv").read_bytes() == done.stdout
    (place / "t.jsonl").write_text('{"id": 7, "body": "First."}\n')
    done = run("t.jsonl", "--text-column", "body", "--format", "jsonl")
    assert json.loads(done.out) == {"id": 7, "source": "t.jsonl:1", "result": "First."}
    assert (
        sources(run("t.jsonl", "t.csv", "--text-column", "body", "--json", "-k"))[0] == "t.jsonl:1"
    )


def test_rows_are_headed_on_standard_output_and_have_files_of_their_own_in_a_tree(run, place):
    (place / "docs/t.csv").write_text(TABLE)
    assert run("docs/t.csv", *COLUMN).out.startswith(
        "==> docs/t.csv:2 <==\nFirst.\n\n==> docs/t.csv:3 <=="
    )
    assert run("docs", "-o", "out", *COLUMN).code == 0
    assert (place / "out/t.csv/2.md").read_text() == "First.\n"


def test_the_columns_of_csv_are_those_of_all_documents(run, place):
    (place / "docs/b.md").write_text("---\ntitle: Bee\n---\nrefuse me\n")
    done = run("docs", "--format", "csv", "-k")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [row["source"] for row in rows] == ["docs/a.txt", "docs/b.md", "docs/deep/c.md"]
    assert [row["title"] for row in rows] == ["", "Bee", ""]
    assert rows[1]["error"]


def test_a_record_gives_a_column_for_each_field(octavo, place):
    (place / "records.yaml").write_text(RECORDS)
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "born": {}}}
    (place / "note.json").write_text(json.dumps(schema))
    done = octavo("run", "records.yaml", "docs/a.txt", *MODEL, "-o", "out.csv")
    assert done.code == 0, done.err
    assert (place / "out.csv").read_text() == (
        "source,result.name,result.born\ndocs/a.txt,Ada,1815\n"
    )


def test_the_flag_goes_before_the_ending_of_the_file(run, place):
    run("docs/a.txt", "-o", "out.csv", "--format", "text")
    assert (place / "out.csv").read_text().startswith("# a.txt")
    wrong = run("docs/a.txt", "--json", "--format", "csv")
    assert (wrong.code, wrong.err.splitlines()[0]) == (2, "error: --json and --format csv differ")


def test_standard_input_is_read_as_the_file_that_it_is_said_to_be(run, octavo):
    text = b"<h1>One</h1><p>Text.</p>"
    plain = json.loads(octavo("split", stdin=text).out)
    named = json.loads(octavo("split", "--stdin-filename", "a.html", stdin=text).out)
    assert plain["headings"] == []
    assert named["headings"] == ["One"]
    done = run(
        "--stdin-filename", "notes.jsonl", "--format", "jsonl", stdin=b'{"text": "x", "n": 1}'
    )
    assert json.loads(done.out) == {"n": 1, "source": "notes.jsonl:1", "result": "x"}


def git(place, *arguments):
    name = ("-c", "user.name=t", "-c", "user.email=t@t")
    subprocess.run(["git", *name, *arguments], cwd=place, check=True, capture_output=True)


@pytest.fixture
def repository(place):
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "first")
    return place


def test_only_files_that_git_says_have_changed_are_taken(run, repository):
    nothing = run("docs", "--changed-since", "main")
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.err == "no document has changed since main\n"
    git(repository, "switch", "-q", "-c", "topic")
    (repository / "docs/b.md").write_text("Edited.\n")
    git(repository, "commit", "-qam", "second")
    (repository / "docs/new caf\u00e9.md").write_text("New.\n")
    (repository / "docs/deep/c.md").unlink()
    done = run("docs", "docs/a.txt", "--changed-since", "main", "--json")
    assert sources(done) == ["docs/b.md", "docs/new caf\u00e9.md"]
    # What changed on the other branch meanwhile is not this branch's.
    git(repository, "stash", "-q", "-u")
    git(repository, "switch", "-q", "main")
    (repository / "docs/a.txt").write_text("Theirs.\n")
    git(repository, "commit", "-qam", "third")
    git(repository, "switch", "-q", "topic")
    assert sources(run("docs", "--changed-since", "main", "--json")) == ["docs/b.md"]


def test_without_git_or_with_a_wrong_name_nothing_runs(run, place, octavo):
    outside = run("docs", "--changed-since", "main")
    assert outside.code == 2
    assert "docs is in no git repository" in outside.err
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "-A")
    git(place, "commit", "-q", "-m", "first")
    wrong = run("docs", "--changed-since", "nowhere")
    assert wrong.code == 2
    assert wrong.err.startswith("error: --changed-since nowhere: ")
    assert octavo("runs", "list").stdout == b""


def test_a_csv_file_is_one_text_unless_its_column_is_named(run, place):
    (place / "t.csv").write_text(TABLE)
    assert run("t.csv", "-o", "out.md").code == 0
    assert (place / "out.md").read_text() == TABLE
