"""Writing in the margins: what is asked, in which order, and what is kept."""

from __future__ import annotations

import asyncio
import hashlib
import re
from itertools import pairwise

import pytest
from tests.support.kit import Kit, fenced, paragraphs

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.report import Silence
from octavo.errors import FitError, Outcome, ReplyError, RequestError, SpecErrors
from octavo.protocols import Finish, Reply

MARGINS = """
octavo: 1
each: question
params:
  question: {type: string, repeatable: true, default: What is the code?}
steps:
  - split: {tokens: 200}
  - margins: {read: margins/read, answer: margins/answer, words: 30, tokens: 60,
      answer_words: 60, answer_tokens: 100%s}
"""
SEPARATE = ", judge: margins/judge, classify: separate"
LARGER = (MARGINS % "").replace("split: {tokens: 200}", "split: {tokens: 400}")
CODES = re.compile(r"The code of (\w+) is (\d+)\.")


def story(count=30, codes=()):
    """Return a text of paragraphs in which, for (place, name, number), a code is told."""
    parts = paragraphs(count).split("\n\n")
    for place, name, number in codes:
        parts[place] += f" The code of {name} is {number}."
    return "\n\n".join(parts)


def content(request):
    return request.messages[-1].content


def is_margin(request):
    return "Task: note what" in content(request)


def is_judge(request):
    return content(request).endswith("YES or NO:")


def is_answer(request):
    return content(request).endswith("Answer:")


def question(request):
    return re.search(r"Question: (.*)", content(request))[1]


def wanted(request):
    """Return the codes that the last segment tells, of the colour in the question or of all."""
    found = CODES.findall(fenced(request)[-1])
    asked = question(request)
    return [code for code in found if code[0] in asked or asked == "What is the code?"]


def told(codes):
    return " ".join(f"The code of {name} is {number}." for name, number in codes)


def reader(request):
    """A perfect reader: it notes the codes of a segment, and answers from notes alone."""
    if is_margin(request):
        codes = wanted(request)
        if "Verdict and note:" in content(request):
            return f"YES: {told(codes)}" if codes else "NO"
        return told(codes) or "There is nothing about it."
    if is_judge(request):
        return "YES" if CODES.search(fenced(request)[0]) else "NO, there is nothing."
    notes = re.findall(r"<note (\w+)>\n(.*?)\n</note \1>", content(request), re.DOTALL)
    codes = [code for _, note in notes for code in CODES.findall(note)]
    return "; ".join(f"{name}={number}" for name, number in codes) or "It does not say."


def margin_calls(kit):
    return [request for request in kit.requests if is_margin(request)]


def squeezed(text):
    return "".join(text.split())


CODED = story(codes=[(2, "red", 17), (14, "green", 4), (27, "blue", 99)])


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
@pytest.mark.parametrize("classify", ["", SEPARATE, ", classify: none"])
def test_facts_are_found_wherever_they_stand_and_told_in_order(mode, classify, tmp_path):
    kit = Kit(MARGINS % f", mode: {mode}{classify}", reader, tmp_path)
    (result,) = kit.run(CODED).results
    assert result.value == "red=17; green=4; blue=99"
    margins = len(margin_calls(kit))
    assert margins > 10
    assert result.totals.calls == margins * (2 if classify == SEPARATE else 1) + 1


def test_a_kept_margin_stands_beside_the_answer_with_its_place(tmp_path):
    kit = Kit(MARGINS % ", show: margins", reader, tmp_path)
    (result,) = kit.run(CODED).results
    assert result.value["answer"] == "red=17; green=4; blue=99"
    margins = result.value["margins"]
    assert [margin["text"] for margin in margins] == [
        "The code of red is 17.",
        "The code of green is 4.",
        "The code of blue is 99.",
    ]
    for margin in margins:
        assert margin["text"] in CODED[margin["start"] : margin["end"]]


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
def test_every_character_of_the_document_is_in_a_segment(mode, tmp_path):
    """No sentence is lost where it overflows a segment, however long it is."""
    text = "A short one. " + " ".join(f"word{n}" for n in range(700)) + ". " + story(12)
    kit = Kit(MARGINS % f", mode: {mode}, empty: None.", reader, tmp_path)
    assert kit.run(text).results[0].error is None
    last = {fenced(request)[-1]: len(fenced(request)) for request in margin_calls(kit)}
    parts = sorted(last, key=text.index)
    assert squeezed("".join(parts)) == squeezed(text)
    assert list(map(last.get, parts)) == (
        list(range(1, len(parts) + 1)) if mode == "cumulative" else [1] * len(parts)
    )


