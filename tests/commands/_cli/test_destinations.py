from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from octavo.commands._cli.output.destinations import (
    CombinedFile,
    MirroredTree,
    SingleFile,
    StandardOutput,
    open_destination,
)
from octavo.config.run_options import ResultFormat
from octavo.errors import RunFailed, UsageError
from octavo.inputs.discovery import Input
from octavo.loaders.text import LOADER


def found(source, relative):
    return Input(source, relative, None if source == "-" else Path(source), LOADER)


def test_one_result_is_written_as_it_is():
    stream = io.BytesIO()
    StandardOutput(stream).put("a.txt", "caf\u00e9 [bold] {{ x }}\n", ".md")
    assert stream.getvalue() == "caf\u00e9 [bold] {{ x }}\n".encode()


def test_several_results_stand_under_their_sources():
    stream = io.BytesIO()
    output = StandardOutput(stream, headed=True)
    output.put("a.txt", "one\n", ".md")
    output.put("caf\u00e9\x1b.txt", "two\n", ".md")
    assert stream.getvalue() == ("==> a.txt <==\none\n\n==> caf\u00e9\\x1b.txt <==\ntwo\n".encode())


def test_a_result_with_half_a_surrogate_pair_is_still_written():
    stream = io.BytesIO()
    StandardOutput(stream).put("a.txt", "a\ud800b\n", ".md")
    assert stream.getvalue() == b"a?b\n"


def test_a_tree_mirrors_the_inputs(tmp_path):
    output = MirroredTree(tmp_path / "out")
    for relative in ("a/b.txt", "a/c.md", "stdin"):
        assert output.reserve(found(relative, relative)) is None
        output.put(relative, f"of {relative}\n", ".md")
    written = {
        path.relative_to(tmp_path).as_posix(): path.read_text()
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert written == {
        "out/a/b.txt.md": "of a/b.txt\n",
        "out/a/c.md": "of a/c.md\n",
        "out/stdin.md": "of stdin\n",
    }


def test_records_get_their_own_suffix(tmp_path):
    output = MirroredTree(tmp_path)
    output.reserve(found("a.txt", "a.txt"))
    output.put("a.txt", "{}\n", ".json")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt.json"]


def test_no_path_leads_out_of_the_tree(tmp_path):
    output = MirroredTree(tmp_path / "out")
    output.reserve(found("x", "../../etc/passwd"))
    output.put("x", "text\n", ".md")
    assert (tmp_path / "out/etc/passwd.md").is_file()


def test_two_inputs_never_share_a_place(tmp_path):
    output = MirroredTree(tmp_path)
    assert output.reserve(found("one/a.txt", "a.txt")) is None
    error = output.reserve(found("two/a.txt", "a.txt"))
    assert error is not None
    assert error.source == "two/a.txt"
    assert str(tmp_path / "a.txt.json") in error.message


@pytest.mark.parametrize("name", ["a.md", "a.json"])
def test_a_result_never_replaces_its_input(tmp_path, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text("the only copy")
    for output in (MirroredTree(tmp_path), SingleFile(tmp_path / name)):
        error = output.reserve(found(name, name))
        assert error is not None
        assert error.message == f"{name}: its result would replace it"


@pytest.mark.parametrize(
    ("target", "several", "kind"),
    [
        (None, False, StandardOutput),
        ("-", True, StandardOutput),
        ("out.md", False, SingleFile),
        ("out", True, MirroredTree),
        ("out/", False, MirroredTree),
        ("there", False, MirroredTree),
    ],
)
def test_where_results_go(tmp_path, monkeypatch, target, several, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert isinstance(open_destination(target, several=several), kind)


@pytest.mark.parametrize(
    ("target", "several"), [("missing/out.md", False), ("file", True), ("file/x.md", False)]
)
def test_a_place_that_cannot_be_written_is_wrong_usage(tmp_path, monkeypatch, target, several):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError):
        open_destination(target, several=several)


def test_a_failed_write_says_how_to_go_on(tmp_path):
    (tmp_path / "dir").mkdir()
    output = SingleFile(tmp_path / "dir" / "a.md")
    (tmp_path / "dir").rmdir()
    with pytest.raises(RunFailed) as caught:
        output.put("a.txt", "text\n", ".md")
    assert "nothing is asked twice" in caught.value.hint


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ("out.jsonl", CombinedFile),
        ("out.jsonl/", MirroredTree),
        ("out", MirroredTree),
        ("there", MirroredTree),
        ("-", StandardOutput),
    ],
)
def test_rows_of_several_documents_go_into_one_file_that_is_named_like_one(
    tmp_path, monkeypatch, target, kind
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    assert isinstance(open_destination(target, several=True, format=ResultFormat.JSONL), kind)


def test_a_file_of_rows_is_there_when_it_is_finished(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_text("old")
    output = CombinedFile(path)
    output.put("a", "1\n", ".jsonl")
    assert path.read_text() == "old"
    output.discard()
    assert [each.name for each in tmp_path.iterdir()] == ["out.jsonl"]
    output = CombinedFile(path)
    for text in ("1\n", "2\n"):
        output.put("a", text, ".jsonl")
    output.finish()
    output.discard()
    assert path.read_text() == "1\n2\n"


def test_a_result_that_is_there_already_leaves_its_file_alone(tmp_path):
    output = MirroredTree(tmp_path)
    output.reserve(found("a.txt", "a.txt"))
    path = output.put("a.txt", "same\n", ".md")
    os.utime(path, (1, 1))
    output.put("a.txt", "same\n", ".md")
    assert path.stat().st_mtime == 1
    output.put("a.txt", "other\n", ".md")
    assert path.stat().st_mtime > 1
