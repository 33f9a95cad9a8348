"""Collects the problems of a pipeline, each with its position in the file."""

from __future__ import annotations

from octavo.diagnostics import Source
from octavo.errors import SpecError, SpecErrors
from octavo.pipeline.yaml_tree import MappingNode, SequenceNode, YamlNode

__all__ = ["KeyPath", "Problems"]


KeyPath = tuple[str | int, ...]
"""Keys and indices from the top of the file to a value."""

_REPAIRED_CODES = frozenset({"unquoted-jinja"})
"""Problems whose line was changed to read on: what else is wrong there is our doing."""

_MAX_PROBLEMS = 100


class Problems:
    """The problems of one file, and of the prompts and schemas that it names."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: YamlNode | None = None
        self._errors: dict[str, SpecError] = {}
        self._repaired_lines: set[int] = set()

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool(self._errors)

    def report(self, code: str, message: str, line: int, column: int, hint: str) -> None:
        """Add a problem at a 1-based line and column of the file."""
        if code in _REPAIRED_CODES:
            self._repaired_lines.add(line)
        elif line in self._repaired_lines:
            return
        position = self.source.locate_line(line, column)
        self.add_error(SpecError(message, code=code, position=position, hint=hint))

    def add(self, code: str, message: str, path: KeyPath, *, hint: str, key: bool = False) -> None:
        """Add a problem at the value of a path or at its key.

        If absent, the problem is at the node that would hold it.
        """
        line, column = self.find_place(path, key=key)
        self.report(code, message, line, column, hint)

    def add_error(self, error: SpecError) -> None:
        """Add an error that has a position."""
        self._errors.setdefault(str(error), error)

    def find_node(self, path: KeyPath) -> YamlNode | None:
        """Return the node at a path, or None."""
        node = self.root
        for step in path:
            match node, step:
                case MappingNode(entries=entries), str() if step in entries:
                    node = entries[step].value
                case SequenceNode(items=items), int() if step < len(items):
                    node = items[step]
                case _:
                    return None
        return node

    def find_place(self, path: KeyPath, *, key: bool = False) -> tuple[int, int]:
        """Return the line and column of a path's value or key, or of what would hold it."""
        while path:
            holder = self.find_node(path[:-1])
            last = path[-1]
            if key and isinstance(holder, MappingNode) and last in holder.entries:
                entry = holder.entries[str(last)]
                return entry.line, entry.column
            if (node := self.find_node(path)) is not None:
                return node.line, node.column
            path, key = path[:-1], True
        return (self.root.line, self.root.column) if self.root else (1, 1)

    def collect_errors(self) -> SpecErrors:
        """Return all problems: the file's own first, in the order of its lines."""
        own = self.source.path

        def sort_key(error: SpecError) -> tuple[bool, str, int, int]:
            place = error.position
            return place.path != own, place.path, place.line, place.column

        return SpecErrors(tuple(sorted(self._errors.values(), key=sort_key)[:_MAX_PROBLEMS]))
