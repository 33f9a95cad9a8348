"""Chunkers that ask a model: where they cut, what they keep, and what a misbehaving model does."""

from __future__ import annotations

import asyncio
import json
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.chunkers.test_methods import TEXTS, TOKTOK, UNITS, Letters
from tests.strategies.kit import Kit, fenced, paragraphs

from octavo.chunkers.margin import splits
from octavo.chunkers.perplexity import dynamic, minima
from octavo.chunkers.regex import matches
from octavo.engine.report import Silence
from octavo.errors import BackendError, FitError, Outcome, ReplyError, UsageError
from octavo.pipeline.registry import Registry
from octavo.protocols import Answer, Finish, Reply, TokenLogprob, Usage
from octavo.protocols.embeddings import Embedded
from octavo.text.anchors import Anchor
from octavo.text.document import Document
from octavo.text.mooring import begins
from octavo.text.ngrams import spelt

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
        return Embedded(tuple(spelt(text) for text in texts))

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
    chunker = REGISTRY.chunker(name)
    checked = chunker.options.model_validate(options)
    chunks = asyncio.run(chunker.run(Document(text, "t.txt"), checked, TOKTOK, work))
    parts = [text[chunk.span.start : chunk.span.end] for chunk in chunks]
    assert "".join(parts) == text
    assert all(parts)
    assert [chunk.tokens for chunk in chunks] == TOKTOK.count_batch(parts)
    assert all(chunk.tokens <= checked.tokens for chunk in chunks)
    return parts, chunks


def test_these_are_all_that_ask():
    types = map(REGISTRY.chunker, REGISTRY.names("chunker"))
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
    assert minima([3, 1, 2]) == [(1, 2)]
    assert minima([3, 1, 1, 2]) == [(1, 2)]
    assert minima([1, 2, 3]) == []
    assert dynamic([(1, 0.5)] * 99) == 0
    assert dynamic([(1, 0.5)] * 99 + [(2, 0.3), (3, 0.1)]) == 0.3


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
    assert splits([0.5, 0.9, 0.2, 0.6], None) == [False, False, True, False]
    assert splits([-0.1, 0.9, -0.9], None) == [True, False, True]
    assert splits([0.1, 0.3], 0.2) == [True, False]
    assert splits([0.5, None, 0.4, None], None) == [False, False, True, False]


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
    assert begins(text, [Anchor("Say", ""), Anchor("Then [x]? {2}", ""), Anchor("$5.", "")]) == [
        0,
        16,
        text.index("$5"),
    ]


def test_a_head_with_mistakes_is_placed_by_the_fewest_changes():
    text = f"{CATS} {SHIPS}"
    found = begins(text, [Anchor("Cats", "small mice."), Anchor("Shpis crosses the see", "sails.")])
    assert found == [0, text.index("Ships cross")]


def test_a_lost_head_begins_behind_the_tail_before_it():
    text = f"{CATS} {SHIPS}"
    found = begins(
        text, [Anchor("Cats", "Cats hunt small mice."), Anchor("Nothing like it", "sails.")]
    )
    assert found == [0, text.index("Ships cross")]
    assert begins(text, [Anchor("Cats", "?"), Anchor("Nothing like it at all", "")]) == [0, None]


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
        matches(r"(a|aa)+$", "a" * 40 + "!")
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
    chunker = REGISTRY.chunker(name)
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


PIPELINE = """
octavo: 1
steps:
  - split: {{by: {by}, tokens: 120, {options}}}
  - map: {{prompt: {{user: "{{{{ context.question }}}} {{{{ text | fence }}}}"}}, tokens: 50}}
"""


CUT = Finish.LENGTH


