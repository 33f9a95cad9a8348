"""Where a span stands, in a reader's words."""

from __future__ import annotations

from octavo.text.document import Document, describe_location
from octavo.text.outline import markdown_headings
from octavo.text.span import Span

TEXT = "before\n# One\na\n## Two\nb\n# Three\nc\n"


def test_pages_come_before_headings_and_are_counted_from_one():
    document = Document(TEXT, "a.pdf", markdown_headings(TEXT, 0), pages=(0, 7, 15))
    assert describe_location(document, Span(0, 7)) == "page 1"
    assert describe_location(document, Span(6, 8)) == "pages 1 to 2"
    assert describe_location(document, Span(7, len(TEXT))) == "pages 2 to 3"


def test_without_pages_the_innermost_heading_tells():
    document = Document(TEXT, "a.md", markdown_headings(TEXT, 0))
    assert describe_location(document, Span(0, 3)) is None
    assert describe_location(document, Span(7, 15)) == "One"
    assert describe_location(document, Span(7, 24)) == "One to Two"
    assert describe_location(document, Span(22, len(TEXT))) == "Two to Three"


def test_a_text_without_either_has_no_place():
    assert describe_location(Document("plain", "-"), Span(0, 5)) is None
