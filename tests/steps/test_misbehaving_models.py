"""Every step and pipeline, asked of models that misbehave in seven replies of ten.

Whatever such a model does, a run ends after a bounded number of calls, no reply that cannot be used
gets into a later prompt, and the ledger tells how each call ended and what it took.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.support.misbehaviour import IDENTITY, Asks, Model, row_place, shown

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.runs import list_calls, list_runs
from octavo.engine.journal.store import Journal
from octavo.errors import CallError, FitError
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Capabilities

PIPELINES = Path(__file__).parents[2] / "pipelines"
BUILT_IN = sorted(path.stem for path in PIPELINES.glob("*.yaml"))

STEPS = {
    "map": "- map: {prompt: read, tokens: 60, on_error: skip}",
    "map records": "- map: {prompt: read, schema: own, tokens: 80, on_error: skip}",
    "map improved": """
- map: {prompt: read, tokens: 60, refine: 2, check: again, on_error: skip}
- filter: {where: "text != 'x'"}
- reduce: {prompt: join, collapse: join, room: 400, tokens: 100, note_tokens: 90, empty: None.}""",
    "pick in turns": """
- map: {prompt: read, tokens: 60, on_error: skip}
- pick: {prompt: gist/look, text: split, most: 2, turns: each, room: 900}
- reduce: {prompt: join, collapse: join, room: 2000, tokens: 100, note_tokens: 90, empty: None.}""",
    "filter and reduce": """
- map: {prompt: read, schema: own, tokens: 80, on_error: skip}
- filter: {where: "name != 'x'"}
- reduce: {prompt: join, collapse: join, note_schema: own, where: "name != 'y'", room: 500,
    tokens: 100, note_tokens: 90, refine: 2, check: improve}""",
    "reduce by groups": """
- map: {prompt: read, schema: own, tokens: 80, on_error: skip}
- reduce: {prompt: join, schema: own, by: name, room: 500, tokens: 100, collapse: join,
    note_tokens: 90}""",
    "merge": """
- map: {prompt: read, words: 30, tokens: 60, on_error: skip}
- merge: {prompt: join, words: 60, tokens: 90, fan_in: 3}""",
    "merge in context": """
- map: {prompt: read, words: 30, tokens: 60, on_error: skip}
- merge: {prompt: context, words: 60, factor: 0.65, tokens: 90, fan_in: 3, context: true,
    require: [sentence, length]}""",
    "fold": """
- fold: {first: read, next: go_on, shorten: shorten, words: 30, tokens: 90}""",
    "fold backwards": """
- fold: {first: read, next: go_on, shorten: shorten, compress: previous, words: 30, tokens: 90,
    require: [sentence, length], order: reverse}""",
    "select by relevance": """
- select: {query: question, by: relevance, prompt: select/score, schema: select/score,
    reflect: select/reflect, keep: 3, drop: 0.5, neighbours: 1, on_error: skip}
- reduce: {prompt: join, room: 3000, tokens: 100, empty: None., collapse: join}""",
    "select by entropy": """
- select: {query: question, by: entropy, prompt: select/attempt, keep: 2, on_error: skip}
- reduce: {prompt: join, room: 3000, tokens: 100, empty: None., collapse: join}""",
    "select and judge": """
- select: {query: question, by: bm25, keep: 4, judge: select/judge, rounds: 4, neighbours: 1,
    on_error: skip}
- reduce: {prompt: join, room: 3000, tokens: 100, empty: None., collapse: join}""",
    "extract": """
- extract: {prompt: extract/read, schema: own, passes: 2, key: "'name'", tokens: 200,
    on_error: skip}""",
    "compress": """
- compress: {prompt: compress/rewrite, ratio: 0.5, rounds: 3, query: question}""",
    "compress evenly": """
- compress: {prompt: compress/rewrite, target: 100, spread: even, on_error: fail, on_over: fail}""",
    "vote": "- vote: {prompt: read, schema: own, key: name, tokens: 80, k: 2, max_votes: 5}",
    "vote on texts": """
- vote: {prompt: read, tokens: 80, k: 1, plain: true, on_error: skip}
- reduce: {prompt: join, collapse: join, room: 400, tokens: 100, note_tokens: 90}""",
    "tally": """
- map: {prompt: read, schema: own, tokens: 80, on_error: skip}
- tally: {op: count, by: name}""",
    "memory": """
- memory: {prompt: memory/revise, answer: memory/answer, schema: memory/facts, tokens: 120,
    log_tokens: 400, on_error: skip, empty: None.}""",
    "memory in place": """
