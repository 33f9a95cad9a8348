"""The estimate errs on the high side and adds up."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import octavo
from octavo.tokens.estimate import Estimate
from octavo.tokens.toktok import Toktok

ESTIMATE = Estimate()
SAMPLES = {
    "prose": "It was late, and nobody in the harbour expected another boat before the morning. "
    "The keeper trimmed his lamp, wrote the hour into his book and listened to the rain.\n",
    "markdown": "## Options\n\n- `--jobs N`: how many calls are under way at once\n"
    "- `--fresh`: ask [again](runs.md#fresh), whatever the journal has\n\n| a | b |\n|---|---|\n",
    "json": '{"id": 1041, "name": "north pier", "open": true, "depth": [3.2, 4.75, 11.0]}\n',
    "chinese": "灯塔看守人把时间写进本子。没有人想到天亮以前还会有船来。\n",
    "japanese": "灯台守は時刻を帳面に書いた。朝まで船が来るとは誰も思わなかった。\n",
    "korean": "등대지기는 시각을 장부에 적었다. 아침 전에 배가 올 줄은 아무도 몰랐다.\n",
    "russian": "Смотритель записал час в книгу и слушал дождь. Никто не ждал лодки до утра.\n",
    "german": "Der Leuchtturmwärter schrieb die Stunde in sein Buch und hörte dem Regen zu.\n",
    "hindi": "प्रकाशस्तंभ के रखवाले ने समय अपनी किताब में लिखा और बारिश सुनी।\n",
    "emoji": "🚢🌧️👍🏽 👩‍💻🇩🇪\n",
}


@pytest.mark.parametrize("encoding", ["o200k_base", "cl100k_base"])
@pytest.mark.parametrize("kind", SAMPLES)
def test_it_is_above_the_counts_of_tokenizers(kind, encoding):
    exact = Toktok(encoding).count(SAMPLES[kind])
    assert ESTIMATE.count(SAMPLES[kind]) >= exact


def test_it_is_near_for_english_and_code():
    source = Path(octavo.__file__).with_name("errors.py").read_text(encoding="utf-8")
    for text in (SAMPLES["prose"], source):
        ratio = ESTIMATE.count(text) / Toktok("o200k_base").count(text)
        assert 1.0 <= ratio < 1.6


@given(st.lists(st.text(st.characters(codec=None)).map(lambda text: text + "\n"), max_size=9))
def test_lines_add_up_to_the_text(lines):
    parts = ESTIMATE.count_batch(lines)
    assert all(part >= 1 for part in parts)
    assert 0 <= sum(parts) - ESTIMATE.count("".join(lines)) <= len(lines)


def test_it_says_what_it_is():
    assert (ESTIMATE.name, ESTIMATE.exact, ESTIMATE.count("")) == ("estimate-1", False, 0)
