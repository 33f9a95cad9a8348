from __future__ import annotations

import pytest

from octavo.commands._cli.terminal import redact


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Incorrect API key provided: sk-proj-abcdefgh12345678.", "Incorrect API key provided: "),
        ("sent Authorization: Bearer abcdefghijkl to it", "sent Authorization: Bearer "),
        ("http://user:abcdefghijkl@host/v1", "http://"),
        ("value abcdefghijkl!", "value "),
    ],
)
def test_what_looks_like_a_key_is_taken_out(text, kept):
    shown = redact(text, {"SOME_TOKEN": "abcdefghijkl"})
    assert shown.startswith(kept + "[key]")
    assert "abcdefgh" not in shown


@pytest.mark.parametrize(
    "text", ["ask-me-anything-about-it", "the task-force-report.md", "a bearer of news"]
)
def test_ordinary_words_stay(text):
    assert redact(text, {"KEYBOARD": "anything", "API_KEY": "of"}) == text