def until_segment(request):
    """Return the request's text up to the end of its last segment."""
    system, user = request.messages
    return f"{system.content}\n{user.content[: user.content.rindex('</segment ') + 19]}"


def test_every_prompt_repeats_the_one_before_up_to_its_last_segment(tmp_path):
    kit = Kit(MARGINS % "", reader, tmp_path)
    kit.run(CODED)
    for before, after in pairwise(kit.requests):
        assert until_segment(after).startswith(until_segment(before))
    *_, last, answer = kit.requests
    assert is_answer(answer)
    assert until_segment(answer) == until_segment(last)


def test_what_a_prefix_cache_must_read_is_little_more_than_the_document(tmp_path):
    """In characters; the ideal is the document, each call's own task, and the replies."""
    text = story(260, codes=[(n, f"c{n}", n) for n in range(0, 260, 20)])
    kit = Kit((MARGINS % "").replace("tokens: 200", "tokens: 1000"), reader, tmp_path)
    (result,) = kit.run(text).results
    assert result.error is None
    computed, ideal, before = 0, len(text), ""
    for request in kit.requests:
        now = "\n".join(message.content for message in request.messages)
        computed += len(now) - shared(before, now)
        ideal += len(now) - len(until_segment(request))
        before = now
    replies = sum(len(reader(request)) for request in kit.requests)
    ideal += len(kit.requests[0].messages[0].content)
    assert len(kit.requests) > 15
    assert (computed + replies) / (ideal + replies) <= 1.05


def shared(one, other):
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


class Streaming(ScriptedBackend):
    """Starts a reply, and ends it only when the next call is there."""

    def __init__(self):
        super().__init__(reader)
        self.arrived = asyncio.Condition()
        self.early = []

    async def send(self, request, started):
        self.requests.append(request)
        number = len(self.requests)
        async with self.arrived:
            self.arrived.notify_all()
        for _ in range(20):
            await asyncio.sleep(0)
        if len(self.requests) > number:
            self.early.append(number)
        started()
        if is_margin(request) and LAST not in fenced(request)[-1]:
            async with self.arrived:
                there = self.arrived.wait_for(lambda: len(self.requests) > number)
                await asyncio.wait_for(there, timeout=10)
        return Reply(reader(request))


LAST = "The end of it."


def test_a_call_is_sent_when_the_one_before_has_started_and_not_earlier(tmp_path):
    path = Kit(MARGINS % "", reader, tmp_path).path
    text = octavo.Document(f"{story(8)}\n\n{LAST}", "a.txt")
    backend = Streaming()
    (result,) = octavo.run(path, text, model=backend, private=True).results
    assert result.error is None
    assert backend.early == []
    assert len(backend.requests) > 5


def test_segments_alone_are_all_asked_at_once(tmp_path):
    flying = []

    async def handler(request):
        flying.append(1)
        most.append(len(flying))
        await asyncio.sleep(0)
        flying.pop()
        return reader(request)

    most = []
    Kit(MARGINS % ", mode: segments", handler, tmp_path).run(CODED, jobs=4)
    assert max(most) == 4
    most.clear()
    Kit(MARGINS % "", handler, tmp_path).run(CODED, jobs=4)
    assert max(most) == 1


def test_margins_without_a_fact_are_left_out(tmp_path):
    kit = Kit(MARGINS % "", reader, tmp_path)
    kit.run(CODED)
    notes = re.findall(r"<note \w+>\n(.*)", content(kit.requests[-1]))
    assert notes == [
        "The code of red is 17.",
        "The code of green is 4.",
        "The code of blue is 99.",
    ]


