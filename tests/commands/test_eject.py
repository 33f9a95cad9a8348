"""`octavo eject` copies a pipeline with everything it names, and overwrites nothing unasked."""

from __future__ import annotations

import pytest


@pytest.fixture
def ours(tmp_path, monkeypatch):
    """Built-in pipelines and prompts of our own."""
    root = tmp_path / "ours"
    (root / "pipelines").mkdir(parents=True)
    (root / "prompts/tell").mkdir(parents=True)
    (root / "pipelines/book.yaml").write_text(
        "octavo: 1\nsteps:\n  - split:\n  - map: {prompt: tell/part}\n"
        "  - map: {prompt: builtin:tell/outer}\n"
    )
    (root / "prompts/tell/part.j2").write_text('{% extends "tell/outer" %}')
    (root / "prompts/tell/outer.j2").write_text("Retell\n{{ text }}")
    monkeypatch.setattr("octavo.pipeline.lookup.find_builtin_folder", lambda kind: root / kind)
    return root


WRITTEN = [
    "octavo/pipelines/book.yaml",
    "octavo/prompts/tell/part.j2",
    "octavo/prompts/tell/outer.j2",
]


def test_everything_is_copied_byte_for_byte(octavo, ours, tmp_path):
    ended = octavo("eject", "book")
    assert (ended.code, ended.err, ended.out.splitlines()) == (0, "", WRITTEN)
    for path in WRITTEN:
        original = ours / path.removeprefix("octavo/")
        assert (tmp_path / path).read_bytes() == original.read_bytes()
    assert octavo("show", "book").out.startswith("# octavo/pipelines/book.yaml (project)")


def test_what_was_edited_is_not_overwritten(octavo, ours, tmp_path):
    octavo("eject", "book")
    (tmp_path / WRITTEN[1]).write_text("mine {{ text }}")
    (tmp_path / WRITTEN[2]).unlink()
    ended = octavo("eject", "book")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: there already: {WRITTEN[1]}\nhelp: --force")
    assert not (tmp_path / WRITTEN[2]).exists()
    assert octavo("eject", "book", "--force").out.splitlines() == WRITTEN[1:]
    assert (tmp_path / WRITTEN[1]).read_text() == '{% extends "tell/outer" %}'


def test_copying_again_writes_nothing(octavo, ours):
    octavo("eject", "book")
    ended = octavo("eject", "book")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_another_directory_can_be_used_by_its_path(octavo, ours, tmp_path):
    assert octavo("eject", "book", "there").code == 0
    (tmp_path / "there/prompts/tell/outer.j2").write_text("Mine {{ text }}")
    shown = octavo("show", "there/pipelines/book.yaml", "--prompts").out
    assert "Mine {{ text }}" in shown


def test_what_is_here_only_is_not_copied_onto_itself(octavo, ours, tmp_path):
    (tmp_path / "octavo/pipelines").mkdir(parents=True)
    (tmp_path / "octavo/pipelines/mine.yaml").write_text("octavo: 1\nsteps: [split: ]\n")
    ended = octavo("eject", "mine")
    assert ended.code == 2
    assert "mine is here already: octavo/pipelines/mine.yaml" in ended.err


def test_a_place_that_cannot_be_written_is_an_error(octavo, ours, tmp_path):
    (tmp_path / "octavo").write_text("a file")
    ended = octavo("eject", "book")
    assert (ended.code, ended.out) == (2, "")
    assert "octavo/pipelines/book.yaml cannot be written" in ended.err
