"""A perfect reader: it knows the kinds of questions and nothing of the document but its prompt.

It reads what stands between the marks of a prompt, never the answer. Asked for notes it writes down
all that bears on the question, in sentences that it can read again; asked for an answer it begins
with `ANSWER:`. Counts that do not all fit the reply are noted from the largest down, which is what
a model that is told to be short would do.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from octavo.protocols import Finish, Reply, Request, Usage
from octavo.steps.memory.log import find_shown_memory

__all__ = ["Reader", "answer_of"]

_FENCED = re.compile(r"^<([\w-]+) ([0-9a-f]{8})>\n(.*?)\n?^</\1 \2>$", re.MULTILINE | re.DOTALL)
_ANSWER = "ANSWER:"
_NEEDLE = re.compile(r"The registered number of (\w+) is (\d+)\.")
_ASSIGNED = re.compile(r"VAR (\w+) = (?:VAR )?(\w+)\.")
_TOLD = re.compile(f"{_NEEDLE.pattern}|{_ASSIGNED.pattern}")
_LISTED = re.compile(r"\b[a-z]{5,}\b")
_COUNTED = re.compile(r"\b([a-z]{5,})\*(\d+)")


class Facts:
    """What bears on one kind of question; `pattern` finds the question in a prompt."""

    pattern: re.Pattern[str]

    def __init__(self, asked: re.Match[str]) -> None:
        self.asked = asked
        self.found: dict[str, object] = {}

    def read(self, text: str, *, noted: bool) -> None:
        """Take the facts of a text; `noted` tells whether it is a note of the reader's own."""
        raise NotImplementedError

    def lines(self) -> list[str]:
        """Return the facts as sentences, the most telling ones first."""
        raise NotImplementedError

    def answer(self) -> list[str]:
        """Return what the facts answer."""
        raise NotImplementedError

    def records(self) -> list[Mapping[str, object]]:
        """Return the facts as a count's items, none where nothing is to be counted."""
        return []

    def revisions(self) -> list[tuple[str, str, object]]:
        """Return the facts as entries of a memory: name, operation, value."""
        raise NotImplementedError


class Needles(Facts):
    """Registered numbers of the names that are asked for."""

    pattern = re.compile(r"What (?:is|are) the registered numbers? of ([\w, ]+)\?")

    @property
    def names(self) -> list[str]:
        return self.asked[1].split(", ")

    def read(self, text: str, *, noted: bool) -> None:
        del noted
        for key, number in _NEEDLE.findall(text):
            if key in self.names:
                self.found[key] = number

    def lines(self) -> list[str]:
        return [
            f"The registered number of {key} is {self.found[key]}."
            for key in self.names
            if key in self.found
        ]

    def answer(self) -> list[str]:
        return [str(self.found[key]) for key in self.names if key in self.found]

    def revisions(self) -> list[tuple[str, str, object]]:
        return [(key, "update", f"{number}") for key, number in self.found.items()]


class Variables(Facts):
    """Assignments: all of them, since a part cannot know which will matter."""

    pattern = re.compile(r"Which variables have the value (\d+)\?")

    def read(self, text: str, *, noted: bool) -> None:
        del noted
        for name, value in _ASSIGNED.findall(text):
            self.found[name] = value

    def lines(self) -> list[str]:
        return [
            f"VAR {name} = {value}." if str(value).isdigit() else f"VAR {name} = VAR {value}."
            for name, value in self.found.items()
        ]

    def answer(self) -> list[str]:
        return [name for name in self.found if self._worth(name) == self.asked[1]]

    def _worth(self, name: str) -> str:
        known: set[str] = set()
        while name in self.found and name not in known:
            known.add(name)
            name = str(self.found[name])
        return name

    def revisions(self) -> list[tuple[str, str, object]]:
        return [(name, "update", value) for name, value in self.found.items()]


class Counts(Facts):
    """How often each word stands in a text."""

    pattern = re.compile(r"What are the (\d+) most (?:common|frequent)(?: coded)? words[^?\n]*\?")

    def __init__(self, asked: re.Match[str]) -> None:
        super().__init__(asked)
        self.counts: Counter[str] = Counter()

    def read(self, text: str, *, noted: bool) -> None:
        if noted:
            for word, number in _COUNTED.findall(text):
                self.counts[word] += int(number)
        else:
            self.counts.update(_LISTED.findall(text))

    def lines(self) -> list[str]:
        return [f"{word}*{number}" for word, number in self._ranked()]

    def answer(self) -> list[str]:
        return [word for word, _ in self._ranked()[: int(self.asked[1])]]

    def records(self) -> list[Mapping[str, object]]:
        return [{"name": word, "count": number} for word, number in self._ranked()]

    def revisions(self) -> list[tuple[str, str, object]]:
        return [(word, "update", f"{word}*{number}") for word, number in self._ranked()]

    def _ranked(self) -> list[tuple[str, int]]:
        return sorted(self.counts.items(), key=lambda pair: (-pair[1], pair[0]))


_KINDS: tuple[type[Facts], ...] = (Needles, Variables, Counts)