def test_without_verdicts_all_margins_are_kept(tmp_path):
    kit = Kit(MARGINS % ", classify: none", reader, tmp_path)
    kit.run(CODED)
    assert "Verdict" not in content(kit.requests[0])
    assert content(kit.requests[-1]).count("</note ") == len(margin_calls(kit))


def test_a_margin_whose_verdict_cannot_be_read_is_kept(tmp_path):
    def handler(request):
        if is_margin(request):
            return "No trains ran that day." if "Paragraph 3." in fenced(request)[-1] else "NO"
        return "Done."

    kit = Kit(MARGINS % "", handler, tmp_path)
    assert kit.run(CODED).results[0].value == "Done."
    assert re.findall(r"<note \w+>\n(.*)", content(kit.requests[-1])) == ["No trains ran that day."]


def test_a_yes_without_a_note_still_means_that_the_document_answers(tmp_path):
    def handler(request):
        return "YES" if is_margin(request) else "It is 17."

    kit = Kit(MARGINS % ", empty: Not there., show: margins", handler, tmp_path)
    assert kit.run(CODED).results[0].value == {"answer": "It is 17.", "margins": []}
    kit = Kit(MARGINS % ", empty: Not there., mode: segments", handler, tmp_path)
    assert kit.run(CODED).results[0].value == "Not there."


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
def test_no_margin_at_all_gives_the_pipelines_own_words_unasked(mode, tmp_path):
    kit = Kit(MARGINS % f", mode: {mode}, empty: Not there.", reader, tmp_path)
    (result,) = kit.run(story()).results
    assert result.value == "Not there."
    assert not any(map(is_answer, kit.requests))


def test_without_such_words_the_document_is_asked_or_the_run_fails(tmp_path):
    kit = Kit(MARGINS % "", reader, tmp_path)
    assert kit.run(story()).results[0].value == "It does not say."
    assert "<note" not in content(kit.requests[-1])
    (result,) = Kit(MARGINS % ", mode: segments", reader, tmp_path).run(story()).results
    assert isinstance(result.error, ReplyError)


def test_a_document_of_one_segment_is_answered_at_once(tmp_path):
    kit = Kit(MARGINS % ", empty: Not there.", lambda _: "It is 17.", tmp_path)
    (result,) = kit.run("The code of red is 17.").results
    assert result.value == "It is 17."
    assert len(kit.requests) == 1
    assert kit.plan("The code of red is 17.").calls == (1, 1)


def test_several_questions_share_the_document_and_are_answered_in_order(tmp_path):
    kit = Kit(MARGINS % "", reader, tmp_path)
    asked = ["What is blue?", "What is red?", "What is blue?"]
    (result,) = kit.run(CODED, params={"question": asked}).results
    answers = [(answer.asked, answer.value) for answer in result.answers]
    assert answers == list(zip(asked, ["blue=99", "red=17", "blue=99"], strict=True))
    assert str(result.value).startswith("## What is blue?\n\nblue=99\n\n## What is red?")
    segments = {len(fenced(r)) for r in margin_calls(kit)}
    assert len(margin_calls(kit)) == 2 * len(segments)
    longest = max(map(until_segment, kit.requests), key=len)
    for request in kit.requests:
        assert longest.startswith(until_segment(request))
        assert content(request)[len(until_segment(request)) :].count("What is") <= 1


def test_the_other_questions_wait_for_the_first_call_on_a_segment(tmp_path):
    """While the first call on a segment has not started, no other one on it is sent."""
    flying = []

    async def handler(request):
        if is_margin(request):
            size = len(fenced(request))
            first = size not in {each for each, _ in flying}
            assert first or size in {each for each, _ in seen}
            flying.append((size, question(request)))
            for _ in range(10):
                await asyncio.sleep(0)
            seen.add((size, question(request)))
        return reader(request)

    seen = set()
    kit = Kit(MARGINS % ", classify: none", handler, tmp_path)
    (result,) = kit.run(story(8), params={"question": ["red?", "green?", "blue?"]}, jobs=8).results
    assert result.error is None
    assert len(flying) == len(seen) > 12


