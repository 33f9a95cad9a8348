"""Keys: what enters them, and that those of an example stay as they are."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.backends.scripted.handlers import sentences
from octavo.engine.dispatch.key import compute_key
from octavo.protocols import Message, Request

GOLDEN = Path(__file__).parents[1] / "golden_keys.txt"
STORY = Path(__file__).parents[3] / "examples" / "story.md"
PARAMS = {"ask": {"question": "Who cast the bell?"}, "map": {"prompt": "List the people"}}
RECORD = {
    "extracted": "Found.",
    "rationale": "It says so.",
    "answer": "Found.",
    "has_info": True,
    "confidence": 5,
}

ASKED = Request((Message("system", "Be brief."), Message("user", "Hello.")), max_tokens=10)


@pytest.mark.parametrize(
    "other",
    [
        {"messages": (Message("user", "Be brief."), Message("user", "Hello."))},
        {"messages": (Message("system", "Be brief.H"), Message("user", "ello."))},
        {"max_tokens": 11},
        {"temperature": 0.0},
        {"schema": {"type": "object"}},
        {"logprobs": 5},
        {"sample": 1},
        {"attempt": 1},
    ],
)
def test_everything_that_may_change_a_reply_changes_the_key(other):
    changed = dataclasses.replace(ASKED, **other)
    assert compute_key(changed, identity="i", model="m") != compute_key(
        ASKED, identity="i", model="m"
    )


def test_the_backend_and_the_model_change_the_key():
    keys = {compute_key(ASKED, identity=i, model=m) for i in "ab" for m in "ab"}
    assert len(keys) == 4


def answer(request):
    return sentences(1)(request) if request.schema is None else RECORD


def keys(pipeline):
    backend = ScriptedBackend(answer, identity="golden")
    result = octavo.run(pipeline, STORY, model=backend, params=PARAMS.get(pipeline), jobs=1)
    assert result.results[0].error is None
    found = {
        compute_key(request, identity="golden", model="m").hex() for request in backend.requests
    }
    return "".join(f"{pipeline} {key[:16]}\n" for key in sorted(found))


def test_the_keys_of_an_example_stay_as_they_are():
    """A changed key makes everyone pay again for what they have.

    If that is meant (a built-in prompt or the borders of chunks changed), say so in CHANGELOG.md
    and replace the file by what this test prints.
    """
    found = "".join(keys(name) for name in ("ask", "map", "refine", "summarize"))
    # Lines with a slash are those of test_second_requests.
    kept = [line for line in GOLDEN.read_text().splitlines(True) if "/" not in line]
    assert found == "".join(kept), f"the keys are now:\n{found}"
