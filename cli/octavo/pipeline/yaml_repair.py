"""Reads YAML past common errors, so that all problems are reported and not only the first.

An error such as a tab or an unquoted `{{` would end the reading. What is repaired is reported and
has no meaning: it only lets the rest be read. Line numbers stay as they are.
"""

from __future__ import annotations

import re
from itertools import islice

from octavo.diagnostics import find_credentials, mask_credentials
from octavo.pipeline.yaml_tree import ProblemReporter, YamlNode, YamlReadError, parse_yaml

__all__ = ["read_tree"]


_MAX_REPAIRS = 50
_MAX_ALIKE = 20
_MAX_LINE = 10_000
_TAB = re.compile(r"^ *\t[ \t]*(?=\S)", re.MULTILINE)
_BREAK = re.compile(r"\r\n|\n|\r")
_SEPARATOR = re.compile("[\x85\u2028\u2029]")
_UNQUOTED_JINJA = re.compile(
    r"(?P<before>^[\s-]*|:\s+|[\[,{]\s*|-\s+)(?P<jinja>\{\{.*?\}\}|\{%.*?%\}|\{\{[^}\n]*|\{%[^%\n]*)"
)
"""A value that begins with a mark of Jinja without a quote before it."""


def read_tree(text: str, report: ProblemReporter) -> YamlNode | None:
    """Return the tree of a YAML text, reporting what is wrong with it.

    None when it is empty or cannot be read to its end.
    """
    for offset in islice(find_credentials(text), _MAX_ALIKE):
        message = "this looks like a key; pipelines are shared, and keys must not be"
        hint = "remove it and name its environment variable in a profile: api_key_env"
        report("secret", message, *_locate(text, offset), hint)
    text = _replace_separators(mask_credentials(text), report)
    text = _resolve_conflicts(text.replace("\r\n", "\n").replace("\r", "\n"), report)
    for _ in range(_MAX_REPAIRS):
        found: list[tuple[str, str, int, int, str]] = []

        def keep(*problem: *tuple[str, str, int, int, str]) -> None:
            found.append(problem)  # noqa: B023 - called in this round only

        try:
            root = parse_yaml(text, keep)
        except YamlReadError as caught:
            error = caught
        except UnicodeEncodeError as caught:
            error = _build_surrogate_error(caught, text)
        else:
            for problem in found:
                report(*problem)
            return root
        repaired = _repair(text, error, report)
        if repaired == text:
            for problem in found:
                report(*problem)
            _report_error(text, error, report)
            return None
        text = repaired
    return None


def _report_error(text: str, error: YamlReadError, report: ProblemReporter) -> None:
    line, column = error.line, error.column
    blank = not "".join(text.split("\n")[line - 1 : line]).strip()
    if blank or "end of stream" in error.message:
        line, column = error.context  # nothing is there to be seen
    report(error.code, error.message, line, column, error.hint)


def _replace_separators(text: str, report: ProblemReporter) -> str:
    """Report and replace characters that end a line only for the parser."""
    for match in islice(_SEPARATOR.finditer(text), _MAX_ALIKE):
        message = f"there is a line separator (U+{ord(match[0]):04X}) in the text"
        hint = "replace it by a line break or a space"
        report("syntax", message, *_locate(text, match.start()), hint)
    return _SEPARATOR.sub(" ", text)


def _build_surrogate_error(error: UnicodeEncodeError, text: str) -> YamlReadError:
    line, column = _locate(text, error.start)
    return YamlReadError(
        "syntax", "there is half a character in the text", line, column, hint="remove it"
    )


def _resolve_conflicts(text: str, report: ProblemReporter) -> str:
    """Report merge conflicts and keep the first side of each."""
    lines = text.split("\n")
    start = separator = -1
    for number, line in enumerate(lines):
        mark = line[:7] if line[7:8] in ("", " ") else ""
        if mark == "<<<<<<<":
            start, separator = number, -1
        elif mark in ("|||||||", "=======") and start >= 0 > separator:
            separator = number
        elif mark == ">>>>>>>" and separator >= 0:
            message = f"lines {start + 1} to {number + 1} are an unresolved merge conflict"
            hint = "keep one side and remove the lines with its marks"
            report("merge-conflict", message, start + 1, 1, hint)
            for removed in (start, *range(separator, number + 1)):
                lines[removed] = ""
            start = separator = -1
    return "\n".join(lines)


def _repair(text: str, error: YamlReadError, report: ProblemReporter) -> str:
    lines = text.split("\n")
    for number in dict.fromkeys((error.line, error.context[0], error.line - 1)):
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        if match := _UNQUOTED_JINJA.search(line, 0, _MAX_LINE):
            value = line[match.start("jinja") :].split(" #")[0].rstrip()
            inside = any(bracket in line[: match.start("jinja")] for bracket in "{[")
            shown = match["jinja"] if inside else value
            message = "Jinja in a pipeline needs quotes, since { starts a mapping"
            quoted = '"' + shown.replace('"', "'") + '"'
            report("unquoted-jinja", message, number, match.start("jinja") + 1, f"write {quoted}")
            jinja = match["jinja"]
            start, end = match.span("jinja")
            lines[number - 1] = line[:start] + "x" * len(jinja) + line[end:]
            return "\n".join(lines)
    line = "".join(lines[error.line - 1 : error.line])
    if _TAB.match(line):
        message = "YAML is indented by spaces, not tabs"
        report("tab", message, error.line, line.index("\t") + 1, "write two spaces for each tab")
        return _TAB.sub(lambda match: match[0].replace("\t", "  "), text)
    return text


def _locate(text: str, offset: int) -> tuple[int, int]:
    before = _BREAK.split(text[:offset])
    return len(before), len(before[-1]) + 1
