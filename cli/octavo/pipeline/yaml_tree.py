"""Parses a YAML text into a tree whose nodes have positions.

The tree is built from the parser's events: nothing recurses on the way, nesting and aliases are
bounded, and a document that only looks small cannot become large.

Plain scalars are read as YAML 1.2 reads them. PyYAML reads them as YAML 1.1 does, where `no` is
false, `010` is eight and `1e3` is text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import yaml

__all__ = [
    "MappingEntry",
    "MappingNode",
    "ProblemReporter",
    "ScalarNode",
    "SequenceNode",
    "YamlNode",
    "YamlReadError",
    "parse_scalar",
    "parse_yaml",
]


_MAX_DEPTH = 40
_MAX_NODES = 20_000

ProblemReporter = Callable[[str, str, int, int, str], None]
"""Takes a code, a message, a 1-based line and column, and a hint."""


class YamlReadError(Exception):
    """Reading cannot continue after a 1-based line and column.

    `context` is where the part that cannot be read begins.
    """

    def __init__(
        self,
        code: str,
        message: str,
        line: int,
        column: int,
        *,
        hint: str,
        context: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.line = line
        self.column = column
        self.hint = hint
        self.context = context or (line, column)


@dataclass(eq=False, repr=False)
class YamlNode:
    """A value: its 1-based first line, column and last line, and how much it holds."""

    line: int
    column: int
    end: int
    size: int = 1
    depth: int = 1

    @property
    def data(self) -> Any:  # noqa: ANN401 - whatever the text says
        """The value in plain Python."""
        raise NotImplementedError


@dataclass(eq=False, repr=False)
class ScalarNode(YamlNode):
    """A scalar; `style` is the quote or `|` or `>` that it is written with, if any."""

    text: str = ""
    style: str = ""

    @property
    def data(self) -> str | int | float | bool | None:
        """The value by YAML 1.2."""
        return self.text if self.style else parse_scalar(self.text)


@dataclass(eq=False, repr=False)
class SequenceNode(YamlNode):
    """A sequence."""

    items: list[YamlNode] = field(default_factory=list[YamlNode])

    @property
    def data(self) -> list[Any]:
        """The values of the items."""
        return [item.data for item in self.items]


class MappingEntry(NamedTuple):
    """A key's 1-based line and column, and its value."""

    line: int
    column: int
    value: YamlNode


@dataclass(eq=False, repr=False)
class MappingNode(YamlNode):
    """A mapping; its keys are text, whatever they look like."""

    entries: dict[str, MappingEntry] = field(default_factory=dict[str, MappingEntry])

    @property
    def data(self) -> dict[str, Any]:
        """The values by their keys."""
        return {key: entry.value.data for key, entry in self.entries.items()}


def parse_yaml(text: str, report: ProblemReporter) -> YamlNode | None:
    """Return the tree of a YAML text, or None if it is empty.

    A key that is there twice is reported and ignored. Raises YamlReadError where reading
    cannot go on.
    """
    import yaml  # noqa: PLC0415 - costs 45 ms that --help need not pay

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    builder = _TreeBuilder(report)
    try:
        for event in yaml.parse(text, Loader=loader):
            builder.handle_event(event)
    except yaml.reader.ReaderError as error:
        # Its position counts characters, or bytes in the C parser; the character itself is sure.
        offset = max(text.find(chr(error.character)), 0) if isinstance(error.character, int) else 0
        line = text.count("\n", 0, offset) + 1
        message = "there is a control character in the text"
        column = offset - text.rfind("\n", 0, offset)
        raise YamlReadError("syntax", message, line, column, hint="remove it") from error
    except yaml.MarkedYAMLError as error:
        raise _build_read_error(error) from error
    return builder.root


def _build_read_error(error: yaml.MarkedYAMLError) -> YamlReadError:
    place = _to_position(error.problem_mark) or _to_position(error.context_mark) or (1, 1)
    context = _to_position(error.context_mark) or place
    message = error.problem or error.context or "the YAML cannot be read"
    if error.context and error.problem:
        start = f" that starts on line {context[0]}" if context[0] != place[0] else ""
        message = f"{error.problem}, {error.context}{start}"
    hint = "correct the indentation, or quote the text"
    return YamlReadError("syntax", message, *place, hint=hint, context=context)


def _to_position(mark: yaml.Mark | None) -> tuple[int, int] | None:
    return (mark.line + 1, mark.column + 1) if mark else None


