"""Where the embedded model's library writes what it has to say."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["LlamaLog"]

_MAX_BYTES = 1_000_000
"""Bytes from which on a log begins anew."""

_LAST_LINES = 3


class LlamaLog:
    """The end of a file in the state directory, shared by all processes; `file` is open to append.

    Where that directory cannot be written, an unnamed file takes its place.
    """

    def __init__(self) -> None:
        from platformdirs import user_log_path  # noqa: PLC0415 - costs time that few runs pay

        path = user_log_path("octavo") / "llama.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self.where = f"its log is {path}"
        except OSError:
            handle, unkept = tempfile.mkstemp()
            Path(unkept).unlink()
            self.where = "its log could not be kept"
        self.file = os.fdopen(handle, "a+b")
        if self.file.seek(0, os.SEEK_END) > _MAX_BYTES:
            self.file.truncate(0)
        self._start_offset = self.file.seek(0, os.SEEK_END)

    def read_last_lines(self) -> str:
        """Return the last lines since this log was opened, joined, or an empty text."""
        if self.file.closed:
            return ""
        self.file.seek(self._start_offset)
        lines = self.file.read().decode("utf-8", "replace").splitlines()
        return " | ".join([" ".join(line.split()) for line in lines if line.strip()][-_LAST_LINES:])

    def close(self) -> None:
        """Close the file; what it says stays."""
        self.file.close()
