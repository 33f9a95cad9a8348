"""Reads `octavo.toml`, and says at which line it is wrong.

    default = "fast"

    [profiles.fast]
    model = "openai:gpt-5-mini"
    api_key_cmd = "pass show openai"

    [profiles.lab]
    model = "openai:qwen3"
    base_url = "http://gpu.example:8000/v1"
    options = {top_p = 0.9, seed = "null"}

TOML has no null: an option of the text "null" removes that field from requests. A model that is a
file (`llama:./model.gguf`) is looked for beside this file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from octavo.backends.dialect import dialect_of
from octavo.backends.endpoint import locate
from octavo.errors import Position, SpecError, SpecErrors, UsageError
from octavo.pipeline.credentials import credentials
from octavo.pipeline.source import Source
from octavo.pipeline.spelling import suggestion
from octavo.protocols.backends import Profile

__all__ = ["ProfileFile", "read_profiles"]

_TOP = ("default", "model", "profiles")
_KEYED = {
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "cookie",
}
_FILES = (".gguf", ".yaml", ".yml")
_WANTED = {
    "string_type": "text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "mapping_type": "a table such as {key = 1}",
}
_NAME = re.compile(r'"([^"]*)"|\'([^\']*)\'|([A-Za-z0-9_-]+)')
_HEADER = re.compile(r"\s*\[{1,2}\s*([^\]]+?)\s*\]")
_KEY = re.compile(r'\s*((?:"[^"]*"|\'[^\']*\'|[A-Za-z0-9_.\s-])+?)\s*=')
_FAILED = re.compile(r"^(.*?) \(at (?:line (\d+), column (\d+)|end of document)\)$", re.DOTALL)

Keys = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """What one file says: its profiles by name, and what it wants used by default."""

    path: Path
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile])
    default: str | None = None
    """A profile's name, or `BACKEND:NAME`."""
    position: Position | None = None
    """Where the default is written."""