def test_a_document_over_the_window_is_read_by_segments_and_that_is_said(tmp_path):
    kit = Kit(LARGER, reader, tmp_path, window=4000)
    heard = Heard()
    (result,) = kit.run(CODED, watch=heard).results
    assert result.value == "red=17; green=4; blue=99"
    assert [notice for notice in heard.notices if "4,000" in notice and "alone" in notice]
    assert all(len(fenced(request)) == 1 for request in margin_calls(kit))
    low, high = kit.plan(CODED).calls
    assert low <= len(kit.requests) <= high


def test_a_document_over_the_window_is_refused_if_told_so(tmp_path):
    kit = Kit(LARGER.replace("read:", "overflow: fail, read:"), reader, tmp_path, window=4000)
    (result,) = kit.run(CODED).results
    assert isinstance(result.error, FitError)
    assert kit.requests == []
    with pytest.raises(FitError, match=r"4,000"):
        kit.plan(CODED)


def test_margins_that_cannot_fit_the_answer_are_refused_before_anything_is_sent(tmp_path):
    kit = Kit(MARGINS % "", reader, tmp_path, window=700)
    (result,) = kit.run(story(100)).results
    assert isinstance(result.error, FitError)
    assert "margins/answer" in result.error.message
    assert kit.requests == []


COLLAPSE = """, mode: segments, collapse: "{% for margin in margins %}{{ margin | fence('note') }}
  {% endfor %}Question: {{ question }}\\nCollapsed:\""""


def test_margins_that_do_not_fit_the_answer_are_collapsed_in_order(tmp_path):
    def handler(request):
        if content(request).endswith("Collapsed:"):
            return told(CODES.findall(content(request)))
        return reader(request)

    codes = [(place, f"c{place}", place) for place in range(0, 60, 6)]
    text = story(60, codes)
    kit = Kit(MARGINS % COLLAPSE, handler, tmp_path, window=640)
    low, high = kit.plan(text).calls
    (result,) = kit.run(text).results
    assert result.value == "; ".join(f"{name}={number}" for _, name, number in codes)
    collapsed = [r for r in kit.requests if content(r).endswith("Collapsed:")]
    assert collapsed
    assert low <= len(kit.requests) <= high


@pytest.mark.parametrize("window", [900, 1500, 4000, 20_000])
def test_no_prompt_exceeds_the_window(window, tmp_path):
    wordy = "YES: " + " ".join(["word"] * 44) + "."
    kit = Kit(MARGINS % "", lambda r: wordy if is_margin(r) else "Done.", tmp_path, window=window)
    (result,) = kit.run(CODED).results
    assert result.error is None or kit.requests == []


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
def test_a_plan_without_verdicts_is_exact(mode, tmp_path):
    kit = Kit(MARGINS % f", mode: {mode}, classify: none", reader, tmp_path)
    planned = kit.plan(CODED)
    kit.run(CODED)
    calls = len(kit.requests)
    assert planned.calls == (calls, calls)
    # A call that goes on from another's prompt waits for its start, and counts as behind it.
    assert planned.depth == (calls if mode == "cumulative" else 2)


@pytest.mark.parametrize("text", [CODED, story(12)])
@pytest.mark.parametrize("options", ["", ", empty: None., mode: segments", SEPARATE])
def test_a_run_lies_between_the_plans_bounds(options, text, tmp_path):
    kit = Kit(MARGINS % options, reader, tmp_path)
    low, high = kit.plan(text).calls
    (result,) = kit.run(text).results
    assert low <= result.totals.calls <= high
    again = kit.plan(text)
    assert again.steps[-1].cached == again.calls[0] == again.calls[1]


def unlucky(request):
    if is_margin(request) and "Paragraph 9." in fenced(request)[-1]:
        raise RequestError("no such luck")
    return reader(request)


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
def test_a_failed_margin_is_left_out_if_told_so_and_never_shown(mode, tmp_path):
    kit = Kit(MARGINS % f", mode: {mode}, on_error: skip", unlucky, tmp_path)
    (result,) = kit.run(CODED).results
    assert result.value == "red=17; green=4; blue=99"
    assert 0.8 < result.coverage < 1
    assert not any("luck" in content(request) for request in kit.requests)