class _TreeBuilder:
    """Takes the parser's events one by one."""

    def __init__(self, report: ProblemReporter) -> None:
        self.root: YamlNode | None = None
        self._report = report
        self._open: list[SequenceNode | MappingNode] = []
        self._keys: list[tuple[str, int, int] | None] = []
        self._anchors: dict[str, YamlNode | None] = {}
        self._anchor_names: list[str | None] = []
        self._documents = 0

    def handle_event(self, event: yaml.Event) -> None:
        import yaml  # noqa: PLC0415 - see parse_yaml

        if event.start_mark is None or event.end_mark is None:
            return  # no event of a parser is without them
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        end = event.end_mark.line + 1
        match event:
            case yaml.ScalarEvent():
                style = self._check_tag(event.tag, line, column) or event.style or ""
                leaf = ScalarNode(line, column, end, text=event.value, style=style)
                self._set_anchor(event.anchor, leaf)
                self._attach(leaf)
            case yaml.AliasEvent():
                self._attach(self._resolve_alias(event.anchor, line, column))
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._start_collection(event, line, column)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._finish_collection(end)
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    message = "a file holds one pipeline; a second document starts here"
                    raise YamlReadError(
                        "syntax", message, line, column, hint="remove the line `---`"
                    )
            case _:
                pass

    def _start_collection(
        self, event: yaml.SequenceStartEvent | yaml.MappingStartEvent, line: int, column: int
    ) -> None:
        import yaml  # noqa: PLC0415 - see parse_yaml

        if self._waits_for_key():
            message = "a key must be text, not a list or mapping"
            raise YamlReadError("syntax", message, line, column, hint="quote it, if it is text")
        if len(self._open) >= _MAX_DEPTH:
            message = f"this is nested more than {_MAX_DEPTH} levels deep"
            raise YamlReadError("too-large", message, line, column, hint="remove some levels")
        if event.tag:
            self._check_tag(event.tag, line, column)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        node = SequenceNode(line, column, line) if is_list else MappingNode(line, column, line)
        if event.anchor:
            self._anchors[event.anchor] = None
        self._anchor_names.append(event.anchor)
        self._open.append(node)
        self._keys.append(None)

    def _finish_collection(self, end: int) -> None:
        node = self._open.pop()
        self._keys.pop()
        node.end = max(node.line, end)
        self._set_anchor(self._anchor_names.pop(), node)
        self._attach(node)

    def _waits_for_key(self) -> bool:
        return bool(self._open) and isinstance(self._open[-1], MappingNode) and not self._keys[-1]

    def _attach(self, node: YamlNode) -> None:
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        key = self._keys[-1]
        if isinstance(parent, SequenceNode):
            parent.items.append(node)
        elif key is None:
            if not isinstance(node, ScalarNode):
                message = "a key must be text, not a list or mapping"
                raise YamlReadError(
                    "syntax", message, node.line, node.column, hint="write the key out"
                )
            self._keys[-1] = (node.text, node.line, node.column)
        else:
            self._keys[-1] = None
            self._add_entry(parent, key, node)
        parent.size += node.size
        parent.depth = max(parent.depth, node.depth + 1)
        if parent.size > _MAX_NODES or len(self._open) + node.depth > _MAX_DEPTH:
            message = "the file holds too much, or repeats too much by aliases"
            raise YamlReadError("too-large", message, node.line, node.column, hint="write less")

    def _add_entry(self, parent: MappingNode, key: tuple[str, int, int], node: YamlNode) -> None:
        name, line, column = key
        if name in parent.entries:
            first = parent.entries[name].line
            message = f"{name!r} is there twice; the first is on line {first}"
            hint = f"remove this one or the one on line {first}"
            self._report("duplicate-key", message, line, column, hint)
        else:
            parent.entries[name] = MappingEntry(line, column, node)

    def _set_anchor(self, anchor: str | None, node: YamlNode) -> None:
        if anchor:
            self._anchors[anchor] = node

    def _resolve_alias(self, anchor: str | None, line: int, column: int) -> YamlNode:
        node = self._anchors.get(anchor or "")
        if node is None:
            known = anchor in self._anchors
            message = f"*{anchor} stands inside itself" if known else f"there is no &{anchor}"
            raise YamlReadError("alias", message, line, column, hint="write the value out")
        return node

    def _check_tag(self, tag: str | None, line: int, column: int) -> str:
        """Return the style of text that a tag asks for, or nothing; only text can be asked for."""
        if tag in ("!", "tag:yaml.org,2002:str"):
            return '"'
        if tag:
            hint = "remove it; quotes make text of a value"
            self._report("tag", f"the tag {tag!r} has no meaning here", line, column, hint)
        return ""


_SCALAR_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_OTHER_BASE = re.compile(r"0(?:o[0-7]{1,300}|x[0-9a-fA-F]{1,300})")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def parse_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar written without quotes, by the core schema of YAML 1.2."""
    if text in _SCALAR_WORDS:
        return _SCALAR_WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return float(text) if _NUMBER.fullmatch(text) else text
