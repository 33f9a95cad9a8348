"""Chunkers that ask a model: where they cut, and that text and budget outlive any reply."""

from __future__ import annotations

import asyncio
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chunkers.test_every_chunker import TEXTS, TOKTOK, UNITS, Letters

from octavo.chunkers.margin import decide_splits
from octavo.chunkers.perplexity import compute_threshold, find_minima
from octavo.chunkers.regex import match_pattern
from octavo.errors import Outcome, ReplyError
from octavo.pipeline.registry import Registry
from octavo.protocols import Answer, TokenLogprob
from octavo.protocols.calls import Embedded
from octavo.text.document import Document
from octavo.text.grounding.exact import Anchor
from octavo.text.grounding.fuzzy import find_part_starts
from octavo.text.vectors import to_spelling_vector

ASKING = ("anchors", "margin", "outline", "perplexity", "questions", "regex", "semantic", "shift")
REGISTRY = Registry()
CATS = "Cats sleep all day. Cats purr at night. Cats hunt small mice."
SHIPS = "Ships cross the sea. Ships carry corn. Ships need sails."


class Work:
    """A step's work whose model is a function of the prompt's name and variables."""

    after = 0

    def __init__(self, reply=None, logprobs=None):
        self.reply = reply
        self.logprobs = logprobs
        self.asked = []
        self.notices = []
        self.ask = self

    def __call__(self, prompt, variables, *, node, schema=None, check=None, **more):
        self.asked.append((prompt, variables))
        value = self.reply(prompt, variables) if self.reply else ""
        logprobs = self.logprobs(variables) if self.logprobs and "logprobs" in more else ()
        return self._asking(Answer(value, logprobs=logprobs))

    def score(self, text, *, given="", node, levels=0):
        self.asked.append(("score", text))
        seen = set(re.findall(r"\w+", given))
        tokens = []
        for token in re.findall(r"\s*\w+|\s*[^\w\s]+|\s+$", text):
            tokens.append(TokenLogprob(token, -1.0 if token.strip() in seen else -6.0))
            seen.add(token.strip())
        return self._asking(Answer("", logprobs=tuple(tokens)))

    async def embed(self, texts, *, node, levels=0):
        self.asked.append(("embed", tuple(texts)))
        return Embedded(tuple(to_spelling_vector(text) for text in texts))

    @staticmethod
    def _asking(answer):
        class Asked:
            @property
            def reply(self):
                async def value():
                    if isinstance(answer.value, Exception):
                        raise answer.value
                    return answer

                return value()

        return Asked()

    def prompt(self, reference):
        return reference

    def start(self, coroutine):
        return asyncio.ensure_future(coroutine)

    def notice(self, message):
        self.notices.append(message)


def run(name, text, work, **options):
    chunker = REGISTRY.get_chunker(name)
    checked = chunker.options.model_validate(options)
    chunks = asyncio.run(chunker.run(Document(text, "t.txt"), checked, TOKTOK, work))
    parts = [text[chunk.span.start : chunk.span.end] for chunk in chunks]
    assert "".join(parts) == text
    assert all(parts)
    assert [chunk.tokens for chunk in chunks] == TOKTOK.count_batch(parts)
    assert all(chunk.tokens <= checked.tokens for chunk in chunks)
    return parts, chunks


def test_these_are_all_that_ask():
    types = map(REGISTRY.get_chunker, REGISTRY.list_names("chunker"))
    assert tuple(each.name for each in types if each.asks(each.options())) == ASKING


def test_meaning_turns_where_the_words_do():
    cats = "The small cat sleeps all day. The small cat purrs at night. The small cat hunts mice."
    ships = "Big ships cross oceans. Big ships carry corn. Big ships need sails."
    parts, _ = run(
        "semantic", f"{cats} {ships}", Work(), tokens=60, least=0, percentile=80, around=1
    )
    assert parts == [cats, f" {ships}"]


def test_least_surprise_ends_a_chunk():
    apples, deer, bells, geese = (
        "Apples grow.",
        "Deer eat leaves.",
        "Bells ring out.",
        "Geese honk.",
    )
    text = f"{apples} {deer} {deer} {bells} {bells} {geese}"
    parts, _ = run("perplexity", text, Work(), tokens=60, least=0)
    assert parts == [f"{apples} {deer} {deer}", f" {bells} {bells}", f" {geese}"]
    halves, _ = run("perplexity", text, Work(), tokens=60, least=0, block=64)
    assert halves == parts


def test_minima_are_those_of_the_paper():
    assert find_minima([3, 1, 2]) == [(1, 2)]
    assert find_minima([3, 1, 1, 2]) == [(1, 2)]
    assert find_minima([1, 2, 3]) == []
    assert compute_threshold([(1, 0.5)] * 99) == 0
    assert compute_threshold([(1, 0.5)] * 99 + [(2, 0.3), (3, 0.1)]) == 0.3


