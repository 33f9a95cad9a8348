"""Blocks: what blank lines set apart, however short the text is."""

from __future__ import annotations

import pytest

from octavo.text.document import Heading
from octavo.text.span import Span
from octavo.text.splitting.blocks import find_blocks


@pytest.mark.parametrize(
    ("text", "welcome"),
    [
        ("a\n\nb\n\n\nc\n\nd", [2]),
        ("a\r\n\r\nb\r\n\r\n\r\nc", [2]),
        ("a\n\nb\n\n \n\nc", []),
        ("a\n \n\n\nb", [1]),
        ("\n\n\na\n\nb\n\nc", [1]),
    ],
)
def test_two_blank_lines_make_a_border_more_welcome(text, welcome):
    assert [
        index for index, cost in enumerate(find_blocks(text, (), ()).costs) if cost < 0
    ] == welcome


@pytest.mark.parametrize("text", ["a", "\n", "\r#", "a\n#", "\n\na"])
def test_the_shortest_texts_have_blocks(text):
    assert find_blocks(text, (), ()).starts == [0]
    sections = (Heading(1, "", Span(len(text) - 1, len(text))),)
    assert find_blocks(text, sections, ()).starts in ([0], [0, len(text) - 1])
