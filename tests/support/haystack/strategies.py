"""The strategies that are measured: built-in pipelines and steps, fitted to a window."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

__all__ = ["STRATEGIES", "Strategy"]

_PIPELINES: Traversable = Path(__file__).parents[3] / "pipelines"
_QUESTION = {"question": {"type": "string"}}


@dataclass(frozen=True)
class Strategy:
    """A pipeline for a window, and why it cannot solve some tasks, by the task's name.

    `whole` where that holds only of documents that do not stand in one prompt as a whole.
    """

    name: str
    pipeline: Callable[[int], Mapping[str, Any]]
    cannot: Mapping[str, str] = field(default_factory=dict)
    whole: bool = False


def _chunk(window: int) -> int:
    """Return how many tokens a part has: a fourth of a small window."""
    return min(4000, window // 4)


def built_in(name: str, **changes: Callable[[int], Mapping[str, Any]]):
    """Return a built-in pipeline, with its parts and some options fitted to the window."""

    def pipeline(window: int) -> Mapping[str, Any]:
        read = yaml.safe_load((_PIPELINES / f"{name}.yaml").read_text(encoding="utf-8"))
        read.pop("whole", None)  # a strategy is measured, not the way around it
        for step in read["steps"]:
            for kind, options in step.items():
                if kind == "split":
                    options["tokens"] = _chunk(window)
                if kind in changes:
                    options.update(changes[kind](window))
        return read

    return pipeline


_READ = """
      system: "Note what the part says that helps with the question. Nothing helps: NOT MENTIONED."
      user: "{{ text | fence }}\\n\\nQuestion: {{ question }}\\n\\nNotes:"
"""
_JOIN = """
      system: "Make one note of these notes on the question."
      user: "{% for note in notes %}{{ note | fence('note') }}\\n{% endfor %}
        \\nQuestion: {{ question }}\\n\\nNotes:"
"""
_ANSWER = _JOIN.replace("Notes:", "Answer:").replace("Make one note of", "Answer from")


def _steps(text: str) -> Callable[[int], Mapping[str, Any]]:
    def pipeline(window: int) -> Mapping[str, Any]:
        written = text.replace("CHUNK", str(_chunk(window)))
        for name, prompt in (("READ", _READ), ("JOIN", _JOIN), ("ANSWER", _ANSWER)):
            written = written.replace(f": {name}\n", f":{prompt}")
        steps = yaml.safe_load(written)
        return {"octavo": 1, "params": _QUESTION, "steps": steps}

    return pipeline


_SUMS = "a note cannot hold the count of every word, and what is left out is lost to the sum"
_COUNTS_ONLY = "it counts, and answers nothing else"
_WORDS_ONLY = "parts are chosen by the question's words, which the others do not share"
_GISTS = "the gist of a page that is full of facts cannot hint at each of them"
_MEMORY = "the counts of all words do not fit the memory"
_WORDS = {"common": _SUMS, "frequent": _SUMS}
_OVER = "where the document does not fit the window: " + _SUMS

STRATEGIES = (
    Strategy(
        "whole",
        lambda _: {
            "octavo": 1,
            "params": _QUESTION,
            "steps": [
                {"split": {"tokens": 400_000}},
                {"map": {"prompt": "ask/whole", "tokens": 600}},
            ],
        },
    ),
    Strategy("ask", built_in("ask"), _WORDS),
    Strategy("margins", built_in("margins"), {"common": _OVER, "frequent": _OVER}, whole=True),
    Strategy(
        "margins, apart",
        built_in("margins", margins=lambda _: {"mode": "segments"}),
        _WORDS,
    ),
    Strategy(
        "memory",
        built_in(
            "memory",
            split=lambda window: {"tokens": min(2000, window // 8)},
            memory=lambda window: {"tokens": 400 if window > 5000 else 200},
        ),
        {"common": _MEMORY, "frequent": _MEMORY},
    ),
    Strategy("tree", built_in("outline"), _WORDS),
    Strategy(
        "merge",
        _steps(
            """
- split: {tokens: CHUNK}
- map:
    tokens: 300
    prompt: READ
- merge:
    tokens: 300
    fan_in: 6
    prompt: JOIN
"""
        ),
        _WORDS,
    ),
    Strategy(
        "fold",
        _steps(
            """
- split: {tokens: CHUNK}
- fold:
    first: READ
    next:
      system: "Keep notes on the question while you read. Question: {{ question }}"
      user: "{{ summary | fence('summary') }}\\n\\n{{ text | fence }}\\n\\nNotes:"
    words: 200
    tokens: 300
"""
        ),
        _WORDS,
    ),
    Strategy("chain", built_in("chain"), _WORDS),
    Strategy(
        "gist",
        built_in("gist", split=lambda window: {"tokens": min(800, window // 6)}),
        {"keys": _GISTS, "common": _GISTS, "frequent": _GISTS},
    ),
    Strategy(
        "select",
        built_in(
            "lookup",
            split=lambda window: {"tokens": min(500, window // 8)},
            select=lambda window: {"tokens": min(6000, window // 2)},
        ),
        {"variables": _WORDS_ONLY, "common": _WORDS_ONLY, "frequent": _WORDS_ONLY},
    ),
    Strategy(
        "vote",
        _steps(
            """
- split: {tokens: CHUNK}
- vote:
    prompt: READ
    tokens: 300
    k: 2
    plain: true
- filter: {where: "'NOT MENTIONED' not in text"}
- reduce:
    prompt: ANSWER
    collapse: JOIN
    note_tokens: 300
    empty: None.
"""
        ),
        _WORDS,
    ),
    Strategy(
        "count",
        built_in("count", split=lambda _: {"tokens": 200}),
        {"needle": _COUNTS_ONLY, "keys": _COUNTS_ONLY, "variables": _COUNTS_ONLY},
    ),
)