def likes(words):
    """Answer 1, to divide, before a sentence that begins with one of some words, 2 elsewhere."""

    def logprobs(variables):
        first = "1" if variables["second"].split()[0] in words else "2"
        other = "2" if first == "1" else "1"
        return (TokenLogprob(first, -0.1, ((first, -0.1), (f" {other}", -3.0))),)

    return logprobs


def test_sentences_are_divided_where_the_model_would():
    work = Work(logprobs=likes({"Ships"}))
    parts, _ = run("margin", f"{CATS} {SHIPS}", work, tokens=60, least=0, threshold=0)
    assert parts == [CATS, " Ships cross the sea.", " Ships carry corn.", " Ships need sails."]
    assert len(work.asked) == 5


def test_without_a_threshold_the_last_differences_decide():
    assert decide_splits([0.5, 0.9, 0.2, 0.6], None) == [False, False, True, False]
    assert decide_splits([-0.1, 0.9, -0.9], None) == [True, False, True]
    assert decide_splits([0.1, 0.3], 0.2) == [True, False]
    assert decide_splits([0.5, None, 0.4, None], None) == [False, False, True, False]


def shifting(word):
    """Name the first paragraph after the first that begins with a word."""

    def reply(prompt, variables):
        found = variables["paragraphs"]
        starts = [n for n, each in enumerate(found, 1) if n > 1 and each.startswith(word)]
        return {"paragraph": starts[0] if starts else len(found) + 1}

    return reply


def test_a_chunk_begins_where_the_subject_shifts():
    given_text = "A one.\n\nA two.\n\nB three.\n\nA four.\n\nA five."
    work = Work(shifting("B"))
    parts, _ = run("shift", given_text, work, tokens=60)
    assert parts == ["A one.\n\nA two.\n\n", "B three.\n\nA four.\n\nA five."]
    assert [len(variables["paragraphs"]) for _, variables in work.asked] == [5, 3]


@pytest.mark.parametrize("number", [-3, 0, 1, 99])
def test_a_number_outside_the_run_cuts_at_its_end(number):
    text = "\n\n".join(f"Paragraph {n} has some words in it." for n in range(12))
    work = Work(lambda prompt, variables: {"paragraph": number})
    parts, _ = run("shift", text, work, tokens=200, window=64)
    assert len(parts) == len(work.asked)
    assert all(part.startswith("Paragraph") for part in parts)


def anchored(*rows, **first):
    def reply(prompt, variables):
        if "chunk" in variables:
            return {"complete": False, "facts": ["  Cats are   animals. ", ""]}
        return {**first, "chunks": [dict(row) for row in rows]}

    return reply


def anchor(head, tail="x", **more):
    return {"head": head, "tail": tail, **more}


def test_listed_chunks_begin_at_their_heads():
    text = f"{CATS} {SHIPS} The end."
    work = Work(anchored(anchor("Cats sleep"), anchor("Ships cross\nthe sea"), anchor("The end")))
    parts, _ = run("anchors", text, work, tokens=60)
    assert parts == [f"{CATS} ", f"{SHIPS} ", "The end."]


def test_signs_of_patterns_in_a_head_are_letters():
    text = "Say (a+b)* now. Then [x]? {2} is $5. More."
    assert find_part_starts(
        text, [Anchor("Say", ""), Anchor("Then [x]? {2}", ""), Anchor("$5.", "")]
    ) == [
        0,
        16,
        text.index("$5"),
    ]


def test_a_head_with_mistakes_is_placed_by_the_fewest_changes():
    text = f"{CATS} {SHIPS}"
    found = find_part_starts(
        text, [Anchor("Cats", "small mice."), Anchor("Shpis crosses the see", "sails.")]
    )
    assert found == [0, text.index("Ships cross")]


def test_a_lost_head_begins_behind_the_tail_before_it():
    text = f"{CATS} {SHIPS}"
    found = find_part_starts(
        text, [Anchor("Cats", "Cats hunt small mice."), Anchor("Nothing like it", "sails.")]
    )
    assert found == [0, text.index("Ships cross")]
    assert find_part_starts(text, [Anchor("Cats", "?"), Anchor("Nothing like it at all", "")]) == [
        0,
        None,
    ]


def test_topic_and_core_stand_beside_a_chunk():
    rows = [
        anchor("Cats sleep", title="Cats", core="They sleep."),
        anchor("Ships cross", title="Ships", core="They sail."),
    ]
    _, chunks = run("outline", f"{CATS} {SHIPS}", Work(anchored(*rows, outline=[])), tokens=60)
    assert [dict(chunk.context) for chunk in chunks] == [
        {"topic": "Cats", "core": "They sleep."},
        {"topic": "Ships", "core": "They sail."},
    ]


