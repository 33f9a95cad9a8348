"""Chooses the model of a run: `-m` first, then `octavo.toml`, then the embedded model.

An `octavo.toml`, or a `pyproject.toml` with a table `tool.octavo`, is looked for in the working
directory and above it, up to the repository's root or the home directory, and an `octavo.toml` in
the user's configuration directory; the nearer one wins, profile by profile and key by key. A key
in the environment chooses nothing: text is only sent where somebody said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from octavo.config.paths import CONFIG_FILE, find_config_files
from octavo.diagnostics import suggest
from octavo.errors import Position, SpecError, SpecErrors, UsageError
from octavo.protocols.backends import Profile

if TYPE_CHECKING:
    from octavo.config.profile_file import ProfileFile

__all__ = [
    "CONFIG_FILE",
    "EMBEDDED_MODEL",
    "ConfigValue",
    "ModelChoice",
    "list_profiles",
    "read_config_files",
    "read_settings",
    "resolve_model",
]


EMBEDDED_MODEL = "llama:smollm2"


class ModelChoice(NamedTuple):
    """The chosen profile: the name it was chosen by and where that name comes from.

    `origin` is `-m`, a file's path, or empty for the embedded model. `notices` are lines for the
    user, to be printed once on stderr.
    """

    name: str
    profile: Profile
    origin: str
    notices: tuple[str, ...] = ()

    @property
    def backend(self) -> str:
        """The backend's name: `openai` of `openai:gpt-5-mini`."""
        return self.profile.model.partition(":")[0]

    @property
    def model(self) -> str:
        """The model's name: `gpt-5-mini` of `openai:gpt-5-mini`."""
        return self.profile.model.partition(":")[2]


class ConfigValue(NamedTuple):
    """A value that a file says, and where."""

    value: object
    position: Position


def resolve_model(model: str | None, *, cwd: Path, env: Mapping[str, str]) -> ModelChoice:
    """Return the profile for a `-m BACKEND:NAME`, a profile's name, or nothing.

    Files are read only when the answer depends on them. Raises SpecErrors for a wrong file, and
    UsageError for a name that is no profile.
    """
    if model is not None and ":" in model:
        return _build_choice(model, Profile.model_construct(model=model), "-m", env)
    files = read_config_files(cwd)
    if model is not None:
        return _choose_profile(model, files, env)
    for file in files:
        if file.default is None:
            continue
        if ":" in file.default:
            from octavo.config.profile_file import (  # noqa: PLC0415 - loaded, as there is a file
                resolve_profile_paths,
            )

            profile = resolve_profile_paths(Profile(model=file.default), file.path.parent)
            return _build_choice(file.default, profile, str(file.path), env)
        try:
            return _choose_profile(file.default, files, env)
        except UsageError as error:
            assert file.default_position is not None
            problem = SpecError(
                error.message, code="no-profile", position=file.default_position, hint=error.hint
            )
            raise SpecErrors((problem,)) from None
    notice = f"no model is configured: using the embedded {EMBEDDED_MODEL} (choose one with -m)"
    profile = Profile.model_construct(model=EMBEDDED_MODEL)
    return ModelChoice(EMBEDDED_MODEL, profile, "", (notice,))


def list_profiles(cwd: Path) -> dict[str, tuple[Profile, Path]]:
    """Return all profiles by name, each with the file that says it."""
    result: dict[str, tuple[Profile, Path]] = {}
    for file in reversed(read_config_files(cwd)):
        result |= {name: (profile, file.path) for name, profile in file.profiles.items()}
    return result


def read_settings(cwd: Path) -> dict[str, ConfigValue]:
    """Return the defaults of options that the files say; `model` is among them.

    Raises SpecErrors for a wrong file.
    """
    result: dict[str, ConfigValue] = {}
    for file in reversed(read_config_files(cwd)):
        for name, value in file.settings.items():
            result[name] = ConfigValue(value, file.positions[name])
        if file.default is not None and file.default_position is not None:
            result["model"] = ConfigValue(file.default, file.default_position)
    return result


def read_config_files(cwd: Path) -> list[ProfileFile]:
    """Return the project's file and the user's, those that exist, the nearer one first.

    Raises SpecErrors for a wrong file, UsageError for one that cannot be read.
    """
    if not (paths := find_config_files(cwd)):
        return []
    from octavo.config.profile_file import read_profile_file  # noqa: PLC0415 - needs the settings

    return [read_profile_file(path) for path in paths]


def _choose_profile(name: str, files: list[ProfileFile], env: Mapping[str, str]) -> ModelChoice:
    for file in files:
        if name in file.profiles:
            return _build_choice(name, file.profiles[name], str(file.path), env)
    known = {each for file in files for each in file.profiles}
    hint = (
        suggest(name, known) if known else f"write -m openai:{name}, or a profile in {CONFIG_FILE}"
    )
    raise UsageError(f"there is no profile {name!r}", hint=hint)


def _build_choice(name: str, profile: Profile, origin: str, env: Mapping[str, str]) -> ModelChoice:
    warning = None
    if profile.model.startswith(("openai:", "vllm:")):
        from octavo.config.endpoint import (  # noqa: PLC0415 - for servers alone
            build_clear_text_warning,
        )

        warning = build_clear_text_warning(profile, env)
    return ModelChoice(name, profile, origin, (warning,) if warning else ())
