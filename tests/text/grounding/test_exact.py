"""Sections by the words they begin and end with: found where they stand, or not used at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.text.grounding.exact import Anchor, locate_sections


def parts(text, *anchors):
    found = locate_sections(text, [Anchor(*each) for each in anchors])
    return found if isinstance(found, str) else [text[span.start : span.end] for span in found]


def test_sections_cover_the_text_with_its_blanks():
    text = "\n One two\nthree.  Four five.\n\nSix seven.\n"
    assert parts(text, ("One two three.", "five."), ("Six", "seven.")) == [
        "\n One two\nthree.  Four five.\n\n",
        "Six seven.\n",
    ]


def test_words_that_recur_are_those_with_the_right_end_before_them():
    text = "So it is. A. So it is. B. So it is. C."
    assert parts(text, ("So it is.", "B."), ("So it", "C.")) == [
        "So it is. A. So it is. B. ",
        "So it is. C.",
    ]


def test_signs_of_patterns_are_just_signs():
    text = "f(x) = [a-z]* + (b. What? $1.50 | c\\d."
    assert parts(text, ("f(x) =", "(b."), ("What? $1.50", "c\\d.")) == [
        "f(x) = [a-z]* + (b. ",
        "What? $1.50 | c\\d.",
    ]


def test_text_without_blanks_between_words_has_sections_too():
    text = "从前有一座山。山里有一座庙。庙里有个和尚。"
    assert parts(text, ("从前", "庙。"), ("庙里有", "和尚。")) == [
        "从前有一座山。山里有一座庙。",
        "庙里有个和尚。",
    ]


def test_what_does_not_cover_the_text_is_told():
    text = "One two. Three four. Five six."
    assert "begin with 'Three'" in parts(text, ("Three", "four."), ("Five", "six."))
    assert "'two.' and right after it 'Five'" in parts(text, ("One", "two."), ("Five", "six."))
    assert "end with 'four.'" in parts(text, ("One", "two."), ("Three", "four."))
    assert "'six.' and right after it 'One'" in parts(text, ("One", "six."), ("One", "two."))
    assert "section 2 lacks" in parts(text, ("One", "two."), (" ", "six."))
    assert parts(text) == "no section is listed"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.sampled_from("ab.(* \n"), min_size=1, max_size=9), min_size=1))
def test_anchors_that_are_placed_cover_all_text(sections):
    bodies = [body for section in sections if (body := "".join(section)).strip()]
    text = "".join(bodies)
    found = parts(text, *((body, body) for body in bodies))
    if bodies and isinstance(found, list):
        assert "".join(found) == text
        assert len(found) == len(bodies)
