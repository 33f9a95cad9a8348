"""JSON that a parameter gives: a file's, or written on the command line itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Self

from octavo.errors import SpecError, UsageError
from octavo.pipeline.lookup import MAX_BYTES
from octavo.pipeline.source import Source
from octavo.pipeline.spelling import shorten

__all__ = ["JsonText", "read_json_text"]


class JsonText(str):
    """A text that is JSON, and the path of the file it was read from, for errors."""

    __slots__ = ("path",)
    path: str

    def __new__(cls, text: str, path: str) -> Self:
        """Make the text of a file."""
        self = super().__new__(cls, text)
        self.path = path
        return self

    @property
    def source(self) -> Source:
        """The text with its path."""
        return Source(self.path, str(self))

    @property
    def value(self) -> object:
        """What the text says."""
        return json.loads(self)


def read_json_text(name: str, value: object) -> JsonText:
    """Return the JSON that a parameter's value is or names.

    A text that begins like an object or a list is JSON itself, any other is a path. Raises
    UsageError for a file that cannot be read, and SpecError at the place where it is not JSON.
    """
    if isinstance(value, JsonText):
        return value
    if isinstance(value, dict | list):
        return JsonText(json.dumps(value, ensure_ascii=False), f"--{name}")
    if not isinstance(value, str | Path):
        raise UsageError(
            f"the parameter {name!r} is a JSON file, not {shorten(str(value), 40)!r}",
            hint="give the path of a file",
        )
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        found = JsonText(value, f"--{name}")
    else:
        found = JsonText(_read_json_file(name, Path(value)), str(value))
    try:
        _ = found.value
    except json.JSONDecodeError as error:
        raise SpecError(
            f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            code="bad-json",
            position=found.source.locate_line(error.lineno, error.colno),
            hint="correct this line",
        ) from error
    except (RecursionError, ValueError) as error:
        raise SpecError(
            "the JSON is nested too deeply, or a number in it is too long",
            code="bad-json",
            position=found.source.locate_line(1),
            hint="make it simpler",
        ) from error
    return found


def _read_json_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the parameter {name!r}: {path} cannot be read: {error.strerror}",
            hint="give the path of a JSON file, or JSON that begins with { or [",
        ) from error
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"the parameter {name!r}: {path} has more than {MAX_BYTES:,} bytes",
            hint="give a smaller file",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the parameter {name!r}: {path} is not UTF-8 at byte {error.start}",
            hint="save it as UTF-8",
        ) from error