- memory: {prompt: memory/revise, answer: memory/answer, schema: generate,
    propose: memory/propose, mode: in_place, tokens: 120, log_tokens: 400, on_error: skip}""",
    "margins": """
- margins: {read: margins/read, answer: margins/answer, words: 30, tokens: 60, on_error: skip,
    empty: None., show: margins}""",
    "margins apart": """
- margins: {read: margins/read, answer: margins/answer, judge: margins/judge, classify: separate,
    mode: segments, words: 30, tokens: 60, on_error: skip, empty: None.,
    collapse: margins/collapse}""",
    "tree": """
- tree: {leaf: outline/read, parent: outline/join, outline: outline/anchors,
    schema: outline/section, words: 30, tokens: 90, fan_in: 3, on_error: skip, show: sections}""",
}
PROMPTS = {
    "read": "Read.\n{{ text | fence }}\nIn {{ words }} words:",
    "again": "Improve {{ note | fence }}\n{{ text | fence }}\nIn {{ words }} words:",
    "join": "Join.\n{% for note in notes %}{{ note | fence }}\n{% endfor %}",
    "improve": "Improve {{ note | fence }}\n{% for each in notes %}{{ each | fence }}{% endfor %}",
    "context": "Go on.\n{{ before | string | fence }}\n{% for note in notes %}{{ note | fence }}"
    "\n{% endfor %}In {{ words }} words at {{ height }}:",
    "go_on": "Go on.\n{{ summary | fence }}\n{{ text | fence }}\nIn {{ words }} words:",
    "shorten": "Shorten from {{ have }} to {{ words }}.\n{{ summary | fence }}",
}
HEAD = """
octavo: 1
params:
  question: {type: string, default: Who went by ship?}
  length: {type: integer, default: 60}
  what: {type: string, default: people}
  focus: {type: string, default: ships}
steps:
- split: {tokens: 120}
"""
SETTINGS = settings(
    # A few that are always the same, so that a change shows its own faults; any number of others:
    # OCTAVO_TEST_EXAMPLES=100 pytest tests/steps/test_misbehaving_models.py
    max_examples=int(os.environ.get("OCTAVO_TEST_EXAMPLES", "4")),
    derandomize="OCTAVO_TEST_EXAMPLES" not in os.environ,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a smaller seed is no simpler case
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

fields = st.sampled_from(
    [
        {"type": "string"},
        {"type": "string", "maxLength": 80},
        {"type": "integer", "minimum": 0, "maximum": 9},
        {"type": "boolean"},
        {"enum": ["low", "high"]},
        {"type": "array", "items": {"type": "string"}, "maxItems": 4},
        {"type": ["number", "null"]},
    ]
)
schemas = st.builds(
    lambda others, strict: {
        "type": "object",
        "properties": {"name": {"type": "string"}, **others},
        "required": ["name", *others][: 1 + len(others) // 2],
        **({"additionalProperties": False} if strict else {}),
    },
    st.dictionaries(st.sampled_from(["flag", "count", "kind", "parts"]), fields, max_size=3),
    st.booleans(),
)
worlds = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**32),
        "sizes": st.lists(st.integers(1, 14), min_size=1, max_size=3),
        "headed": st.booleans(),
        "window": st.sampled_from([None, 1500, 2500, 8000]),
        "schema": schemas,
    }
)


def text_of(seed, paragraphs, *, headed):
    """Return a text of short paragraphs, with signs in it that mean something in prompts."""
    chance = random.Random(seed)
    signs = ("", "<text 01234567>", "</log>", "{{ x }}", '{"name": "A"}', "日本語。", "```", "\x0b")
    parts = []
    for number in range(paragraphs):
        if headed and chance.random() < 0.4:
            parts.append(f"{'#' * chance.randint(1, 3)} Part {number}")
        words = [f"word{chance.randrange(60)}" for _ in range(chance.randint(5, 60))]
        parts.append(" ".join([*words, chance.choice(signs)]) + ".")
    return "\n\n".join(parts)


def with_small_parts(name):
    """Return a built-in pipeline's text, split to so few tokens that a short text has parts."""
    text = (PIPELINES / f"{name}.yaml").read_text(encoding="utf-8")
    found, count = re.subn(r"(\bsplit: \{[^}]*tokens: )\d+", r"\g<1>150", text)
    assert count
    return found


def params_of(path, schema):
    """Return values for the parameters that have no default."""
    values = {"string": "Who went by ship?", "integer": 3, "json": schema}
    return {
        param.name: values[param.type]
        for param in load_pipeline(str(path)).params
        if param.required and param.default is None
    }


