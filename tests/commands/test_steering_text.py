"""Text of strangers steers no terminal, CI runner or spreadsheet, and stays exact in files."""

from __future__ import annotations

import csv
import io
import json

import pytest

from octavo.commands._cli.terminal import clean, make_visible

STEERING = "\x1b]0;owned\x07 \x9b31m \u202ereversed and\rover\nplain \u2067\u0627\u2069 end.\n"
SHOWN = "\\x1b]0;owned\\x07 \\x9b31m \\u202ereversed and\\x0dover\nplain \u2067\u0627\u2069 end.\n"
PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 1000}
  - map: {prompt: "Say: {{ text }}", tokens: 200}
"""
RUN = ("run", "./pipeline.yaml", "-m", "scripted:rules.yaml", "--progress", "none")


@pytest.fixture
def place(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    rules = f"default: {{reply: {json.dumps(STEERING)}}}"
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "a.txt").write_text("Something.\n")
    return tmp_path


def test_a_reply_is_made_visible_on_a_terminal(place, octavo_on_terminal):
    done = octavo_on_terminal(*RUN, "a.txt")
    assert done.code == 0
    assert SHOWN in done.out.replace("\r\n", "\n")
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(done.out)


def test_a_document_is_made_visible_on_a_terminal(place, octavo_on_terminal):
    (place / "b.txt").write_text("Read \x1b[31mthis \u202ebackwards.\n")
    done = octavo_on_terminal("split", "b.txt")
    assert "Read " in done.out
    assert not {"\x1b", "\u202e"} & set(done.out)


def test_files_and_pipes_are_exact(place, octavo_process, octavo_on_terminal):
    assert octavo_process(*RUN, "a.txt").stdout == STEERING.encode()
    assert octavo_process(*RUN, "a.txt", "-o", "out.md").code == 0
    assert (place / "out.md").read_bytes() == STEERING.encode()
    with (place / "redirected").open("wb") as file:
        octavo_on_terminal(*RUN, "a.txt", stdout=file)
    assert (place / "redirected").read_bytes() == STEERING.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb\u202cc", "a\u202eb\u202cc"),
        ("a\u202eb\nc\u202c", "a\\u202eb\nc\\u202c"),
        ("\u2066a\u202bb\u2069", "\u2066a\\u202bb\u2069"),
        ("\u2069\u2066", "\\u2069\\u2066"),
        ("\u202aa\u2067b\u202cc\u2069\u202c", "\u202aa\u2067b\\u202cc\u2069\u202c"),
        ("line\r\n\tand\n", "line\r\n\tand\n"),
    ],
)
def test_changes_of_direction_end_in_their_line_or_are_shown(text, shown):
    assert make_visible(text) == shown
    assert clean(text) == shown.replace("\r", "\\x0d")


@pytest.mark.parametrize("name", ["::error::owned.txt", "x\n::error::owned.txt", " ::add-mask::a"])
def test_no_line_of_standard_error_is_a_command_of_a_ci_runner(place, octavo, name):
    (place / name).write_bytes(b"\xff\xfe\xff")
    done = octavo("run", "./pipeline.yaml", "-m", "scripted:rules.yaml", name)
    assert "owned" in done.err or "add-mask" in done.err
    assert not [line for line in done.err.splitlines() if line.lstrip().startswith("::")]
    done = octavo("run", "./pipeline.yaml", "-m", "no\n::error::such", "a.txt")
    assert not [line for line in done.err.splitlines() if line.lstrip().startswith("::")]


def test_lines_and_annotations_of_findings_are_no_commands(place, octavo):
    reply = {
        "findings": [{"rule": "placeholder", "quote": "TODO", "message": "::stop-commands::x"}]
    }
    (place / "rules.yaml").write_text(f"default: {{reply: {json.dumps(json.dumps(reply))}}}")
    (place / "::error file=x\x1b.md").write_text("# A\n\nA TODO is here.\n")
    (place / "::error ::y.md").write_text("# A\n\nA TODO is here.\n")
    command = ("run", "review", "-m", "scripted:rules.yaml", "-q", "./", "--glob", "*.md")
    lines = octavo(*command).out.splitlines()
    assert len(lines) == 4
    assert not [line for line in lines if line.lstrip().startswith("::")]
    lines = octavo(*command, "--output-format", "github").out.splitlines()
    assert len(lines) == 2
    assert all(line.startswith("::error file=") and "\x1b" not in line for line in lines)


CELLS = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "plain", "a=b", "'=1"]


def test_csv_is_exact_unless_formulas_are_to_be_prefixed(place, octavo):
    rows = [json.dumps({"text": "Something.", "=name": cell}) + "\n" for cell in CELLS]
    (place / "rows.jsonl").write_text("".join(rows))
    (place / "rules.yaml").write_text("default: {reply: '=cmd()'}")
    command = (*RUN, "rows.jsonl", "--format", "csv")
    table = list(csv.DictReader(io.StringIO(octavo(*command).out, newline="")))
    assert [row["=name"] for row in table] == CELLS
    assert {row["result"] for row in table} == {"=cmd()"}
    done = octavo(*command, "--csv-safe")
    table = list(csv.DictReader(io.StringIO(done.out, newline="")))
    assert [row["'=name"] for row in table] == [
        f"'{cell}" if cell[0] in "=+-@\t\r" else cell for cell in CELLS
    ]
    assert {row["result"] for row in table} == {"'=cmd()"}


def test_numbers_are_no_formulas(place, octavo):
    (place / "rows.jsonl").write_text('{"text": "Something.", "n": -5}\n')
    done = octavo(*RUN, "rows.jsonl", "--format", "csv", "--csv-safe")
    assert done.out.splitlines()[1].startswith("-5,")
