"""Headings of Markdown."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.text.document import heading_path
from octavo.text.outline import markdown_headings, normalize_line_ends


def found(text):
    return [(heading.level, heading.title) for heading in markdown_headings(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# One\n\ntext\n\n## Two ##\n", [(1, "One"), (2, "Two")]),
        ("   ### Indented\n    # code\n", [(3, "Indented")]),
        ("#hashtag\n####### seven\n#\n", [(1, "")]),
        ("# C# #\n## Why #1\n", [(1, "C#"), (2, "Why #1")]),
        ("Title\n=====\n\nSub\n---\n", [(1, "Title"), (2, "Sub")]),
        ("Two lines\nof a title\n---\n", [(2, "Two lines of a title")]),
        ("text\n\n---\n\n***\n\n- item\n---\n\n> quote\n---\n", []),
        ("| a | b |\n|---|---|\n| 1 | 2 |\n---\n", []),
        ("# See [the docs](https://a.example/(x)) {#anchor}\n", [(1, "See the docs")]),
        ("# One\r\n\r\nTwo\r\n---\r\n", [(1, "One"), (2, "Two")]),
        ("# One\rTwo\r---\r", [(1, "One"), (2, "Two")]),
        ("<!--\n# hidden\n-->\n# seen\n", [(1, "seen")]),
        ("<pre>\n# shell\n</pre>\n# seen\n", [(1, "seen")]),
        ("", []),
    ],
)
def test_headings_are_found_where_commonmark_has_them(text, expected):
    assert found(text) == expected


@pytest.mark.parametrize(
    "code",
    [
        "```\n# not\n```\n",
        "```python\n# not\n~~~\n# not\n```\n",
        "````\n```\n# not\n````\n",
        "~~~ `tick`\n# not\n~~~~\n",
        "- item\n\n  ```\n# not\n  ```\n",
        "1. item\n\n       ```\n# not\n       ```\n",
    ],
)
def test_lines_in_fences_are_no_headings(code):
    assert found(f"# before\n\n{code}\n# after\n") == [(1, "before"), (1, "after")]


def test_an_open_fence_runs_to_the_end():
    assert found("# before\n```\n# not\n") == [(1, "before")]


def test_a_fence_shown_by_an_indented_block_hides_nothing():
    assert found("Write:\n\n    ```\n\n# after\n") == [(1, "after")]


def test_a_very_long_heading_is_a_short_label():
    (heading,) = markdown_headings("# " + "word " * 1000)
    assert len(heading.title) <= 160
    assert heading.title.endswith("…")


def test_the_path_of_a_place_names_the_headings_above_it():
    text = "# A\n## B\ntext\n# C\nmore\n"
    outline = markdown_headings(text)
    assert heading_path(outline, text.index("text")) == ("A", "B")
    assert heading_path(outline, text.index("more")) == ("C",)


MARKDOWN = st.text(alphabet="#=-`~ \t\n\rab*>|[](){}<!1.", max_size=200)


@given(MARKDOWN)
def test_spans_lie_in_the_text_in_order(text):
    end = 0
    for heading in markdown_headings(text):
        assert end <= heading.span.start < heading.span.end <= len(text)
        assert text[heading.span.start : heading.span.end].strip(" \t") != ""
        assert heading.span.start == 0 or text[heading.span.start - 1] in "\r\n"
        assert heading.span.end == len(text) or text[heading.span.end] in "\r\n"
        assert 1 <= heading.level <= 6
        end = heading.span.end


@given(MARKDOWN)
def test_the_kind_of_line_end_does_not_matter(text):
    lines = normalize_line_ends(text).replace("\r\n", "\n")
    windows = lines.replace("\n", "\r\n")
    assert found(lines) == found(windows) == found(lines.replace("\n", "\r"))


@pytest.mark.parametrize(
    "line",
    ["# " + " " * 40_000 + "x", " " * 40_000 + "x", "`" * 40_000, "[" * 40_000, "a\n" * 20_000],
)
def test_time_is_linear_in_hostile_lines(line):
    before = time.process_time()
    markdown_headings(f"{line}\n" * 5)
    assert time.process_time() - before < 1
