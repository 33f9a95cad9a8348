"""Files that are there whole or not at all.

A file is written beside its place under another name, then renamed over it: readers see the old
bytes or the new ones, and an interrupted run leaves the old ones. What is not a regular file (a
pipe, a device) is written directly. Hard links to the old file keep the old bytes, and a symbolic
link stays a link: the file it points to is replaced.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: Path, data: bytes) -> None:
    """Write the bytes as the whole content of a file; raises OSError."""
    if path.is_relative_to("/dev") or (path.exists() and not path.is_file()):
        path.write_bytes(data)
        return
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name[:200]}.{os.getpid()}.part")
    try:
        with beside.open("xb") as file:
            if target.exists():
                os.chmod(beside, target.stat().st_mode & 0o7777)  # noqa: PTH101 - by name on all systems
            file.write(data)
        beside.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
