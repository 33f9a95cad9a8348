"""The sections of a document as a tree, by its headings, with the text of each section itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from octavo.text.document import Document, Heading
from octavo.text.span import Span

__all__ = ["Section", "build_section_tree"]


@dataclass(slots=True)
class Section:
    """A section: its heading, the path to it, the text before its first subsection, and those.

    `span` covers the section with all below it; `pieces` are parts of its own text in order. The
    root, the document itself, has no title.
    """

    title: str | None
    headings: tuple[str, ...]
    span: Span
    pieces: list[Span] = field(default_factory=list[Span])
    sections: list[Section] = field(default_factory=list["Section"])


def build_section_tree(document: Document, chunks: Sequence[Span], depth: int) -> Section:
    """Return the root of the sections that hold all text of `chunks`, which are in order.

    Chunks are cut where a section begins, so that each piece belongs to one. Sections more than
    `depth` deep are text of the one above, heading and all; depth counts sections inside
    each other, whatever levels a document's headings skip. Pieces that are blank, or a heading
    alone, are left out: the heading is in the path of what follows. Time is linear.
    """
    end = chunks[-1].end if chunks else 0
    kept = [each for each in _iter_headings(document.outline, depth) if each[1].span.start < end]
    root = Section(None, (), Span(0, end))
    path = [root]
    heads = iter(kept)
    head = next(heads, None)
    last = 0  # where the heading of the section at hand ends
    for piece in _cut_chunks(chunks, [heading.span.start for _, heading in kept]):
        while head is not None and head[1].span.start <= piece.start:
            level, heading = head
            _close_sections(path, level, heading.span.start)
            above = path[-1]
            start = Span(heading.span.start, end)
            section = Section(heading.title, (*above.headings, heading.title), start)
            above.sections.append(section)
            path.append(section)
            last = heading.span.end
            head = next(heads, None)
        if document.text[max(piece.start, last) : piece.end].strip():
            path[-1].pieces.append(piece)
    return root


def _close_sections(path: list[Section], level: int, end: int) -> None:
    """End the sections that a heading of this depth closes."""
    while len(path) > level:
        section = path.pop()
        section.span = Span(section.span.start, end)


def _iter_headings(outline: Iterable[Heading], depth: int) -> Iterator[tuple[int, Heading]]:
    """Yield the headings of sections at most `depth` deep, each with its depth from 1 on."""
    above: list[int] = []
    for heading in outline:
        while above and above[-1] >= heading.level:
            above.pop()
        above.append(heading.level)
        if len(above) <= depth:
            yield len(above), heading


def _cut_chunks(chunks: Sequence[Span], cuts: Sequence[int]) -> Iterator[Span]:
    """Yield the chunks, cut at ascending positions."""
    ahead = iter(cuts)
    cut = next(ahead, None)
    for chunk in chunks:
        start = chunk.start
        while cut is not None and cut < chunk.end:
            if cut > start:
                yield Span(start, cut)
                start = cut
            cut = next(ahead, None)
        yield Span(start, chunk.end)