@dataclass
class Reader:
    """Answers a request from its prompt; `count` counts tokens, and no reply has more than it may.

    A reply that would be longer ends where its bound is, as a server would end it.
    """

    count: Callable[[str], int]

    def __call__(self, request: Request) -> Reply:
        prompt = "\n".join(message.content for message in request.messages)
        text = self._text(request, prompt)
        tokens = self.count(text)
        usage = Usage(self.count(prompt), min(tokens, request.max_tokens))
        if tokens <= request.max_tokens:
            return Reply(text, usage=usage)
        share = len(text) * request.max_tokens // tokens
        return Reply(text[:share], Finish.LENGTH, usage)

    def _text(self, request: Request, prompt: str) -> str:
        blocks = [(found[1], found[3]) for found in _FENCED.finditer(prompt)]
        if request.schema is not None and "sections" in request.schema["properties"]:
            return json.dumps({"sections": [_section(blocks[-1][1])]})
        facts = _facts(_unfenced(prompt))
        if facts is None:
            told = [found[0] for text in blocks for found in _TOLD.finditer(text[1])]
            return " ".join(self._within(told, request.max_tokens - 8)) or "Nothing happens."
        if request.schema is not None and "numbers" in request.schema["properties"]:
            most = request.schema["properties"]["numbers"]["maxItems"]
            return json.dumps({"numbers": _pages(facts, blocks)[:most]})
        user = request.messages[-1].content.rstrip()
        ending = user.rsplit("\n", 1)[-1]
        margin = "Task: note what" in user
        for tag, text in _shown(blocks, margin=margin):
            facts.read(text, noted=_ANSWER in text or tag in {"summary", "score"} or "*" in text)
        memory = find_shown_memory(prompt)
        if request.schema is not None:
            return json.dumps(self._record(request, facts, memory))
        if memory is not None:
            _read_memory(facts, memory)
        if ending.startswith("YES or NO"):
            return "YES" if facts.lines() else "NO"
        if ending.startswith("Answer"):
            return " ".join([_ANSWER, *facts.answer()])
        if not facts.lines():
            return "NOT MENTIONED" if not margin else "NO"
        return ("YES: " if margin else "") + self._note(facts, request.max_tokens - 40)

    def _note(self, facts: Facts, tokens: int) -> str:
        answer = " ".join([_ANSWER, *facts.answer(), "."])
        return " ".join([*self._within(facts.lines(), tokens - self.count(answer)), answer])

    def _within(self, lines: Sequence[str], tokens: int) -> list[str]:
        kept: list[str] = []
        for line in lines:
            tokens -= self.count(f" {line}")
            if tokens < 0:
                break
            kept.append(line)
        return kept

    def _record(
        self, request: Request, facts: Facts, memory: Mapping[str, object] | None
    ) -> Mapping[str, object]:
        fields: Mapping[str, Any] = request.schema["properties"] if request.schema else {}
        if "revisions" in fields:
            return {"revisions": self._revisions(facts, memory, request.max_tokens)}
        if "items" in fields:
            return {"items": facts.records()}
        tokens = request.max_tokens - 120
        note = self._note(facts, tokens) if facts.lines() else ""
        while len(note) > fields.get("extracted", {}).get("maxLength", len(note)):
            tokens = tokens * 9 // 10
            note = self._note(facts, tokens)
        known = bool(note)
        values: dict[str, object] = {
            "confidence": (10 if "summary" in fields else 5) if known else 0,
            "has_info": known,
            "summary": note or "Nothing.",
            "extracted": note,
            "rationale": "",
            "answer": "",
        }
        return {name: values[name] for name in fields}

    def _revisions(
        self, facts: Facts, memory: Mapping[str, object] | None, tokens: int
    ) -> list[Mapping[str, object]]:
        before: Mapping[str, object] = (memory or {}).get("values", {})  # type: ignore[assignment]
        if isinstance(facts, Counts):
            for text in before.values():
                facts.read(str(text), noted=True)
        made = [
            {"path": ["values", name], "op": op, "value": value}
            for name, op, value in facts.revisions()
            if before.get(name) != value
        ]
        while self.count(json.dumps(made)) > tokens - 40:
            made.pop()
        return made


def answer_of(value: object) -> list[str]:
    """Return the answer in a result: what follows the last `ANSWER:`, or a count's first rows.

    Of the record of a tree's sections that is the root's note.
    """
    if isinstance(value, Mapping) and "rows" in value:
        return [str(row["value"]) for row in value["rows"]]
    if isinstance(value, Mapping) and "sections" in value:
        value = value["note"]["summary"]
    text = value if isinstance(value, str) else json.dumps(value)
    return re.findall(r"\w+", text.rpartition(_ANSWER)[2].split(".")[0]) if _ANSWER in text else []


def _section(text: str) -> Mapping[str, object]:
    """Return a text as the one section that it is."""
    words = text.split()
    return {"title": "", "head": " ".join(words[:5]), "tail": " ".join(words[-5:])}


def _pages(facts: Facts, blocks: Sequence[tuple[str, str]]) -> list[int]:
    """Return the numbers, from 1, of the pages that bear on the question."""
    found: list[int] = []
    for number, (_, text) in enumerate(blocks, 1):
        page = type(facts)(facts.asked)
        page.read(text, noted=False)
        if page.lines():
            found.append(number)
    return found


def _facts(prompt: str) -> Facts | None:
    for kind in _KINDS:
        if (asked := kind.pattern.search(prompt)) is not None:
            return kind(asked)
    return None


def _unfenced(prompt: str) -> str:
    return _FENCED.sub("", prompt)


def _shown(blocks: Iterable[tuple[str, str]], *, margin: bool) -> list[tuple[str, str]]:
    """Return the blocks to read: a margin is about the last segment alone.

    Where segments are shown beside notes on them, the notes say nothing that the segments do not.
    """
    shown = list(blocks)
    if margin:
        return shown[-1:]
    segments = [block for block in shown if block[0] == "segment"]
    return segments or shown


def _read_memory(facts: Facts, memory: Mapping[str, object]) -> None:
    values = memory.get("values", {})
    assert isinstance(values, dict)
    for name, value in values.items():
        match facts:
            case Needles():
                facts.read(f"The registered number of {name} is {value}.", noted=True)
            case Variables():
                facts.read(f"VAR {name} = {value}.", noted=True)
            case _:
                facts.read(str(value), noted=True)
