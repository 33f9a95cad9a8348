"""`each`: one answer for each value of a parameter, in whatever pipeline."""

from __future__ import annotations

import asyncio
import json
import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.commands._cli.main import run_command_line
from octavo.engine.plan.predict import build_example
from octavo.errors import FitError, SpecErrors

EACH = """
octavo: 1
each: question
params: {question: {type: string, repeatable: true}}
steps:
  - split: {tokens: 120}
  - map: {prompt: "Read.\\n{{ text | fence }}\\nQuestion: {{ question }}", tokens: 40}
  - filter: {where: "'nothing' not in text"}
  - reduce: {tokens: 40, empty: Not there.,
      prompt: "{% for note in notes %}{{ note | fence }}\\n{% endfor %}Answer {{ question }}"}
"""


def question(request):
    return re.search(r"(?:Question:|Answer) (.*)", request.messages[-1].content)[1]


def reader(request):
    """Answer a part with its number if the question asks for it, and a note with itself."""
    text, asked = request.messages[-1].content, question(request)
    if text.startswith("Read."):
        numbers = re.findall(r"Paragraph (\d+)\.", text)
        return f"It is {asked}." if asked in numbers else "nothing"
    return " ".join(fenced(request))


def test_each_question_has_its_own_answer_and_sources(tmp_path):
    text = paragraphs(12)
    kit = Kit(EACH, reader, tmp_path)
    (result,) = kit.run(text, params={"question": ["7", "99", "2"]}).results
    assert [answer.asked for answer in result.answers] == ["7", "99", "2"]
    assert [answer.value for answer in result.answers] == ["It is 7.", "Not there.", "It is 2."]
    assert result.value == "## 7\n\nIt is 7.\n\n## 99\n\nNot there.\n\n## 2\n\nIt is 2."
    seven, none, two = (answer.spans for answer in result.answers)
    assert none == ()
    for number, ((start, end),) in ((7, seven), (2, two)):
        assert f"Paragraph {number}." in text[start:end]
    assert result.spans == tuple(sorted(seven + two))


def test_one_question_gives_its_answer_and_nothing_around_it(tmp_path):
    (result,) = Kit(EACH, reader, tmp_path).run(paragraphs(12), params={"question": "7"}).results
    assert result.value == "It is 7."
    assert [answer.asked for answer in result.answers] == ["7"]


def test_a_question_costs_the_same_alone_and_beside_others(tmp_path, monkeypatch):
    kit = Kit(EACH, reader, tmp_path)
    kit.run(paragraphs(12), params={"question": ["7", "2"]})
    both = len(kit.requests)
    kit.run(paragraphs(12), params={"question": "2"})
    assert kit.requests == []
    kit.run(paragraphs(12), params={"question": ["2", "5"]})
    assert len(kit.requests) == both // 2


def test_records_are_listed_with_their_questions(tmp_path):
    (tmp_path / "found.json").write_text('{"type": "object", "properties": {"n": {}}}')
    pipeline = EACH.split("  - map", maxsplit=1)[0].replace("120", "9000") + (
        '  - map: {prompt: "{{ text | fence }} {{ question }}", schema: found}\n'
    )
    kit = Kit(pipeline, lambda request: {"n": request.messages[-1].content[-1]}, tmp_path)
    (result,) = kit.run("Text.", params={"question": ["a", "b"]}).results
    assert result.value == [
        {"question": "a", "answer": {"n": "a"}},
        {"question": "b", "answer": {"n": "b"}},
    ]


def test_calls_on_one_text_follow_one_another_and_go_before_those_on_other_texts(tmp_path):
    """A server keeps the beginning of a prompt for a while only."""
    started, order = set(), []

    async def handler(request):
        if request.messages[-1].content.startswith("Read."):
            (text,) = fenced(request)
            assert text not in order or text in started
            order.append(text)
            await asyncio.sleep(0)
            started.add(text)
        return reader(request)

    kit = Kit(EACH, handler, tmp_path)
    # The journal knows how the text is split: else the first question's calls could all be
    # answered before the others have split it too.
    kit.run(paragraphs(24), params={"question": "0"}, jobs=2)
    started.clear()
    order.clear()
    kit.run(paragraphs(24), params={"question": ["1", "2", "3"]}, jobs=2)
    places = {text: [i for i, each in enumerate(order) if each == text] for text in order}
    assert all(len(at) == 3 for at in places.values())
    # A question after the other, they would be as far apart as there are texts.
    assert sum(at[-1] - at[0] for at in places.values()) / len(places) < len(places) / 3


