"""`octavo ls` lists what can be run."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "octavo/pipelines"
    folder.mkdir(parents=True)
    (folder / "book.yaml").write_text("octavo: 1\nabout: Retell [a] book\nsteps: [split: ]\n")
    (folder / "broken.yaml").write_text("about: {{ x }}\nsteps: [")
    (folder / "summarize.yaml").write_text("octavo: 1\nabout: My own\nsteps: [split: ]\n")
    return folder


def test_each_pipeline_has_a_line(octavo, project):
    ended = octavo("ls")
    assert (ended.code, ended.err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert lines["book"].split(maxsplit=1) == ["project", "Retell [a] book"]
    assert lines["broken"] == "project"
    assert lines["summarize"].split(maxsplit=1) == ["project", "My own"]
    assert lines["refine"].startswith("built-in")


def test_json_is_one_array(octavo, project):
    rows = json.loads(octavo("ls", "--json").out)
    assert [row["name"] for row in rows] == sorted(row["name"] for row in rows)
    assert rows[[row["name"] for row in rows].index("book")] == {
        "name": "book",
        "about": "Retell [a] book",
        "origin": "project",
        "path": "octavo/pipelines/book.yaml",
    }
