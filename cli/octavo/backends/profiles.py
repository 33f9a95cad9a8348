"""Which model a run uses: what `-m` says, else `octavo.toml`, else the embedded one.

An `octavo.toml` is looked for in the working directory and above it, up to the repository's root
or the home directory, and in the user's configuration directory; the nearer one wins, profile by
profile. A key in the environment chooses nothing: text is only sent where somebody said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from octavo.backends.endpoint import clear_text
from octavo.backends.profile_file import ProfileFile, read_profiles
from octavo.errors import SpecError, SpecErrors, UsageError
from octavo.pipeline.spelling import suggestion
from octavo.protocols.backends import Profile

__all__ = ["EMBEDDED", "FILE", "Choice", "profiles", "resolve"]

FILE = "octavo.toml"
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


def resolve(model: str | None, *, cwd: Path, env: Mapping[str, str]) -> Choice:
    """Return the profile for a `-m BACKEND:NAME`, a profile's name, or nothing.

    Files are read only when the answer depends on them. Raises SpecErrors for a wrong file, and
    UsageError for a name that is no profile.
    """
    if model is not None and ":" in model:
        return _choice(model, Profile(model=model), "-m", env)
    files = _files(cwd)
    if model is not None:
        return _named(model, files, env)
    for file in files:
        if file.default is None:
            continue
        if ":" in file.default:
            return _choice(file.default, Profile(model=file.default), str(file.path), env)
        try:
            return _named(file.default, files, env)
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
    for file in reversed(_files(cwd)):
        found |= {name: (profile, file.path) for name, profile in file.profiles.items()}
    return found


def _named(name: str, files: list[ProfileFile], env: Mapping[str, str]) -> Choice:
    for file in files:
        if name in file.profiles:
            return _choice(name, file.profiles[name], str(file.path), env)
    known = {each for file in files for each in file.profiles}
    hint = suggestion(name, known) if known else f"write -m openai:{name}, or a profile in {FILE}"
    raise UsageError(f"there is no profile {name!r}", hint=hint)


def _choice(name: str, profile: Profile, origin: str, env: Mapping[str, str]) -> Choice:
    warning = clear_text(profile, env) if profile.model.startswith("openai:") else None
    return Choice(name, profile, origin, (warning,) if warning else ())


def _files(cwd: Path) -> list[ProfileFile]:
    """Return the project's file and the user's, those that exist, the nearer one first."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed by --help

    paths = [path for path in (_above(cwd), user_config_path("octavo") / FILE) if path is not None]
    return [read_profiles(path) for path in dict.fromkeys(paths) if path.is_file()]


def _above(cwd: Path) -> Path | None:
    home = Path.home()
    for folder in (cwd, *cwd.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if folder == home or (folder / ".git").exists():
            return None
    return None
