from __future__ import annotations

import pytest

from octavo.steps.margins.segments import parse_relevance


@pytest.mark.parametrize(
    ("text", "relevant", "rest"),
    [
        ("YES: She sailed in May.", True, "She sailed in May."),
        ("YES# She sailed.", True, "She sailed."),
        ("**Yes** - She sailed.", True, "She sailed."),
        ("YES\nShe sailed.", True, "She sailed."),
        ("YES She sailed.", True, "She sailed."),
        ("yes", True, ""),
        ("NO", False, ""),
        (" No.\n", False, ""),
        ("NO# it is about trains", False, "it is about trains"),
        ("no, nothing of the kind", False, "nothing of the kind"),
        ("No trains ran on Sunday.", None, "No trains ran on Sunday."),
        ("Yes men ruled the court.", None, "Yes men ruled the court."),
        ("NOTE: she sailed.", None, "NOTE: she sailed."),
        ("Nothing helps.", None, "Nothing helps."),
        ("是的", None, "是的"),
        ("", None, ""),
    ],
)
def test_the_verdict_is_the_first_word_and_the_note_stands_after_it(text, relevant, rest):
    found = parse_relevance(text)
    assert found.relevant is relevant
    assert text[found.start :].rstrip("\n") == rest