def test_the_plan_counts_each_question(tmp_path):
    kit = Kit(EACH, reader, tmp_path)
    one = kit.plan(paragraphs(12), params={"question": "1"})
    three = kit.plan(paragraphs(12), params={"question": ["1", "2", "3"]})
    assert three.calls == (3 * one.calls[0], 3 * one.calls[1])


def test_a_failed_question_fails_the_document_once(tmp_path):
    kit = Kit(EACH.replace("empty: Not there.,", ""), reader, tmp_path)
    run = kit.run(paragraphs(12), params={"question": ["7", "99"]})
    assert run.report.failed == 1
    assert run.results[0].answers == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("each: question", "each: questions"), "'questions' is no parameter"),
        ((", repeatable: true", ""), "takes one value only"),
    ],
)
def test_each_names_a_parameter_that_may_be_given_several_times(tmp_path, change, said):
    with pytest.raises(SpecErrors, match=said):
        Kit(EACH.replace(*change), reader, tmp_path).run("Text.", params={"question": "x"})


def test_json_shows_each_answer_with_its_sources(octavo_json):
    line = octavo_json(EACH, paragraphs(12), "--question", "7", "--question", "99")
    seven, none = line["answers"]
    assert (seven["question"], seven["result"]) == ("7", "It is 7.")
    assert (none["question"], none["result"], none["sources"]) == ("99", "Not there.", [])
    ((start, end),) = [(source["start"], source["end"]) for source in seven["sources"]]
    assert "Paragraph 7." in paragraphs(12)[start:end]


@pytest.fixture
def octavo_json(tmp_path, monkeypatch, capfd):
    def run(pipeline, text, *options):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "p.yaml").write_text(pipeline)
        (tmp_path / "t.txt").write_text(text)
        rules = [
            {"match": r"Paragraph 7\.[^Q]*Question: 7", "reply": "It is 7."},
            {"match": "^Read", "reply": "nothing"},
            {"match": "It is 7", "reply": "It is 7."},
        ]
        (tmp_path / "rules.yaml").write_text(json.dumps({"rules": rules}))
        arguments = ("run", "./p.yaml", "t.txt", "--json", "-m", "scripted:rules.yaml", *options)
        code = run_command_line(arguments)
        out, err = capfd.readouterr()
        assert code == 0, err
        return json.loads(out)

    return run


def test_what_cannot_fit_for_one_question_is_refused_before_any_call_of_the_others(tmp_path):
    kit = Kit(EACH, reader, tmp_path, window=400)
    (result,) = kit.run(paragraphs(12), params={"question": ["7", "word " * 260]}).results
    assert isinstance(result.error, FitError)
    assert kit.requests == []


def test_where_nothing_is_asked_there_are_no_answers(tmp_path):
    pipeline = EACH.replace("repeatable: true", 'repeatable: true, default: ""')
    (result,) = Kit(pipeline, lambda _: "All.", tmp_path).run("Text.").results
    assert result.value == "All."
    assert result.answers == ()


def any_reply(request):
    if request.schema is None:
        return "A text."
    # A revision of no memory would be asked for again.
    revises = "revisions" in request.schema["properties"]
    return {"revisions": []} if revises else build_example(request.schema, words=8)


@pytest.mark.parametrize("name", ["ask", "lookup", "gist", "chain", "margins", "memory", "outline"])
def test_every_built_in_pipeline_that_answers_takes_several_questions(tmp_path, name):
    kit = Kit("", any_reply, tmp_path)
    kit.path = name
    asked = ["What is word3?", "What is word5?"]
    plan = kit.plan(paragraphs(60), params={"question": asked})
    (result,) = kit.run(paragraphs(60), params={"question": asked}).results
    assert result.error is None
    assert [answer.asked for answer in result.answers] == asked
    assert all(answer.value for answer in result.answers)
    assert plan.sent[0] <= len(kit.requests) <= plan.sent[1]
