"""Reading a file of rules, with the place of every problem in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from octavo.backends.scripted.rules import Rule, Rules
from octavo.errors import Position, SpecError, SpecErrors, UsageError

if TYPE_CHECKING:
    from yaml import MappingNode, Node, SequenceNode

__all__ = ["read_rules"]


_ValuePath = tuple[str | int, ...]


def read_rules(path: Path) -> tuple[Rules, str]:
    """Return the rules of a file and the SHA-256 of its values, whatever their layout.

    Raises UsageError when the file cannot be read, SpecErrors with every problem in it.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise UsageError(
            f"the rules {str(path)!r} cannot be read: {error.strerror}",
            hint="write -m scripted:PATH with the path of a YAML file of rules",
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the rules {str(path)!r} are not UTF-8 at byte {error.start}",
            hint="save the file as UTF-8",
        ) from None
    source = _RuleSource(str(path), text)
    data = source.load()
    try:
        rules = Rules.model_validate(data)
    except ValidationError as error:
        raise SpecErrors(tuple(sorted(source.list_problems(error), key=_get_sort_key))) from None
    plain = json.dumps(data, ensure_ascii=False, sort_keys=True)
    return rules, hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


class _RuleSource:
    """The text of a file and where in it each value stands."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        self.text = text
        self.positions: dict[_ValuePath, Position] = {}

    def load(self) -> object:
        """Return the file's values; raises SpecErrors for bad YAML and repeated keys."""
        import yaml  # noqa: PLC0415 - other backends do not need its 45 ms

        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(self.text)
        try:
            node = loader.get_single_node()
            if node is None:
                return {}
            errors = tuple(self.index_positions(node, ()))
            if errors:
                raise SpecErrors(errors)
            return loader.construct_document(node)
        except yaml.YAMLError as error:
            mark: Any = getattr(error, "problem_mark", None)
            place = (
                self.build_position(mark.line, mark.column) if mark else self.build_position(0, 0)
            )
            problem = getattr(error, "problem", None) or str(error)
            message = f"this is not YAML: {problem}"
            raise SpecErrors((SpecError(message, code="yaml", position=place),)) from None
        except ValueError as error:
            message = f"a value cannot be read: {error}"
            place = self.build_position(0, 0)
            raise SpecErrors((SpecError(message, code="yaml", position=place),)) from None
        finally:
            loader.dispose()

    def index_positions(self, node: Node, path: _ValuePath) -> Iterator[SpecError]:
        """Note where values stand; yield an error for each repeated key."""
        mark: Any = node.start_mark
        self.positions.setdefault(path, self.build_position(mark.line, mark.column))
        kind: str = cast("Any", node).id
        if kind == "mapping":
            seen: set[str] = set()
            for key, value in cast("MappingNode", node).value:
                mark = key.start_mark
                place = self.build_position(mark.line, mark.column)
                if key.value in seen:
                    message = f"`{key.value}` stands twice"
                    yield SpecError(message, code="duplicate-key", position=place)
                seen.add(key.value)
                self.positions[(*path, key.value)] = place
                yield from self.index_positions(value, (*path, key.value))
        elif kind == "sequence":
            for index, value in enumerate(cast("SequenceNode", node).value):
                yield from self.index_positions(value, (*path, index))

    def build_position(self, line: int, column: int) -> Position:
        """Return a position from 0-based line and column."""
        source = self.lines[line] if line < len(self.lines) else ""
        return Position(self.path, line + 1, column + 1, source)

    def list_problems(self, error: ValidationError) -> Iterator[SpecError]:
        """Yield what the model found, each at its value or the nearest one around it."""
        for problem in error.errors(include_url=False, include_context=False):
            path = problem["loc"]
            while path not in self.positions and path:
                path = path[:-1]
            code, message, hint = problem["type"], problem["msg"], None
            if code == "extra_forbidden":
                code, message = "unknown-key", f"`{problem['loc'][-1]}` is not known here"
                model = Rule if len(problem["loc"]) > 1 else Rules
                hint = "one of " + ", ".join(model.model_fields)
            elif code == "value_error":
                code, message = "rule", message.removeprefix("Value error, ")
            place = self.positions.get(path) or self.build_position(0, 0)
            yield SpecError(message, code=code.replace("_", "-"), position=place, hint=hint)


def _get_sort_key(error: SpecError) -> tuple[int, int]:
    return error.position.line, error.position.column
