"""Which model a run uses: what `-m` says, else `octavo.toml`, else the embedded one.

An `octavo.toml`, or a `pyproject.toml` with a table `tool.octavo`, is looked for in the working
directory and above it, up to the repository's root or the home directory, and an `octavo.toml` in
the user's configuration directory; the nearer one wins, profile by profile and key by key. A key
in the environment chooses nothing: text is only sent where somebody said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from octavo.backends.endpoint import clear_text
from octavo.backends.places import FILE, config_files
from octavo.backends.profile_file import (
    ProfileFile,
    anchored_profile,
    read_profiles,
)
from octavo.errors import Position, SpecError, SpecErrors, UsageError
from octavo.pipeline.spelling import suggest
from octavo.protocols.backends import Profile

__all__ = ["EMBEDDED", "FILE", "Choice", "Setting", "files", "profiles", "resolve", "settings"]

EMBEDDED = "llama:smollm2"


@dataclass(frozen=True, slots=True)
class Choice:
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

    @property
    def embedded(self) -> bool:
        """Whether nothing was configured, so that the embedded model is used."""
        return not self.origin


@dataclass(frozen=True, slots=True)
class Setting:
    """A value that a file says, and where."""

    value: object
    position: Position


def resolve(model: str | None, *, cwd: Path, env: Mapping[str, str]) -> Choice:
    """Return the profile for a `-m BACKEND:NAME`, a profile's name, or nothing.

    Files are read only when the answer depends on them. Raises SpecErrors for a wrong file, and
    UsageError for a name that is no profile.
    """
    if model is not None and ":" in model:
        return _choice(model, Profile(model=model), "-m", env)
    found = files(cwd)
    if model is not None:
        return _named(model, found, env)
    for file in found:
        if file.default is None:
            continue
        if ":" in file.default:
            profile = anchored_profile(Profile(model=file.default), file.path.parent)
            return _choice(file.default, profile, str(file.path), env)
        try:
            return _named(file.default, found, env)
        except UsageError as error:
            assert file.position is not None
            wrong = SpecError(
                error.message, code="no-profile", position=file.position, hint=error.hint
            )
            raise SpecErrors((wrong,)) from None
    notice = f"no model is configured: using the embedded {EMBEDDED} (choose one with -m)"
    return Choice(EMBEDDED, Profile(model=EMBEDDED), "", (notice,))


def profiles(cwd: Path) -> dict[str, tuple[Profile, Path]]:
    """Return all profiles by name, each with the file that says it."""
    found: dict[str, tuple[Profile, Path]] = {}
    for file in reversed(files(cwd)):
        found |= {name: (profile, file.path) for name, profile in file.profiles.items()}
    return found


def settings(cwd: Path) -> dict[str, Setting]:
    """Return the defaults of options that the files say; `model` is among them.

    Raises SpecErrors for a wrong file.
    """
    found: dict[str, Setting] = {}
    for file in reversed(files(cwd)):
        for name, value in file.settings.model_dump(exclude_unset=True).items():
            found[name] = Setting(value, file.places[name])
        if file.default is not None and file.position is not None:
            found["model"] = Setting(file.default, file.position)
    return found


def files(cwd: Path) -> list[ProfileFile]:
    """Return the project's file and the user's, those that exist, the nearer one first.

    Raises SpecErrors for a wrong file, UsageError for one that cannot be read.
    """
    return [read_profiles(path) for path in config_files(cwd)]


def _named(name: str, found: list[ProfileFile], env: Mapping[str, str]) -> Choice:
    for file in found:
        if name in file.profiles:
            return _choice(name, file.profiles[name], str(file.path), env)
    known = {each for file in found for each in file.profiles}
    hint = suggest(name, known) if known else f"write -m openai:{name}, or a profile in {FILE}"
    raise UsageError(f"there is no profile {name!r}", hint=hint)


def _choice(name: str, profile: Profile, origin: str, env: Mapping[str, str]) -> Choice:
    warning = clear_text(profile, env) if profile.model.startswith(("openai:", "vllm:")) else None
    return Choice(name, profile, origin, (warning,) if warning else ())