def respond(request):
    [*_, text] = fenced(request)
    if request.logprobs and request.max_tokens == 1:
        split = -0.1 if text.startswith("Paragraph") else -3.0
        top = (("1", split), ("2", -0.5))
        return Reply("1", CUT, Usage(completion=1), logprobs=(TokenLogprob("1", split, top),))
    words = text.split()
    middle = " ".join(words[len(words) // 2 :][:6])
    if request.schema is None:
        return words[0]
    row = {"question": "Which?", "tail": "x", "title": "T", "core": "C"}
    rows = [{**row, "head": " ".join(words[:4])}, {**row, "head": middle}]
    names = request.schema["properties"]
    fields = names["chunks"]["items"]["required"] if "chunks" in names else ()
    values = {
        "paragraph": 2,
        "pattern": "Paragraph",
        "chunks": [{name: each[name] for name in fields} for each in rows],
        "outline": [],
        "questions": [],
        "complete": True,
        "facts": [],
    }
    return json.dumps({name: values[name] for name in names})


@pytest.mark.parametrize("name", ["margin", "perplexity", "semantic"])
def test_no_step_of_a_plan_has_more_tokens_at_least_than_at_most(name, tmp_path):
    """With short replies a document may be one chunk, which has a prompt of its own."""
    pipeline = PIPELINE.replace(
        "steps:", 'whole: {{prompt: {{user: "{{{{ text | fence }}}}"}}}}\nsteps:'
    )
    pipeline = pipeline.format(by=name, options="").replace("tokens: 120", "tokens: 4000")
    planned = Kit(pipeline, respond, tmp_path, prompt_logprobs=True).plan(paragraphs(8))
    whole = next(step for step in planned.steps if step.step == "whole")
    assert (whole.calls_low, whole.calls_high) == (0, 1)
    assert whole.completion_high == whole.again.completion  # all that a reply may have
    for step in planned.steps:
        assert 0 <= step.prompt_low <= step.prompt_high
        assert 0 <= step.completion_low <= step.completion_high
        assert step.cost_low <= step.cost_high


@pytest.mark.parametrize("name", ASKING)
def test_a_run_lies_within_its_plan_and_a_second_sends_nothing(name, tmp_path):
    text = paragraphs(8)
    kit = Kit(PIPELINE.format(by=name, options=""), respond, tmp_path, prompt_logprobs=True)
    planned = kit.plan(text)
    [result] = kit.run(text).results
    assert result.error is None
    assert planned.calls[0] <= result.totals.calls <= planned.calls[1]
    assert planned.sent[0] <= len(kit.requests) + len(kit.backend.embedded) <= planned.sent[1]
    assert planned.calls[1] > 1
    kit.run(text)
    assert kit.requests == []


def test_a_model_that_cannot_is_refused_in_the_plan(tmp_path):
    for name, needs in (("perplexity", "log prob"), ("margin", "log prob"), ("semantic", "embed")):
        pipeline = PIPELINE.format(by=name, options="")
        kit = Kit(pipeline, respond, tmp_path, logprobs=False, embeddings=False)
        with pytest.raises(UsageError, match=needs):
            kit.plan(paragraphs(3))


SITUATED = """
octavo: 1
steps:
  - split: {tokens: 250, situate: chunk/situate, situate_tokens: 20}
  - map: {prompt: {user: "[{{ context.situation }}] {{ text | fence }}"}, tokens: 300}
"""


def test_a_chunk_is_situated_in_its_document_which_comes_first(tmp_path):
    def handler(request):
        message = request.messages[-1].content
        if message.startswith("<document"):
            return f"About {fenced(request)[1].split()[1]}"
        return message.partition("]")[0]

    text = paragraphs(4)
    kit = Kit(SITUATED, handler, tmp_path)
    [result] = kit.run(text).results
    told = re.findall(r"\[About (\w+)", result.value)
    assert len(set(told)) >= 3
    situating = [each for each in kit.requests if each.messages[-1].content.startswith("<document")]
    shared = {each.messages[-1].content[: len(text)] for each in situating}
    assert len(situating) == len(told)
    assert len(shared) == 1
    assert kit.plan(text).calls == (len(kit.requests), len(kit.requests))


def test_a_document_that_cannot_be_shown_whole_is_refused_in_the_plan(tmp_path):
    kit = Kit(SITUATED, respond, tmp_path, window=1000)
    with pytest.raises(FitError, match="the window has 1,000"):
        kit.plan(paragraphs(8))


@pytest.mark.parametrize("text", ["2", "", "\n"])
def test_the_one_token_that_decides_a_border_is_always_cut(text, tmp_path):
    """What every real server says of a reply of one token: that it ended for its length."""
    chances = (TokenLogprob(text, -0.1, (("1", -0.2), ("2", -3.0))),)

    def handler(request):
        if request.logprobs:
            return Reply(text, CUT, Usage(completion=1), logprobs=chances)
        return respond(request)

    kit = Kit(PIPELINE.format(by="margin", options="least: 0, threshold: 0"), handler, tmp_path)
    [result] = kit.run(paragraphs(4)).results
    assert result.error is None
    assert len([each for each in kit.requests if not each.logprobs]) > 4
    kit.run(paragraphs(4))
    assert kit.requests == []


def test_probabilities_that_never_come_are_told(tmp_path):
    pipeline = PIPELINE.format(by="margin", options="least: 0")
    kit = Kit(pipeline, lambda request: "2" if request.logprobs else respond(request), tmp_path)
    with pytest.raises(BackendError, match="no log probabilities"):
        kit.run(paragraphs(4))


@pytest.mark.parametrize("name", ["anchors", "outline", "questions", "regex", "shift"])
def test_replies_that_are_cut_cost_no_text(name, tmp_path):
    def handler(request):
        if request.schema is not None:
            return Reply('{"chunks": [{"head": "Para', CUT)
        return fenced(request)[-1]

    pipeline = PIPELINE.format(by=name, options="").replace("tokens: 50", "tokens: 400")
    kit, watch = Kit(pipeline, handler, tmp_path), Told()
    text = paragraphs(6)
    [result] = kit.run(text, watch=watch).results
    assert result.error is None
    assert result.coverage == 1
    assert result.value.split() == text.split()
    assert any("cut off" in each for each in watch.said)


def test_a_chunk_that_is_not_situated_is_there_all_the_same(tmp_path):
    def handler(request):
        message = request.messages[-1].content
        if message.startswith("<document"):
            return Reply("On and on and", CUT)
        return fenced(request)[-1]

    kit, watch = Kit(SITUATED, handler, tmp_path), Told()
    text = paragraphs(4)
    [result] = kit.run(text, watch=watch).results
    assert result.error is None
    assert result.value.split() == text.split()
    assert any("have no situation" in each for each in watch.said)


class Told(Silence):
    """Keeps what the user is told."""

    def __init__(self):
        self.said = []

    def notice(self, message):
        self.said.append(message)
