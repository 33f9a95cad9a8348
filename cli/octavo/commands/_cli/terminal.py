"""Text for people and pipes: without keys or control characters, in columns, as UTF-8.

What goes to standard error is plain lines, without keys and without control characters. `redact`
is the last line of defence that keeps keys out of what is printed and saved: keys live in a wrapper
that hides them and are never put into messages; this catches what a library or a server quotes
back.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = [
    "TerminalOutput",
    "align_columns",
    "clean",
    "clean_line",
    "disarm_commands",
    "encode",
    "format_duration",
    "format_megabytes",
    "is_drawable",
    "make_visible",
    "pluralize",
    "print_stderr",
    "redact",
]


_CONTROL_CHARACTERS = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]|[\ud800-\udfff]"


def clean(text: str) -> str:
    """Return the text with keys taken out and control characters written as escapes.

    Paths, models and servers may hold any character; none may steer the user's terminal.
    """
    return _escape_unbalanced(re.sub(_CONTROL_CHARACTERS, _escape, redact(text)))


def make_visible(text: str) -> str:
    """Return the text as a terminal may show it: what would steer it is written as escapes."""
    return _escape_unbalanced(re.sub(rf"(?!\r\n)(?:{_CONTROL_CHARACTERS})", _escape, text))


def disarm_commands(text: str) -> str:
    """Return lines that no CI runner takes for its commands, whatever a document says."""
    if "::" not in text:
        return text
    lines = text.split("\n")
    return "\n".join(
        " " + line.replace("::", ": :") if line.lstrip().startswith("::") else line
        for line in lines
    )


def clean_line(name: str) -> str:
    """Return a name, which may hold any character, as `clean` does, but in one line and column."""
    return clean(name).replace("\n", "\\n").replace("\t", "\\t")


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


_BIDI_CONTROLS = "[\u202a-\u202e\u2066-\u2069]"
_ISOLATES = "\u2066\u2067\u2068"
_POP_EMBEDDING, _POP_ISOLATE = "\u202c", "\u2069"


def _escape_unbalanced(text: str) -> str:
    """Return a text in which no change of direction reaches past the end of what opened it."""
    if re.search(_BIDI_CONTROLS, text) is None:
        return text
    return "\n".join(map(_escape_unbalanced_in_line, text.split("\n")))


def _escape_unbalanced_in_line(line: str) -> str:
    unclosed: list[re.Match[str]] = []
    unbalanced: set[int] = set()
    for mark in re.finditer(_BIDI_CONTROLS, line):
        if mark[0] == _POP_ISOLATE and any(each[0] in _ISOLATES for each in unclosed):
            while unclosed[-1][0] not in _ISOLATES:
                unbalanced.add(unclosed.pop().start())
            unclosed.pop()
        elif mark[0] == _POP_EMBEDDING and unclosed and unclosed[-1][0] not in _ISOLATES:
            unclosed.pop()
        elif mark[0] in {_POP_EMBEDDING, _POP_ISOLATE}:
            unbalanced.add(mark.start())
        else:
            unclosed.append(mark)
    unbalanced.update(mark.start() for mark in unclosed)
    return re.sub(
        _BIDI_CONTROLS,
        lambda mark: _escape(mark) if mark.start() in unbalanced else mark[0],
        line,
    )


class TerminalOutput(io.BufferedIOBase):
    """Bytes on their way to a terminal; what would steer it is made visible."""

    def __init__(self, terminal: BinaryIO) -> None:
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write text in UTF-8, visibly."""
        plain = bytes(data)
        self._terminal.write(make_visible(self._decoder.decode(plain)).encode("utf-8", "replace"))
        return len(plain)

    def flush(self) -> None:
        """Flush the terminal."""
        self._terminal.flush()

    def fileno(self) -> int:
        """Return the terminal's descriptor."""
        return self._terminal.fileno()

    def isatty(self) -> bool:
        """Return True."""
        return True


def print_stderr(text: str, stream: TextIO | None = None) -> None:
    """Write one line, or several, to standard error; a closed one is no reason to fail."""
    stream = stream or cast("TextIO | None", sys.stderr)
    if stream is None:  # started with standard error closed
        return
    line = disarm_commands(clean(text)) + "\n"
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
