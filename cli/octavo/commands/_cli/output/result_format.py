"""What results are written as: text, JSON, JSON Lines or CSV.

The bytes of a result are the same in a pipe and in a file; on a terminal, what would steer it is
made visible.
"""

from __future__ import annotations

import csv
import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from octavo.commands._cli.options.run_options import FORMATS_BY_SUFFIX
from octavo.commands._cli.output.findings_format import format_findings
from octavo.config.run_options import FindingsFormat, ResultFormat
from octavo.engine.report import QuestionAnswer, Result, Totals

__all__ = [
    "CsvFormatter",
    "FormattedResult",
    "FrontMatter",
    "ResultFormatter",
    "as_json",
    "as_row",
    "as_text",
    "choose_result_format",
    "open_formatter",
]


_SPOOL_BYTES = 1 << 23
"""Bytes of rows held in memory before they go to a temporary file."""


class FormattedResult(NamedTuple):
    """What is written of one document, and the suffix of a file that holds it alone."""

    text: str
    suffix: str


class ResultFormatter(Protocol):
    """Turns results into what is written."""

    def format_result(self, result: Result, run: str) -> FormattedResult | None:
        """Return what is written of a result now, or None for nothing."""
        ...

    def format_rest(self) -> Iterator[str]:
        """Yield what is written after the last result."""
        ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrontMatter:
    """YAML front matter of a text result: its source and what made it.

    The same result has the same front matter: no date, no run.
    """

    pipeline: str
    digest: str
    model: str
    params: Mapping[str, object]

    def render(self, result: Result) -> str:
        """Return the lines between the marks of YAML front matter."""
        import yaml  # noqa: PLC0415 - only for who asks

        members = [{"source": each.source, "sha256": each.hash} for each in result.members]
        facts: dict[str, object] = {
            **({"sources": members} if members else {"source": result.source}),
            "source_sha256": result.hash,
            "pipeline": self.pipeline,
            "pipeline_sha256": self.digest,
            "params": dict(self.params),
            "model": self.model,
            "coverage": round(result.coverage, 6),
        }
        facts = {name: value for name, value in facts.items() if value not in ({}, "")}
        body: str = yaml.safe_dump(  # pyright: ignore[reportUnknownMemberType] - the stubs' `width`
            {"octavo": facts}, sort_keys=False, allow_unicode=True, width=1000
        )
        return f"---\n{body}---\n\n"


class TextFormatter:
    """The result itself."""

    def __init__(self, front_matter: FrontMatter | None = None) -> None:
        self._front_matter = front_matter

    def format_result(self, result: Result, run: str) -> FormattedResult | None:
        del run
        if result.error is not None:
            return None
        if result.findings is not None:
            return FormattedResult(as_text(result), ".md")
        if not isinstance(result.value, str):
            return FormattedResult(as_text(result), ".json")
        before = self._front_matter.render(result) if self._front_matter else ""
        return FormattedResult(before + as_text(result), ".md")

    def format_rest(self) -> Iterator[str]:
        yield from ()


class JsonFormatter:
    """One object a line, with sources, coverage and usage."""

    def format_result(self, result: Result, run: str) -> FormattedResult:
        return FormattedResult(as_json(result, run), ".json")

    def format_rest(self) -> Iterator[str]:
        yield from ()


class JsonlFormatter:
    """One row a line."""

    def format_result(self, result: Result, run: str) -> FormattedResult:
        del run
        return FormattedResult(json.dumps(as_row(result), ensure_ascii=False) + "\n", ".jsonl")

    def format_rest(self) -> Iterator[str]:
        yield from ()


class CsvFormatter:
    """A line of column names, then one row a document.

    The columns of all documents are known at the end, so that is when the rows are written, unless
    each document has a file of its own.
    """

    def __init__(self, *, alone: bool = False, safe: bool = False) -> None:
        self._alone = alone
        self._safe = safe
        self._columns: dict[str, None] = {}
        self._rows = tempfile.SpooledTemporaryFile(_SPOOL_BYTES, "w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the run

    def format_result(self, result: Result, run: str) -> FormattedResult | None:
        del run
        row = _flatten_row(as_row(result))
        if self._alone:
            return FormattedResult("".join(_format_rows(row, [row], safe=self._safe)), ".csv")
        self._columns.update(dict.fromkeys(row))
        self._rows.write(json.dumps(row) + "\n")
        return None

    def format_rest(self) -> Iterator[str]:
        if self._columns:
            self._rows.seek(0)
            rows = map(json.loads, self._rows)
            yield from _format_rows(self._columns, rows, safe=self._safe)
        self._rows.close()


def choose_result_format(given: ResultFormat | None, target: str | None) -> ResultFormat:
    """Return the format that was asked for, else the one by the ending of `-o`, else text."""
    return given or FORMATS_BY_SUFFIX.get(Path(target or "").suffix.lower(), ResultFormat.TEXT)


def open_formatter(
    kind: ResultFormat,
    *,
    alone: bool,
    front_matter: FrontMatter | None = None,
    csv_safe: bool = False,
) -> ResultFormatter:
    """Return the form; `alone` says that each document has a file of its own."""
    match kind:
        case ResultFormat.TEXT:
            return TextFormatter(front_matter)
        case ResultFormat.JSON:
            return JsonFormatter()
        case ResultFormat.JSONL:
            return JsonlFormatter()
        case ResultFormat.CSV:
            return CsvFormatter(alone=alone, safe=csv_safe)


def _flatten_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row whose record, if its result is one, is a column for each field."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in {"result", "octavo.result"} and isinstance(value, dict):
            flat |= {f"{name}.{key}": each for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType] - of a record
        else:
            flat[name] = value
    return flat


def _format_rows(
    columns: Iterable[str], rows: Iterable[Mapping[str, Any]], *, safe: bool
) -> Iterator[str]:
    columns = list(columns)
    yield _format_row([_disarm_formula(name) if safe else name for name in columns])
    for row in rows:
        yield _format_row([_format_cell(row.get(name), safe=safe) for name in columns])


def _format_row(cells: list[str]) -> str:
    buffer = io.StringIO()
    # Only what ends its lines does the library quote, and a reader takes either for an end.
    csv.writer(buffer, lineterminator="\r\n").writerow(cells)
    return buffer.getvalue().removesuffix("\r\n") + "\n"


def _format_cell(value: object, *, safe: bool) -> str:
    if value is None or isinstance(value, str):
        return _disarm_formula(value or "") if safe else value or ""
    return json.dumps(value, ensure_ascii=False)


def _disarm_formula(text: str) -> str:
    """Return a text that spreadsheets take for one."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


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


def _list_sources(item: Result | QuestionAnswer, source: str) -> list[Mapping[str, Any]]:
    origins = item.origins or repeat(source, len(item.spans))
    return [
        {"source": origin, "start": span.start, "end": span.end, "place": place}
        for origin, span, place in zip(origins, item.spans, item.places, strict=True)
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
