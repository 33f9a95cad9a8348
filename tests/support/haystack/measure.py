"""Runs a strategy on a document, read by the perfect reader, and looks at what it did."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml
from tests.support.clock import run_virtually
from tests.support.haystack.cache import PrefixCache
from tests.support.haystack.page import Row
from tests.support.haystack.reader import Reader, answer_of
from tests.support.haystack.strategies import Strategy
from tests.support.haystack.tasks import Question, Task

from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.journal.store import Journal
from octavo.engine.report import Result, Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.errors import FitError
from octavo.pipeline.params import resolve_params
from octavo.pipeline.reader import load_pipeline
from octavo.protocols import Capabilities, Profile, Reply, Request
from octavo.text.document import Document
from octavo.tokens.choose import get_counter
from octavo.tokens.toktok import Toktok

__all__ = ["measure"]

_COUNTER = get_counter("o200k_base")
_TEMPLATE = 8
"""Tokens that a chat template may add around one message."""


def measure(strategy: Strategy, task: Task, question: Question, window: int) -> Row:
    """Run a strategy on a document for a window of tokens, and look at what it did."""
    with tempfile.TemporaryDirectory() as directory:
        job, backend = _job(strategy, question, window, Path(directory))
        results: list[Result] = []
        path = Path(directory, "journal.sqlite")
        with patch.dict(os.environ, {"OCTAVO_JOURNAL": str(path)}):
            report, seconds = run_virtually(execute(job, watch=Silence(), sink=results.append))
        (result,) = results
        if isinstance(result.error, FitError) and report.totals.sent == 0:
            return Row("refused")
        if result.error is not None:
            raise result.error
        cache = PrefixCache()
        with Journal(path) as journal:
            cache.read(_tokens(journal))
    found = answer_of(result.value)
    if strategy.name == "count":
        found = found[: len(question.answer)]
    right = found == list(question.answer) or (
        not task.ordered and sorted(found) == sorted(question.answer)
    )
    verdict = "exact" if right else "WRONG"
    seen = strategy.whole and backend.largest > _COUNTER.count(question.text)
    if task.name in strategy.cannot and not seen:
        verdict = "luck" if right else "no"
    if backend.largest > window:
        verdict = "OVER"
    return Row(
        verdict,
        report.totals.calls,
        round(seconds),
        cache.prompt,
        backend.largest,
        cache.saved / max(1, cache.prompt),
    )


class _Backend(ScriptedBackend):
    """Answers after a second of virtual time, and keeps the size of the largest call."""

    def __init__(self, window: int) -> None:
        known = Capabilities(window=window, tokenizer="o200k_base")
        identity = "scripted:perfect reader"
        super().__init__(self._answer, identity=identity, known=known, keep_requests=False)
        self._reader = Reader(_COUNTER.count)
        self.largest = 0

    async def _answer(self, request: Request) -> Reply:
        prompt = sum(_COUNTER.count(message.content) + _TEMPLATE for message in request.messages)
        self.largest = max(self.largest, prompt + request.max_tokens)
        await asyncio.sleep(1)
        return self._reader(request)


def _job(
    strategy: Strategy, question: Question, window: int, directory: Path
) -> tuple[Job, _Backend]:
    path = directory / "pipeline.yaml"
    path.write_text(yaml.safe_dump(strategy.pipeline(window), sort_keys=False), "utf-8")
    pipeline = load_pipeline(str(path))
    names = {param.name for param in pipeline.params}
    given: Mapping[str, Any] = {"question": question.question}
    if "what" in names:
        given = {"what": f"words. {question.question}"}
    backend = _Backend(window)
    job = Job(
        pipeline=pipeline,
        params=resolve_params(pipeline.params, given),
        inputs=[Document(question.text, "haystack.txt")],
        profile=Profile(model="scripted:perfect"),
        jobs=100_000,
        backend=backend,
    )
    return job, backend


def _tokens(journal: Journal) -> Iterator[Sequence[int]]:
    """Yield the tokens of each prompt in the journal."""
    assert isinstance(_COUNTER, Toktok)
    encode = _COUNTER._encoding.encode_ordinary
    for (call,) in journal.query("SELECT id FROM calls"):
        messages = journal.read_messages(call)
        yield encode("\n".join(f"{message.role}:\n{message.content}" for message in messages))
