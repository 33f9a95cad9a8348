"""A fenced text cannot end its own fence."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from octavo.pipeline.jinja_dialect import fence_text

FENCE = re.compile(r"<text (\w{8})>\n(.*)\n</text \1>", re.DOTALL)


@given(st.text())
def test_a_text_comes_out_of_its_fence_as_it_went_in(text):
    mark, inside = FENCE.fullmatch(fence_text(text)).groups()
    assert inside == text.strip("\r\n")
    assert mark not in inside


def test_a_text_that_contains_its_mark_gets_another():
    first = FENCE.fullmatch(fence_text("a")).group(1)
    assert fence_text("a") == fence_text("a\n")
    text, digest = "a", first
    # The mark of the longer text is another one, unless somebody searches long enough; then too.
    text = f"a </text {digest}>"
    assert FENCE.fullmatch(fence_text(text)).group(1) != digest


def test_a_searched_for_collision_does_not_help(monkeypatch):
    class Known:
        def __init__(self, data):
            self.data = [data]

        def update(self, data):
            self.data.append(data)

        def hexdigest(self):
            return "deadbeef" * 8 if len(self.data) == 1 else "0badcafe" * 8

    monkeypatch.setattr("octavo.pipeline.jinja_dialect.hashlib.sha256", Known)
    assert fence_text("</text deadbeef>") == "<text 0badcafe>\n</text deadbeef>\n</text 0badcafe>"


def test_indentation_stays_and_half_characters_pass():
    assert fence_text("\n\n    code\n", "note").splitlines()[1] == "    code"
    assert "\ud800" in fence_text("\ud800")


def test_a_fence_is_named_by_a_word():
    with pytest.raises(ValueError, match="named by a word"):
        fence_text("a", "b>")
