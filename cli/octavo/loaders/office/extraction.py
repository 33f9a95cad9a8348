"""Extract the text of documents in a separate process, one document after the other.

The process is started at the first document and used for all that follow. One that hangs, dies or
takes too much memory is ended, and the next document has a new one.
"""

from __future__ import annotations

import atexit
import json
import re
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from octavo.errors import InputError

__all__ = ["DAMAGED_HINT", "EXTRACTION", "ExtractedText", "ExtractionProcess"]


_WORKER: Final = Path(__file__).with_name("extractor.py")
_TIMEOUT: Final = 9.0
"""Seconds for any document."""

_TIMEOUT_PER_MB: Final = 5.0
"""More seconds for each megabyte of it: a PDF of 1,000 full pages and 3 MB was seen to take 5."""

_MEMORY: Final = 4 << 30
"""The most bytes of memory that the process may take."""

DAMAGED_HINT: Final = "it seems to be damaged: open it in a program of its kind and save it anew"
_LIBRARY_NAMES: Final = re.compile(
    r"(?:[A-Za-z]+ (?:error|violation|limit exceeded)|\w+ parsing failed|xberg\w*[^:]*"
    r"|(?:Text|Metadata) extraction failed|failed to load bytes|Failed to (?:open|parse|read)[^:]*)"
    r": (?=.)"
)


@dataclass(frozen=True, slots=True)
class ExtractedText:
    """What was found: the whole text, or that of each page where the format has pages."""

    text: str
    pages: tuple[str, ...] = ()
    unit: str = "page"
    title: str | None = None


class ExtractionProcess:
    """A process that extracts text from documents. Safe to use from several threads."""

    def __init__(self, *, timeout: float = _TIMEOUT, memory: int = _MEMORY) -> None:
        self._timeout = timeout
        self._memory = memory
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def extract(self, data: bytes, mime_type: str, source: str, *, paged: bool) -> ExtractedText:
        """Return the text of a document, page by page when it is `paged`.

        Raises InputError with what is wrong with it.
        """
        seconds = self._timeout + _TIMEOUT_PER_MB * len(data) / 1e6
        frame = {
            "type": mime_type,
            "size": len(data),
            "paged": paged,
            "seconds": max(1, round(seconds)),
        }
        with self._lock:
            process = self._ensure_process()
            timed_out = threading.Event()

            def end_late() -> None:
                timed_out.set()
                process.kill()

            timer = threading.Timer(seconds, end_late)
            timer.daemon = True
            timer.start()
            try:
                answer = _request(process, frame, data)
            finally:
                timer.cancel()
            if answer is None:
                self._end_process()
        if answer is None:
            reason = (
                f"it takes more than {seconds:.0f} s" if timed_out.is_set() else "it is damaged"
            )
            raise InputError(f"cannot be read: {reason}", source=source)
        if "error" in answer:
            raise _explain_failure(str(answer["error"]), source)
        if answer["left_out"] is not None:
            raise _explain_failure(str(answer["left_out"]), source)
        return ExtractedText(
            answer["text"], tuple(answer["pages"]), answer["unit"], answer["title"] or None
        )

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end_process()

    def _ensure_process(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._end_process()
        if self._process is None:
            self._process = subprocess.Popen(  # noqa: S603 - our own script
                # Without the script's folder on the path: only what this process can import.
                [sys.executable, "-P", str(_WORKER), str(self._memory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C is for the run, which ends this too
            )
            atexit.register(self.close)
        return self._process

    def _end_process(self) -> None:
        if (process := self._process) is not None:
            self._process = None
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe:
                    pipe.close()
            atexit.unregister(self.close)


def _request(
    process: subprocess.Popen[bytes], frame: dict[str, Any], data: bytes
) -> dict[str, Any] | None:
    """Return the process's answer, or None when it ended instead."""
    assert process.stdin
    assert process.stdout
    try:
        process.stdin.write(json.dumps(frame).encode() + b"\n")
        process.stdin.write(data)
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        return None
    return json.loads(line) if line.endswith(b"\n") else None


def _explain_failure(reason: str, source: str) -> InputError:
    """Return the library's refusal in a user's words, with what can be done about it."""
    lower = reason.lower()
    if "password" in lower or "encrypted" in lower:
        return InputError("it is encrypted", source=source, hint="save a copy without a password")
    is_archive_bomb = "bomb" in lower or (
        "limit" in lower and ("exceed" in lower or "ratio" in lower)
    )
    if is_archive_bomb and "invalid zip" not in lower:
        return InputError(
            f"it unpacks to more than is taken: {_strip_library_names(reason)}",
            source=source,
            hint="turn the file into text first, if you trust it",
        )
    return InputError(
        f"cannot be read: {_strip_library_names(reason)}",
        source=source,
        hint=DAMAGED_HINT,
    )


def _strip_library_names(reason: str) -> str:
    """Return a reason without the names that the library gives to its own parts."""
    while (match := _LIBRARY_NAMES.match(reason)) is not None:
        reason = reason[match.end() :]
    return reason


EXTRACTION = ExtractionProcess()
