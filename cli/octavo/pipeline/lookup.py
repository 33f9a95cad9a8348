"""Finds pipelines, prompts and schemas by name.

A name is looked for next to the pipeline (prompts and schemas of a pipeline given by its path), in
`./octavo`, in the user's configuration directory, and among the built-in ones. The first found
shadows the others; `builtin:NAME` always reaches ours.

This is the one module that knows where the built-in pipelines and prompts are. In a wheel they are
inside the package, in a checkout next to it. The package comes first, so that an installed Octavo
never reaches outside itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Literal, NamedTuple

from octavo.diagnostics import Source, suggest
from octavo.errors import Position, SpecError, UsageError

__all__ = [
    "BUILTIN_PREFIX",
    "MAX_BYTES",
    "FileOrigin",
    "FoundFile",
    "Lookup",
    "find_builtin_folder",
]


BUILTIN_PREFIX = "builtin:"
MAX_BYTES = 1_000_000
"""The most bytes of a pipeline, prompt or schema; more is a file of another kind."""

_REFERENCE_NAME = re.compile(r"(?!\.)[\w.-]{1,80}(?:/(?!\.)[\w.-]{1,80}){0,8}")


class FileOrigin(StrEnum):
    """Where a pipeline, prompt or schema was found."""

    FILE = "file"
    PROJECT = "project"
    USER = "user"
    BUILT_IN = "built-in"


class FoundFile(NamedTuple):
    """A file: the name it was found by, its path for people, its origin, and its text."""

    name: str
    path: str
    origin: FileOrigin
    text: str

    @property
    def source(self) -> Source:
        """The text and its path."""
        return Source(self.path, self.text)


class _SearchPlace(NamedTuple):
    """A folder, and where it comes from."""

    origin: FileOrigin
    root: Traversable

    def format_path(self, name: str, suffix: str) -> str:
        if self.origin is FileOrigin.BUILT_IN:
            return f"{BUILTIN_PREFIX}{name}" + ("" if suffix != ".json" else suffix)
        return str(self.root.joinpath(*f"{name}{suffix}".split("/")))


class Lookup:
    """Finds files by name from a working directory.

    `user` is the user's configuration directory of Octavo; by default, the system's place for it.
    Without `project` what lies in the working directory is not found.
    """

    def __init__(
        self, directory: Path | None = None, user: Path | None = None, *, project: bool = True
    ) -> None:
        self._directory = directory or Path()
        self._user = user
        self._project = project
        self._next_to: tuple[_SearchPlace, ...] = ()

    def with_directory_of(self, path: str) -> Lookup:
        """Return a lookup that searches the directory of a pipeline file first."""
        folder = Path(path).parent
        roots = [folder, folder / "prompts"]
        if folder.name == "pipelines":
            roots.append(folder.parent / "prompts")
        lookup = Lookup(self._directory, self._user, project=self._project)
        lookup._next_to = tuple(_SearchPlace(FileOrigin.FILE, root) for root in roots)
        return lookup

    def find_pipeline(self, reference: str) -> FoundFile:
        """Return a pipeline by its path or name.

        Raises UsageError when there is none, and SpecError when it is not text.
        """
        if reference.endswith((".yaml", ".yml")) or "/" in reference or "\\" in reference:
            return _read_path(Path(reference))
        if (found := self._find("pipelines", reference, ".yaml")) is not None:
            return found
        beside = next(
            (p for p in (f"{reference}.yaml", f"{reference}.yml") if Path(p).is_file()), ""
        )
        hint = f"write {beside}" if beside else suggest(reference, self._list_pipeline_names())
        raise UsageError(f"there is no pipeline {reference!r}", hint=hint)

    def list_pipelines(self) -> tuple[FoundFile, ...]:
        """Return the pipelines that can be named, sorted by name, without the shadowed ones."""
        found = (
            self._find("pipelines", name, ".yaml") for name in sorted(self._list_pipeline_names())
        )
        return tuple(each for each in found if each is not None)

    def find_prompt(self, name: str) -> FoundFile | None:
        """Return a prompt by its name, or None; raises SpecError when it is not text."""
        return self._find("prompts", name, ".j2")

    def find_schema(self, name: str) -> FoundFile | None:
        """Return a JSON Schema by its name, or None; raises SpecError when it is not text."""
        return self._find("prompts", name, ".json")

    def list_names(self, suffix: str) -> set[str]:
        """Return the names of the prompts (`.j2`) or schemas (`.json`) that can be found."""
        names: set[str] = set()
        for place in self._iter_places("prompts"):
            if place.origin is not FileOrigin.FILE:
                names.update(_iter_names_below(place.root, "", suffix))
        return names

    def _list_pipeline_names(self) -> set[str]:
        places = self._iter_places("pipelines")
        return {
            name
            for place in places
            for name in _iter_names_below(place.root, "", ".yaml", deep=False)
        }

    def _find(self, kind: str, name: str, suffix: str) -> FoundFile | None:
        builtin_only = name.startswith(BUILTIN_PREFIX)
        name = name.removeprefix(BUILTIN_PREFIX)
        if not _REFERENCE_NAME.fullmatch(name):
            return None
        for place in self._iter_places(kind):
            if builtin_only and place.origin is not FileOrigin.BUILT_IN:
                continue
            file = place.root.joinpath(*f"{name}{suffix}".split("/"))
            if _is_file(file):
                path = place.format_path(name, suffix)
                return FoundFile(name, path, place.origin, _read_text(file, path))
        return None

    def _iter_places(self, kind: str) -> Iterator[_SearchPlace]:
        if kind == "prompts":
            yield from self._next_to
        if self._project:
            yield _SearchPlace(FileOrigin.PROJECT, self._directory / "octavo" / kind)
        if self._user is None:
            from platformdirs import user_config_path  # noqa: PLC0415 - not needed by --help

            self._user = user_config_path("octavo")
        yield _SearchPlace(FileOrigin.USER, self._user / kind)
        yield _SearchPlace(
            FileOrigin.BUILT_IN,
            find_builtin_folder("prompts" if kind == "prompts" else "pipelines"),
        )


def _is_file(file: Traversable) -> bool:
    try:
        return file.is_file()
    except OSError:  # a directory on the way may not be entered
        return False


def _iter_names_below(
    root: Traversable, prefix: str, suffix: str, *, deep: bool = True
) -> Iterator[str]:
    try:
        files = sorted(root.iterdir(), key=lambda file: file.name)
    except OSError:  # there is no such directory, or it may not be read
        return
    for file in files:
        if file.name.startswith("."):
            continue
        if file.name.endswith(suffix):
            yield f"{prefix}{file.name.removesuffix(suffix)}"
        elif deep and file.is_dir():
            yield from _iter_names_below(file, f"{prefix}{file.name}/", suffix)


def _read_path(path: Path) -> FoundFile:
    if path.is_dir():
        raise UsageError(f"{path} is a directory, not a pipeline", hint="name a file in it")
    if not path.exists():
        siblings = [file.name for file in path.parent.glob("*.y*ml")]
        raise UsageError(f"there is no file {path}", hint=suggest(path.name, siblings))
    return FoundFile(path.stem, str(path), FileOrigin.FILE, _read_text(path, str(path)))


def _read_text(file: Traversable, path: str) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise UsageError(
            f"{path} cannot be read: {reason}", hint="check its permissions"
        ) from error
    start = Position(path, 1, 1)
    if len(data) > MAX_BYTES:
        message = f"the file is larger than {MAX_BYTES:,} bytes"
        raise SpecError(message, code="too-large", position=start, hint="name another file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        raise SpecError(
            f"byte {error.start} is not UTF-8",
            code="encoding",
            position=Position(path, line, column),
            hint="save the file as UTF-8",
        ) from error


@cache
def find_builtin_folder(kind: Literal["pipelines", "prompts"]) -> Traversable:
    """Return the folder of the built-in pipelines, or that of their prompts and schemas."""
    packaged = files("octavo").joinpath(kind)
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / kind
