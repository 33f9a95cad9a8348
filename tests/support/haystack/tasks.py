"""Tasks whose answers are known: generators of our own, after the parameters of RULER.

RULER (Hsieh et al. 2024, arXiv 2404.06654) measures how much of its window a model can use. Here
the same kinds of tasks measure what a strategy carries from a document to its answer, when the
model reads whatever it is shown without a mistake. The texts, names and wordings are our own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

__all__ = ["TASKS", "Question", "Task"]

_CONSONANTS = "bcdfghjklmnpqrstvwz"
_VOWELS = "aeiou"
_NOISE = (
    "The lamps along the quay were lit before dusk.",
    "A cart went by with nothing on it.",
    "Nobody could say how long the rain would last.",
    "The kettle was put on, and the window was shut.",
    "Two boys threw stones at the water and missed.",
    "It was the same the next day, and the day after.",
)


@dataclass(frozen=True)
class Question:
    """A document, what is asked of it, and the only right answer, as a set or in order."""

    text: str
    question: str
    answer: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """A kind of task: `make(tokens, seed, count)` fits a document to so many tokens.

    `ordered` tells whether the order of the answer counts.
    """

    name: str
    about: str
    make: Callable[[int, int, Callable[[str], int]], Question]
    ordered: bool = False


def _word(chance: random.Random, syllables: int) -> str:
    return "".join(chance.choice(_CONSONANTS) + chance.choice(_VOWELS) for _ in range(syllables))


def _words(chance: random.Random, count: int, syllables: int) -> list[str]:
    """Return so many different words."""
    found: dict[str, None] = {}
    while len(found) < count:
        found.setdefault(_word(chance, syllables))
    return list(found)


def _fitted(tokens: int, count: Callable[[str], int], text_of: Callable[[int], str]) -> str:
    """Return the longest text of at most so many tokens; `text_of` grows with its argument."""
    low, high = 1, 2
    while count(text_of(high)) <= tokens:
        low, high = high, 2 * high
    while high - low > max(1, low // 200):
        middle = (low + high) // 2
        low, high = (middle, high) if count(text_of(middle)) <= tokens else (low, middle)
    return text_of(low)


def _paragraphs(sentences: list[str]) -> str:
    return "\n\n".join(" ".join(sentences[at : at + 6]) for at in range(0, len(sentences), 6))


def _hidden(chance: random.Random, needles: list[str], places: list[float]) -> Callable[[int], str]:
    """Return a text of so many noise sentences with needles at given shares of its length."""
    order = [chance.randrange(len(_NOISE)) for _ in range(997)]

    def text_of(size: int) -> str:
        noise = [_NOISE[order[at % 997]] for at in range(size)]
        for needle, place in sorted(zip(needles, places, strict=True), key=lambda n: -n[1]):
            noise.insert(int(place * size), needle)
        return _paragraphs(noise)

    return text_of


def _needle(key: str, number: str) -> str:
    return f"The registered number of {key} is {number}."


def one_key(tokens: int, seed: int, count: Callable[[str], int]) -> Question:
    """Hide one needle, a name and a number of seven digits, in repeated noise."""
    chance = random.Random(f"one key {tokens} {seed}")
    key, number = _word(chance, 4), str(chance.randrange(10**6, 10**7))
    text = _fitted(
        tokens, count, _hidden(chance, [_needle(key, number)], [chance.uniform(0.05, 0.95)])
    )
    return Question(text, f"What is the registered number of {key}?", (number,))


def many_keys(tokens: int, seed: int, count: Callable[[str], int]) -> Question:
    """Write nothing but needles, of which four are asked for."""
    chance = random.Random(f"many keys {tokens} {seed}")
    keys = _words(chance, tokens // 8 + 16, 5)
    numbers = [str(chance.randrange(10**6, 10**7)) for _ in keys]
    needles = [_needle(key, number) for key, number in zip(keys, numbers, strict=True)]
    text = _fitted(tokens, count, lambda size: _paragraphs(needles[:size]))
    there = text.count("registered")
    asked = sorted(chance.sample(range(there), 4))
    names = ", ".join(keys[at] for at in asked)
    return Question(
        text,
        f"What are the registered numbers of {names}?",
        tuple(numbers[at] for at in asked),
    )


def variables(tokens: int, seed: int, count: Callable[[str], int]) -> Question:
    """Hide one chain of four assignments in noise; all variables of its value are asked for."""
    chance = random.Random(f"variables {tokens} {seed}")
    names = [each[:5].upper() for each in _words(chance, 5, 3)]
    value = str(chance.randrange(10**4, 10**5))
    needles = [f"VAR {names[0]} = {value}."]
    needles += [f"VAR {name} = VAR {before}." for before, name in pairwise(names)]
    places = sorted(chance.uniform(0.02, 0.98) for _ in needles)
    text = _fitted(tokens, count, _hidden(chance, needles, places))
    return Question(text, f"Which variables have the value {value}?", tuple(names))


def common_words(tokens: int, seed: int, count: Callable[[str], int]) -> Question:
    """List words with numbers: ten of them thirty times each, all others three times.

    Below 4,096 tokens it is six times and once.
    """
    chance = random.Random(f"common words {tokens} {seed}")
    often, seldom = (30, 3) if tokens >= 4096 else (6, 1)
    words = _words(chance, 10 + tokens // (3 * seldom), 3)
    common, others = words[:10], words[10:]

    def text_of(size: int) -> str:
        listed = common * often + others[:size] * seldom
        random.Random(seed).shuffle(listed)
        return " ".join(f"{number}. {word}" for number, word in enumerate(listed, 1))

    text = _fitted(tokens, count, text_of)
    return Question(text, "What are the 10 most common words in the list?", tuple(common))


def frequent_words(tokens: int, seed: int, count: Callable[[str], int]) -> Question:
    """Mix coded words by a zeta law with exponent 2; the most frequent one is noise, dots.

    The three most frequent words beside it are asked for.
    """
    chance = random.Random(f"frequent words {tokens} {seed}")
    coded = _words(chance, max(12, tokens // 50), 3)
    counts = [1 / rank**2 for rank in range(1, len(coded) + 1)]
    total = sum(counts)

    def text_of(size: int) -> str:
        listed = [
            "..." if rank == 0 else word
            for rank, word in enumerate(coded)
            for _ in range(round(size * counts[rank] / total))
        ]
        random.Random(seed).shuffle(listed)
        return " ".join(listed)

    text = _fitted(tokens, count, text_of)
    ranks = Counter(word for word in text.split() if word != "...").most_common(4)
    assert ranks[2][1] > ranks[3][1], "the third and the fourth word differ in their counts"
    return Question(
        text,
        "What are the 3 most frequent coded words in the text? The dots are noise.",
        tuple(word for word, _ in ranks[:3]),
    )


TASKS = (
    Task("needle", "one needle in noise", one_key, ordered=True),
    Task("keys", "four needles among needles", many_keys, ordered=True),
    Task("variables", "a chain of four assignments", variables),
    Task("common", "the ten commonest words", common_words),
    Task("frequent", "the three most frequent words", frequent_words, ordered=True),
)
