"""A review in a shell: lines, JSON and annotations, and the exit code."""

from __future__ import annotations

import json

import pytest

RULES = """
rules:
  - match: '(?s)<text .*?(?P<quote>TODO[^\\n]*)'
    reply: |-
      {"findings": [
        {"rule": "placeholder", "quote": "$quote", "message": "Not::written,\\nyet %."}
      ]}
default: {reply: '{"findings": []}'}
"""
RUN = ("run", "review", "-m", "scripted:rules.yaml", "-q", "docs")


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.md").write_text("# A\n\nFirst TODO: more\n")
    (tmp_path / "docs/b.html").write_text("<h1>B</h1>\n\n<p>Here is a TODO too.</p>")
    (tmp_path / "docs/c.md").write_text("All is written.\n")
    return tmp_path


def test_lines_name_the_place_and_an_error_ends_with_one(docs, octavo):
    done = octavo(*RUN)
    assert done.code == 1
    assert done.out.splitlines() == [
        "docs/a.md:3:7: error[placeholder]: Not::written, yet %.",
        "     | TODO: more",
        "docs/b.html: error[placeholder]: B: Not::written, yet %.",
        "     | TODO too.",
    ]
    assert octavo(*RUN, "--exit-zero").code == 0


def test_json_is_one_array_of_all_documents(docs, octavo):
    done = octavo(*RUN, "--output-format", "json")
    assert [(each["path"], each["line"]) for each in json.loads(done.out)] == [
        ("docs/a.md", 3),
        ("docs/b.html", 0),
    ]


def test_annotations_are_escaped_and_the_summary_is_appended(docs, octavo, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(docs / "summary.md"))
    (docs / "summary.md").write_text("before\n")
    done = octavo(*RUN, "--output-format", "github")
    assert done.code == 1
    assert done.out.splitlines() == [
        "::error file=docs/a.md,line=3,col=7,title=octavo%3A placeholder::Not::written, yet %25.",
        "::error file=docs/b.html,title=octavo%3A placeholder::B: Not::written, yet %25.",
    ]
    assert (docs / "summary.md").read_text().startswith("before\n### octavo run review\n")


def test_no_finding_is_no_output_and_zero(docs, octavo):
    done = octavo(*RUN[:-1], "docs/c.md")
    assert (done.code, done.out) == (0, "")
    assert json.loads(octavo(*RUN[:-1], "docs/c.md", "--output-format", "json").out) == []
