"""Whether each chunker splits a real document: offline, or with what the embedded model replies.

    python bench/embedded_chunkers.py
    python bench/embedded_chunkers.py --file book.md --by shift anchors --tokens 1000

It proves the path, not the quality: the model has 135 million parameters, and what it replies badly
must cost neither text nor the document. Each runs as a pipeline, anew; `rows` and `code` have
examples of their own, and `situate` is how `structure` does with a situating note for each chunk.
`lossless` says whether the chunks join to the document, `over` counts those above the budget, by
the model's tokenizer; `beside` are the names of the context that chunks have.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from octavo.config.profiles import resolve_model
from octavo.engine.report import Silence
from octavo.engine.run.execute import execute
from octavo.engine.run.job import Job
from octavo.loaders.code import LOADER as CODE
from octavo.loaders.markdown import LOADER as MARKDOWN
from octavo.loaders.text import LOADER as TEXT
from octavo.pipeline.reader import read_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import Kind, Options, StepType, Work
from octavo.text.note import PendingNote

_EXAMPLES = Path(__file__).parents[1] / "examples"
_OWN = {"code": _EXAMPLES / "docs" / "balance.py", "rows": _EXAMPLES / "crossings.csv"}
_LOADERS = {".md": MARKDOWN, ".py": CODE}
_SITUATE = "situate"


@dataclass
class _Seen:
    """A step that hands on what it gets and keeps how much it was."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    beside: set[str] = field(default_factory=set)
    text: str = ""

    async def run(
        self, slots: Sequence[PendingNote], options: Options, work: Work
    ) -> Sequence[PendingNote]:
        del options
        self.text = work.document.text
        for slot in slots:
            note = await slot.note
            [(start, end)] = slot.spans
            self.spans.append((start, end))
            self.counts.append(work.counter.count(self.text[start:end]))
            self.beside |= {name for name, _ in (*slot.context, *(note.context if note else ()))}
        return slots

    @property
    def lossless(self) -> bool:
        return "".join(self.text[start:end] for start, end in self.spans) == self.text


def main() -> None:
    names = [*Registry().list_names("chunker"), _SITUATE]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", type=Path, default=_EXAMPLES / "story.md")
    parser.add_argument("--by", nargs="+", choices=names, default=names)
    parser.add_argument("--tokens", type=int, default=250, help="of a chunk")
    parser.add_argument("--model", default="llama:smollm2")
    options = parser.parse_args()
    form = "{:<11} {:<13} {:>7} {:>6} {:>6} {:>8} {:>5}  {:<34} {:<20} {}"
    head = ("by", "document", "seconds", "calls", "chunks", "lossless", "over")
    print(form.format(*head, "outcomes", "beside", "notices"))
    failed = 0
    for name in options.by:
        path = _OWN.get(name, options.file)
        begun = time.perf_counter()
        seen, result, notices = _run(name, path, options)
        seconds = time.perf_counter() - begun
        over = sum(count > options.tokens for count in seen.counts)
        failed += result.error is not None or not seen.lossless or over > 0
        outcomes = ", ".join(f"{n} {each}" for each, n in result.totals.outcomes.items())
        said = str(result.error or "; ".join(notices)).replace("\n", " ")
        lossless = "yes" if seen.lossless else "no"
        beside = ", ".join(sorted(seen.beside))
        counts = (f"{seconds:.1f}", result.totals.calls, len(seen.spans), lossless, over)
        print(form.format(name, path.name, *counts, outcomes, beside, said).rstrip(), flush=True)
    if failed:
        sys.exit(f"{failed} failed, lost text or went over the budget")


class _Notices(Silence):
    def __init__(self) -> None:
        self.said: list[str] = []

    def notice(self, message: str) -> None:
        self.said.append(message)


def _run(name: str, path: Path, options: argparse.Namespace):
    seen, watch = _Seen(), _Notices()
    look = StepType("look", "look", Options, frozenset({Kind.CHUNKS}), Kind.CHUNKS, seen.run)
    registry = Registry([look])
    split = f"by: {name}, tokens: {options.tokens}"
    if name == _SITUATE:
        split = f"tokens: {options.tokens}, situate: chunk/situate"
    elif "least" in registry.get_chunker(name).options.model_fields:
        split += f", least: {options.tokens // 4}"
    pipeline = f"octavo: 1\nsteps:\n  - split: {{{split}}}\n  - look: {{}}\n"
    with tempfile.TemporaryDirectory() as directory:
        journal = str(Path(directory, "journal.sqlite"))
        with patch.dict(os.environ, {"OCTAVO_JOURNAL": journal}):
            job = Job(
                pipeline=read_pipeline(pipeline, "bench.yaml", registry),
                params={},
                inputs=[_LOADERS.get(path.suffix, TEXT).load(path.read_bytes(), path.name, None)],
                profile=resolve_model(options.model, cwd=Path.cwd(), env=os.environ).profile,
                registry=registry,
            )
            results = []
            report = asyncio.run(execute(job, watch=watch, sink=results.append))
    if report.error is not None:
        raise report.error
    return seen, results[0], watch.said


if __name__ == "__main__":
    main()
