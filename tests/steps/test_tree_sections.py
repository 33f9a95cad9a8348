"""The tree of sections: every text but bare headings is in one piece of one section."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.steps.tree.sections import build_section_tree
from octavo.text.document import Document
from octavo.text.outline import markdown_headings
from octavo.text.span import Span


def document(text):
    return Document(text, "a.md", markdown_headings(text))


def sections(root):
    return [root, *(inner for each in root.sections for inner in sections(each))]


def test_levels_that_are_left_out_do_not_count_as_depth():
    text = "Before.\n\n# A\n\na\n\n#### B\n\nb\n\n##### C\n\nc\n\n# D\n\nd\n"
    root = build_section_tree(document(text), [Span(0, len(text))], 2)
    assert [each.headings for each in sections(root)] == [(), ("A",), ("A", "B"), ("D",)]
    assert [text[s.start : s.end] for s in root.pieces] == ["Before.\n\n"]
    (b,) = root.sections[0].sections
    assert [text[s.start : s.end] for s in b.pieces] == ["#### B\n\nb\n\n##### C\n\nc\n\n"]
    assert text[root.sections[0].span.start :].startswith("# A")
    assert root.sections[0].span.end == root.sections[1].span.start == text.index("# D")


LINES = st.sampled_from(["# A", "## B", "### C", "##### D", "word", "more words", "", ""])


@settings(max_examples=80, deadline=None)
@given(st.lists(LINES, max_size=30), st.lists(st.integers(0, 300), max_size=5), st.integers(1, 4))
def test_all_text_but_bare_headings_is_in_one_piece(lines, cuts, depth):
    text = "\n".join(lines)
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    root = build_section_tree(document(text), [Span(a, b) for a, b in pairwise(places)], depth)
    pieces = sorted(piece for each in sections(root) for piece in each.pieces)
    assert all(before.end <= after.start for before, after in pairwise(pieces))
    headings = document(text).outline
    for position, sign in enumerate(text):
        bare = sign.isspace() or any(h.span.start <= position < h.span.end for h in headings)
        assert bare or any(piece.start <= position < piece.end for piece in pieces)
    for each in sections(root):
        assert len(each.headings) <= depth
        inside = [*each.pieces, *(below.span for below in each.sections)]
        assert all(each.span.start <= s.start and s.end <= each.span.end for s in inside)
