"""Which inputs are found, in which order, and what becomes of those that cannot be read."""

from __future__ import annotations

import io
import os
import sys

import pytest
from tests.support import office

from octavo.errors import InputError, UsageError
from octavo.inputs import discovery as inputs
from octavo.inputs.discovery import Input, InputSelection
from octavo.inputs.reading import InputReader, read_documents
from octavo.pipeline.registry import Registry
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document


def find(arguments, loaders=None, **options):
    return inputs.find_inputs(
        arguments, InputSelection(**options), loaders=loaders or Registry().list_loaders()
    )


@pytest.fixture
def tree(tmp_path):
    """A small documentation folder with what usually lies around in one."""
    for name in (
        "b.md", "a/z.md", "a/deep/x.txt", "a.md", "Z.md", "page.HTML", "tool.py", "data.bin",
        ".hidden.md", ".git/config.md", "drafts/d.md",
    ):  # fmt: skip
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"I am {name}\n", encoding="utf-8")
    return tmp_path


def relatives(found):
    return [item.relative for item in found if isinstance(item, Input)]


def errors(found):
    return [item for item in found if isinstance(item, InputError)]


def test_a_directory_gives_its_documents_in_the_order_of_their_names(tree):
    assert relatives(find([str(tree)])) == [
        "Z.md", "a/deep/x.txt", "a/z.md", "a.md", "b.md", "drafts/d.md", "page.HTML", "tool.py",
    ]  # fmt: skip


def test_sources_are_paths_as_given(tree, monkeypatch):
    monkeypatch.chdir(tree)
    assert [item.source for item in find(["a", "./b.md"])] == ["a/deep/x.txt", "a/z.md", "./b.md"]
    assert next(item.source for item in find(["."])) == "Z.md"


def test_arguments_keep_their_order_and_equal_files_are_two_documents(tree):
    found = list(find([str(tree / "b.md"), str(tree / "a.md"), str(tree / "b.md")]))
    assert relatives(found) == ["b.md", "a.md", "b.md"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (["*.md"], [], ["Z.md", "a/z.md", "a.md", "b.md", "drafts/d.md"]),
        (["*.md"], ["drafts/"], ["Z.md", "a/z.md", "a.md", "b.md"]),
        (["/*.md"], ["[A-Z]*.md"], ["a.md", "b.md"]),
        (["a/**"], [], ["a/deep/x.txt", "a/z.md"]),
        (["*.bin"], [], ["data.bin"]),
        (["*.md", "!a/*"], [], ["Z.md", "a.md", "b.md", "drafts/d.md"]),
        ([], ["*.md", "*.py"], ["a/deep/x.txt", "page.HTML"]),
    ],
)
def test_patterns_are_those_of_gitignore(tree, include, exclude, expected):
    assert relatives(find([str(tree)], include=include, exclude=exclude)) == expected


def test_a_named_file_is_taken_whatever_its_name(tree):
    (item,) = find([str(tree / ".hidden.md")], exclude=["*.md"])
    assert item.loader.name == "markdown"
    (item,) = find([str(tree / "data.bin")])
    assert item.loader.name == "text"


def test_loaders_of_packages_are_used(tree):
    own = LoaderType("own", frozenset({".bin"}), lambda data, source, _: Document("own", source))
    (document,) = read_documents(find([str(tree)], include=["*.bin"], loaders=[own]))
    assert document.text == "own"
    assert relatives(find([str(tree)], loaders=[own])) == ["data.bin"]


def test_what_cannot_be_read_is_an_error_in_its_place(tree):
    (tree / "bad.md").write_bytes(b"caf\xe9")
    found = find([str(tree / "none.md"), str(tree / "bad.md"), str(tree / "b.md")])
    missing, bad, good = read_documents(found)
    assert isinstance(missing, InputError)
    assert "none.md: there is no such file" in str(missing)
    assert isinstance(bad, InputError)
    assert "offset 3" in str(bad)
    assert good.text == "I am b.md\n"


def test_an_empty_argument_is_not_the_working_directory(tree, monkeypatch):
    monkeypatch.chdir(tree)
    (error,) = find([""])
    assert isinstance(error, InputError)


def test_an_encoding_is_for_all_files(tree):
    (tree / "bad.md").write_bytes(b"caf\xe9")
    (document,) = read_documents(find([str(tree / "bad.md")]), InputReader("latin-1"))
    assert document.text == "café"


def test_a_directory_without_documents_is_an_error(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"1")
    (error,) = find([str(tmp_path)])
    assert isinstance(error, InputError)
    assert "--glob" in error.hint


