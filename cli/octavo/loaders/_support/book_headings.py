"""Find the chapter headings of plain text, as printed books write them."""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from typing import Final

from octavo.text.document import Heading
from octavo.text.outline import normalize_line_ends
from octavo.text.span import Span

__all__ = ["find_book_headings"]


_NUMBER: Final = r"(?:\d{1,4}|[IVXLCDM]{1,9}|[ivxlcdm]{1,9})"
_WORD_NUMBER: Final = (
    r"(?:the\s+)?(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen"
    r"|(?:twen|thir|for|fif|six|seven|eigh|nine)ty(?:[- ]\w+)?|first|second|third|fourth|fifth"
    r"|sixth|seventh|eighth|ninth|tenth|last)"
)


@cache
def _compile_heading_line() -> re.Pattern[str]:
    return re.compile(
        rf"""^[ \t]*(?:
      (?P<part>volume|book|part) [ \t]+ (?:{_NUMBER}|{_WORD_NUMBER}) \b [^\r\n]{{0,80}}
    | (?P<chapter>chapter|canto|act|letter|stave) [ \t]+
        (?:{_NUMBER}|{_WORD_NUMBER}) \b [^\r\n]{{0,80}}
    | (?P<scene>scene) [ \t]+ (?:{_NUMBER}|{_WORD_NUMBER}) \b [^\r\n]{{0,80}}
    | (?P<word>prologue|epilogue|preface|foreword|introduction|afterword|conclusion|appendix
        (?:[ \t]+[a-z0-9])?) \.?
    | (?P<number>(?-i:[IVXLCDM]{{1,9}}|\d{{1,3}})) \.?
    )[ \t]*\r?$""",
        re.VERBOSE | re.MULTILINE | re.IGNORECASE,
    )


@cache
def _compile_title_line() -> re.Pattern[str]:
    return re.compile(
        r"(?:[ \t]*\r?\n){1,2}[ \t]*([^\s][^\r\n]{0,69})\r?\n[ \t]*\r?$", re.MULTILINE
    )


_LEVELS: Final = {"part": 1, "chapter": 2, "scene": 3, "word": 2, "number": 2}


def find_book_headings(text: str) -> tuple[Heading, ...]:
    """Return the chapter headings of a plain text, as printed books write them.

    A heading stands alone between blank lines and says what it is (`CHAPTER IV. The Inn`,
    `Part Two`, `Epilogue`), or is a number alone after two blank lines; a short line below a bare
    number or chapter word is part of it. Lists of headings without text between them are tables
    of contents and left out.
    """
    plain = normalize_line_ends(text)
    found: list[Heading] = []
    for match in _compile_heading_line().finditer(plain):
        blank = 2 if match["number"] else 1
        if not _is_set_apart(plain, match.start(), match.end(), blank):
            continue
        title, end = match[0].strip(), match.end() - match[0].endswith("\r")
        if match["number"] or len(title.split()) == 2:
            below = _compile_title_line().match(plain, match.end() - match[0].endswith("\r"))
            if below and _is_title(below[1]):
                title = f"{title.rstrip('.')}. {below[1].strip()}"
                end = below.end(1)
        if found and match.start() < found[-1].span.end:
            continue
        found.append(Heading(_LEVELS[match.lastgroup or ""], title, Span(match.start(), end)))
    return _drop_contents(plain, found)


def _is_set_apart(text: str, start: int, end: int, blank: int) -> bool:
    """Say whether `blank` blank lines stand above a line (or nothing) and one below it."""
    before = text[max(0, start - 200) : start]
    above = before[len(before.rstrip()) :]
    if before.strip() and above.count("\n") < blank + 1:
        return False
    following = text[end : end + 200]
    below = following[: len(following) - len(following.lstrip())]
    return not following.strip() or below.count("\n") >= 2


def _is_title(line: str) -> bool:
    return line.strip()[-1] not in ".,;:" and not _compile_heading_line().match(line)


def _drop_contents(text: str, headings: list[Heading]) -> tuple[Heading, ...]:
    """Leave out runs of headings on one level or rising, with nothing but even gaps between."""
    listed: set[int] = set()
    usual = 0
    for index, (one, other) in enumerate(pairwise(headings)):
        gap = text[one.span.end : other.span.start]
        if other.level > one.level or gap.strip():
            usual = 0
            continue
        width = gap.count("\n")
        if usual and width > usual:  # the first heading after the list stands further off
            usual = 0
            continue
        usual = width
        listed |= {index, index + 1}
    return tuple(heading for index, heading in enumerate(headings) if index not in listed)
