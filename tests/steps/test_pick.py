"""Gist and look-up: what the model sees, and what becomes of what it picks."""

from __future__ import annotations

import re

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.errors import SpecErrors, UsageError
from octavo.tokens.choose import get_counter

NOTES = "{% for n in notes %}\\n{{ n | fence }}{% endfor %}"
PICK = f"""
octavo: 1
steps:
  - name: pages
    split: {{tokens: 120}}
  - name: gists
    map: {{prompt: "Gist:\\n{{{{ text | fence }}}}", tokens: 30}}
  - pick:
      text: pages
      prompt: "Look, open {{{{ open }}}}, most {{{{ most }}}}:{NOTES}"
      OPTIONS
  - reduce: {{prompt: "Answer:{NOTES}", tokens: 400}}
"""


def first(request):
    user = next(message for message in request.messages if message.role == "user")
    return user.content.split(":")[0].split(",")[0]


def reader(*picks):
    """Return a handler that shortens pages, picks these numbers in turn, and repeats the rest."""
    turns = iter(picks)

    def handler(request):
        match first(request):
            case "Gist":
                return "Gist of " + " ".join(fenced(request)[0].split()[:2])
            case "Look":
                return {"numbers": next(turns, [])}
            case _:
                return "\n".join(fenced(request))

    return handler


def kit(tmp_path, handler, options="most: 3", **others):
    return Kit(PICK.replace("OPTIONS", options), handler, tmp_path, **others)


TEXT = paragraphs(6, words=70)


def looks(found):
    return [request for request in found.requests if first(request) == "Look"]


def test_what_is_picked_stands_in_full_between_the_gists_of_the_rest(tmp_path):
    found = kit(tmp_path, reader([4, 2]))
    (result,) = found.run(TEXT, jobs=1).results
    (look,) = looks(found)
    gists = fenced(look)
    answer = fenced(found.requests[-1])
    assert len(answer) == len(gists) > 5
    for number, (gist, shown) in enumerate(zip(gists, answer, strict=True), start=1):
        assert gist.startswith("Gist of")
        if number in {2, 4}:
            assert shown in TEXT
            assert len(shown) > len(gist)
        else:
            assert shown == gist
    assert result.spans == ((0, len(TEXT)),)


def test_the_rest_may_be_dropped_and_is_no_source_then(tmp_path):
    found = kit(tmp_path, reader([2]), "rest: drop")
    (result,) = found.run(TEXT).results
    assert result.value in TEXT
    ((start, end),) = result.spans
    assert TEXT[start:end].strip() == result.value


def test_one_at_a_time_each_look_sees_in_full_what_was_picked_before(tmp_path):
    found = kit(tmp_path, reader([3], [1], []), "turns: each\n      most: 5")
    (result,) = found.run(TEXT).results
    assert result.error is None
    shown = [fenced(look) for look in looks(found)]
    assert len(shown) == 3
    full = [[n for n, text in enumerate(each, 1) if text in TEXT] for each in shown]
    assert full == [[], [3], [1, 3]]
    assert [re.search(r"open (\[.*?\])", str(look))[1] for look in looks(found)] == [
        "[]",
        "[3]",
        "[1, 3]",
    ]


def test_numbers_that_no_page_has_are_asked_for_again_and_then_left_out(tmp_path):
    found = kit(tmp_path, reader([2, 99], [2, 77]))
    (result,) = found.run(TEXT).results
    again = looks(found)[1]
    assert "there is no number 99" in again.messages[-1].content
    assert len(looks(found)) == 2
    assert sum(text in TEXT for text in fenced(found.requests[-1])) == 1
    assert result.error is None


def test_nothing_need_be_picked(tmp_path):
    found = kit(tmp_path, reader([]))
    (result,) = found.run(TEXT).results
    assert all(line.startswith("Gist") for line in result.value.splitlines())


@pytest.mark.parametrize("turns", ["one", "each"])
def test_notes_too_many_for_one_look_are_shown_in_groups_that_fit(tmp_path, turns):
    def handler(request):
        if first(request) == "Look":
            return {"numbers": [1] if "open []" in request.messages[-1].content else []}
        return reader()(request) if first(request) == "Gist" else "Answer."

    text = paragraphs(30)
    pipeline = PICK.replace("OPTIONS", f"turns: {turns}\n      most: 2\n      tokens: 50").replace(
        "tokens: 400}", f'collapse: "Collapse:{NOTES}", tokens: 100, note_tokens: 100}}'
    )
    found = Kit(pipeline, handler, tmp_path, window=1200)
    found.pipeline = pipeline
    plan = found.plan(text)
    (result,) = found.run(text).results
    assert result.error is None
    assert len(looks(found)) > 2
    count = get_counter("estimate-1").count
    for request in found.requests:
        size = sum(count(message.content) for message in request.messages)
        assert size + request.max_tokens <= 1200
    assert plan.sent[0] <= len(found.requests) <= plan.sent[1]


def test_gists_serve_every_question_about_a_document(tmp_path):
    def handler(request):
        if request.schema is not None:
            return {"numbers": [1]}
        return "Something." if "Gist" in request.messages[-1].content else "An answer."

    found = Kit("", handler, tmp_path)
    found.path = "gist"
    text = paragraphs(80)
    found.run(text, params={"question": "What?"})
    first_time = len(found.requests)
    found.run(text, params={"question": ["What?", "Why?"]})
    assert first_time > 10
    assert all("Why?" in str(request.messages) for request in found.requests)
    assert len(found.requests) <= 3  # looks and an answer


def test_the_named_step_must_stand_before_and_give_a_text_for_each_note(tmp_path):
    wrong = PICK.replace("text: pages", "text: page").replace("OPTIONS", "most: 3")
    with pytest.raises(SpecErrors, match="no step 'page' before this one"):
        Kit(wrong, reader([]), tmp_path).run(TEXT)
    other = PICK.replace("OPTIONS", "most: 3").replace(
        "  - name: gists\n",
        '  - name: one\n    reduce: {prompt: "{{ notes }}", room: 9000}\n  - name: gists\n',
    )
    (result,) = Kit(other, reader([]), tmp_path).run(TEXT).results
    assert isinstance(result.error, UsageError)
    assert "1 notes" in result.error.message
