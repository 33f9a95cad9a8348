"""HTML: the readable text, its headings and its title.

Blocks become paragraphs, list items and table rows become lines, and `pre` keeps its own lines.
Scripts, styles, hidden elements, comments, images and the addresses of links are left out; menus
and footers are text like any other. Spans and hashes are of this text, not of the page's source.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from octavo.errors import InputError, UsageError
from octavo.loaders._support.decoding import check_encoding, decode
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document, Heading
from octavo.text.outline import to_heading_label
from octavo.text.span import Span

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["LOADER"]


_LEFT_OUT: Final = "script, style, template, noscript, svg, iframe, object, datalist, [hidden]"
_LEVELS: Final = {f"h{level}": level for level in range(1, 7)}
_LISTS: Final = frozenset({"menu", "ol", "ul"})
_LINES: Final = frozenset({"caption", "dd", "dt", "li", "option", "summary", "tr"})
_PARAGRAPH_TAGS: Final = """
    address article aside blockquote body center details dialog div dl fieldset figcaption figure
    footer form header hgroup hr html legend main nav p pre search section select table
"""
_PARAGRAPHS: Final = frozenset(_PARAGRAPH_TAGS.split()).union(_LEVELS, _LISTS)
_SPACE: Final = re.compile(r"[ \t\n\r\f]+")
_CHARSET: Final = re.compile(
    rb"<meta[^>]{1,200}?charset\s{0,9}=[\s\"']{0,9}([\w.:-]{2,40})", re.IGNORECASE
)


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - only pages need it

    tree = LexborHTMLParser(_decode(data, source, encoding))
    title = tree.css_first("title")
    metadata = {"title": " ".join(title.text().split())} if title else {}
    for node in tree.css(_LEFT_OUT):
        node.remove()
    page = _PageWriter()
    if tree.body is not None:
        for node, entered in _walk(tree.body):
            (page.enter if entered else page.leave)(node)
    return Document(page.text, source, tuple(page.outline), metadata, verbatim=False)


def _decode(data: bytes, source: str, encoding: str | None) -> str:
    try:
        return decode(data, source, encoding)
    except InputError as error:
        if encoding is None and (declared := _CHARSET.search(data, 0, 4096)):
            try:
                name = check_encoding(declared[1].decode("ascii", "replace"))
            except UsageError:
                raise error from None
            error.hint = f"the page says what it is: add --encoding {name}"
        raise


def _walk(root: LexborNode) -> Iterator[tuple[LexborNode, bool]]:
    """Yield every node below and with `root` as it is entered (True) and left (False)."""
    node, end = root, root.mem_id  # comparing nodes would serialize both
    while True:
        yield node, True
        if child := node.first_child:
            node = child
            continue
        while True:
            yield node, False
            if node.mem_id == end:
                return
            if following := node.next:
                node = following
                break
            parent = node.parent
            assert parent is not None, "the walk stays below its root"
            node = parent


class _PageWriter:
    """The text written so far, and what stands between it and the next text."""

    def __init__(self) -> None:
        self.outline: list[Heading] = []
        self._parts: list[str] = []
        self._length = 0
        self._pending_break = ""
        self._bullet = ""
        self._lists: list[int] = []  # for each open list its next number, or 0
        self._row = -1  # how many parts there were when the open row began
        self._cells = 0  # of it, before anything was written
        self._verbatim = 0
        self._heading: int | None = None
        self._heading_start: tuple[int, int] | None = None  # in parts and in characters

    @property
    def text(self) -> str:
        """Everything written, and one line end."""
        return "".join([*self._parts, "\n"]) if self._parts else ""

    def enter(self, node: LexborNode) -> None:
        """Take the start of an element, or a text."""
        tag = node.tag or ""
        if node.is_text_node:
            self._write(node.text_content or "")
        elif tag in _PARAGRAPHS:
            self._break(self._count_line_ends(tag))
            if tag in _LISTS:
                self._lists.append(_read_first_number(node) if tag == "ol" else 0)
            elif tag == "pre":
                self._verbatim += 1
            elif tag in _LEVELS and self._heading is None:
                self._heading, self._heading_start = node.mem_id, None
        elif tag in _LINES:
            self._start_line(tag)
        elif tag == "br":
            self._break(self._pending_break.count("\n") + 1)
        elif tag in {"td", "th"}:
            self._start_cell()

    def leave(self, node: LexborNode) -> None:
        """Take the end of an element."""
        tag = node.tag or ""
        if tag in _PARAGRAPHS:
            if tag == "pre":
                self._verbatim -= 1
            elif tag in _LISTS:
                self._lists.pop()
            elif tag in _LEVELS and node.mem_id == self._heading:
                self._end_heading(_LEVELS[tag])
            self._break(self._count_line_ends(tag))
        elif tag in _LINES:
            self._bullet = ""
            self._break(1)

    def _count_line_ends(self, tag: str) -> int:
        """Return how many line ends set a block off: inside a list it is set close."""
        return 1 if self._lists and tag not in _LEVELS else 2

    def _break(self, lines: int) -> None:
        self._pending_break = "\n" * min(2, max(lines, self._pending_break.count("\n")))

    def _start_line(self, tag: str) -> None:
        self._break(1)
        if tag == "tr":
            self._row, self._cells = len(self._parts), 0
        elif tag == "li":
            self._start_item()

    def _start_item(self) -> None:
        indent = "  " * (len(self._lists) - 1)
        number = self._lists[-1] if self._lists else 0
        self._bullet = f"{indent}{number}. " if number else f"{indent}- "
        if number:
            self._lists[-1] += 1

    def _start_cell(self) -> None:
        """Set a cell off from the one before; an empty one keeps its place, but at a row's end."""
        if len(self._parts) == self._row:
            self._cells += 1
        elif "\n" not in self._pending_break:
            self._pending_break = (
                f"{self._pending_break}| " if self._pending_break.endswith("| ") else " | "
            )

    def _write(self, text: str) -> None:
        if self._verbatim:
            line, after = text.rstrip("\n"), "\n" * (len(text) - len(text.rstrip("\n")))
        else:
            spaced = _SPACE.sub(" ", text)
            line, after = spaced.strip(" "), " " if spaced.endswith(" ") else ""
            if spaced.startswith(" "):
                self._pending_break = self._pending_break or " "
        if line:
            empty = "| " * (self._cells - 1) if len(self._parts) == self._row else ""
            self._put(self._pending_break if self._parts else "")
            self._put(empty)
            self._put(self._bullet)
            if self._heading and self._heading_start is None:
                self._heading_start = len(self._parts), self._length
            self._put(line)
            self._pending_break, self._bullet = after, ""
        elif self._verbatim:
            self._pending_break += after

    def _put(self, text: str) -> None:
        if text:
            self._parts.append(text)
            self._length += len(text)

    def _end_heading(self, level: int) -> None:
        if self._heading_start is not None:
            part, start = self._heading_start
            title = to_heading_label("".join(self._parts[part:]))
            self.outline.append(Heading(level, title, Span(start, self._length)))
        self._heading = self._heading_start = None


def _read_first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or ""
    return int(start) if start.isdecimal() and len(start) < 7 else 1


LOADER = LoaderType(name="html", suffixes=frozenset({".htm", ".html", ".xhtml"}), load=_load)
