"""The text of a pipeline, prompt or schema, and the places in it that errors name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from octavo.errors import Position, SpecError
from octavo.pipeline.credentials import mask_credentials

__all__ = ["Source", "make_spec_error"]

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Source:
    """A text and where it is from.

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
