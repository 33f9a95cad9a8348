"""How errors point at, quote and correct what somebody wrote in a file.

A source is the text of a pipeline, prompt, schema or profile, with the places in it that errors
name. Errors quote the line, on one line and shortened, and suggest the known word that a misspelt
one most likely means. Keys do not belong into pipelines, since pipelines get committed and errors
quote the lines that keys are on: whatever looks like a key is found and masked.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from octavo.errors import Position, SpecError

__all__ = [
    "Source",
    "find_credentials",
    "find_nearest",
    "make_spec_error",
    "mask_credentials",
    "shorten",
    "suggest",
]


_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Source:
    """A text and where it comes from.

    A text written inside another file, such as a prompt in a pipeline, has that file's text as
    `outer` and the 0-based number of its own first line there as `first`.
    """

    path: str
    text: str
    outer: str | None = None
    first: int = 0

    @cached_property
    def lines(self) -> list[str]:
        """The lines of the file, without their ends; whatever looks like a key is masked."""
        return _LINE_END.split(mask_credentials(self.text if self.outer is None else self.outer))

    def locate_line(self, line: int, column: int = 1, *, word: str = "") -> Position:
        """Return the place of a 1-based line of the text.

        With `word`, the place where it next stands on or below that line, if it does; the column
        counts in the file's own lines.
        """
        line += self.first
        if line > len(self.lines):  # parsers name the line behind the last for what is missing
            line, column = len(self.lines), len(self.lines[-1]) + 1
        if word:
            found = re.compile(rf"(?<![\w.]){re.escape(word)}(?!\w)")
            for number in range(line, min(line + 40, len(self.lines) + 1)):
                if match := found.search(self.lines[number - 1]):
                    line, column = number, match.start() + 1
                    break
        source = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        if column == 1 and self.outer is not None:
            column += len(source) - len(source.lstrip())
        return Position(self.path, line, column, source)

    def locate_offset(self, offset: int) -> Position:
        """Return the place of a character offset of the text."""
        before = _LINE_END.split(self.text[:offset])
        return self.locate_line(len(before), len(before[-1]) + 1)


def make_spec_error(
    source: Source, code: str, message: str, line: int, *, word: str = "", hint: str
) -> SpecError:
    """Return an error at a 1-based line of a text, at the place of a word where it has one."""
    return SpecError(message, code=code, position=source.locate_line(line, word=word), hint=hint)


_MAX_SUGGESTIONS = 20
_MAX_WORD = 100
_MAX_KNOWN = 500


def find_nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that a misspelt one most likely means, or None."""
    if len(word) > _MAX_WORD:  # comparing costs the square of the length
        return None
    plain = {other.lower().replace("-", "_"): other for other in islice(known, _MAX_KNOWN)}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), list(plain), 1, cutoff=0.6)
    return plain[close[0]] if close else None


def suggest(word: str, known: Iterable[str]) -> str:
    """Return the hint for an unknown word: the nearest known word, else the first known ones."""
    words = sorted(known)
    guess = find_nearest(word, words)
    if guess is not None:
        return f"did you mean {guess!r}?"
    more = ", ..." if len(words) > _MAX_SUGGESTIONS else ""
    return f"use one of: {', '.join(words[:_MAX_SUGGESTIONS])}{more}" if words else "remove it"


def shorten(text: str, length: int = 60) -> str:
    """Return a text as an error quotes it: on one line, at most `length` characters."""
    text = " ".join(text.split())
    return text if len(text) <= length else text[: length - 3] + "..."


_CREDENTIAL = re.compile(
    r"(?<![A-Za-z0-9_-])"
    r"(?:(?:sk|pk|rk|gsk|xai)[-_](?=[A-Za-z_-]*[0-9])[A-Za-z0-9_-]{16,}"
    r"|hf_[A-Za-z0-9]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|AKIA[0-9A-Z]{16}|AIza[A-Za-z0-9_-]{30,})"
)
"""Prefixes that providers give their keys; the first group needs a digit, as words have none."""


def find_credentials(text: str) -> Iterator[int]:
    """Yield the character offsets of what looks like an API key."""
    for match in _CREDENTIAL.finditer(text):
        yield match.start()


def mask_credentials(text: str) -> str:
    """Return the text with `x` for what looks like an API key; its length stays."""
    return _CREDENTIAL.sub(lambda match: match[0][:3] + "x" * (len(match[0]) - 3), text)
