"""Names and numbers are found by their spelling, and missed where they are gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from octavo.steps.compress.facts import find_facts, find_lost_facts

STORY = Path(__file__).parents[2] / "examples/story.md"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "Old Starbuck sailed in 1851. Then Starbuck's men paid $30,000, and NASA's H100s.",
            ["Starbuck", "1851", "30,000", "NASA", "H100s"],
        ),
        ('"We sailed," said Ahab. The whale saw us. Then O\'Brien slept.', ["Ahab", "O'Brien"]),
        ("# The Bell\n\nThe bell rang. It rang at 3.5 knots for GPT-5.", ["3.5", "GPT-5"]),
        ("2019年读了《红楼梦》,花1,200元买 iPhone。", ["2019", "《红楼梦》", "1,200", "iPhone"]),
        ("nothing to keep here. Nothing at all.", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_may_not_be_lost(text, found):
    assert list(find_facts(text)) == found


def test_where_all_nouns_have_capitals_they_are_no_sign_of_names():
    text = (
        "Am Montag ging der Hund mit dem Kind in die Stadt, wo 3 Katzen auf dem Dach der Kirche"
        " saßen und die GPT-5 Maschine lief und viele Leute an der Brücke bei dem Turm standen."
    )
    assert list(find_facts(text)) == ["3", "GPT-5"]


def test_case_marks_and_notation_of_numbers_do_not_lose_anything():
    kept = ("Starbuck", "1,200", "3.5", "2nd", "H100s")
    assert find_lost_facts(kept, "STARBUCK\u2019s 1200 on the 2nd at 3,5 with H100s") == ()
    assert find_lost_facts(kept, "Starbucks 12,000 on the 22nd at 3.51") == kept
    assert find_lost_facts((), "") == ()


def test_a_text_has_lost_nothing_of_itself():
    story = STORY.read_text(encoding="utf-8")
    assert len(find_facts(story)) > 10
    assert find_lost_facts(find_facts(story), story) == ()
    assert find_lost_facts(find_facts(story), story.replace("Thursday", "one day")) == ("Thursday",)
