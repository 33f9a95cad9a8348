"""Chunks that begin where a pattern matches which a model wrote for the document.

After the LLM-regex splitter of Adaptive Chunking (2026, arXiv 2603.25333): the model sees the
beginning of the document and writes one regular expression for the lines that begin its sections.
One call a document, the cheapest way to ask a model where to split. The pattern runs under a time
limit. A pattern that exceeds the limit, is not a valid pattern, or divides nothing is not applied
at all: the document is split by structure, with a notice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from octavo.chunkers._support.model_boundaries import await_proposal, merge_small, split_at_places
from octavo.errors import UsageError
from octavo.protocols import JsonSchema, PromptMark, PromptRef
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Work
from octavo.protocols.tokens import Counter
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.note import Prediction
from octavo.text.pattern import compile_pattern
from octavo.text.span import Span

__all__ = ["CHUNKER", "Regex", "match_pattern"]


_SECONDS = 10.0
"""The longest that a pattern may take over a document."""

_CHARACTERS_PER_TOKEN = 6
"""Characters a token that are looked at for the sample: more than text has."""

_FALLBACK = "splitting by structure"
_SCHEMA: JsonSchema = {
    "type": "object",
    "properties": {"pattern": {"type": "string", "minLength": 1, "maxLength": 300}},
    "required": ["pattern"],
    "additionalProperties": False,
}


class Regex(Options):
    """Options of the chunker."""

    tokens: int = Field(2000, ge=16, description="the most tokens of a chunk")
    least: int = Field(
        200, ge=0, description="chunks below so many tokens are joined on, if both fit"
    )
    sample: int = Field(4000, ge=100, description="tokens of the document that the model sees")
    prompt: Annotated[PromptRef, PromptMark("sample")] = Field(
        "chunk/regex", description="the prompt; it sees `sample`, how the document begins"
    )


async def _run(
    document: Document, options: Regex, counter: Counter, work: Work | None
) -> tuple[Chunk, ...]:
    if work is None:
        raise UsageError("the chunker 'regex' asks a model", hint="put it into a pipeline")
    if not document.text:
        return ()
    call = work.ask(
        work.prompt(options.prompt),
        {"sample": document.slice(_choose_sample(document.text, options.sample, counter))},
        tokens=200,
        schema=_SCHEMA,
        node="the pattern",
        levels=work.after,
        check=partial(_find_faults, document.text),
    )
    answer = await await_proposal(call, work, fallback=_FALLBACK)
    if answer is None:
        found = []
    elif answer.predicted is not None or isinstance(answer.value, str):
        lines = [at + 1 for at, sign in enumerate(document.text[:-1]) if sign == "\n"]
        found = lines if answer.predicted is Prediction.LONG else []
    else:
        found = await _find_matches(answer.value["pattern"], document.text, work)
    chosen = merge_small(document, found, counter, least=options.least, most=options.tokens)
    return split_at_places(document, chosen, options.tokens, counter)


async def _find_matches(pattern: str, text: str, work: Work) -> list[int]:
    """Return where a pattern matches; an unusable pattern matches nowhere, with a notice."""
    try:
        found = await asyncio.to_thread(match_pattern, pattern, text)
    except ValueError as error:
        work.notice(f"the pattern {pattern!r} cannot be used: {error}; {_FALLBACK}")
        return []
    if not found:
        work.notice(f"the pattern {pattern!r} divides nothing; {_FALLBACK}")
    return found


def match_pattern(pattern: str, text: str) -> list[int]:
    """Return where a pattern matches, each line's start and end being that of `^` and `$`.

    Raises ValueError when it is not a valid pattern, or takes too long or too much memory.
    """
    try:
        compiled = compile_pattern(pattern, multiline=True)
        found = {match.start() for match in compiled.finditer(text, timeout=_SECONDS)}
    except TimeoutError as error:
        raise ValueError(f"it takes more than {_SECONDS:g} s") from error
    except (MemoryError, OverflowError, RecursionError) as error:
        raise ValueError("it takes too much memory") from error
    return sorted(place for place in found if 0 < place < len(text))


def _find_faults(text: str, record: Mapping[str, Any]) -> list[str]:
    try:
        found = match_pattern(record["pattern"], text)
    except ValueError as error:
        return [f"the pattern cannot be used: {error}"]
    return [] if found else ["the pattern matches nowhere behind the beginning of the document"]


def _choose_sample(text: str, tokens: int, counter: Counter) -> Span:
    """Return the beginning of a text up to a line's end, of at most so many tokens."""
    end = min(len(text), tokens * _CHARACTERS_PER_TOKEN)
    while end > 1 and counter.count(text[:end]) > tokens:
        end = end * 3 // 4
    line = text.rfind("\n", 0, end) + 1 if end < len(text) else end
    return Span(0, line or end)


CHUNKER = ChunkerType(
    name="regex",
    about="begins where a pattern matches that a model wrote for the document",
    version=1,
    options=Regex,
    run=_run,
    asks=lambda _: True,
)
