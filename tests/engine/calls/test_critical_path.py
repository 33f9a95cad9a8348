"""The depth of a plan: the longest chain of calls that wait for one another, whatever notes are."""

from __future__ import annotations

import pytest
from tests.support.kit import Kit, paragraphs

SCHEMA = '{"type": "object", "properties": {"fact": {"type": "string"}}, "required": ["fact"]}'
HEAD = "octavo: 1\nparams: {question: {type: string}}\nsteps:\n  - split: {tokens: 120}\n"
NOTES = "{% for note in notes %}\\n{{ note | fence }}{% endfor %}"
MAP = '  - map: {prompt: "Read:\\n{{ text | fence }}", schema: fact, tokens: 40}\n'
REDUCE = f'  - reduce: {{prompt: "Answer:{NOTES}", tokens: 60}}\n'
COLLAPSE = REDUCE.replace(
    "tokens: 60", f'collapse: "Collapse:{NOTES}", note_tokens: 40, room: 300, tokens: 60'
)
RELEVANCE = (
    "  - select: {query: question, by: relevance, prompt: select/score, schema: select/score,"
    " reflect: select/reflect, keep: 3, least: 3}\n"
)


def depth(tmp_path, steps, count=6):
    (tmp_path / "fact.json").write_text(SCHEMA)
    kit = Kit(HEAD + steps, lambda request: "never asked", tmp_path)
    plan = kit.plan(paragraphs(count), params={"question": "word1?"})
    assert kit.requests == []
    return plan.depth


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (MAP, 1),
        (MAP + REDUCE, 2),
        (MAP + MAP + REDUCE, 3),
        (MAP + '  - filter: {where: "fact"}\n' + REDUCE, 2),
        (MAP + "  - tally: {op: union, of: fact}\n", 1),
        (RELEVANCE + REDUCE, 3),  # a score, its reflection, the answer
        (RELEVANCE.replace("reflect: select/reflect, ", "") + MAP + REDUCE, 3),
    ],
)
def test_records_and_choices_are_waited_for_as_texts_are(tmp_path, steps, expected):
    assert depth(tmp_path, steps) == expected


def test_each_round_of_collapsing_records_is_one_call_deeper(tmp_path):
    shallow, deep = depth(tmp_path, MAP + COLLAPSE, 10), depth(tmp_path, MAP + COLLAPSE, 60)
    assert shallow > 2
    assert deep > shallow


def test_one_document_does_not_deepen_the_next(tmp_path):
    (tmp_path / "fact.json").write_text(SCHEMA)
    kit = Kit(HEAD + MAP + REDUCE, lambda request: "never asked", tmp_path)
    texts = [paragraphs(count) for count in (5, 6, 7)]
    assert kit.plan(*texts, params={"question": "?"}).depth == 2


def test_the_outline_of_a_document_with_headings_is_as_deep_as_its_tree(tmp_path):
    text = "# A\n\nOne.\n\n## B\n\nTwo.\n\n### C\n\nThree.\n\n### D\n\nFour.\n\n## E\n\nFive.\n"
    kit = Kit("outline", lambda request: "never asked", tmp_path)
    kit.path = "outline"
    assert kit.plan(text).depth == 3  # a leaf, then what stands under B, then what stands under A