def test_a_question_and_what_is_missing_stand_beside_a_chunk():
    rows = [anchor("Cats sleep", question="Cats?"), anchor("Ships cross", question="Ships?")]
    work = Work(anchored(*rows, questions=[]))
    _, chunks = run("questions", f"{CATS} {SHIPS}", work, tokens=60)
    assert dict(chunks[1].context) == {"question": "Ships?", "completion": "Cats are animals."}
    assert len(work.asked) == 3
    work = Work(anchored(*rows, questions=[]))
    _, chunks = run("questions", f"{CATS} {SHIPS}", work, tokens=60, review=None)
    assert dict(chunks[1].context) == {"question": "Ships?"}


def test_a_pattern_divides_the_document():
    text = "§1 One.\n§2 Two.\n§3 Three.\n"
    work = Work(lambda prompt, variables: {"pattern": "^§"})
    parts, _ = run("regex", text, work, tokens=60, least=0)
    assert parts == ["§1 One.\n", "§2 Two.\n", "§3 Three.\n"]


def test_a_pattern_that_cannot_be_used_leaves_the_document_to_structure(monkeypatch):
    monkeypatch.setattr("octavo.chunkers.regex._SECONDS", 0.01)
    with pytest.raises(ValueError, match="more than"):
        match_pattern(r"(a|aa)+$", "a" * 40 + "!")
    for pattern in ("(", r"(a|aa)+$"):
        work = Work(lambda prompt, variables, pattern=pattern: {"pattern": pattern})
        parts, _ = run("regex", "a" * 40 + "!", work, tokens=60)
        assert parts == ["a" * 40 + "!"]
        assert "cannot be used" in work.notices[0]


@pytest.mark.parametrize("pattern", ["(?R)", "(?:a{9999}){9999}", "a{99999999999999999999}"])
def test_a_pattern_that_would_never_end_or_take_all_memory_is_no_pattern(pattern):
    work = Work(lambda *_: {"pattern": pattern})
    parts, _ = run("regex", f"{CATS}\n\n{SHIPS}", work, least=0)
    assert len(parts) == 1
    assert "cannot be used: it" in work.notices[0]


def test_a_pattern_that_divides_nothing_is_told():
    work = Work(lambda prompt, variables: {"pattern": "zzz"})
    parts, _ = run("regex", CATS, work, tokens=60)
    assert parts == [CATS]
    assert work.notices


@pytest.mark.parametrize("name", ASKING)
@settings(max_examples=25)
@given(TEXTS, st.integers(16, 60), st.integers(0, 2**20))
def test_any_text_and_any_reply_give_chunks_within_the_budget(name, text, budget, seed):
    rng = random.Random()

    def reply(prompt, variables):
        if seed % 3 == 0 and rng.random() < 0.5:
            return ReplyError("it is cut", outcome=Outcome.TRUNCATED)
        shown = str(variables.get("text", variables.get("sample", "")))
        heads = [
            shown[(at := rng.randrange(len(shown) + 1)) : at + rng.randrange(1, 20)] or "?"
            for _ in range(rng.randrange(1, 6))
        ]
        rows = [anchor(h, h[::-1], title="t", core="c", question="q") for h in heads]
        return {
            "paragraph": rng.randrange(-1, 9),
            "pattern": rng.choice(["a", r"\s", "", r"^", "x*"]),
            "chunks": rows,
            "complete": bool(seed & 1),
            "facts": ["f"],
        }

    def once():
        rng.seed(seed)
        return run(name, text, Work(reply, likes({"Sentence"})), tokens=budget)

    assert once() == once()


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS)
@pytest.mark.parametrize("name", ASKING)
def test_what_is_counted_and_asked_grows_with_the_text_and_not_faster(name, unit):
    """A text four times as long is counted about four times as much, n log n at most."""
    chunker = REGISTRY.get_chunker(name)
    small = {"least": 16, "sample": 100, "window": 200, "block": 200}
    small = {name: each for name, each in small.items() if name in chunker.options.model_fields}
    counted, asked = [], []
    for times in (2_000, 8_000):
        letters = Letters()
        document = Document(unit * (times // len(unit)), "t.txt")
        work = Work(_halving, likes({"Sentence", "It"}))
        options = chunker.options(tokens=64, **small)
        asyncio.run(chunker.run(document, options, letters, work))
        counted.append(letters.counted)
        asked.append(len(work.asked))
    assert counted[1] < 5 * counted[0]
    assert asked[1] <= 5 * max(asked[0], 1)


def _halving(prompt, variables):
    """Divide what is shown at its middle, whatever is asked."""
    shown = str(variables.get("text", variables.get("sample", "")))
    middle = len(shown) // 2
    heads = [shown[:8] or "?", shown[middle : middle + 8] or "?"]
    return {
        "paragraph": len(variables.get("paragraphs", ())) // 2,
        "pattern": "e",
        "chunks": [anchor(head, title="t", core="c", question="q") for head in heads],
        "complete": True,
        "facts": [],
    }
