"""Reads a TOML configuration file and finds the positions that errors name."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from pydantic_core import ErrorDetails

from octavo.diagnostics import Source, find_credentials, suggest
from octavo.errors import Position, SpecError, SpecErrors, UsageError

__all__ = ["TomlFile", "TomlKeys", "read_config_text"]


_EXPECTED_TYPES = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "mapping_type": "a table such as {key = 1}",
    "model_type": "a table such as {key = 1}",
    "sequence_str": "a list such as ['a', 'b']",
    "is_instance_of": "a list such as ['a', 'b']",
    "tuple_type": "a list such as ['a', 'b']",
}
_NAME = re.compile(r'"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')
_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]")
_KEY = re.compile(r'\s*((?:"[^"]*"|\'[^\']*\'|[A-Za-z0-9_.\s-])+?)\s*=')
_DECODE_ERROR = re.compile(
    r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL
)

TomlKeys = tuple[str | int, ...]


def read_config_text(path: Path) -> str:
    """Return a file's text; raises UsageError when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None


class TomlFile:
    """Reads one file and collects its problems.

    Ours is the whole file, or the table at `prefix` of a file that others share.
    """

    def __init__(self, source: Source, prefix: tuple[str, ...] = ()) -> None:
        self.name = ".".join(prefix) or "octavo.toml"
        self._source = source
        self._prefix = prefix
        self._errors: list[SpecError] = []

    def build_error(self, code: str, message: str, keys: TomlKeys, hint: str) -> SpecError:
        """Return an error at the place of a key."""
        return SpecError(message, code=code, position=self.find_position(keys), hint=hint)

    def report(self, code: str, message: str, keys: TomlKeys, hint: str) -> None:
        """Note a problem at the place of a key."""
        self.report_error(self.build_error(code, message, keys, hint))

    def report_error(self, error: SpecError) -> None:
        """Note a problem that knows its place."""
        self._errors.append(error)

    def raise_if_any(self) -> None:
        """Raise SpecErrors with all problems noted so far."""
        if self._errors:
            ordered = sorted(self._errors, key=lambda error: error.position.line)
            raise SpecErrors(tuple(ordered))

    def refuse_keys(self) -> None:
        """Refuse a file with keys before anything else: other errors would quote its lines."""
        for offset in find_credentials(self._source.text):
            position = self._source.locate_offset(offset)
            if not self._is_own_line(position.line):
                continue
            message = "this looks like an API key, and files get shared"
            hint = "put it into an environment variable and name that with api_key_env"
            self.report_error(SpecError(message, code="key-in-file", position=position, hint=hint))
        self.raise_if_any()

    def parse(self) -> dict[str, Any]:
        """Return our table, empty when there is none; raises SpecErrors for what is no TOML."""
        try:
            data: object = tomllib.loads(self._source.text)
        except tomllib.TOMLDecodeError as error:
            found = _DECODE_ERROR.match(str(error))
        else:
            for name in self._prefix:
                data = cast("dict[str, object]", data).get(name, {})
                if not isinstance(data, dict):
                    self.report(
                        "wrong-type", f"{name!r} must be a table", (), f"write [{self.name}]"
                    )
                    self.raise_if_any()
            return dict(cast("dict[str, Any]", data))
        message, line, column = found.groups() if found else ("not TOML", None, None)
        last = len(self._source.lines)
        position = self._source.locate_line(int(line or last), int(column or 1))
        error = SpecError(message, code="toml", position=position, hint="correct the TOML")
        raise SpecErrors((error,))

    def report_validation_error(
        self, what: str, known: object, keys: TomlKeys, detail: ErrorDetails
    ) -> None:
        """Note what pydantic found wrong; `what` has the keys `known`."""
        name, kind = str(keys[-1]), detail["type"]
        if kind == "extra_forbidden":
            hint = suggest(name, cast("dict[str, object]", known))
            self.report("unknown-key", f"{what} has no {name!r}", keys, hint)
        elif kind == "missing":
            message = f"the profile {keys[1]!r} needs {name!r}"
            self.report("missing-key", message, keys, f'add {name} = "openai:NAME"')
        elif kind in {"literal_error", "enum"}:
            choices = str(detail.get("ctx", {}).get("expected", ""))
            self.report("wrong-value", f"{name!r} cannot be that", keys, f"write {choices}")
        elif kind == "greater_than":
            bound = detail.get("ctx", {}).get("gt", 0)
            message = f"{name!r} must be a number above {bound:g}"
            self.report("wrong-type", message, keys, f"write a number above {bound:g}")
        else:
            wanted = _EXPECTED_TYPES.get(kind, "a table" if len(keys) == 2 else "something else")
            message = f"{name!r} must be {wanted}"
            self.report("wrong-type", message, keys, f"write {wanted}")

    def find_position(self, keys: TomlKeys) -> Position:
        """Return where a key is written, or the nearest table around it.

        The TOML reader of the standard library tells no positions, so the lines are searched.
        """
        keys = (*self._prefix, *keys)
        best, line, column = 0, 1, 1
        for number, source, header, path, start, end in self._iter_key_lines():
            shared = min(len(path), len(keys))
            if path[:shared] == keys[:shared] and shared > best:
                best, line, column = shared, number, start + 1
                inner = re.search(rf"\b{re.escape(str(keys[-1]))}\b", source[end:])
                if not header and len(path) < len(keys) and inner:
                    column = end + inner.start() + 1
        return self._source.locate_line(line, column)

    def _is_own_line(self, line: int) -> bool:
        """Tell whether a line stands in our table."""
        path: tuple[str, ...] = ()
        for number, _, _, written, _, _ in self._iter_key_lines():
            if number > line:
                break
            path = written
        return path[: len(self._prefix)] == self._prefix

    def _iter_key_lines(self) -> Iterator[tuple[int, str, bool, tuple[str, ...], int, int]]:
        """Yield each line that names a key: number, text, whether a table, path, start and end."""
        table: tuple[str, ...] = ()
        for number, source in enumerate(self._source.lines, 1):
            header = _HEADER.match(source)
            if found := header or _KEY.match(source):
                path = _split_dotted_key(found[1])
                if header:
                    table = path
                else:
                    path = (*table, *path)
                yield number, source, bool(header), path, found.start(1), found.end()


def _split_dotted_key(dotted: str) -> tuple[str, ...]:
    return tuple("".join(groups) for groups in _NAME.findall(dotted))
