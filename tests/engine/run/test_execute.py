"""Documents through a run: nothing waits for a neighbour, and memory holds a few of them."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from tests.support.clock import run_virtually

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Profile
from octavo.text.document import Document

PIPELINE = """\
octavo: 1
steps:
  - split: {by: structure, tokens: 40}
  - map: {prompt: "Part: {{ text }}", tokens: 40}
  - merge: {prompt: "Merge: {% for note in notes %}{{ note }};{% endfor %}", tokens: 40, fan_in: 2}
"""


class Clocked:
    """Answers after `seconds(text)` and remembers when each call was sent and answered."""

    def __init__(self, seconds=lambda text: 1.0):
        self.seconds = seconds
        self.sent = []
        self.answered = {}

    async def __call__(self, request):
        text = request.messages[-1].content
        now = asyncio.get_running_loop().time
        self.sent.append((now(), text))
        await asyncio.sleep(self.seconds(text))
        self.answered[text] = now()
        return text.partition(":")[0][0] + str(len(self.answered))


@pytest.fixture
def fold(tmp_path):
    """Return a function that folds texts on virtual time; gives the seconds and the results."""
    path = tmp_path / "p.yaml"
    path.write_text(PIPELINE)

    def run(handler, *texts, sink=None, documents=None, profile=None, **options):
        results = []
        registry = Registry()
        job = Job(
            pipeline=load_pipeline(str(path), registry),
            params={},
            inputs=documents or [Document(text, f"{n}.txt") for n, text in enumerate(texts)],
            profile=Profile(model="scripted:x", tokenizer="estimate", **(profile or {})),
            registry=registry,
            backend=ScriptedBackend(handler, identity="scripted:run"),
            private=True,
            **options,
        )
        _, seconds = run_virtually(execute(job, watch=Silence(), sink=sink or results.append))
        return seconds, results

    return run


def sections(count, name="w"):
    return "\n\n".join(f"# S{n}\n\n" + f"{name}{n} word " * 9 + "." for n in range(count))


def parts(handler):
    return [text for _, text in handler.sent if text.startswith("Part")]


def test_a_straggler_delays_only_what_depends_on_it(fold):
    slow = Clocked(lambda text: 100.0 if "w0 " in text else 1.0)
    seconds, _ = fold(slow, sections(16), jobs=64)
    merges = [(sent, text) for sent, text in slow.sent if text.startswith("Merge")]
    leaves = len(parts(slow))
    assert leaves >= 12
    # All merges but those above the straggler were done long before it.
    late = [sent for sent, _ in merges if sent >= 100.0]
    assert 1 <= len(late) <= 6 < len(merges) - 1
    assert max(sent for sent, _ in merges if sent < 100.0) < 10.0
    assert seconds == pytest.approx(100.0 + len(late), abs=0.5)


def test_a_merge_is_asked_while_other_parts_still_wait(fold):
    handler = Clocked()
    fold(handler, sections(16), jobs=2)
    first_merge = next(sent for sent, text in handler.sent if text.startswith("Merge"))
    last_part = max(sent for sent, text in handler.sent if text.startswith("Part"))
    assert first_merge <= last_part + 1


def test_parts_go_before_merges_and_earlier_documents_before_later_ones(fold):
    handler = Clocked()
    fold(handler, sections(6, "one"), sections(6, "two"), jobs=1)
    kinds = "".join("P" if text.startswith("Part") else "M" for _, text in handler.sent)
    first = kinds.index("M")
    assert "M" not in kinds[:first]
    ones = [number for number, (_, text) in enumerate(handler.sent) if "one" in text]
    twos = [number for number, (_, text) in enumerate(handler.sent) if "two" in text]
    assert max(ones) < min(twos)
    # The first document's merges, which finish it, go before the second one's parts as well.
    assert kinds[: len(kinds) // 2].endswith("M")


def test_a_second_document_uses_what_the_first_leaves_idle(fold):
    handler = Clocked()
    seconds, results = fold(handler, *(f"Only {n} words." for n in range(40)), jobs=20)
    assert seconds == pytest.approx(2.0)
    assert [result.source for result in results] == [f"{n}.txt" for n in range(40)]


def test_a_sink_that_takes_its_time_delays_no_call_and_holds_few_documents(fold):
    opened, taken = [], []

    def documents():
        for number in range(300):
            opened.append(number)
            yield Document(f"Text {number} is short.", f"{number}.txt")

    reader = asyncio.Event()

    async def sink(result):
        if not taken:
            await reader.wait()
        taken.append(result.source)

    def answer(request):
        if "Text 60 " in request.messages[-1].content:
            asyncio.get_running_loop().call_later(50.0, look)
        return "Said."

    def look():
        seen.append(len(opened))
        reader.set()

    seen = []
    fold(answer, documents=documents(), sink=sink, jobs=4)
    assert 60 < seen[0] <= 66
    assert taken == [f"{number}.txt" for number in range(300)]


def test_a_profile_asks_for_second_copies_of_slow_calls(fold):
    def seconds(text):
        first = text not in seen
        seen.add(text)
        return 100.0 if first and "w20 " in text else 1.0

    seen = set()
    handler = Clocked(seconds)
    plain, _ = fold(handler, sections(30), jobs=64)
    assert plain > 100
    seen.clear()
    hedged, _ = fold(again := Clocked(seconds), sections(30), jobs=64, profile={"hedge": 2.5})
    assert hedged < 15
    slow = sum("w20 " in text for _, text in handler.sent)
    assert len(again.sent) == len(handler.sent) + slow


def test_a_profile_states_how_many_calls_a_minute_are_sent(fold):
    handler = Clocked(lambda text: 0.01)
    profile = {"requests_per_minute": 60}
    fold(handler, *(f"Only {n} words." for n in range(20)), jobs=20, profile=profile)
    times = [sent for sent, _ in handler.sent]
    assert len(times) == 20
    assert min(later - sooner for sooner, later in pairwise(times)) > 0.99
