"""What a model is asked once more, and after that: keys and messages stay as they are.

The journal has these requests under their keys like all others. The messages are named by a hash
of their own, so that a changed key tells whether the words changed or what goes with them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.backends.scripted.handlers import sentences
from octavo.engine.dispatch.key import compute_key
from octavo.protocols import Finish, Reply

GOLDEN = Path(__file__).parents[1] / "golden_keys.txt"
STORY = Path(__file__).parents[3] / "examples" / "story.md"
PARAGRAPHS = [each for each in STORY.read_text().split("\n\n") if not each.startswith("#")]
PAGE = octavo.Document("\n\n".join(PARAGRAPHS[:5]), "page.txt")
"""A document of one part, without headings."""
QUESTION = {"question": "Who cast the bell?"}
RECORD = {
    "extracted": "Found.",
    "rationale": "It says so.",
    "answer": "Found.",
    "has_info": True,
    "confidence": 5,
}
ENDLESS = "Mara and Jonas rowed out to the tower and then "
LONG = "Mara and Jonas rowed out to the tower in the night. " * 60
PERSON = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
ASTRAY = {"head": "No such words stand", "tail": "anywhere in it."}


def steps(*lines):
    return "\n".join(["octavo: 1", "steps:", *(f"- {line}" for line in lines), ""])


def chunked(by, **options):
    """Return a pipeline whose chunker asks, and whose other calls are few."""
    said = "".join(f", {name}: {value}" for name, value in options.items())
    return steps(f"split: {{by: {by}{said}}}", 'map: {prompt: "Shorter: {{ text }}", tokens: 90}')


def refused(bad):
    """Return a handler that gives these records at first; texts and later records are fine."""

    def answer(request):
        if request.schema is None:
            return sentences(1)(request)
        return RECORD if request.attempt else bad

    return answer


def halved(request):
    """Cut what is said of the whole page, and find nothing in a half of it."""
    text = request.messages[-1].content
    whole = PARAGRAPHS[0] in text and PARAGRAPHS[4] in text
    return CUT_LIST if whole else {"records": []}


def unsatisfactory(bad):
    """Return a handler that gives this text at first and a fine one later."""
    return lambda request: sentences(1)(request) if request.attempt else bad


def shortened(request):
    """Answer too long, but where the words of the prompt name how long a text is."""
    long = request.messages[0].content.find("horten") < 0
    return LONG if long else sentences(1)(request)


def checked(request):
    if request.schema is None:
        return "Mara."
    return {"fine": "Aldous" in request.messages[-1].content, "note": "Mara and Aldous."}


def compressed(request):
    """Lose every name and make one up."""
    return "They stood by the water in Berlin." if request.sample == 0 else "They stood."


def chosen(request):
    properties = (request.schema or {}).get("properties", {})
    if "parts" in properties:
        return {"answer": "Aldous.", "score": 3, "parts": "too few"}
    if "score" in properties:
        return {"reason": "It says so.", "score": 5}
    return sentences(1)(request)


@dataclass(frozen=True)
class Case:
    """A pipeline, by its name or as a text, on a document, and what answers it.

    What is asked a second time is looked at, or everything where nothing is or that is wanted.
    """

    pipeline: str
    answer: Callable
    params: Mapping[str, object] = field(default_factory=dict)
    document: object = PAGE
    everything: bool = False


CUT = Reply("The bell hangs in the lake. Mara Venn sold", Finish.LENGTH)
CUT_RECORD = Reply('{"extracted": "' + ENDLESS * 9, Finish.LENGTH)
CUT_LIST = Reply('{"records": [{"quote": "' + ENDLESS, Finish.LENGTH)
SPLIT = "split: {by: structure, tokens: 300}"

CASES = {
    "text/cut": Case("summarize", unsatisfactory(CUT), document=STORY),
    "text/cut-without-words": Case("map", unsatisfactory(CUT), {"prompt": "List the people"}),
    "text/empty": Case("summarize", unsatisfactory(" \n"), document=STORY),
    "record/prose": Case("ask", refused("Sorry, no."), QUESTION, STORY),
    "record/misfit": Case("ask", refused({"answer": 3}), QUESTION, STORY),
    "record/cut": Case("ask", refused(CUT_RECORD), QUESTION, STORY),
    "record/cut-list": Case(
        "extract", refused(CUT_LIST), {"schema": PERSON}, document=octavo.Document("Mara.", "a")
    ),
    "record/cut-twice": Case("extract", halved, {"schema": PERSON}, everything=True),
    "record/at-its-bound": Case(
        "ask", refused({**RECORD, "extracted": (ENDLESS * 60)[:2400]}), QUESTION, STORY
    ),
    "require/fold": Case(
        steps(
            SPLIT,
            "fold: {first: refine/first, next: refine/next, words: 20, tokens: 90,"
            " require: [sentence, length]}",
        ),
        unsatisfactory(ENDLESS * 3),
    ),
    "require/merge": Case(
        steps(
            SPLIT,
            'merge: {prompt: "{{ words }} words: {{ notes | join }}", words: 20, tokens: 90,'
            " require: [sentence, length]}",
        ),
        unsatisfactory(ENDLESS * 3),
    ),
    "check/pick": Case("gist", refused({"numbers": [99]}), QUESTION, STORY),
    "check/memory": Case(
        "memory",
        refused({"revisions": [{"path": ["nothing", "such"], "op": "add", "value": "x"}]}),
        QUESTION,
        STORY,
    ),
    "check/sections": Case("outline", refused({"sections": [{"title": "A", **ASTRAY}]})),
    "check/anchors": Case(chunked("anchors"), refused({"chunks": [ASTRAY]})),
    "check/outline": Case(
        chunked("outline"),
        refused({"outline": ["A"], "chunks": [{"title": "A", "core": "B.", **ASTRAY}]}),
    ),
    "check/questions": Case(
        chunked("questions"),
        refused({"questions": ["Who?"], "chunks": [{"question": "Who?", **ASTRAY}]}),
    ),
    "check/regex": Case(chunked("regex"), refused({"pattern": "(never"})),
    "check/regex-nowhere": Case(chunked("regex"), refused({"pattern": "^never"})),
    "check/shift": Case(chunked("shift"), refused({"paragraph": 99})),
    "rounds/map": Case(
        steps(
            "split: {tokens: 2000}",
            'map: {prompt: "List: {{ text }}", check: "Check: {{ text }} {{ note }}", refine: 2,'
            " tokens: 40}",
        ),
        checked,
    ),
    "rounds/select": Case(
        "lookup", chosen, {**QUESTION, "by": "relevance", "rounds": 2}, document=PAGE
    ),
    "rounds/compress": Case("compress", compressed),
    "rounds/fold": Case(
        steps(
            SPLIT,
            "fold: {first: refine/first, next: refine/next, shorten: refine/shorten, words: 20,"
            " tokens: 90}",
        ),
        shortened,
    ),
    "rounds/fold-previous": Case(
        steps(
            SPLIT,
            "fold: {first: refine/first, next: refine/next, shorten: refine/shorten, words: 20,"
            " tokens: 90, compress: previous}",
        ),
        shortened,
    ),
    "samples/vote": Case(
        steps("split: {tokens: 2000}", 'vote: {prompt: "Who? {{ text }}", tokens: 20, k: 2}'),
        lambda request: "Mara" if request.sample else "Aldous",
    ),
    "scores/perplexity": Case(chunked("perplexity", tokens=300, block=300), sentences(1)),
}


def described(name, case, folder):
    """Return a line for each request: the case, the attempt, the key and the messages' hash."""
    pipeline = case.pipeline
    if "\n" in pipeline:
        pipeline = folder / "pipeline.yaml"
        pipeline.write_text(case.pipeline)
    backend = ScriptedBackend(case.answer, identity="golden")
    octavo.run(pipeline, case.document, model=backend, params=case.params, jobs=1, keep_going=True)
    again = [each for each in backend.requests if each.attempt and not case.everything]
    lines = set()
    for request in again or backend.requests:
        key = compute_key(request, identity="golden", model="m").hex()
        messages = json.dumps([[each.role, each.content] for each in request.messages])
        digest = hashlib.sha256(messages.encode()).hexdigest()
        lines.add(f"{name} {request.attempt} key {key[:16]} messages {digest[:16]}\n")
    return "".join(sorted(lines))


@pytest.mark.parametrize("name", CASES)
def test_what_is_asked_once_more_stays_as_it_is(name, tmp_path):
    """A changed line makes everyone pay again for such a request.

    If that is meant, say so in CHANGELOG.md and put what this test prints in the place of the
    lines of that name.
    """
    found = described(name, CASES[name], tmp_path)
    kept = [line for line in GOLDEN.read_text().splitlines(True) if line.split()[0] == name]
    assert found == "".join(kept), f"the requests are now:\n{found}"
    assert found


def test_every_line_belongs_to_a_case():
    names = [line.split()[0] for line in GOLDEN.read_text().splitlines()]
    assert {name for name in names if "/" in name} == set(CASES)
