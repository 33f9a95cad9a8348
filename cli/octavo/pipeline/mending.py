"""Reads YAML on where its usual traps would end the reading, so that all problems are reported.

What is mended is reported, and stands for nothing: it only lets the rest be read. Line numbers
stay as they are.
"""

from __future__ import annotations

import re

from octavo.pipeline.credentials import credentials, masked
from octavo.pipeline.tree import Node, Report, Trap, grow

__all__ = ["read_tree"]

_MOST_TRAPS = 50
_TAB = re.compile(r"^ *\t[ \t]*(?=\S)", re.MULTILINE)
_BREAK = re.compile(r"\r\n|\n|\r")
_SEPARATOR = re.compile("[\x85\u2028\u2029]")
_CONFLICT = re.compile(
    r"^<<<<<<<(?: .*)?\n(?P<ours>(?:.*\n)*?)=======\n(?P<theirs>(?:.*\n)*?)>>>>>>>(?: .*)?$",
    re.MULTILINE,
)
_JINJA = re.compile(
    r"(?P<before>^[\s-]*|:\s+|[\[,{]\s*|-\s+)(?P<jinja>\{\{.*?\}\}|\{%.*?%\}|\{\{[^}\n]*|\{%[^%\n]*)"
)
"""A value that begins with a mark of Jinja without a quote before it."""


def read_tree(text: str, report: Report) -> Node | None:
    """Return the tree of a YAML text, reporting what is wrong with it.

    None when it is empty or cannot be read to its end.
    """
    for offset in credentials(text):
        message = "this looks like a key; pipelines are shared, and keys must not be"
        hint = "remove it and name its environment variable in a profile: api_key_env"
        report("secret", message, *_place(text, offset), hint)
    text = _without_separators(masked(text), report)
    text = _without_conflicts(text.replace("\r\n", "\n").replace("\r", "\n"), report)
    for _ in range(_MOST_TRAPS):
        found: list[tuple[str, str, int, int, str]] = []

        def keep(*problem: *tuple[str, str, int, int, str]) -> None:
            found.append(problem)  # noqa: B023 - called in this round only

        try:
            root = grow(text, keep)
        except (Trap, UnicodeEncodeError) as problem:
            trap = problem if isinstance(problem, Trap) else _surrogate(problem, text)
        else:
            for each in found:
                report(*each)
            return root
        mended = _mended(text, trap, report)
        if mended == text:
            for each in found:
                report(*each)
            line, column = trap.line, trap.column
            blank = not "".join(text.split("\n")[line - 1 : line]).strip()
            if blank or "end of stream" in trap.message:
                line, column = trap.since  # nothing is there to be seen
            report(trap.code, trap.message, line, column, trap.hint)
            return None
        text = mended
    return None


def _without_separators(text: str, report: Report) -> str:
    """Refuse characters that end a line for the parser and for nobody else."""
    for match in _SEPARATOR.finditer(text):
        message = f"there is a line separator (U+{ord(match[0]):04X}) in the text"
        hint = "replace it by a line break or a space"
        report("syntax", message, *_place(text, match.start()), hint)
    return _SEPARATOR.sub(" ", text)


def _surrogate(error: UnicodeEncodeError, text: str) -> Trap:
    line, column = _place(text, error.start)
    return Trap("syntax", "there is half a character in the text", line, column, hint="remove it")


def _without_conflicts(text: str, report: Report) -> str:
    """Go on with the first side of a merge conflict."""
    for match in reversed(list(_CONFLICT.finditer(text))):
        line, column = _place(text, match.start())
        last = line + match[0].count("\n")
        message = f"lines {line} to {last} are an unresolved merge conflict"
        hint = "keep one side and remove the three marker lines"
        report("merge-conflict", message, line, column, hint)
        blank = "\n" * (match["theirs"].count("\n") + 1)
        text = f"{text[: match.start()]}\n{match['ours']}{blank}{text[match.end() :]}"
    return text


def _mended(text: str, trap: Trap, report: Report) -> str:
    lines = text.split("\n")
    for number in dict.fromkeys((trap.line, trap.since[0], trap.line - 1)):
        line = lines[number - 1] if 0 < number <= len(lines) else ""
        if match := _JINJA.search(line):
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
    tab = _TAB.search(text)
    if tab is not None and "\t" in lines[trap.line - 1]:
        line, column = _place(text, tab.end() - 1)
        report(
            "tab", "YAML is indented by spaces, not tabs", line, column, "write two spaces for each"
        )
        return _TAB.sub(lambda match: match[0].replace("\t", "  "), text)
    return text


def _place(text: str, offset: int) -> tuple[int, int]:
    before = _BREAK.split(text[:offset])
    return len(before), len(before[-1]) + 1
