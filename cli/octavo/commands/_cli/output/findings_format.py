"""Findings as lines for people, as JSON, and as annotations of GitHub's workflows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from octavo.commands._cli.terminal import clean, clean_line, disarm_commands
from octavo.config.run_options import FindingsFormat
from octavo.errors import RunFailed
from octavo.text.finding import Finding, Severity

__all__ = ["format_findings", "summarize_for_github"]


_MAX_ANNOTATIONS = 10
"""GitHub shows this many annotations of a kind from one step and drops the others silently."""

_MAX_TABLE_ROWS = 200
"""Rows of the step summary, which may have one megabyte."""

_MAX_MESSAGE = 500
"""Characters of a message in an annotation."""


def format_findings(findings: Sequence[Finding], form: FindingsFormat) -> str:
    """Return all findings; JSON is an array, also of none."""
    match form:
        case FindingsFormat.TEXT:
            lines = (line for each in findings for line in _format_finding(each))
            return "".join(f"{disarm_commands(line)}\n" for line in lines)
        case FindingsFormat.JSON:
            rows = [asdict(each) for each in findings]
            return json.dumps(rows, ensure_ascii=False, indent=2) + "\n"
        case FindingsFormat.GITHUB:
            return "".join(f"{line}\n" for line in _format_annotations(findings))


def summarize_for_github(findings: Sequence[Finding], title: str) -> None:
    """Append a table of the findings to the file that `$GITHUB_STEP_SUMMARY` names, if it does.

    Raises RunFailed when the file cannot be written.
    """
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if not target:
        return
    text = "\n".join(_format_table(findings, title)) + "\n\n"
    try:
        with Path(target).open("ab") as file:
            file.write(text.encode("utf-8", "replace"))
    except OSError as error:
        raise RunFailed(
            f"the step summary {target} cannot be written: {error.strerror}",
            hint="unset GITHUB_STEP_SUMMARY",
        ) from error


def _format_finding(finding: Finding) -> Iterator[str]:
    place = f"{finding.path}:{finding.line}:{finding.column}" if finding.line else finding.path
    message = clean(" ".join(finding.message.split()))
    yield f"{clean(place)}: {finding.severity}[{finding.rule}]: {message}"
    if finding.quote:
        yield f"     | {clean(' '.join(finding.quote.split()))}"
    if finding.hint:
        yield f"help: {clean(finding.hint)}"


def _format_annotations(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield workflow commands, capped by severity; what is left out is counted in a last one."""
    shown = dict.fromkeys(Severity, 0)
    for finding in findings:
        shown[finding.severity] += 1
        if shown[finding.severity] <= _MAX_ANNOTATIONS:
            yield _format_annotation(finding)
    hidden = sum(max(0, count - _MAX_ANNOTATIONS) for count in shown.values())
    if hidden:
        yield f"::notice title=octavo::{hidden} more findings are in the log and the step summary"
        left = dict.fromkeys(Severity, 0)
        for finding in findings:
            left[finding.severity] += 1
            if left[finding.severity] > _MAX_ANNOTATIONS:
                yield from map(disarm_commands, _format_finding(finding))


def _format_annotation(finding: Finding) -> str:
    named = [f"file={_escape_property(clean_line(finding.path))}"]
    if finding.line:
        named += [f"line={finding.line}", f"col={finding.column}"]
    named.append(f"title={_escape_property(f'octavo: {finding.rule}')}")
    message = finding.message if finding.hint is None else f"{finding.message}\n{finding.hint}"
    return f"::{finding.severity} {','.join(named)}::{_escape(clean_lines(message)[:_MAX_MESSAGE])}"


def clean_lines(text: str) -> str:
    """Return the text without control characters; its lines stay."""
    return "\n".join(clean(line) for line in text.splitlines())


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape(text).replace(":", "%3A").replace(",", "%2C")


def _format_table(findings: Sequence[Finding], title: str) -> Iterator[str]:
    yield f"### {title}"
    yield ""
    if not findings:
        yield "Nothing found."
        return
    yield "| place | severity | rule | what |"
    yield "| --- | --- | --- | --- |"
    for each in findings[:_MAX_TABLE_ROWS]:
        place = f"{each.path}:{each.line}" if each.line else each.path
        cells = (place, each.severity, each.rule, each.message)
        yield "| " + " | ".join(_escape_cell(cell) for cell in cells) + " |"
    if len(findings) > _MAX_TABLE_ROWS:
        yield ""
        yield f"{len(findings) - _MAX_TABLE_ROWS:,} more are in the log."


def _escape_cell(text: str) -> str:
    words = " ".join(clean(text).split())[:_MAX_MESSAGE]
    for sign in ("\\", "|", "<", "`", "*", "_", "[", "!"):
        words = words.replace(sign, f"\\{sign}" if sign != "<" else "&lt;")
    return words
