"""What a chunker that asks a model gets: the step's work, checked prompts, the journal, a plan."""

from __future__ import annotations

import asyncio
from typing import Annotated

import pytest
from pydantic import Field

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.plan.plan import forecast
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.errors import SpecErrors
from octavo.pipeline.reader import read_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import ChunkerType, Options, Profile, PromptMark, PromptRef
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span

TEXT = "One thing. Another thing. A third thing."


class Halves(Options):
    tokens: int = Field(2000, ge=16)
    prompt: Annotated[PromptRef, PromptMark("words_of_it")] = Field(description="Where to cut.")


async def halves(document, options, counter, work):
    """Cut once, before the word that the model names."""
    asked = work.ask(
        work.prompt(options.prompt), {"words_of_it": document.text}, tokens=20, node="the cut"
    )
    word = (await asked.reply).value
    cut = max(document.text.find(word), 0)
    spans = [Span(0, cut), Span(cut, len(document.text))] if cut else [Span(0, len(document.text))]
    return tuple(Chunk(span, counter.count(document.slice(span))) for span in spans)


CHUNKER = ChunkerType("halves", "two parts", 1, Halves, halves, asks=lambda _: True)
REGISTRY = Registry([CHUNKER])
PIPELINE = """
octavo: 1
steps:
  - split: {{by: halves, prompt: {{user: "Cut where? {{{{ {name} }}}}"}}}}
  - map: {{prompt: {{user: "Say it again: {{{{ text }}}}"}}}}
"""


def job(replies):
    sent = []

    def answer(request):
        sent.append(request.messages[-1].content)
        return replies(sent[-1])

    made = Job(
        pipeline=read_pipeline(PIPELINE.format(name="words_of_it"), "p.yaml", REGISTRY),
        params={},
        inputs=[Document(TEXT, "t.txt")],
        profile=Profile(model="scripted:test"),
        registry=REGISTRY,
        backend=ScriptedBackend(answer, identity="scripted:test"),
    )
    return made, sent


def test_borders_come_from_replies_and_are_not_paid_for_twice(empty_home):
    results = []
    for _ in range(2):
        made, sent = job(lambda prompt: "Another" if "Cut" in prompt else prompt[14:])
        asyncio.run(execute(made, watch=Silence(), sink=results.append))
    assert results[0].value == "One thing.\n\nAnother thing. A third thing."
    assert results[1].value == results[0].value
    assert sent == []


def test_the_plan_counts_the_calls_of_the_chunker(empty_home):
    made, _ = job(str)
    plan = asyncio.run(forecast(made))
    assert [(step.step, step.calls_low) for step in plan.steps] == [("split", 1), ("map", 1)]
    assert plan.depth == 2


def test_the_prompts_of_a_chunker_are_checked_before_any_call():
    with pytest.raises(SpecErrors, match="words_off"):
        read_pipeline(PIPELINE.format(name="words_off"), "p.yaml", REGISTRY)