def read_profiles(path: Path) -> ProfileFile:
    """Return what a file says.

    Raises SpecErrors with all that is wrong in it, UsageError when it cannot be read. Keys of
    providers are refused anywhere in it, and never shown.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}") from None
    reader = _Reader(Source(str(path), text))
    reader.refuse_keys()
    data = reader.parse()
    profiles = reader.profiles(data.pop("profiles", {}), path.parent)
    default, position = reader.default(data)
    for name in data:
        hint = suggestion(name, _TOP)
        reader.add("unknown-key", f"octavo.toml has no {name!r}", (name,), hint)
    reader.raise_if_any()
    return ProfileFile(path, profiles, default, position)


class _Reader:
    """Collects the problems of one file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._errors: list[SpecError] = []

    def error(self, code: str, message: str, keys: Keys, hint: str) -> SpecError:
        return SpecError(message, code=code, position=self.place(keys), hint=hint)

    def add(self, code: str, message: str, keys: Keys, hint: str) -> None:
        self._errors.append(self.error(code, message, keys, hint))

    def raise_if_any(self) -> None:
        if self._errors:
            ordered = sorted(self._errors, key=lambda error: error.position.line)
            raise SpecErrors(tuple(ordered))

    def refuse_keys(self) -> None:
        """Refuse a file with keys before anything else: other errors would quote its lines."""
        for offset in credentials(self._source.text):
            message = "this looks like an API key, and files get shared"
            hint = "put it into an environment variable and name that with api_key_env"
            position = self._source.offset(offset)
            self._errors.append(
                SpecError(message, code="key-in-file", position=position, hint=hint)
            )
        self.raise_if_any()

    def parse(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._source.text)
        except tomllib.TOMLDecodeError as error:
            found = _FAILED.match(str(error))
        message, line, column = found.groups() if found else ("not TOML", None, None)
        last = len(self._source.lines)
        position = self._source.position(int(line or last), int(column or 1))
        error = SpecError(message, code="toml", position=position, hint="correct the TOML")
        raise SpecErrors((error,))

    def default(self, data: dict[str, Any]) -> tuple[str | None, Position | None]:
        """Take what the file wants used, and where it says so, out of the data."""
        given = [name for name in ("default", "model") if name in data]
        for name in given:
            if not isinstance(data[name], str):
                self.add("wrong-type", f"{name!r} must be text in quotes", (name,), "quote it")
        if len(given) == 2:
            hint = "remove one: default names a profile, model a model without one"
            self.add("conflict", "'default' and 'model' are both given", ("model",), hint)
        values = [data.pop(name) for name in given]
        return (values[0], self.place((given[0],))) if given else (None, None)

    def profiles(self, tables: object, folder: Path) -> dict[str, Profile]:
        """Return the valid profiles, with paths as seen from the file's folder."""
        if not isinstance(tables, dict):
            hint = "write a table such as [profiles.fast]"
            self.add("wrong-type", "'profiles' must be a table of profiles", ("profiles",), hint)
            return {}
        found: dict[str, Profile] = {}
        for name, table in cast("dict[str, object]", tables).items():
            keys = ("profiles", name)
            if ":" in name:
                hint = f"call it {name.replace(':', '-')!r}"
                self.add("profile-name", f"a profile's name has no colon: {name!r}", keys, hint)
            if (profile := self._profile(keys, table, folder)) is not None:
                found[name] = profile
        return found

    def _profile(self, keys: Keys, table: object, folder: Path) -> Profile | None:
        try:
            profile = Profile.model_validate(table, strict=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                place = tuple(key for key in detail["loc"] if key not in {"str", "Profile"})
                self._complain((*keys, *place), detail)
            return None
        self._check(profile, keys)
        if isinstance(own := profile.embeddings, Profile):
            self._check(own, (*keys, "embeddings"))
            profile = profile.model_copy(update={"embeddings": _anchored(own, folder)})
        return _anchored(profile, folder)

    def _check(self, profile: Profile, keys: Keys) -> None:
        """Complain about values of the right type that cannot be right."""
        backend, colon, name = profile.model.partition(":")
        if not (backend and colon and name):
            hint = f'write model = "openai:{profile.model.strip(":")}"'
            self.add("model", "a profile's model is BACKEND:NAME", (*keys, "model"), hint)
        if profile.api_key_env and not _variable(profile.api_key_env):
            message = "'api_key_env' must be the name of an environment variable"
            hint = "put the key into a variable and write the variable's name here"
            error = self.error("key-in-file", message, (*keys, "api_key_env"), hint)
            # The line may hold the key itself: it is not shown.
            error.position = replace(error.position, source="")
            self._errors.append(error)
        for header in profile.headers:
            if header.lower() in _KEYED:
                message = f"the header {header!r} carries a key, and files get shared"
                hint = "put the key into an environment variable and name it with api_key_env"
                error = self.error("key-in-file", message, (*keys, "headers", header), hint)
                error.position = replace(error.position, source="")
                self._errors.append(error)
        for limit in ("window", "parallel", "timeout"):
            value = getattr(profile, limit)
            if value is not None and value <= 0:
                message = f"{limit!r} must be more than 0"
                self.add("wrong-value", message, (*keys, limit), "write more than 0")
        if backend == "openai":
            self._refuse(lambda: locate(profile, {}), (*keys, "base_url"))
            self._refuse(lambda: dialect_of(profile, official=False), (*keys, "options"))

    def _refuse(self, attempt: Callable[[], object], keys: Keys) -> None:
        """Turn what the backend would refuse into a problem at its place."""
        try:
            attempt()
        except UsageError as error:
            wrong = self.error("wrong-value", error.message, keys, error.hint or "correct it")
            if "password" in error.message:
                wrong.position = replace(wrong.position, source="")
            self._errors.append(wrong)

    def _complain(self, keys: Keys, detail: ErrorDetails) -> None:
        name, kind = str(keys[-1]), detail["type"]
        if kind == "extra_forbidden":
            hint = suggestion(name, Profile.model_fields)
            self.add("unknown-key", f"a profile has no {name!r}", keys, hint)
        elif kind == "missing":
            message = f"the profile {keys[1]!r} needs {name!r}"
            self.add("missing-key", message, keys, f'add {name} = "openai:NAME"')
        elif kind == "literal_error":
            choices = str(detail.get("ctx", {}).get("expected", ""))
            self.add("wrong-value", f"{name!r} cannot be that", keys, f"write {choices}")
        else:
            wanted = _WANTED.get(kind, "a table" if len(keys) == 2 else "something else")
            message = f"{name!r} must be {wanted}"
            self.add("wrong-type", message, keys, f"write {wanted}")

    def place(self, keys: Keys) -> Position:
        """Return where a key is written, or the nearest table around it.

        The TOML reader of the standard library tells no positions, so the lines are searched.
        """
        best, line, column = 0, 1, 1
        table: tuple[str, ...] = ()
        for number, source in enumerate(self._source.lines, 1):
            header = _HEADER.match(source)
            if found := header or _KEY.match(source):
                path = _names(found[1])
                if header:
                    table = path
                else:
                    path = (*table, *path)
                shared = min(len(path), len(keys))
                if path[:shared] == keys[:shared] and shared > best:
                    best, line, column = shared, number, found.start(1) + 1
                    inner = re.search(rf"\b{re.escape(str(keys[-1]))}\b", source[found.end() :])
                    if not header and len(path) < len(keys) and inner:
                        column = found.end() + inner.start() + 1
        return self._source.position(line, column)


def _anchored(profile: Profile, folder: Path) -> Profile:
    """Return a profile with its files as seen from the folder it was read in."""
    backend, _, name = profile.model.partition(":")
    options = {name: None if value == "null" else value for name, value in profile.options.items()}
    changes: dict[str, Any] = {"options": options}
    if name.startswith(("./", "../", "~/")) or name.endswith(_FILES):
        changes["model"] = f"{backend}:{folder / Path(name).expanduser()}"
    if (tokenizer := profile.tokenizer) and tokenizer.endswith((".json", ".gguf")):
        changes["tokenizer"] = str(folder / Path(tokenizer).expanduser())
    return profile.model_copy(update=changes)


def _variable(name: str) -> bool:
    """Tell whether this may name an environment variable, and is not a key pasted here."""
    signs = set(name)
    pasted = len(name) >= 20 and any(map(str.islower, signs)) and any(map(str.isdigit, signs))
    return name.isidentifier() and not pasted


def _names(dotted: str) -> tuple[str, ...]:
    return tuple("".join(groups) for groups in _NAME.findall(dotted))
