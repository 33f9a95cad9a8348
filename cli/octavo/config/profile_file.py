"""Reads `octavo.toml` and reports errors with their line.

    default = "fast"

    [profiles.fast]
    model = "openai:gpt-5-mini"
    api_key_cmd = "pass show openai"

    [profiles.lab]
    model = "openai:qwen3"
    base_url = "http://gpu.example:8000/v1"
    options = {top_p = 0.9, seed = "null"}

TOML has no null: an option of the text "null" removes that field from requests. A model that is a
file (`llama:./model.gguf`) is looked for beside this file. Beside profiles stand the defaults of
options, as `run_options` declares them: `jobs = 4`, `exclude = ["drafts/"]`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from octavo.config.endpoint import require_allowed_options, resolve_endpoint
from octavo.config.paths import PYPROJECT_FILE
from octavo.config.run_options import RUN_OPTIONS
from octavo.config.toml_file import TomlFile, TomlKeys, read_config_text
from octavo.diagnostics import Source
from octavo.errors import Position, UsageError
from octavo.protocols.backends import Profile, Serve

__all__ = ["ProfileFile", "read_profile_file", "resolve_profile_paths"]


_OTHER_KEYS = ("default", "model", "profiles")
_PATH_SETTINGS = {"journal", *(name for name, each in RUN_OPTIONS.items() if each.option.path)}
"""Settings that name files, which are relative to the file that says them."""

_KEY_HEADERS = {
    "authorization",
    "proxy-authorization",
    "api-key",
    "x-api-key",
    "x-goog-api-key",
    "cookie",
}
_FILE_SUFFIXES = (".gguf", ".yaml", ".yml")
_LOWER_BOUNDS = {"window": 0, "parallel": 0, "timeout": 0, "requests_per_minute": 0,
          "tokens_per_minute": 0, "hedge": 1}  # fmt: skip
"""What the values of a profile must be more than."""


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """What one file says: its profiles by name, and what it wants used by default."""

    path: Path
    profiles: Mapping[str, Profile] = field(default_factory=dict[str, Profile])
    default: str | None = None
    """A profile's name, or `BACKEND:NAME`."""
    default_position: Position | None = None
    """Where the default is written."""
    settings: Mapping[str, object] = field(default_factory=dict[str, object])
    """Its defaults of options."""
    positions: Mapping[str, Position] = field(default_factory=dict[str, Position])
    """Where each of them is written, and each key of a profile: `profiles.lab.base_url`."""


def read_profile_file(path: Path) -> ProfileFile:
    """Return what a file says: an octavo.toml, or the table `tool.octavo` of a pyproject.toml.

    Raises SpecErrors with all that is wrong in it, UsageError when it cannot be read. Keys of
    providers are refused anywhere in it, and never shown.
    """
    prefix = ("tool", "octavo") if path.name == PYPROJECT_FILE else ()
    reader = _ProfileReader(Source(str(path), read_config_text(path)), prefix)
    reader.refuse_keys()
    data = reader.parse()
    profiles = reader.read_profiles(data.pop("profiles", {}), path.parent)
    default, position = reader.take_default(data)
    settings = reader.read_settings(data, path.parent)
    reader.raise_if_any()
    key_paths = [(name,) for name in data]
    for name, profile in profiles.items():
        key_paths += [("profiles", name, key) for key in profile.model_fields_set]
    places = {".".join(keys): reader.find_position(keys) for keys in key_paths}
    return ProfileFile(path, profiles, default, position, settings, places)


