"""The options that `octavo.toml` may set for a project, next to its profiles.

Each is the option of the same name, so that `--keep-going` is `keep_going` here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Settings", "resolve_setting_paths"]


PositiveInt = Annotated[int, Field(gt=0)]

_PATH_SETTINGS = ("events", "journal")
"""Settings that name files, which are relative to the file that says them."""


class Settings(BaseModel):
    """Defaults of options; None where the file says nothing.

    What belongs to one command line, such as its inputs or `--fresh`, has no place in a file.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    jobs: PositiveInt | None = None
    timeout: Annotated[float, Field(gt=0)] | None = None
    hedge: Annotated[float, Field(gt=0)] | None = None
    lock: bool | None = None
    allow_partial: Annotated[float, Field(gt=0, le=1)] | None = None
    max_calls: PositiveInt | None = None
    max_tokens: PositiveInt | None = None
    max_cost: Annotated[float, Field(ge=0)] | None = None
    max_minutes: Annotated[float, Field(gt=0)] | None = None
    keep_going: bool | None = None
    private: bool | None = None
    glob: list[str] | None = None
    exclude: list[str] | None = None
    gitignore: bool | None = None
    encoding: str | None = None
    text_column: str | None = None
    format: Literal["text", "json", "jsonl", "csv"] | None = None
    output_format: Literal["text", "json", "github"] | None = None
    exit_zero: bool | None = None
    front_matter: bool | None = None
    progress: Literal["auto", "bar", "plain", "none"] | None = None
    quiet: bool | None = None
    verbose: bool | None = None
    debug: bool | None = None
    events: str | None = None
    journal: str | None = None


def resolve_setting_paths(settings: Settings, folder: Path) -> Settings:
    """Return the settings with their files as seen from the folder they were read in."""
    changes = {
        name: str(folder / Path(value).expanduser())
        for name in _PATH_SETTINGS
        if (value := getattr(settings, name)) is not None
    }
    return settings.model_copy(update=changes)