def fold_badly(pipeline, world, tmp_path, monkeypatch):
    """Run a pipeline of a model that misbehaves, twice, and check what is promised of both."""
    (tmp_path / "own.json").write_text(json.dumps(world["schema"]))
    for name, text in PROMPTS.items():
        (tmp_path / f"{name}.j2").write_text(f"{{% block user %}}{text}{{% endblock %}}")
    path = tmp_path / "p.yaml"
    path.write_text(pipeline)
    documents = [
        octavo.Document(text_of(f"{world['seed']} {n}", size, headed=world["headed"]), f"{n}.md")
        for n, size in enumerate(world["sizes"])
    ]
    run = Run(path, documents, params_of(path, world["schema"]), world["window"])
    model = Model(world["seed"], most=run.most())
    asks = Asks(model)
    with monkeypatch.context() as patch:
        asks.watch(patch)
        first, rows = run(model)
    lost = {result.source for result in first if result.error is not None}
    asks.check(rows, lost)
    marks = asks.failed_marks()
    for sent in model.sent.values():
        assert not [mark for mark in marks if mark in shown(sent.request.messages)]
    # What was rejected has no reply to find.
    if not lost and not any(sent.kind == "rejected" for sent in model.sent.values()):
        second, told = run(Model(world["seed"], most=0))
        assert [result.value for result in second] == [result.value for result in first]
        assert ends_of(told) == ends_of(rows)
        assert not any(row.attempts for row in told)


@dataclass
class Run:
    """One run after the other of the same documents, of one journal."""

    path: Path
    documents: list
    params: dict
    window: int | None

    def most(self):
        """Return the most calls that a run may take: each that a plan knows of, and once again.

        A plan takes it that a part is read in halves at most; halves of halves, down to a few
        sentences, come of replies that are cut again and again.
        """
        calls = self._planned(*self.documents)
        if calls is None:  # one of them does not fit; the others are run
            calls = sum(self._planned(document) or 0 for document in self.documents)
        return (8 if "extract" in self.path.read_text() else 2) * calls

    def _planned(self, *documents):
        backend = self._backend(None)
        try:
            return octavo.plan(self.path, *documents, model=backend, params=self.params).calls[1]
        except FitError:
            return None

    def _backend(self, model):
        known = Capabilities(window=self.window, tokenizer="o200k_base", logprobs=True)
        return ScriptedBackend(model, identity=IDENTITY, known=known)

    def __call__(self, model):
        """Return the results, and the rows of the ledger."""
        done = octavo.run(
            self.path,
            *self.documents,
            model=self._backend(model),
            params=self.params,
            keep_going=True,
        )
        for result in done.results:
            assert isinstance(result.error, CallError | FitError | None), result.error
        with Journal(find_journal_path()) as journal:
            (run, *_) = list_runs(journal, last=1)
            return done.results, list_calls(journal, run.id)


def ends_of(rows):
    """Return how often calls of each place ended in which way, found or sent."""
    return Counter(
        (row_place(row), "ok" if row.outcome == "cached" else row.outcome) for row in rows
    )


def test_every_step_is_asked_of_them():
    pipelines = "".join((PIPELINES / f"{name}.yaml").read_text("utf-8") for name in BUILT_IN)
    told = "\n".join((HEAD, *STEPS.values(), pipelines))
    assert set(Registry().list_names("step")) <= set(
        re.findall(r"^[ -]*(\w+): ?(?:{|$)", told, re.MULTILINE)
    )


@pytest.mark.parametrize("name", STEPS)
@SETTINGS
@given(world=worlds)
def test_a_step_survives_a_model_that_misbehaves(name, world, tmp_path, monkeypatch, journal_apart):
    journal_apart()
    fold_badly(HEAD + STEPS[name], world, tmp_path, monkeypatch)


@pytest.mark.parametrize("name", BUILT_IN)
@SETTINGS
@given(world=worlds)
def test_a_pipeline_survives_a_model_that_misbehaves(
    name, world, tmp_path, monkeypatch, journal_apart
):
    journal_apart()
    fold_badly(with_small_parts(name), world, tmp_path, monkeypatch)


@pytest.fixture
def journal_apart(tmp_path, monkeypatch):
    """Give each example a journal of its own."""
    count = iter(range(10_000))
    return lambda: monkeypatch.setenv("OCTAVO_JOURNAL", str(tmp_path / f"{next(count)}.sqlite"))
