"""What each format's loader makes of its bytes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.errors import InputError
from octavo.loaders.code import LOADER as CODE
from octavo.loaders.html import LOADER as HTML
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.loaders.text import LOADER as TEXT
from octavo.pipeline.registry import Registry


def page(body):
    return HTML.load(body.encode(), "page.html", None)


def test_suffixes_are_lower_case_and_of_one_loader_each():
    suffixes = [suffix for loader in Registry().list_loaders() for suffix in loader.suffixes]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)


def test_text_is_kept_as_it_is_with_its_chapters():
    data = b"\xef\xbb\xbfCHAPTER 1\r\n\r\nIt rained.\r\n"
    document = TEXT.load(data, "book.txt", None)
    assert document.text == "CHAPTER 1\r\n\r\nIt rained.\r\n"
    assert [heading.title for heading in document.outline] == ["CHAPTER 1"]


def test_markdown_keeps_its_front_matter_in_the_text():
    text = "---\ntitle: A: tale\ntags: [x, y]\nnested: {a: 1}\n# note\n---\n\n# Top\n"
    document = MARKDOWN.load(text.replace("A: tale", "'A: tale'").encode(), "a.md", None)
    assert document.metadata == {"title": "A: tale", "tags": "x, y"}
    assert document.text.startswith("---\n")
    assert [heading.title for heading in document.outline] == ["Top"]


def test_markdown_reads_toml_front_matter():
    document = MARKDOWN.load(b'+++\r\ntitle = "T"\r\n+++\r\n# Top\r\n', "a.md", None)
    assert document.metadata == {"title": "T"}
    assert [heading.title for heading in document.outline] == ["Top"]


@pytest.mark.parametrize(
    "text",
    ["---\n\nfirst\n\n---\n# Top\n", "---\na: [\n---\n# Top\n", "---\nnever closed\n# Top\n"],
)
def test_a_rule_at_the_start_is_no_front_matter(text):
    document = MARKDOWN.load(text.encode(), "a.md", None)
    assert document.metadata == {}
    assert document.text == text
    assert document.outline[-1].title == "Top"


def test_python_has_its_definitions_as_outline():
    source = "import x\n\nclass A(B):\n    def f(self):\n        pass\n\nasync def g[T](): ...\n"
    document = CODE.load(source.encode(), "a.py", None)
    assert [(heading.level, heading.title) for heading in document.outline] == [
        (1, "class A"),
        (2, "def f"),
        (1, "async def g"),
    ]
    assert document.metadata == {"language": "python"}
    assert document.slice(document.outline[1].span) == "    def f(self):"


def test_other_code_is_its_text():
    document = CODE.load(b"fn main() {}\r\n", "a.rs", None)
    assert (document.text, document.outline) == ("fn main() {}\r\n", ())
    assert document.metadata == {"language": "rust"}


def test_html_gives_readable_text():
    document = page(
        "<html><head><title>The\n page</title><style>p{}</style><script>no()</script></head><body>"
        "<!-- no --><h1>A &amp; <b>b</b></h1><p>one <i>two</i>, three<br>four</p>\n<div>five</div>"
        "<ul><li>x</li><li>y<ol start=3><li>z</li></ol></li></ul>"
        "<table><tr><th>k</th><th>v</th></tr><tr><td>1</td><td>2</td></tr></table>"
        "<p hidden>no</p><noscript>no</noscript></body></html>"
    )
    assert document.text == (
        "A & b\n\none two, three\nfour\n\nfive\n\n- x\n- y\n  3. z\n\nk | v\n1 | 2\n"
    )
    assert document.metadata == {"title": "The page"}
    assert [document.slice(heading.span) for heading in document.outline] == ["A & b"]


def test_a_value_stays_in_its_column_where_cells_are_empty():
    rows = ["<td>1<td> <td><td>4", "<td><td><b>2</b><td>3<td>", "<td><td>", "<td>5<td>6"]
    document = page("<table>" + "\n".join(f"<tr>{row}</tr>" for row in rows) + "</table>")
    assert document.text == "1 | | | 4\n| 2 | 3\n5 | 6\n"


def test_html_keeps_the_lines_of_pre():
    document = page("<p>See:<pre>if a:\n    b\n\n<b>end</b>\n</pre>done")
    assert document.text == "See:\n\nif a:\n    b\n\nend\n\ndone\n"


def test_html_without_tags_or_text():
    assert page("just text").text == "just text\n"
    assert page("").text == ""
    assert page("<script>x</script>").text == ""


def test_deep_html_is_read():
    assert page("<div>" * 3000 + "x").text == "x\n"


def test_html_that_names_its_encoding_is_an_error_with_the_option_to_add():
    data = b'<html><meta charset="ISO-8859-1"><p>caf\xe9</p>'
    with pytest.raises(InputError) as caught:
        HTML.load(data, "old.html", None)
    assert caught.value.hint.endswith("--encoding iso8859-1")
    assert HTML.load(data, "old.html", "iso8859-1").text == "café\n"


TAGS = """
    <p> </p> <h1> </h1> <h2> </h2> <ul> <li> </ul> <ol> </li> <pre> </pre> <table> <tr> <td>
    </table> <br> <b> </b> <div> </div> text & <!-- --> <script> </script>
"""


@given(st.lists(st.sampled_from([*TAGS.split(), "\n"]), max_size=30).map(" ".join))
def test_html_outlines_lie_in_the_text_in_order(body):
    document = page(body)
    end = 0
    for heading in document.outline:
        assert end <= heading.span.start < heading.span.end <= len(document.text)
        assert " ".join(document.slice(heading.span).split()) == heading.title
        end = heading.span.end
    assert "\n\n\n" not in document.text or "<pre>" in body
    assert document.text == "" or document.text.endswith("\n")


def test_loaders_import_no_parser_before_it_is_needed():
    code = (
        "import sys, octavo.inputs.discovery;"
        "print([n for n in ('selectolax', 'yaml', 'pathspec') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
