"""Findings as lines for people, as JSON, and as annotations of GitHub's workflows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

from octavo.commands.terminal import clean
from octavo.errors import RunFailed
from octavo.text.finding import Finding, Severity

__all__ = ["OutputFormat", "formatted", "summarize_for_github"]

_MOST = 10
"""GitHub shows this many annotations of a kind from one step and drops the others silently."""
_MOST_ROWS = 200
"""Rows of the step summary, which may have one megabyte."""
_LONGEST = 500
"""Characters of a message in an annotation."""


class OutputFormat(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


def formatted(findings: Sequence[Finding], form: OutputFormat) -> str:
    """Return all findings; JSON is an array, also of none."""
    match form:
        case OutputFormat.TEXT:
            return "".join(f"{line}\n" for each in findings for line in _lines(each))
        case OutputFormat.JSON:
            rows = [asdict(each) for each in findings]
            return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
        case OutputFormat.GITHUB:
            return "".join(f"{line}\n" for line in _annotations(findings))


def summarize_for_github(findings: Sequence[Finding], title: str) -> None:
    """Append a table of the findings to the file that `$GITHUB_STEP_SUMMARY` names, if it does.

    Raises RunFailed when the file cannot be written.
    """
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    text = "\n".join(_table(findings, title)) + "\n\n"
    try:
        with Path(target).open("ab") as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise RunFailed(
            f"the step summary {target} cannot be written: {error.strerror}",
            hint="unset GITHUB_STEP_SUMMARY",
        ) from error


def _lines(finding: Finding) -> Iterator[str]:
    place = f"{finding.path}:{finding.line}:{finding.column}" if finding.line else finding.path
    message = clean(" ".join(finding.message.split()))
    yield f"{clean(place)}: {finding.severity}[{finding.rule}]: {message}"
    if finding.quote:
        yield f"     | {clean(' '.join(finding.quote.split()))}"
    if finding.hint:
        yield f"help: {clean(finding.hint)}"


def _annotations(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield workflow commands, capped by severity; what is left out is counted in a last one."""
    shown = dict.fromkeys(Severity, 0)
    for finding in findings:
        shown[finding.severity] += 1
        if shown[finding.severity] <= _MOST:
            yield _annotation(finding)
    hidden = sum(max(0, count - _MOST) for count in shown.values())
    if hidden:
        yield f"::notice title=octavo::{hidden} more findings are in the log and the step summary"
        left = dict.fromkeys(Severity, 0)
        for finding in findings:
            left[finding.severity] += 1
            if left[finding.severity] > _MOST:
                yield from (_inert(line) for line in _lines(finding))


def _annotation(finding: Finding) -> str:
    named = [f"file={_property(finding.path)}"]
    if finding.line:
        named += [f"line={finding.line}", f"col={finding.column}"]
    named.append(f"title={_property(f'octavo: {finding.rule}')}")
    message = finding.message if finding.hint is None else f"{finding.message}\n{finding.hint}"
    return f"::{finding.severity} {','.join(named)}::{_data(clean_lines(message)[:_LONGEST])}"


def clean_lines(text: str) -> str:
    """Return the text without control characters; its lines stay."""
    return "\n".join(clean(line) for line in text.splitlines())


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _inert(line: str) -> str:
    """Return a line that a runner does not take for a command, whatever a document says."""
    return " " + line.replace("::", ": :") if line.lstrip().startswith("::") else line


def _table(findings: Sequence[Finding], title: str) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    if not findings:
        yield "Nothing found."
        return
    yield "| place | severity | rule | what |"
    yield "| --- | --- | --- | --- |"
    for each in findings[:_MOST_ROWS]:
        place = f"{each.path}:{each.line}" if each.line else each.path
        cells = (place, each.severity, each.rule, each.message)
        yield "| " + " | ".join(_cell(cell) for cell in cells) + " |"
    if len(findings) > _MOST_ROWS:
        yield ""
        yield f"{len(findings) - _MOST_ROWS:,} more are in the log."


def _cell(text: str) -> str:
    words = " ".join(clean(text).split())[:_LONGEST]
    for sign in ("\\", "|", "<", "`", "*", "_", "[", "!"):
        words = words.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return words
