"""What a result looks like as bytes: the same on a terminal, in a pipe and in a file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import repeat
from typing import Any

from octavo.commands.findings import FindingsFormat, format_findings
from octavo.engine.report import QuestionAnswer, Result, Totals

__all__ = ["as_json", "as_row", "as_text", "encode"]


def as_text(result: Result) -> str:
    """Return the result's value, ending with exactly one newline; records as indented JSON.

    What a review found is one line a finding, and its quote under it.
    """
    value = result.value
    if result.findings is not None:
        return format_findings(result.findings, FindingsFormat.TEXT)
    if value is None:
        return ""
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, indent=2)
    return value.rstrip("\n") + "\n"


def as_json(result: Result, run: str) -> str:
    """Return one line: the result, where it came from, its coverage, its usage and the run.

    A pipeline that gives an answer for each question has `answers`, each with its own sources.
    """
    line: dict[str, Any] = {
        "source": result.source,
        "result": result.value,
        "sources": _list_sources(result, result.source),
        "coverage": round(result.coverage, 6),
        "usage": as_usage(result.totals),
        "run": run,
    }
    if result.answers:
        line["answers"] = [_as_answer(each, result.source) for each in result.answers]
    if result.metadata:
        line["metadata"] = dict(result.metadata)
    if result.error is not None:
        line["error"] = result.error.message
    return json.dumps(line, ensure_ascii=False) + "\n"


def _as_answer(answer: QuestionAnswer, source: str) -> Mapping[str, Any]:
    sources = _list_sources(answer, source)
    return {answer.name: answer.asked, "result": answer.value, "sources": sources}


def _list_sources(told: Result | QuestionAnswer, source: str) -> list[Mapping[str, Any]]:
    origins = told.origins or repeat(source, len(told.spans))
    return [
        {"source": origin, "start": span.start, "end": span.end, "place": place}
        for origin, span, place in zip(origins, told.spans, told.places, strict=True)
    ]


def as_row(result: Result) -> dict[str, Any]:
    """Return a document's row: its metadata as they came, its source, and the result or error.

    A column of the document keeps its name; where it is one of ours, ours is `octavo.source` and
    so on.
    """
    ours: dict[str, Any] = {"source": result.source, "result": result.value}
    if result.error is not None:
        ours["error"] = result.error.message
    row = dict(result.metadata)
    for name, value in ours.items():
        row[f"octavo.{name}" if name in result.metadata else name] = value
    return row


def as_usage(totals: Totals) -> Mapping[str, Any]:
    """Return totals as `--json` writes them; what the backend never said is null."""
    return {
        "calls": totals.calls,
        "sent": totals.sent,
        "prompt_tokens": totals.prompt,
        "completion_tokens": totals.completion,
        "cached_tokens": totals.cached,
        "hit_rate": _round_share(totals.hit_rate),
        "ideal_hit_rate": _round_share(totals.ideal_rate),
        "outcomes": {str(outcome): count for outcome, count in totals.outcomes.items()},
    }


def _round_share(share: float | None) -> float | None:
    return None if share is None else round(share, 4)


def encode(text: str) -> bytes:
    """Return the text as UTF-8, whatever the locale; half a surrogate pair becomes `?`."""
    return text.encode("utf-8", "replace")
