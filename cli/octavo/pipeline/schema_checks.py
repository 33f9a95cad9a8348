"""What a JSON Schema may not say: it must be one, refer only to itself, and come to an end.

References are resolved as the validator resolves them, with identifiers, anchors and all, but where
nothing is fetched: what they name stands in the same file, or is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, cast

from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012, lookup_recursive_ref, specification_with

from octavo.diagnostics import shorten
from octavo.pipeline.schema_validator import (
    DATA_KEYWORDS,
    NAMED_KEYWORDS,
    NO_REGISTRY,
    REFERENCES,
    choose_dialect,
)
from octavo.text.pattern import BadPattern, compile_pattern

__all__ = ["SchemaFault", "find_schema_faults"]


_ANNOTATIONS = DATA_KEYWORDS - {"const", "enum"} | {
    "$comment", "$vocabulary", "deprecated", "description", "format", "readOnly", "title",
    "writeOnly",
}  # fmt: skip
_IN_PLACE = frozenset(
    {*REFERENCES, "allOf", "anyOf", "dependencies", "dependentSchemas", "else", "extends", "if",
     "not", "oneOf", "then"}
)  # fmt: skip
"""The keywords whose schemas see the same value, so that a circle of them has no end."""

_REFERENCE_HINT = "write a reference such as #/$defs/NAME"


@dataclass(frozen=True, slots=True)
class SchemaFault:
    """What is wrong with one keyword; `value` is what it says, where that is a text."""

    keyword: str
    value: str | None
    message: str
    hint: str


def find_schema_faults(schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
    """Yield what keeps a schema from being used to check values, the first of each kind."""
    dialect = choose_dialect(schema)
    try:
        for error in dialect(dialect.META_SCHEMA, registry=NO_REGISTRY).iter_errors(schema):
            if not _ANNOTATIONS.intersection(map(str, error.path)):
                yield _describe_error(error)
                return
        specification = specification_with(dialect.META_SCHEMA["$schema"], default=DRAFT202012)
        yield from _Walk(specification).find_faults(schema)
    except RecursionError:
        yield SchemaFault("", None, "the schema is nested too deeply", "make it simpler")


def _describe_error(error: Any) -> SchemaFault:  # noqa: ANN401 - of the library's
    names = [str(each) for each in error.absolute_path if isinstance(each, str)]
    keyword = names[-1] if names else ""
    value = error.instance if isinstance(error.instance, str) else None
    message = f"{keyword!r} is wrong: {shorten(error.message, 120)}"
    return SchemaFault(keyword, value, message, "write it as JSON Schema has it, or remove it")


class _Walk:
    """Visits each schema inside one, and what they refer to, once."""

    def __init__(self, specification: Any) -> None:  # noqa: ANN401 - of the library's
        self._specification = specification
        self._references: dict[int, list[tuple[str, str]]] = {}
        self._in_place: dict[int, list[int]] = {}
        self._keywords: set[str] = set()

    def find_faults(self, schema: Mapping[str, Any]) -> Iterator[SchemaFault]:
        resolver = NO_REGISTRY.resolver_with_root(self._specification.create_resource(schema))
        waiting: list[tuple[Mapping[str, Any], Any]] = [(schema, resolver)]
        while waiting:
            node, resolver = waiting.pop()
            if id(node) in self._in_place:
                continue
            if node is not schema:
                resolver = resolver.in_subresource(self._specification.create_resource(node))
            self._in_place[id(node)] = []
            self._keywords |= node.keys()
            yield from _find_own_faults(node, root=node is schema)
            yield from self._follow(node, resolver, waiting)
        yield from self._find_circle()
        if {"patternProperties", "unevaluatedProperties"} <= self._keywords:
            message = "'unevaluatedProperties' cannot be checked beside 'patternProperties'"
            hint = "write 'additionalProperties' instead"
            yield SchemaFault("unevaluatedProperties", None, message, hint)

    def _follow(
        self,
        node: Mapping[str, Any],
        resolver: Any,  # noqa: ANN401 - of the library's
        waiting: list[tuple[Mapping[str, Any], Any]],
    ) -> Iterator[SchemaFault]:
        """Add the schemas inside one to those that wait, and yield references to what is none."""
        for keyword, value in node.items():
            inner: Sequence[Any] = _list_inner(keyword, value)
            following = resolver
            if keyword in REFERENCES and isinstance(value, str):
                found = _look_up(keyword, value, resolver)
                if found is None:
                    message = f"nothing in this file is at {shorten(value)!r}"
                    yield SchemaFault(keyword, value, message, _REFERENCE_HINT)
                    continue
                inner, following = [found[0]], found[1]
                self._references.setdefault(id(node), []).append((keyword, value))
            for each in inner:
                if isinstance(each, dict):
                    waiting.append((cast("dict[str, Any]", each), following))
                    if keyword in _IN_PLACE:
                        self._in_place[id(node)].append(id(cast("object", each)))

    def _find_circle(self) -> Iterator[SchemaFault]:
        try:
            TopologicalSorter(self._in_place).prepare()
        except CycleError as error:
            circle: list[int] = error.args[1]
            keyword, value = next(
                self._references[each][0] for each in circle if each in self._references
            )
            message = f"{shorten(value)!r} leads back to itself, without an end"
            yield SchemaFault(keyword, value, message, "refer to it from a property or an item")


def _look_up(keyword: str, value: str, resolver: Any) -> tuple[Any, Any] | None:  # noqa: ANN401 - of the library's
    """Return the schema that a reference names, with its resolver, or None for nothing in here."""
    try:
        found: Any = resolver.lookup(value)
        if keyword == "$recursiveRef":
            found = lookup_recursive_ref(resolver)
    except (Unresolvable, ValueError):  # ValueError: of urllib, for http://[
        return None
    contents: object = found.contents
    return (found.contents, found.resolver) if isinstance(contents, dict | bool) else None


def _list_inner(keyword: str, value: object) -> Sequence[Any]:
    """Return what a keyword holds that may be schemas; an unknown keyword may hold some too."""
    if keyword in DATA_KEYWORDS:
        return ()
    if isinstance(value, dict):
        named = cast("dict[str, object]", value)
        return list(named.values()) if keyword in NAMED_KEYWORDS else [named]
    return cast("list[object]", value) if isinstance(value, list) else ()


def _find_own_faults(node: Mapping[str, Any], *, root: bool) -> Iterator[SchemaFault]:
    named = node.get("$schema")
    if isinstance(named, str) and not root:
        message = "only the schema of the whole file may name its '$schema'"
        yield SchemaFault("$schema", named, message, "remove it here")
    patterns: Mapping[str, Any] = node.get("patternProperties", {})
    for pattern in patterns:
        yield from _find_bad_pattern(pattern, None, pattern)
    if isinstance(pattern := node.get("pattern"), str):
        yield from _find_bad_pattern("pattern", pattern, pattern)


def _find_bad_pattern(keyword: str, value: str | None, pattern: str) -> Iterator[SchemaFault]:
    try:
        compile_pattern(pattern)
    except BadPattern as error:
        message = f"the pattern {shorten(pattern)!r} cannot be used: {error}"
        yield SchemaFault(keyword, value, message, "write a simpler pattern")
