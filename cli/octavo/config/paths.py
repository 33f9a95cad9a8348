"""Where configuration files are.

This module imports little, because shells ask for it at every TAB.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["CONFIG_FILE", "PYPROJECT_FILE", "find_config_files"]


CONFIG_FILE = "octavo.toml"
PYPROJECT_FILE = "pyproject.toml"
"""A file that others share: ours is its table `tool.octavo`."""


_OTHER_TABLE = re.compile(rb"""(?m)^\s*\[?\s*(?:tool\s*(?:[\]=]|\.\s*["']?octavo)|["'])""")
"""What begins the line of our table, or of one around it, where it is not written as usual."""


def find_config_files(cwd: Path) -> list[Path]:
    """Return the project's file and the user's, those that exist, the nearer one first."""
    from platformdirs import user_config_path  # noqa: PLC0415 - not needed by --help

    paths = [
        path
        for path in (_find_project_file(cwd), user_config_path("octavo") / CONFIG_FILE)
        if path is not None
    ]
    return [path for path in dict.fromkeys(paths) if path.is_file()]


def _find_project_file(cwd: Path) -> Path | None:
    home = Path.home()
    for folder in (cwd, *cwd.parents):
        if (folder / CONFIG_FILE).is_file():
            return folder / CONFIG_FILE
        if _has_octavo_table(folder / PYPROJECT_FILE):
            return folder / PYPROJECT_FILE
        if folder == home or (folder / ".git").exists():
            return None
    return None


def _has_octavo_table(path: Path) -> bool:
    """Return whether a pyproject.toml has our table; errors in others' tables are ignored."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    if b"octavo" not in text:
        return False
    if re.search(rb"(?m)^\s*\[\s*tool\s*\.\s*octavo\b", text):
        return True  # wrong TOML is told with its place
    if not _OTHER_TABLE.search(text):
        return False
    import tomllib  # noqa: PLC0415 - rarely needed

    try:
        tool = tomllib.loads(text.decode()).get("tool")
    except ValueError:
        return False
    return isinstance(tool, dict) and "octavo" in tool
