"""Where configuration files lie; light, since shells ask for it at every TAB."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

__all__ = ["FILE", "SHARED", "config_files"]

FILE = "octavo.toml"
SHARED = "pyproject.toml"
"""A file that others share: ours is its table `tool.octavo`."""


def config_files(cwd: Path) -> list[Path]:
    """Return the project's file and the user's, those that exist, the nearer one first."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed by --help

    paths = [path for path in (_above(cwd), user_config_path("octavo") / FILE) if path is not None]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _above(cwd: Path) -> Path | None:
    home = Path.home()
    for folder in (cwd, *cwd.parents):
        if (folder / FILE).is_file():
            return folder / FILE
        if _speaks_of_octavo(folder / SHARED):
            return folder / SHARED
        if folder == home or (folder / ".git").exists():
            return None
    return None


def _speaks_of_octavo(path: Path) -> bool:
    """Tell whether a pyproject.toml has our table, without reading others' faults as ours."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    if b"octavo" not in text:
        return False
    if re.search(rb"(?m)^\s*\[\s*tool\s*\.\s*octavo\b", text):
        return True  # wrong TOML is told with its place
    try:
        tool = tomllib.loads(text.decode()).get("tool")
    except ValueError:
        return False
    return isinstance(tool, dict) and "octavo" in tool
