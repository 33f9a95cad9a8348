"""Builds the native loops of splitting with the package, where a C compiler is at hand.

Without one, or with OCTAVO_PURE set, the package is the same but for its speed: the loops in Python
run instead. Set it for a wheel that is to run everywhere.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

__all__ = ["NativeLoops"]

_SOURCE = Path("cli", "octavo", "text", "splitting", "native.c")
_SECONDS = 120


class NativeLoops(BuildHookInterface[Any]):
    """Compiles one file and puts the result into the wheel, or beside it when it is editable.

    Whatever prevents that is told in one line, and prevents nothing else.
    """

    _scratch: tempfile.TemporaryDirectory[str] | None = None

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build, unless OCTAVO_PURE is set."""
        source = Path(self.root, _SOURCE)
        name = f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
        beside = source.with_name(name) if version == "editable" else None
        self._scratch = tempfile.TemporaryDirectory(prefix="octavo-native-")
        built = Path(self._scratch.name, name)
        try:
            if beside:
                beside.unlink(missing_ok=True)  # of an older source, maybe
            if os.environ.get("OCTAVO_PURE"):
                return
            _compile(source, built)
            if beside:
                shutil.copy(built, beside)
                return
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self.app.display_warning(
                f"Splitting will run in Python, a little slower: {_why(error)}"
            )
            return
        build_data["force_include"][str(built)] = f"octavo/text/splitting/{name}"
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Clean up once the wheel is written."""
        del version, build_data, artifact_path
        if self._scratch:
            self._scratch.cleanup()


def _compile(source: Path, built: Path) -> None:
    headers = sysconfig.get_path("include")
    options = ["-O2", "-fPIC", f"-I{headers}", str(source), "-o", str(built)]
    subprocess.run(  # noqa: S603 - the user's own compiler, or the one of this Python
        [*_linker(), *options],
        check=True,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_SECONDS,
    )


def _linker() -> list[str]:
    """Return the command that makes a module: CC's compiler, that of this Python, or `cc`."""
    usual, *options = shlex.split(sysconfig.get_config_var("LDSHARED") or "cc -shared")
    compiler = shlex.split(os.environ.get("CC", "")) or [usual if shutil.which(usual) else "cc"]
    if not shutil.which(compiler[0]):
        raise FileNotFoundError("there is no C compiler")
    return [*compiler, *options]


def _why(error: Exception) -> str:
    """Return the line that says most about why nothing was built."""
    if not isinstance(error, subprocess.CalledProcessError):
        return str(error)
    lines = error.stderr.strip().splitlines() or ["the compiler failed"]
    return next((line for line in lines if "error" in line), lines[0])
