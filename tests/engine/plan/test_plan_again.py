"""A run stays within its plan when replies are of no use at first: every pipeline, more options."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.engine.plan.test_plan import backend, book, params, realistic, tokens_in
from tests.support.kit import paragraphs

import octavo
from octavo.pipeline.lookup import Lookup
from octavo.protocols import Finish, Reply, TokenLogprob, Usage
from octavo.tokens.choose import get_counter

BUILT_IN = sorted(found.name for found in Lookup().list_pipelines())
EXAMPLES = sorted(
    str(path) for path in (Path(__file__).parents[3] / "examples" / "pipelines").glob("*.yaml")
)
QUESTIONS = ["Who saw word7?", "Who saw word9?"]
FURTHER = [
    ("ask", {"question": QUESTIONS}),
    ("chain", {"question": QUESTIONS}),
    ("compress", {"ratio": 0.2, "focus": "word7"}),
    ("extract", {"passes": 3, "key": ["name"]}),
    ("gist", {"question": QUESTIONS}),
    ("lookup", {"by": "embeddings", "rounds": 2}),
    ("lookup", {"by": "entropy", "question": QUESTIONS}),
    ("lookup", {"by": "relevance", "rounds": 2}),
    ("margins", {"question": QUESTIONS}),
    ("memory", {"question": QUESTIONS}),
    ("outline", {"question": QUESTIONS}),
]
"""What these do only when asked to."""
CASES = [(name, {}) for name in [*BUILT_IN, *EXAMPLES]] + FURTHER


def of_no_use(request):
    """Return what is asked for again: no record, a text that is empty or cut."""
    if request.schema is not None:
        return Reply("Sure! Here it is.")
    return Reply("") if len(request.messages[-1].content) % 2 else Reply("It is", Finish.LENGTH)


def recovering(request):
    """Answer well, but at the second attempt only."""
    if request.attempt == 0 and request.sample % 2 == 0:
        return of_no_use(request)
    return well(request)


def well(request):
    """Answer well: with revisions as many and as terse as fit, and log probabilities if wanted."""
    if request.schema is not None and "revisions" in request.schema["properties"]:
        said = hashlib.sha256(request.messages[-1].content.encode()).hexdigest()
        each = '{{"path":["values","{}"],"op":"add","value":"{}"}}'
        revisions = [each.format(said[at : at + 3], said[at : at + 5]) for at in range(19)]
        return f'{{"revisions":[{",".join(revisions)}]}}'
    if request.logprobs:
        said = TokenLogprob("word", -0.5, (("word", -0.5), ("other", -1.0)))
        return Reply("word", usage=Usage(9, 1), logprobs=(said,))
    return realistic(request)


@pytest.fixture
def folder(tmp_path):
    """Three documents: one without headings, one of a few words."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "book.md").write_text(book())
    (tmp_path / "docs" / "plain.md").write_text(book(3).replace("# ", ""))
    (tmp_path / "docs" / "short.md").write_text("Who saw word7? The captain saw it.")
    return tmp_path / "docs"


@pytest.mark.parametrize(("name", "given"), CASES)
def test_what_is_asked_for_again_lies_within_the_plan(name, given, folder):
    given = params(name) | given
    planned = octavo.plan(name, folder, model=backend(), params=given)
    model = backend(recovering)
    result = octavo.run(name, folder, model=model, params=given)
    assert not [each.error for each in result.results if each.error]
    low, high = planned.calls
    assert low <= result.report.totals.calls <= high
    sent = len(model.requests)
    again = sum(request.attempt > 0 for request in model.requests)
    assert planned.sent[0] <= sent - again <= planned.sent[1]
    assert again <= planned.again.calls
    high = sum(step.prompt_high for step in planned.steps)
    assert tokens_in(model.requests) <= high + planned.again.prompt
    first = [request for request in model.requests if not request.attempt]
    assert tokens_in(first) <= high
    assert max(tokens_in([each]) + each.max_tokens for each in first) <= planned.largest


MEMORY = """
octavo: 1
steps:
  - split: {tokens: 200}
  - memory:
      prompt: "{{ memory }}\\n{{ text | fence }}"
      schema: kept
      tokens: 300
"""
KEPT = '{"type": "object", "additionalProperties": {"type": "integer"}}'


def test_a_memory_may_have_lines_that_are_longer_than_a_terse_reply(tmp_path):
    number = iter(range(100, 1000))

    def terse(request):
        made = [f'{{"path":["v{next(number)}"],"op":"add","value":7}}' for _ in range(19)]
        reply = f'{{"revisions":[{",".join(made)}]}}'
        assert 270 < get_counter("o200k_base").count(reply) <= 300
        return reply

    (tmp_path / "p.yaml").write_text(MEMORY)
    (tmp_path / "kept.json").write_text(KEPT)
    text = octavo.Document(paragraphs(10), "book.txt")
    planned = octavo.plan(tmp_path / "p.yaml", text, model=backend())
    model = backend(terse)
    assert octavo.run(tmp_path / "p.yaml", text, model=model).results[0].error is None
    assert len(model.requests) > 5
    sizes = [tokens_in([request]) for request in model.requests]
    assert sum(sizes) <= sum(step.prompt_high for step in planned.steps)
    assert max(sizes) + 300 <= planned.largest