def test_a_failed_margin_ends_the_document_otherwise(tmp_path):
    kit = Kit(MARGINS % "", unlucky, tmp_path)
    (result,) = kit.run(CODED).results
    assert result.error.message == "no such luck"
    assert "Paragraph 9." in fenced(kit.requests[-1])[-1]


class Heard(Silence):
    def __init__(self):
        self.notices = []
        self.notes = []

    def notice(self, message):
        self.notices.append(message)

    def note(self, source, step, note):
        self.notes.append((source, step, note.text, note.spans))


def test_margins_are_shown_to_whoever_watches_while_the_document_is_read(tmp_path):
    heard = Heard()
    Kit(MARGINS % "", reader, tmp_path).run(CODED, watch=heard)
    assert [text for _, _, text, _ in heard.notes] == [
        "The code of red is 17.",
        "The code of green is 4.",
        "The code of blue is 99.",
    ]
    for source, step, text, ((start, end),) in heard.notes:
        assert (source, step) == ("0.txt", "margins")
        assert text in CODED[start:end]


def test_a_verdict_of_its_own_needs_a_prompt(tmp_path):
    with pytest.raises(SpecErrors, match="judge"):
        Kit(MARGINS % ", classify: separate", reader, tmp_path).run(CODED)


def test_the_built_in_pipeline_answers_from_end_to_end(tmp_path):
    kit = Kit("", reader, tmp_path)
    kit.path = "margins"
    text = story(300, codes=[(20, "red", 17), (250, "blue", 99)])
    (result,) = kit.run(text, params={"question": "What is the code?"}).results
    assert result.value == "red=17; blue=99"
    low, high = kit.plan(text, params={"question": "What is the code?"}).calls
    assert low <= len(kit.requests) <= high
    (result,) = kit.run(story(300), params={"question": "What is the code?"}).results
    assert result.value == "The document does not answer this question."


def faulty(request):
    """Misbehave on three of five margins and verdicts, always in the same way on the same ones."""
    if is_answer(request):
        return reader(request)
    seed = int(hashlib.sha256(fenced(request)[-1].encode()).hexdigest(), 16)
    match seed % 10:
        case 0:
            return ""
        case 1:
            return Reply("FAULT and on and on", Finish.LENGTH)
        case 2:
            return Reply("FAULT: I cannot help with that.", Finish.REFUSAL)
        case 3:
            return "Perhaps so."
        case 4:
            raise RequestError("FAULT")
        case 5:
            return content(request)[-40:]
        case _:
            return reader(request)


@pytest.mark.parametrize("mode", ["cumulative", "segments"])
@pytest.mark.parametrize("classify", ["", SEPARATE, ", classify: none"])
def test_a_model_that_misbehaves_neither_hangs_a_run_nor_gets_into_later_prompts(
    classify, mode, tmp_path
):
    options = f", mode: {mode}, on_error: skip, empty: None.{classify}"
    kit = Kit(MARGINS % options, faulty, tmp_path)
    asked = ["What is the code?", "What is red?"]
    results = kit.run(CODED, story(9), CODED, params={"question": asked}).results
    assert [result.error for result in results] == [None, None, None]
    assert results[0].value == results[2].value
    assert 0 < results[0].coverage < 1
    assert not any("FAULT" in content(request) for request in kit.requests)
    for result in results:
        totals = result.totals
        assert sum(totals.outcomes.values()) - totals.outcomes[Outcome.SKIPPED] == totals.calls
        assert {Outcome.INVALID, Outcome.REFUSED, Outcome.FAILED} & totals.outcomes.keys()


def test_equal_documents_fail_alike_when_they_share_a_call(tmp_path):
    kit = Kit(MARGINS % "", unlucky, tmp_path)
    results = kit.run(CODED, CODED, CODED, keep_going=True).results
    assert [result.error.message for result in results] == ["no such luck"] * 3
