"""`octavo show` prints a pipeline and where it is from."""

from __future__ import annotations

import json

import pytest

TEXT = 'octavo: 1\nabout: "[bold] {{ x }}"\nsteps:\n  - split:\n  - map: {prompt: tell/part}\n'


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "octavo"
    (folder / "pipelines").mkdir(parents=True)
    (folder / "prompts/tell").mkdir(parents=True)
    (folder / "pipelines/book.yaml").write_text(TEXT)
    (folder / "prompts/tell/part.j2").write_text('{% extends "tell/outer" %}')
    (folder / "prompts/tell/outer.j2").write_text("Retell [it]:\n{{ text }}")
    return folder


def test_the_file_follows_where_it_is_from(octavo, project):
    ended = octavo("show", "book")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"# octavo/pipelines/book.yaml (project)\n{TEXT}"


def test_prompts_are_shown_with_their_parents(octavo, project):
    assert octavo("show", "book", "--prompts").out == (
        f"# octavo/pipelines/book.yaml (project)\n{TEXT}"
        '\n==> octavo/prompts/tell/part.j2 (project) <==\n{% extends "tell/outer" %}\n'
        "\n==> octavo/prompts/tell/outer.j2 (project) <==\nRetell [it]:\n{{ text }}\n"
    )


def test_json_is_one_object(octavo, project):
    shown = json.loads(octavo("show", "book", "--prompts", "--json").out)
    assert (shown["name"], shown["origin"], shown["text"]) == ("book", "project", TEXT)
    assert [each["name"] for each in shown["named"]] == ["tell/part", "tell/outer"]
    assert json.loads(octavo("show", "summarize", "--json").out)["origin"] == "built-in"


def test_what_is_shown_can_be_run_again(octavo, project, tmp_path):
    (tmp_path / "copy.yaml").write_text(octavo("show", "book").out)
    again = octavo("show", "./copy.yaml", "--prompts")
    assert again.code == 0
    assert again.out.startswith("# copy.yaml (file)\n# octavo/pipelines/book.yaml (project)\n")


def test_a_broken_pipeline_can_be_shown_but_not_its_prompts(octavo, project):
    (project / "pipelines/broken.yaml").write_text("octavo: 1\nstpes: []\n")
    assert octavo("show", "broken").out.endswith("stpes: []\n")
    ended = octavo("show", "broken", "--prompts")
    assert (ended.code, ended.out) == (2, "")
    assert "octavo/pipelines/broken.yaml:2:1: error[unknown-key]" in ended.err


def test_a_key_in_the_file_is_not_shown(octavo, project):
    key = "sk-proj-abc123DEF456ghi789"
    (project / "pipelines/leaky.yaml").write_text(f"octavo: 1\nabout: {key}\n")
    for arguments in (["show", "leaky"], ["show", "leaky", "--json"], ["ls"], ["ls", "--json"]):
        assert key not in octavo(*arguments).out


def test_an_unknown_name_gets_a_suggestion(octavo, project):
    ended = octavo("show", "bok")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "error: there is no pipeline 'bok'\nhelp: did you mean 'book'?\n"
