"""Finding the headings of Markdown.

Like every finder of headings, this one takes lines that end in LF, CRLF or CR and returns headings
in the order of the text, with spans that lie in the text and do not overlap. A span covers the
heading's own line or lines without the last line's end. What is found is deliberately little: a
missed heading costs a chunk its label, a false one puts a wrong label into a prompt.
"""

from __future__ import annotations

import re
from typing import Final

from octavo.text.document import Heading
from octavo.text.span import Span

__all__ = ["markdown_headings", "normalize_line_ends", "to_heading_label"]


_MAX_LABEL: Final = 160  # characters; some texts mark whole paragraphs as headings
_MAX_LOOKBACK: Final = 50  # lines to look back for the list item that an indented fence belongs to

# The lines of Markdown that can be a heading or can hide one. A setext heading is found by its
# underline; the line above it is looked at then.
_MARKDOWN: Final = re.compile(
    r"""^(?:
      (?P<fence_indent>[ \t]*) (?P<fence>`{3,}(?=[^`\r\n]*\r?$)|~{3,}) (?P<info>[^\r\n]*)
    | [ ]{0,3} (?P<atx>\#{1,6}) (?:[ \t]+(?P<title>[^\r\n]*))?
    | [ ]{0,3} (?P<underline>=+|-+) [ \t]*
    | [ ]{0,3} <(?:(?P<comment>!--)|(?P<raw>pre|script|style|textarea)(?=[\s>]|$)) [^\r\n]*
    )\r?$""",
    re.VERBOSE | re.MULTILINE | re.IGNORECASE,
)
_ATTRIBUTES: Final = re.compile(r"\{[ \t]*[#.:][^{}]*\}$")
_LINK: Final = re.compile(r"!?\[([^\[\]]*)\](?:\([^()]*(?:\([^()]*\)[^()]*)*\)|\[[^\[\]]*\])")

# A line that starts a block of its own, so that an underline below it is not a heading's.
_NOT_PARAGRAPH: Final = re.compile(
    r"[ ]{0,3}(?:>|\#{1,6}(?:[ \t]|$)|[-+*](?:[ \t]|$)|\d{1,9}[.)](?:[ \t]|$)|`{3}|~{3}|<|\|)"
    r"|[ ]{4}|[ ]{0,3}\t|[ ]{0,3}(?:=+|-+|(?:[*_-][ \t]*){3,})[ \t]*$"
)
_LIST_ITEM: Final = re.compile(r"[ \t]*(?:[-+*]|\d{1,9}[.)])(?:[ \t]|$)")
_LONE_CR: Final = re.compile(r"\r(?!\n)")


def markdown_headings(text: str, start: int = 0) -> tuple[Heading, ...]:
    """Return the ATX and setext headings of a Markdown text, from character `start` on.

    As CommonMark reads them, but without containers: headings inside block quotes and list items
    are left out. Lines inside code fences, comments and raw HTML blocks are never headings.
    """
    plain = normalize_line_ends(text)
    found: list[Heading] = []
    position = start
    while match := _MARKDOWN.search(plain, position):
        position = _find_next_line(plain, match.end())
        if match["fence"]:
            position = _skip_fence(plain, match, position)
        elif match["comment"]:
            position = _skip_past(plain, "-->", match.start("comment"))
        elif match["raw"]:
            position = _skip_past(plain, f"</{match['raw']}", match.end("raw"))
        elif match["atx"]:
            found.append(_parse_atx(match))
        elif heading := _parse_setext(plain, match, start):
            found.append(heading)
        if position <= match.start():
            break
    return tuple(found)


def _find_next_line(text: str, position: int) -> int:
    end = text.find("\n", position)
    return len(text) + 1 if end < 0 else end + 1


def _skip_fence(text: str, opening: re.Match[str], position: int) -> int:
    """Return where the line after the closing fence starts; an open fence runs to the end."""
    indent = opening["fence_indent"].expandtabs(4)
    if len(indent) > 3 and not _is_in_list(text, opening.start()):
        return position  # an indented code block that shows a fence
    fence = opening["fence"]
    closing = re.compile(rf"^[ \t]*{fence[0]}{{{len(fence)},}}[ \t]*\r?$", re.MULTILINE)
    found = closing.search(text, position)
    return _find_next_line(text, found.end()) if found else len(text) + 1


def _is_in_list(text: str, position: int) -> bool:
    """Say whether the nearest line above that is not indented starts a list item."""
    for _ in range(_MAX_LOOKBACK):
        if position <= 0:
            break
        end = position - 1
        position = text.rfind("\n", 0, end) + 1
        line = text[position:end]
        if line.strip() and (_LIST_ITEM.match(line) or line[0] not in " \t"):
            return _LIST_ITEM.match(line) is not None
    return False


def _skip_past(text: str, mark: str, position: int) -> int:
    """Return where the line after `mark` starts."""
    found = re.compile(re.escape(mark), re.IGNORECASE).search(text, position)
    return _find_next_line(text, found.end()) if found else len(text) + 1


def _parse_atx(match: re.Match[str]) -> Heading:
    title = (match["title"] or "").strip()
    bare = title.rstrip("#")
    if not bare or bare[-1] in " \t":
        title = bare
    end = match.end() - match[0].endswith("\r")
    return Heading(len(match["atx"]), _strip_title(title), Span(match.start(), end))


def _parse_setext(text: str, match: re.Match[str], min_position: int) -> Heading | None:
    """Return the heading that an underline closes, or None where it is a rule or a table."""
    first = match.start()
    lines: list[str] = []
    while first > min_position:
        begin = max(text.rfind("\n", 0, first - 1) + 1, min_position)
        line = text[begin : first - 1].rstrip("\r")
        if not line.strip() or (_NOT_PARAGRAPH.match(line) and not (lines and line[0] in " \t")):
            break
        lines.insert(0, line.strip())
        first = begin
        if len(lines) > 3:
            return None  # a long paragraph above a rule without a blank line, not a title
    if not lines:
        return None
    end = match.end() - match[0].endswith("\r")
    level = 1 if match["underline"][0] == "=" else 2
    return Heading(level, _strip_title(" ".join(lines)), Span(first, end))


def _strip_title(title: str) -> str:
    """Return a title without link targets and attribute lists."""
    title = title.strip()[: 4 * _MAX_LABEL]
    return to_heading_label(_LINK.sub(r"\1", _ATTRIBUTES.sub("", title)))


def to_heading_label(title: str) -> str:
    """Return a heading's text as one line of at most 160 characters; the text itself is kept."""
    line = " ".join(title.split())
    return line if len(line) <= _MAX_LABEL else line[: _MAX_LABEL - 1].rstrip() + "…"


def normalize_line_ends(text: str) -> str:
    """Return a text of the same length in which every line has an LF at its end."""
    return _LONE_CR.sub("\n", text) if "\r" in text else text
