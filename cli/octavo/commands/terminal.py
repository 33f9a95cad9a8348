"""What goes to standard error: plain lines, without keys and without control characters."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import TextIO, cast

from octavo.commands.redaction import redact

__all__ = ["clean", "clean_line", "print_stderr", "is_drawable"]

_CONTROL_CHARACTERS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]"


def clean(text: str) -> str:
    """Return the text with keys taken out and control characters written as escapes.

    Paths, models and servers may hold any character; none may steer the user's terminal.
    """
    return re.sub(_CONTROL_CHARACTERS, _escape, redact(text))


def clean_line(name: str) -> str:
    """Return a name, which may hold any character, as `clean` does, but in one line and column."""
    return clean(name).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def print_stderr(text: str, stream: TextIO | None = None) -> None:
    """Write one line, or several, to standard error; a closed one is no reason to fail."""
    stream = stream or cast("TextIO | None", sys.stderr)
    if stream is None:  # started with standard error closed
        return
    line = clean(text) + "\n"
    with contextlib.suppress(OSError, ValueError):
        encoding = stream.encoding or "utf-8"
        stream.write(line.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()


def is_drawable(stream: TextIO) -> bool:
    """Return whether a stream is a terminal that may be drawn on.

    `NO_COLOR` and `TERM=dumb` are taken as "no escape sequences at all".
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False
