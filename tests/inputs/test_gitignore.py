"""What .gitignore files leave out: the same as git itself says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from octavo.errors import InputError
from octavo.inputs.discovery import Input, InputSelection, find_inputs
from octavo.pipeline.registry import Registry

FILES = (
    "a.md",
    "b.txt",
    "build/a.md",
    "build/keep/a.md",
    "src/a.md",
    "src/build/b.md",
    "src/x/a.md",
)
PATTERNS = st.sampled_from(
    [
        *("*.md", "!a.md", "build/", "/build", "build/*", "!build/keep/", "src/**", "!src/x/"),
        *("src/**/x", "**", "!src", "!a.*", "build/**", "!/build/*", "a.md", "keep"),
        *("**/x/", "a.*", "[ab].md", "# note", "", "/src/*.md", "!*.txt", "*/a.md", "\\!a", "x/ "),
        *("*/", "**/", "src/**/", "!src/**/", "*", "!*", "[a", "a\\.md", "//", "**/**", "x/**/*"),
    ]
)
IGNORES = st.dictionaries(
    st.sampled_from(["", "src", "build"]), st.lists(PATTERNS, max_size=4), max_size=3
)


def found(root, **options):
    items = find_inputs([str(root)], InputSelection(**options), loaders=Registry().list_loaders())
    return [item.relative for item in items if isinstance(item, Input)]


def git(root, *arguments):
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    return tmp_path


def write(root, ignores):
    for path in root.rglob(".gitignore"):
        path.unlink()
    for folder, lines in ignores.items():
        (root / folder / ".gitignore").write_text("\n".join(lines) + "\n")


@settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(IGNORES)
@example({"": ["src/**", "!a.md"]})
@example({"": ["*.md", "!src/x/"]})
@example({"": ["*/"]})
def test_the_same_files_are_left_out_as_by_git(repository, ignores):
    write(repository, ignores)
    listed = git(repository, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    wanted = {name for name in listed if name and not Path(name).name.startswith(".")}
    assert set(found(repository)) == wanted


def test_a_directory_below_is_ruled_by_the_files_above_it(repository):
    write(repository, {"": ["/src/x/", "b.md"]})
    (repository / ".git/info/exclude").write_text("src/a.md\n")
    assert found(repository / "src") == []
    assert found(repository / "src", gitignore=False) == ["a.md", "build/b.md", "x/a.md"]


def test_what_is_named_is_taken_though_it_is_ignored(repository):
    write(repository, {"": ["build/"]})
    assert found(repository / "build") == ["a.md", "keep/a.md"]
    (item,) = find_inputs([str(repository / "build/a.md")], loaders=Registry().list_loaders())
    assert item.relative == "a.md"


def test_outside_a_repository_the_files_of_the_directory_count(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.gitignore").write_text("*.txt\n!b.txt\n")
    for name in ("a.txt", "b.txt"):
        (tmp_path / "a" / name).write_text("x")
    assert found(tmp_path) == ["a/b.txt"]


def test_a_mark_and_strange_signs_are_read_as_git_reads_them(repository):
    for name in ("a\x85b.md", "b.md"):
        (repository / name).write_text("x")
    (repository / ".gitignore").write_bytes("\ufeff*.txt\na\x85*\n".encode())
    listed = git(repository, "ls-files", "--others", "--exclude-standard", "-z").split("\0")
    wanted = {name for name in listed if name and not Path(name).name.startswith(".")}
    assert set(found(repository)) == wanted
    assert not wanted & {"b.txt", "a\x85b.md"}
    assert {"a.md", "b.md"} < wanted


def test_an_unreadable_pattern_is_told_with_its_file(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/.gitignore").write_text("!\n")
    (tmp_path / "b.md").write_text("x")
    items = list(find_inputs([str(tmp_path)], loaders=Registry().list_loaders()))
    assert isinstance(items[0], InputError)
    assert items[0].source.endswith("a/.gitignore")
    assert items[1].relative == "b.md"