class _ProfileReader(TomlFile):
    """Checks what our files may say."""

    def read_settings(self, data: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Return the defaults of options, with paths as seen from the file's folder."""
        if isinstance(encoding := data.get("encoding"), str) and encoding:
            from octavo.loaders._support.decoding import check_encoding  # noqa: PLC0415 - rarely given

            hint = 'name one as Python does, for example encoding = "latin-1"'
            self._report_usage_error(lambda: check_encoding(encoding), ("encoding",), hint)
        model = _build_settings_model()
        try:
            settings = model.model_validate(data, strict=True).model_dump(exclude_unset=True)
        except ValidationError as error:
            known = {*model.model_fields, *_OTHER_KEYS}
            for detail in error.errors(include_url=False, include_input=False):
                self.report_validation_error(self.name, known, detail["loc"], detail)
            return {}
        for name in _PATH_SETTINGS & settings.keys():
            settings[name] = str(folder / Path(settings[name]).expanduser())
        return settings

    def take_default(self, data: dict[str, Any]) -> tuple[str | None, Position | None]:
        """Take what the file wants used, and where it says so, out of the data."""
        given = [name for name in ("default", "model") if name in data]
        for name in given:
            if not isinstance(data[name], str):
                self.report("wrong-type", f"{name!r} must be text in quotes", (name,), "quote it")
        if len(given) == 2:
            hint = "remove one: default names a profile, model a model without one"
            self.report("conflict", "'default' and 'model' are both given", ("model",), hint)
        values = [data.pop(name) for name in given]
        return (values[0], self.find_position((given[0],))) if given else (None, None)

    def read_profiles(self, tables: object, folder: Path) -> dict[str, Profile]:
        """Return the valid profiles, with paths as seen from the file's folder."""
        if not isinstance(tables, dict):
            hint = "write a table such as [profiles.fast]"
            self.report("wrong-type", "'profiles' must be a table of profiles", ("profiles",), hint)
            return {}
        found: dict[str, Profile] = {}
        for name, table in cast("dict[str, object]", tables).items():
            keys = ("profiles", name)
            if ":" in name:
                hint = f"call it {name.replace(':', '-')!r}"
                self.report("profile-name", f"a profile's name has no colon: {name!r}", keys, hint)
            if (profile := self._read_profile(keys, table, folder)) is not None:
                found[name] = profile
        return found

    def _read_profile(self, keys: TomlKeys, table: object, folder: Path) -> Profile | None:
        try:
            profile = Profile.model_validate(table, strict=True)
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                key_path = tuple(key for key in detail["loc"] if key not in {"str", "Profile"})
                is_serve = key_path[:1] == ("serve",) and len(key_path) > 1
                what, table = ("'serve'", Serve) if is_serve else ("a profile", Profile)
                self.report_validation_error(what, table.model_fields, (*keys, *key_path), detail)
            return None
        self._check_profile(profile, keys)
        if isinstance(embedding_profile := profile.embeddings, Profile):
            self._check_profile(embedding_profile, (*keys, "embeddings"))
            profile = profile.model_copy(
                update={"embeddings": resolve_profile_paths(embedding_profile, folder)}
            )
        return resolve_profile_paths(profile, folder)

    def _check_profile(self, profile: Profile, keys: TomlKeys) -> None:
        """Complain about values of the right type that cannot be right."""
        backend, colon, name = profile.model.partition(":")
        if not (backend and colon and name):
            hint = f'write model = "openai:{profile.model.strip(":")}"'
            self.report("model", "a profile's model is BACKEND:NAME", (*keys, "model"), hint)
        if profile.api_key_env and not _is_variable_name(profile.api_key_env):
            message = "'api_key_env' must be the name of an environment variable"
            hint = "put the key into a variable and write the variable's name here"
            error = self.build_error("key-in-file", message, (*keys, "api_key_env"), hint)
            # The line may hold the key itself: it is not shown.
            error.position = replace(error.position, source="")
            self.report_error(error)
        for header in profile.headers:
            if header.lower() in _KEY_HEADERS:
                message = f"the header {header!r} carries a key, and files get shared"
                hint = "put the key into an environment variable and name it with api_key_env"
                error = self.build_error("key-in-file", message, (*keys, "headers", header), hint)
                error.position = replace(error.position, source="")
                self.report_error(error)
        for limit, bound in _LOWER_BOUNDS.items():
            value = getattr(profile, limit)
            if value is not None and value <= bound:
                message = f"{limit!r} must be more than {bound}"
                self.report("wrong-value", message, (*keys, limit), f"write more than {bound}")
        if backend != "vllm" and profile.serve != Serve():
            message = f"'serve' starts a server for a vllm: model, and this is {profile.model!r}"
            hint = f'write model = "vllm:{name}", or remove it'
            self.report("wrong-value", message, (*keys, "serve"), hint)
        if backend in {"openai", "vllm"}:
            self._report_usage_error(lambda: resolve_endpoint(profile, {}), (*keys, "base_url"))
            self._report_usage_error(lambda: require_allowed_options(profile), (*keys, "options"))

    def _report_usage_error(
        self, attempt: Callable[[], object], keys: TomlKeys, hint: str = ""
    ) -> None:
        """Turn what would be refused later into a problem at its place."""
        try:
            attempt()
        except UsageError as error:
            hint = hint or error.hint or "correct it"
            wrong = self.build_error("wrong-value", error.message, keys, hint)
            if "password" in error.message:
                wrong.position = replace(wrong.position, source="")
            self.report_error(wrong)


@cache
def _build_settings_model() -> type[BaseModel]:
    """Return what checks the defaults of options; only for a file, since building it takes time."""
    fields: dict[str, Any] = {"journal": (str, None)}
    for name, declared in RUN_OPTIONS.items():
        kind, bounds = declared.type, declared.option.bounds
        if declared.repeatable:
            kind = list[str]
        elif issubclass(kind, StrEnum):
            kind = Literal[tuple(each.value for each in kind)]
        elif bounds is not None:
            kind = Annotated[kind, Field(gt=bounds.above, le=bounds.most)]
        if declared.option.in_files:
            fields[name] = (kind, None)
    return create_model("Settings", __config__=ConfigDict(extra="forbid"), **fields)


def resolve_profile_paths(profile: Profile, folder: Path) -> Profile:
    """Return a profile with its files as seen from the folder it was read in."""
    backend, _, name = profile.model.partition(":")
    options = {name: None if value == "null" else value for name, value in profile.options.items()}
    changes: dict[str, Any] = {"options": options}
    if name.startswith(("./", "../", "~/")) or name.endswith(_FILE_SUFFIXES):
        changes["model"] = f"{backend}:{folder / Path(name).expanduser()}"
    if (tokenizer := profile.tokenizer) and tokenizer.endswith((".json", ".gguf")):
        changes["tokenizer"] = str(folder / Path(tokenizer).expanduser())
    return profile.model_copy(update=changes)


def _is_variable_name(name: str) -> bool:
    """Tell whether this may name an environment variable, and is not a key pasted here."""
    characters = set(name)
    pasted = (
        len(name) >= 20 and any(map(str.islower, characters)) and any(map(str.isdigit, characters))
    )
    return name.isidentifier() and not pasted