def test_nothing_is_opened_before_it_is_asked_for(tree):
    stream = read_documents(find([str(tree / "a.md"), str(tree / "b.md")]))
    assert next(stream).text == "I am a.md\n"
    (tree / "b.md").write_text("changed", encoding="utf-8")
    assert next(stream).text == "changed"


def test_links_to_directories_are_not_followed(tree):
    (tree / "a" / "loop").symlink_to(tree)
    (tree / "link.md").symlink_to(tree / "a.md")
    (tree / "self.md").symlink_to(tree / "self.md")
    found = list(find([str(tree)]))
    assert "link.md" in relatives(found)
    assert not any(name.startswith("a/loop") for name in relatives(found))
    (error,) = errors(found)
    assert error.source.endswith("self.md")


def test_pipes_in_a_directory_are_no_documents(tree):
    os.mkfifo(tree / "pipe.md")
    assert "pipe.md" not in relatives(find([str(tree)]))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_that_are_no_text_are_printable(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.md")).write_text("x", encoding="utf-8")
    (item,) = find([str(tmp_path)])
    assert item.relative == r"caf\xe9.md"
    assert next(read_documents([item])).text == "x"


def pipe_in(monkeypatch, data, *, terminal=False):
    stream = io.TextIOWrapper(io.BytesIO(data))
    stream.isatty = lambda: terminal
    monkeypatch.setattr(sys, "stdin", stream)


@pytest.mark.parametrize("arguments", [[], ["-"]])
def test_standard_input_is_read_when_named_or_alone(monkeypatch, arguments):
    pipe_in(monkeypatch, b"# Hi\n")
    (document,) = read_documents(find(arguments))
    assert (document.text, document.source) == ("# Hi\n", "-")


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("# Bells\n\nText.\n\n## Ropes\n\nMore.\n", ["Bells", "Ropes"]),
        ("Chapter 1\n\nText.\n\nChapter 2\n\nMore.\n", ["Chapter 1", "Chapter 2"]),
        ("Text alone.\n", []),
    ],
)
def test_headings_of_standard_input_are_seen(monkeypatch, text, titles):
    pipe_in(monkeypatch, text.encode())
    (document,) = read_documents(find([]))
    assert [heading.title for heading in document.outline] == titles
    assert document.text == text


def test_a_page_on_standard_input_is_read_without_its_tags(monkeypatch):
    pipe_in(monkeypatch, b"\n<!DOCTYPE html>\n<html><body><h1>Bells</h1><p>Text.</p></body></html>")
    (document,) = read_documents(find([]))
    assert [heading.title for heading in document.outline] == ["Bells"]
    assert "<" not in document.text


@pytest.mark.parametrize(
    ("data", "suffix"),
    [(office.pdf([["One"]]), ".pdf"), (office.docx([("One", "Two.")]), ".docx")],
)
def test_a_document_on_standard_input_asks_for_its_name(monkeypatch, data, suffix):
    pipe_in(monkeypatch, data)
    (error,) = read_documents(find([]))
    assert "not text" in str(error)
    assert error.hint == f"say so with a name: --stdin-filename x{suffix}"


def test_bad_bytes_on_standard_input_are_an_error(monkeypatch):
    pipe_in(monkeypatch, b"a\xff")
    (error,) = read_documents(find([]))
    assert str(error).startswith("-: not UTF-8 text")


def test_nothing_named_on_a_terminal_is_a_usage_error(monkeypatch):
    pipe_in(monkeypatch, b"", terminal=True)
    with pytest.raises(UsageError, match="no input"):
        find([])


def test_a_closed_standard_input_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(UsageError, match="closed"):
        find([])


def test_wrong_arguments_are_refused_before_anything_is_read(tree):
    with pytest.raises(UsageError, match="twice"):
        find(["-", "-"])
    with pytest.raises(UsageError, match="pattern"):
        find([str(tree)], include=["!"])
    with pytest.raises(UsageError, match="encoding"):
        read_documents(find([str(tree)]), InputReader("utf-9"))


def test_a_directory_may_have_the_signs_of_patterns_in_its_name(tree):
    folder = tree / "app" / "[slug]"
    folder.mkdir(parents=True)
    (folder / "page.md").write_text("x")
    assert relatives(find([str(folder / "*.md")])) == ["page.md"]
    assert relatives(find([str(tree / "app" / "*" / "*.md")])) == ["[slug]/page.md"]
    (error,) = errors(find([str(folder / "none.md")]))
    assert "nothing matches" in str(error)


def test_patterns_that_take_nothing_are_named(tree):
    (error,) = find(["."], include=["*.zzz"])
    assert str(error) == ".: no file in this directory matches '*.zzz'"
