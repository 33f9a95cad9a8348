"""Names are found beside the pipeline, in the project, for the user, and built in."""

from __future__ import annotations

import pytest

from octavo.errors import UsageError
from octavo.pipeline.lookup import FileOrigin, Lookup

EMPTY = "octavo: 1\nabout: {}\nsteps: [split: , map: {{prompt: part}}]\n"


@pytest.fixture
def ours(project, monkeypatch):
    root = project.root / "ours"
    monkeypatch.setattr("octavo.pipeline.lookup.find_builtin_folder", lambda kind: root / kind)
    project.write("ours/pipelines/book.yaml", EMPTY.format("ours"))
    project.write("ours/prompts/part.j2", "ours")
    return root


def test_the_nearest_shadows_the_others(project, ours):
    lookup = project.lookup
    assert lookup.find_pipeline("book").origin is FileOrigin.BUILT_IN
    assert lookup.find_pipeline("book").path == "builtin:book"
    project.write("user/pipelines/book.yaml", EMPTY.format("the user's"))
    assert lookup.find_pipeline("book").origin is FileOrigin.USER
    project.write("octavo/pipelines/book.yaml", EMPTY.format("the project's"))
    assert lookup.find_pipeline("book").origin is FileOrigin.PROJECT
    assert lookup.find_pipeline("book").path == "octavo/pipelines/book.yaml"
    assert lookup.find_pipeline("builtin:book").origin is FileOrigin.BUILT_IN
    assert [(each.name, each.origin) for each in lookup.list_pipelines()] == [
        ("book", FileOrigin.PROJECT)
    ]


def test_a_path_is_a_path(project, ours):
    project.write("elsewhere/book.yaml", EMPTY.format("elsewhere"))
    assert project.lookup.find_pipeline("elsewhere/book.yaml").origin is FileOrigin.FILE
    with pytest.raises(UsageError, match=r"there is no file elsewhere/bok.yaml") as caught:
        project.lookup.find_pipeline("elsewhere/bok.yaml")
    assert caught.value.hint == "did you mean 'book.yaml'?"
    with pytest.raises(UsageError, match="elsewhere is a directory"):
        project.lookup.find_pipeline("./elsewhere")


def test_a_file_in_the_working_directory_is_not_a_name(project, ours):
    project.write("note.yaml", EMPTY.format("here"))
    with pytest.raises(UsageError, match="there is no pipeline 'note'") as caught:
        project.lookup.find_pipeline("note")
    assert caught.value.hint == "write note.yaml"


@pytest.mark.parametrize("place", ["it/part.j2", "it/prompts/part.j2"])
def test_prompts_beside_a_pipeline_come_first(project, ours, place):
    project.write("it/book.yaml", EMPTY.format("it"))
    project.prompt("part", "the project's")
    assert project.load("it/book.yaml").get_prompt("part").render({})[0].content == "the project's"
    project.write(place, "its own")
    assert project.load("it/book.yaml").get_prompt("part").render({})[0].content == "its own"


def test_an_ejected_folder_can_be_used_from_anywhere(project, ours):
    project.write("there/octavo/pipelines/book.yaml", EMPTY.format("there"))
    project.write("there/octavo/prompts/part.j2", "there")
    pipeline = project.load("there/octavo/pipelines/book.yaml")
    assert pipeline.get_prompt("part").render({})[0].content == "there"


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "a/../../b", ".hidden", "", "a\0b", "x" * 999]
)
def test_names_do_not_leave_their_folder(project, ours, name):
    project.write("octavo/secret.j2", "secret")
    project.write("octavo/prompts/.hidden.j2", "secret")
    assert project.lookup.find_prompt(name) is None


def test_the_users_directory_is_the_systems(project, ours, empty_home):
    folder = empty_home / ".config/octavo/pipelines"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(EMPTY.format("mine"))
    assert Lookup().find_pipeline("mine").origin is FileOrigin.USER


def test_a_byte_order_mark_is_no_text(project, ours):
    project.write("octavo/pipelines/marked.yaml", "")
    (project.root / "octavo/pipelines/marked.yaml").write_bytes(b"\xef\xbb\xbfoctavo: 1\n")
    assert project.lookup.find_pipeline("marked").text == "octavo: 1\n"
