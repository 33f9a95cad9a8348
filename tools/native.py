"""Builds the native loops of splitting with the package, where a C compiler is at hand.

Without one, or with OCTAVO_PURE set, the package is the same but for its speed: the loops in Python
run instead. Set it for a wheel that is to run everywhere.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from shutil import which
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["NativeLoops"]

_SOURCE = Path("cli", "octavo", "text", "native.c")
_SECONDS = 120


class NativeLoops(BuildHookInterface[Any]):
    """Compiles one file and puts the result into the wheel, or beside it when it is editable."""

    _scratch: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, and say in one line why not where that fails."""
        source = Path(self.root, _SOURCE)
        name = f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
        beside = source.with_name(name)
        if version == "editable":
            beside.unlink(missing_ok=True)
        if os.environ.get("OCTAVO_PURE"):
            return
        if version == "editable":
            built = beside
        else:
            self._scratch = tempfile.TemporaryDirectory(prefix="octavo-native-")
            built = Path(self._scratch.name, name)
        if reason := _compiled(source, built):
            self.app.display_warning(f"Splitting will run in Python, a little slower: {reason}")
        elif version != "editable":
            build_data["force_include"][str(built)] = f"octavo/text/{name}"
            build_data["pure_python"] = False
            build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clean up once the wheel is written."""
        del version, build_data, artifact_path
        if self._scratch:
            self._scratch.cleanup()


def _compiled(source: Path, built: Path) -> str:
    """Compile, and return nothing, or why it could not be done."""
    command = shlex.split(sysconfig.get_config_var("LDSHARED") or "")
    if compiler := os.environ.get("CC"):
        command[:1] = shlex.split(compiler)
    if not command or not which(command[0]):
        return "there is no C compiler"
    headers = sysconfig.get_path("include")
    command += ["-O2", "-fPIC", f"-I{headers}", str(source), "-o", str(built)]
    try:
        subprocess.run(  # noqa: S603 - the compiler that Python itself was built with
            command, check=True, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip().splitlines() or ["the compiler failed"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return ""
