"""Which strategy carries which task through a document, and at what cost, with a perfect reader.

    python bench/ruler.py
    python bench/ruler.py --lengths 4k 64k --windows 8k --tasks variables --strategies ask memory
    python bench/ruler.py --lengths 256k > long.txt
    python bench/ruler.py --known long.txt --page docs/ruler.md

The documents are made after the tasks of RULER (Hsieh et al. 2024, arXiv 2404.06654), the replies
by a function that reads its prompt without mistakes and nothing else (haystack/reader.py). So what
a row shows is the strategy's own doing: `exact` when the answer is the right one, whole and with
nothing beside it; `no` where the strategy cannot solve the task, for the reason below the table,
and `luck` where it was right all the same; `refused` where the prompts cannot fit the window, which
is found before anything is sent. `WRONG` (it should have been exact) and `OVER` (a prompt exceeds
the window) are defects, and make the exit code 1. `largest` is the most tokens of a prompt and its
reply together, `depth` the longest chain of calls that wait for one another, `prompt` the tokens of
all prompts, and `saved` the share of them that a prefix cache would save, by the journal's prompts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.haystack.cache import PrefixCache
from bench.haystack.clock import virtually
from bench.haystack.page import FORM, HEADS, Place, Row, page, read, short, tokens
from bench.haystack.reader import Reader, answer_of
from bench.haystack.strategies import STRATEGIES, Strategy
from bench.haystack.tasks import TASKS, Question, Task

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

__all__ = ["Row", "measure"]

_COUNTER = get_counter("o200k_base")
_TEMPLATE = 8
"""Tokens that a chat template may add around one message."""


def main() -> None:
    options = _options()
    rows: dict[Place, Row] = {}
    print(FORM.format(*HEADS))
    for place, row in _measured(options):
        rows[place] = row
        task, length, window, strategy = place
        cells = (row.calls, row.depth, row.prompt, row.largest, f"{row.saved:.0%}")
        if row.verdict == "refused":
            cells = ("",) * 5
        shown = (short(length), short(window), strategy, row.verdict)
        print(FORM.format(task, *shown, *cells), flush=True)
    print()
    for strategy in STRATEGIES:
        for name, why in strategy.cannot.items():
            print(f"{strategy.name}, {name}: {why}")
    if options.page:
        options.page.write_text(page(rows), "utf-8")
    if wrong := sum(row.verdict in {"WRONG", "OVER"} for row in rows.values()):
        sys.exit(f"{wrong} rows are WRONG or OVER")


def _measured(options: argparse.Namespace) -> Iterator[tuple[Place, Row]]:
    """Yield the rows that are asked for; those known are not measured again."""
    known: dict[Place, Row] = {}
    for path in options.known:
        known |= read(path.read_text("utf-8").splitlines())
    strategies = [each for each in STRATEGIES if each.name in options.strategies]
    for task in TASKS:
        if task.name not in options.tasks:
            continue
        for length in options.lengths:
            question = task.make(length, options.seed, _COUNTER.count)
            for window, strategy in product(options.windows, strategies):
                place = (task.name, length, window, strategy.name)
                yield place, known.get(place) or measure(strategy, task, question, window)


def measure(strategy: Strategy, task: Task, question: Question, window: int) -> Row:
    """Run a strategy on a document for a window of tokens, and look at what it did."""
    with tempfile.TemporaryDirectory() as directory:
        job, backend = _job(strategy, question, window, Path(directory))
        results: list[Result] = []
        path = Path(directory, "journal.sqlite")
        with patch.dict(os.environ, {"OCTAVO_JOURNAL": str(path)}):
            report, seconds = virtually(execute(job, watch=Silence(), sink=results.append))
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
    encode = _COUNTER._encoding.encode_ordinary  # noqa: SLF001 - counters only count
    for (call,) in journal.query("SELECT id FROM calls"):
        messages = journal.read_messages(call)
        yield encode("\n".join(f"{message.role}:\n{message.content}" for message in messages))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    lengths = ["4k", "8k", "16k", "32k", "64k", "128k", "256k"]
    parser.add_argument("--lengths", nargs="+", type=tokens, default=list(map(tokens, lengths)))
    windows = list(map(tokens, ("4k", "8k", "32k", "320k")))
    parser.add_argument("--windows", nargs="+", type=tokens, default=windows)
    names = [task.name for task in TASKS]
    parser.add_argument("--tasks", nargs="+", choices=names, default=names)
    strategies = [strategy.name for strategy in STRATEGIES]
    parser.add_argument("--strategies", nargs="+", choices=strategies, default=strategies)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--known", nargs="+", type=Path, default=(), help="tables printed before")
    parser.add_argument("--page", type=Path, help="where to write the page of all rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
