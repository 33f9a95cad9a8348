"""Finds the GGUF file that a name means, and its hash for keys."""

from __future__ import annotations

import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from octavo.backends.llama.weights import SMOLLM2, find_models_directory
from octavo.errors import UsageError

__all__ = ["DEFAULT_MODEL", "ModelFile", "find_model"]


DEFAULT_MODEL = "smollm2"
"""The name of the model that comes with Octavo."""

_DEFAULT_WINDOW = 8192


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model by path; the default one, whose path is None, may have to be fetched first."""

    name: str
    path: Path | None = None

    @property
    def digest(self) -> str:
        """The file's SHA-256, which a file that did not change since the last look keeps."""
        return SMOLLM2.sha256 if self.path is None else _hash_file(self.path)

    @property
    def trained_window(self) -> int | None:
        """Tokens of prompt and reply that the model was made for, as its file says."""
        if self.path is None:
            return _DEFAULT_WINDOW
        value = self._read_metadata_value("context_length")
        return value if isinstance(value, int) and value > 0 else None

    @property
    def has_pooling(self) -> bool:
        """Whether the file says how a text's vector is made: then it is a model for embeddings."""
        return self.path is not None and self._read_metadata_value("pooling_type") is not None

    def _read_metadata_value(self, name: str) -> object:
        """Return what the file says of its architecture under a name."""
        from octavo.tokens.gguf.metadata import (  # noqa: PLC0415 - the default needs none
            read_metadata,
        )

        assert self.path is not None
        scalars = read_metadata(self.path).scalars
        return scalars.get(f"{scalars.get('general.architecture')}.{name}")


def find_model(name: str) -> ModelFile:
    """Return the model of `llama:NAME`: the default's name, a path, or a file in the models' place.

    Raises UsageError when there is no such file.
    """
    if name == DEFAULT_MODEL:
        return ModelFile(name)
    path = Path(name).expanduser()
    looks_like_a_path = path.suffix == ".gguf" or len(path.parts) > 1
    for candidate in (path, *_list_candidates(name)):
        if candidate.is_file():
            return ModelFile(candidate.stem, candidate)
    if looks_like_a_path:
        raise UsageError(
            f"there is no model file {name!r}",
            hint=f"use -m llama:{DEFAULT_MODEL}, or a path that exists",
        )
    known = ", ".join(
        [DEFAULT_MODEL, *sorted(file.stem for file in find_models_directory().glob("*.gguf"))]
    )
    raise UsageError(
        f"there is no model {name!r}; there are: {known}",
        hint="write -m llama:PATH with the path of a .gguf file",
    )


def _list_candidates(name: str) -> tuple[Path, ...]:
    if not name or Path(name).name != name:
        return ()
    directory = find_models_directory()
    return (directory / name, directory / f"{name}.gguf")


def _hash_file(path: Path) -> str:
    """Return a file's SHA-256; large files are read once and then known by size and time."""
    try:
        stat = path.stat()
        fingerprint = f"{path.resolve()}\n{stat.st_size}\n{stat.st_mtime_ns}\n{stat.st_ino}"
        cache_file = (
            find_models_directory()
            / "digests"
            / hashlib.sha256(os.fsencode(fingerprint)).hexdigest()
        )
        try:
            known = cache_file.read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            known = ""
        if len(known) == 64:
            return known
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UsageError(
            f"model file {path} cannot be read: {error.strerror or error}",
            hint="name a .gguf file that can be read",
        ) from error
    _cache_digest(cache_file, found)
    return found


def _cache_digest(cache_file: Path, digest: str) -> None:
    """Store a digest if possible; an unwritable directory costs only time."""
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        handle, written = tempfile.mkstemp(dir=cache_file.parent)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(digest)
        Path(written).replace(cache_file)
    except OSError:
        return
