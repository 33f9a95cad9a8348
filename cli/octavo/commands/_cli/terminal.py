"""Text for people and pipes: without keys or control characters, in columns, as UTF-8.

What goes to standard error is plain lines, without keys and without control characters. `redact`
is the last line of defence that keeps keys out of what is printed and saved: keys live in a wrapper
that hides them and are never put into messages; this catches what a library or a server quotes
back.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TextIO, cast

__all__ = [
    "align_columns",
    "clean",
    "clean_line",
    "encode",
    "format_duration",
    "format_megabytes",
    "is_drawable",
    "pluralize",
    "print_stderr",
    "redact",
]


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


_SECRET_SUFFIXES = ("KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "CREDENTIALS")
_MIN_SECRET_LENGTH = 8
"""Shorter values would take ordinary words out of messages."""

_KEY_PATTERNS = (
    (r"\b(?:sk|pk|rk|hf|gsk|xai)[-_][A-Za-z0-9_\-]{8,}", "[key]"),
    (r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=\-]{8,}", r"\1 [key]"),
    (r"(?<=://)[^/\s@]+(?=@)", "[key]"),
)
"""Compiled when the first line is written: --help needs none of them."""


def redact(text: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the text without anything that looks like a key.

    That is: the values of environment variables named like one, key-like prefixes, the credentials
    of an authorization header or an address.
    """
    for name, value in (os.environ if environ is None else environ).items():
        if len(value) >= _MIN_SECRET_LENGTH and name.upper().endswith(_SECRET_SUFFIXES):
            text = text.replace(value, "[key]")
    for shape, replacement in _KEY_PATTERNS:
        text = re.sub(shape, replacement, text)
    return text


def align_columns(rows: Sequence[Sequence[str]], *, right: Collection[int] = ()) -> Iterator[str]:
    """Yield a line for each row, its cells as wide as their column; `right` names right-set ones.

    The last column is not filled up, so that no line ends with blanks.
    """
    if not rows:
        return
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        cells = [
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()


def pluralize(count: int, noun: str) -> str:
    """Return `1 call`, `2 calls`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def format_megabytes(count: int) -> str:
    """Return a number of bytes as people write it: `93 MB`."""
    return f"{count / 1e6:,.0f} MB"


def format_duration(seconds: float) -> str:
    """Return a length of time as people write it: `12 s`, `3 min 05 s`, `2 h 10 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole // 60 % 60:02} min"


def encode(text: str) -> bytes:
    """Return the text as UTF-8, whatever the locale; half a surrogate pair becomes `?`."""
    return text.encode("utf-8", "replace")
