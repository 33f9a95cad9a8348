"""The memory step: exact with a reader that makes no mistakes, and unharmed by one that does."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from tests.support.kit import Kit, fenced, paragraphs

from octavo.commands._cli.memory_states import iterate_seen_states
from octavo.engine.journal.database import find_journal_path
from octavo.engine.journal.runs import list_runs
from octavo.engine.journal.store import Journal
from octavo.errors import FitError, SpecErrors
from octavo.steps.memory.log import find_shown_memory

MEMORY = """
octavo: 1
steps:
  - split: {tokens: 200}
  - memory:
      prompt:
        system: "Remember by {{ schema }}"
        user: "{{ memory }}\\n{{ text | fence }}\\nRevisions:"
      answer: "ANSWER\\n{{ memory }}"
      schema: counts
      tokens: 300
      %s
"""
COUNTS = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "parts": {"type": "integer"},
        "vars": {"type": "object", "additionalProperties": {"type": "integer"}},
        "open": {"type": "object", "additionalProperties": {"type": "string"}},
    },
}
ASSIGNED = re.compile(r"VAR (\w+) = (\w+)\.")


def state_of(request):
    return find_shown_memory(request.messages[-1].content)


def revisions(*entries):
    return json.dumps(
        {"revisions": [{"path": p.split("/"), "op": op, "value": v} for p, op, v in entries]}
    )


def reader(request):
    """Follow assignments through all parts with nothing but the memory; count the parts."""
    state = state_of(request)
    if request.messages[-1].content.startswith("ANSWER"):
        return json.dumps(state, sort_keys=True)
    found = [("parts", "update", state.get("parts", 0) + 1)]
    known = dict(state.get("vars", {}))
    for name, value in ASSIGNED.findall(fenced(request)[-1]):
        known_before = name in known
        known[name] = int(value) if value.isdigit() else known[value]
        found.append((f"vars/{name}", "update" if known_before else "add", known[name]))
    return revisions(*found)


def variables(count):
    """Return a text where each variable is the one before it, and what they are worth."""
    lines, worth = [], {}
    for number in range(count):
        value = number * 11 if number % 5 == 0 else f"v{number - 1}"
        worth[f"v{number}"] = worth[value] if isinstance(value, str) else value
        lines.append(f"VAR v{number} = {value}. " + "filler words stand here " * 12)
    return "\n\n".join(lines), worth


def kit_of(tmp_path, options="mode: amendments", handler=reader, **more):
    (tmp_path / "counts.json").write_text(json.dumps(COUNTS))
    return Kit(MEMORY % options, handler, tmp_path, **more)


def prompts(kit):
    return ["\n".join(m.content for m in request.messages) for request in kit.requests]


def parts(kit):
    return [prompt for prompt in prompts(kit) if prompt.endswith("Revisions:")]


@pytest.mark.parametrize("mode", ["amendments", "in_place"])
def test_what_one_part_says_is_known_in_the_next_one(mode, tmp_path):
    text, worth = variables(40)
    kit = kit_of(tmp_path, f"mode: {mode}")
    (result,) = kit.run(text).results
    state = json.loads(result.value)
    assert state["vars"] == worth
    assert state["parts"] == len(parts(kit)) == len(kit.requests) - 1 > 5
    assert result.spans == ((0, len(text)),)
    plan = kit.plan(text)
    assert plan.calls == (len(kit.requests),) * 2
    assert plan.depth == len(kit.requests)


def test_each_prompt_begins_with_the_one_before_up_to_the_logs_end(tmp_path):
    kit = kit_of(tmp_path)
    kit.run(variables(40)[0])
    sent = parts(kit)
    for before, after in pairwise(sent):
        kept = before[: before.index("</log>")]
        assert after.startswith(kept)
        assert len(after[: after.index("</log>")]) > len(kept)


@pytest.mark.parametrize("mode", ["amendments", "in_place"])
def test_the_memory_after_every_part_is_read_back_from_the_journal(mode, tmp_path):
    text, worth = variables(20)
    kit = kit_of(tmp_path, f"mode: {mode}")
    kit.run(text)
    with Journal(find_journal_path()) as journal:
        (run, *_) = list_runs(journal, last=1)
        found = list(iterate_seen_states(journal, run.id))
    assert [each.state.get("parts", 0) for each in found] == list(range(len(kit.requests)))
    assert found[-1].state["vars"] == worth
    assert (found[0].source, found[0].step, found[0].state) == ("0.txt", "memory", {})


def test_in_place_rewrites_what_changed(tmp_path):
    kit = kit_of(tmp_path, "mode: in_place")
    kit.run(variables(40)[0])
    assert '<memory>\n{"parts": 3, "vars": {' in parts(kit)[3]


def test_a_long_log_is_written_anew_and_keeps_what_it_held(tmp_path):
    text, _ = variables(120)

    def handler(request):
        state = state_of(request)
        if request.messages[-1].content.startswith("ANSWER"):
            return json.dumps(state)
        return revisions(
            ("parts", "update", state.get("parts", 0) + 1),
            ("vars/a", "update", state.get("parts", 0)),
        )

    kit = kit_of(tmp_path, "log_tokens: 200", handler)
    (result,) = kit.run(text).results
    count = len(parts(kit))
    assert json.loads(result.value) == {"parts": count, "vars": {"a": count - 1}}
    logs = [prompt[prompt.index("<log>") : prompt.index("</log>")] for prompt in parts(kit)]
    resets = sum(not after.startswith(log) for log, after in pairwise(logs))
    assert 1 <= resets <= count // 3


def test_revisions_that_do_not_fit_are_asked_for_again_once_and_then_left_out(tmp_path):
    bad = ("nowhere", "add", 1), ("parts", "add", "many"), ("vars/a", "add", 1)

    def handler(request):
        if request.messages[-1].content.startswith("ANSWER"):
            return json.dumps(state_of(request))
        return revisions(*bad)

    kit = kit_of(tmp_path, handler=handler)
    text = paragraphs(12)
    report = kit.run(text)
    (result,) = report.results
    assert json.loads(result.value) == {"vars": {"a": 1}}
    again = [request for request in kit.requests if request.attempt == 1]
    assert len(again) == len(kit.requests) // 2
    told = again[0].messages[-1].content
    assert "nowhere: the schema has no such path" in told
    assert "parts: 'many' is not of type 'integer'" in told
    assert "vars/a" not in told
    assert all("nowhere" not in prompt for prompt in parts(kit))


def test_a_better_second_reply_is_taken_and_a_worse_one_is_not(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("ANSWER"):
            return json.dumps(state_of(request))
        if request.attempt == 0:
            return revisions(("parts", "update", 1), ("nowhere", "add", 1))
        better = "Paragraph 0." in request.messages[1].content
        return revisions(("parts", "update", 7)) if better else "no record at all"

    (result,) = kit_of(tmp_path, handler=handler).run("Paragraph 0.").results
    assert json.loads(result.value) == {"parts": 7}
    (result,) = kit_of(tmp_path, handler=handler).run("Another text.").results
    assert json.loads(result.value) == {"parts": 1}


def test_without_updates_nothing_that_is_remembered_is_replaced(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("ANSWER"):
            return json.dumps(state_of(request))
        said = 1 if "Paragraph 0." in fenced(request)[-1] else 2
        return revisions(("parts", "add", said), ("vars/a", "add", said))

    kit = kit_of(tmp_path, "updates: false", handler)
    (result,) = kit.run(paragraphs(4, words=90)).results
    assert json.loads(result.value) == {"parts": 1, "vars": {"a": 1}}
    ops = kit.requests[0].schema["properties"]["revisions"]["items"]["properties"]["op"]
    assert ops["enum"] == ["add"]


def test_empty_revisions_leave_the_memory_and_an_empty_one_has_its_own_answer(tmp_path):
    kit = kit_of(tmp_path, "empty: Nothing.", lambda request: revisions())
    plan = kit.plan(paragraphs(12))
    assert kit.run(paragraphs(12)).text == "Nothing."
    assert len({prompt[: prompt.index("</log>")] for prompt in parts(kit)}) == 1
    assert plan.calls == (len(kit.requests), len(kit.requests) + 1)


def test_without_an_answer_prompt_the_memory_is_the_result(tmp_path):
    text, worth = variables(20)
    kit = kit_of(tmp_path)
    kit.path.write_text(kit.path.read_text().replace('answer: "ANSWER\\n{{ memory }}"', ""))
    (result,) = kit.run(text).results
    assert result.value["vars"] == worth


def test_a_schema_is_proposed_from_the_question_first(tmp_path):
    def handler(request):
        if request.messages[-1].content.startswith("PROPOSE"):
            assert "list_by_name" in request.messages[-1].content
            field = {"name": "vars", "type": "number_by_name", "about": "Their values."}
            return json.dumps({"fields": [field]})
        if request.attempt or request.messages[-1].content.startswith("ANSWER"):
            return reader(request)
        reply = json.loads(reader(request))
        return json.dumps({"revisions": reply["revisions"][1:]})  # it has no `parts`

    text, worth = variables(20)
    kit = kit_of(tmp_path, "propose: \"PROPOSE {{ types | join(' ') }}\"", handler)
    kit.path.write_text(kit.path.read_text().replace("schema: counts", "schema: generate"))
    (result,) = kit.run(text).results
    assert json.loads(result.value) == {"vars": worth}
    assert "Their values." in parts(kit)[0]
    plan = kit.plan(text)
    assert plan.calls == (len(kit.requests),) * 2
    assert plan.depth == len(kit.requests)


def test_generating_needs_a_prompt_for_it(tmp_path):
    kit = kit_of(tmp_path)
    kit.path.write_text(kit.path.read_text().replace("schema: counts", "schema: generate"))
    with pytest.raises(SpecErrors, match="propose"):
        kit.run("text")


def test_a_part_that_cannot_be_read_is_left_out_and_its_failure_is_not_remembered(tmp_path):
    text, worth = variables(40)

    def handler(request):
        return "Sorry, I can't." if "VAR v21 =" in prompt_of(request) else reader(request)

    def prompt_of(request):
        return "" if len(fenced(request)) == 0 else fenced(request)[-1]

    kit = kit_of(tmp_path, "on_error: skip", handler)
    (result,) = kit.run(text.replace("= v", "= 7")).results
    assert 0.8 < result.coverage < 1
    assert "Sorry" not in "".join(parts(kit)[30:])
    assert "v21" not in json.loads(result.value)["vars"]
    (result,) = kit_of(tmp_path, "on_error: fail", handler).run(text).results
    assert result.value is None
    assert worth


def test_what_cannot_fit_is_refused_before_anything_is_sent(tmp_path):
    kit = kit_of(tmp_path, "log_share: 0.6", window=1000)
    with pytest.raises(FitError, match="memory of up to 600 tokens"):
        kit.plan(paragraphs(30))
    (result,) = kit.run(paragraphs(30)).results
    assert isinstance(result.error, FitError)
    assert not kit.requests


def test_no_prompt_exceeds_its_window_however_much_is_remembered(tmp_path):
    def greedy(request):
        state = state_of(request)
        if request.messages[-1].content.startswith("ANSWER"):
            return "Done."
        start = len(state.get("open", {}))
        more = [(f"open/n{start + n}", "add", "many words " * 5) for n in range(8)]
        return revisions(*more)

    kit = kit_of(tmp_path, "log_tokens: 4000", greedy, window=2100)
    text = paragraphs(60)
    assert 1200 < kit.plan(text).largest <= 2100
    (result,) = kit.run(text).results
    assert result.error is None
    assert 4 < len(state_of(kit.requests[-1])["open"]) < 12


def words(text):
    return re.findall(r"\w+|[^\w\s]|\s+", text)


def computed(sent):
    """Words that a server computes that keeps the longest beginning of the prompt before."""
    total, before = 0, ""
    for prompt in sent:
        same = next(
            (at for at, pair in enumerate(zip(prompt, before, strict=False)) if len({*pair}) > 1),
            min(len(prompt), len(before)),
        )
        total += len(words(prompt[same:]))
        before = prompt
    return total


def test_a_prefix_cache_computes_each_part_once(tmp_path):
    """At most 1.05 of document, instructions of each call and replies; in place it is more."""
    text, _ = variables(300)
    ratio = {}
    for mode in ("amendments", "in_place"):
        kit = kit_of(tmp_path, f"mode: {mode}", notes)
        kit.path.write_text(kit.path.read_text().replace("tokens: 200", "tokens: 1000"))
        kit.run(text)
        sent, replies = prompts(kit), sum(len(words(notes(r))) for r in kit.requests)
        frame = len(words(re.sub(r"<text.*</text \w+>", "", parts(kit)[0], flags=re.DOTALL)))
        tail = len(words("\n<text 01234567>\n\n</text 01234567>\nRevisions:</log>\n"))
        ideal = frame + len(words(text)) + replies + tail * len(sent)
        ratio[mode] = computed(sent) / ideal
    assert ratio["amendments"] <= 1.05
    assert ratio["in_place"] > ratio["amendments"]


def notes(request):
    """Remember two things of every part and change one."""
    state = state_of(request)
    if request.messages[-1].content.startswith("ANSWER"):
        return "Done."
    name = fenced(request)[-1].split()[1]
    return revisions(
        ("parts", "update", state.get("parts", 0) + 1),
        (f"open/{name}", "add", "what this part says about it"),
    )


def test_the_built_in_pipeline_runs_from_a_plan_to_an_answer(tmp_path):
    def handler(request):
        prompt = request.messages[-1].content
        if prompt.startswith("The memory;"):
            facts = state_of(request)["facts"]
            return f"{len(facts['Paragraphs'])} paragraphs, last {facts['Paragraphs'][-1]}."
        last = re.findall(r"Paragraph (\d+)", fenced(request)[-1])[-1]
        return revisions(("facts/Paragraphs", "add", last))

    kit = Kit("", handler, tmp_path, window=16000)
    kit.path = "memory"
    question = {"question": "Which paragraphs are there?"}
    text = paragraphs(120)
    plan = kit.plan(text, params=question)
    (result,) = kit.run(text, params=question).results
    count = len(kit.requests) - 1
    assert result.value == f"{count} paragraphs, last 119."
    assert plan.calls == (count, count + 1)
