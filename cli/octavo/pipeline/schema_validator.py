"""Validates values by JSON Schemas of others: nothing is fetched, and time and depth are bounded.

Whether a value fits does not depend on the machine, as far as bounds can do that: what a schema may
cost is counted in keywords evaluated. Patterns alone have a time limit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, cast

from jsonschema.exceptions import ValidationError
from jsonschema.validators import (
    Draft202012Validator,
    extend,  # pyright: ignore[reportUnknownVariableType] - it has no types
    validator_for,
)
from referencing import Registry
from referencing.exceptions import Unresolvable

from octavo.text.pattern import BadPattern, search_pattern

__all__ = [
    "DATA_KEYWORDS",
    "NAMED_KEYWORDS",
    "NO_REGISTRY",
    "REFERENCES",
    "SchemaValidator",
    "UncheckableValue",
    "build_validator",
    "choose_dialect",
]


NO_REGISTRY: Any = Registry[Any]()
"""It knows no schemas and fetches none."""

REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")

DATA_KEYWORDS = frozenset({"const", "default", "enum", "examples"})
"""The keywords that hold values and no schemas."""

NAMED_KEYWORDS = frozenset(
    {"$defs", "definitions", "dependencies", "dependentSchemas", "patternProperties", "properties"}
)
"""The keywords whose members have names of the author's."""

_PATTERN_SECONDS = 1.0
"""The time that all patterns of a schema may take over one value."""

_MIN_EVALUATIONS = 200_000
_EVALUATIONS_PER_CHARACTER = 50
"""Keywords that may be evaluated for each character of a value; references can multiply them."""


class UncheckableValue(ValueError):  # noqa: N818 - a property of a value and its schema
    """A value cannot be checked within bounds; the message says why."""


class _Budget:
    """What is left of the work that may be done over one value."""

    def __init__(self, evaluations: int) -> None:
        self._evaluations = evaluations
        self._seconds = _PATTERN_SECONDS

    def spend(self) -> None:
        self._evaluations -= 1
        if self._evaluations < 0:
            raise UncheckableValue("its schema takes too long to check")

    def search(self, pattern: str, text: str) -> bool:
        started = time.perf_counter()
        try:
            if self._seconds > 0:
                return search_pattern(pattern, text, self._seconds)
        except BadPattern as error:
            raise UncheckableValue(f"the pattern {pattern!r} cannot be used: {error}") from error
        finally:
            self._seconds -= time.perf_counter() - started
        raise UncheckableValue(f"its schema's patterns take more than {_PATTERN_SECONDS:g} s")


_BUDGET: ContextVar[_Budget] = ContextVar("budget")


class SchemaValidator:
    """Checks values by one schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        dialects: list[str] = []
        # A schema that names its dialect would be checked by the library's own keywords.
        own = _drop_dialects(schema, dialects)
        dialect = choose_dialect({"$schema": dialects[0]} if dialects else {})
        self._validator: Any = _bound_dialect(dialect)(own, registry=NO_REGISTRY)

    def list_errors(
        self, value: object, subschema: Mapping[str, Any] | None = None
    ) -> list[ValidationError]:
        """Return what does not fit, of a value at the root or at a subschema.

        Raises UncheckableValue for what cannot be checked within bounds.
        """
        checker = self._validator if subschema is None else self._validator.evolve(schema=subschema)
        try:
            characters = len(json.dumps(value))
            budget = _Budget(max(_MIN_EVALUATIONS, _EVALUATIONS_PER_CHARACTER * characters))
            token = _BUDGET.set(budget)
            try:
                return list(checker.iter_errors(value))
            finally:
                _BUDGET.reset(token)
        except UncheckableValue:
            raise
        except RecursionError as error:
            raise UncheckableValue("it is nested too deeply, or its schema is") from error
        except Unresolvable as error:
            raise UncheckableValue(f"its schema has no {str(error.ref)[:60]!r}") from error
        except (ArithmeticError, ValueError) as error:  # a multiple of what, for Infinity?
            raise UncheckableValue("it holds a number that is out of range") from error


@lru_cache(maxsize=40)
def build_validator(schema: str) -> SchemaValidator:
    """Return the validator of a schema that is given as JSON."""
    return SchemaValidator(json.loads(schema))


def choose_dialect(schema: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a class that the library made
    """Return the library's class for the `$schema` that a schema names, the latest without one."""
    named = schema.get("$schema")
    if not isinstance(named, str):
        return Draft202012Validator
    return validator_for({"$schema": named}, default=Draft202012Validator)


def _drop_dialects(node: Any, dialects: list[str], *, named: bool = False) -> Any:  # noqa: ANN401 - JSON
    """Return a schema without the `$schema` of any in it, which are added to `dialects`."""
    if isinstance(node, list):
        return [_drop_dialects(each, dialects) for each in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    rest: dict[str, Any] = {}
    for keyword, value in cast("dict[str, Any]", node).items():
        if keyword == "$schema" and isinstance(value, str):
            dialects.append(value)
        elif keyword in DATA_KEYWORDS and not named:
            rest[keyword] = value
        else:
            is_map = keyword in NAMED_KEYWORDS and not named
            rest[keyword] = _drop_dialects(value, dialects, named=is_map)
    return rest


@lru_cache(maxsize=8)
def _bound_dialect(dialect: Any) -> Any:  # noqa: ANN401 - a class that the library makes
    """Return a class of validators whose keywords are counted and whose patterns have an end."""
    keywords: Mapping[str, Any] = {
        **dialect.VALIDATORS,
        **{name: own for name, own in _OWN_KEYWORDS.items() if name in dialect.VALIDATORS},
    }
    return cast("Any", extend(dialect, {name: _count(check) for name, check in keywords.items()}))


_Keyword = Callable[[Any, Any, Any, Mapping[str, Any]], Iterator[ValidationError] | None]


def _count(keyword: _Keyword) -> _Keyword:
    def check(
        validator: Any,  # noqa: ANN401 - as the library calls it
        value: Any,  # noqa: ANN401
        instance: Any,  # noqa: ANN401
        schema: Mapping[str, Any],
    ) -> Iterator[ValidationError] | None:
        _BUDGET.get().spend()
        return keyword(validator, value, instance, schema)

    return check


def _check_pattern(
    validator: Any,  # noqa: ANN401 - as the library calls it
    pattern: str,
    instance: object,
    schema: Mapping[str, Any],
) -> Iterator[ValidationError]:
    del validator, schema
    if isinstance(instance, str) and not _BUDGET.get().search(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _check_pattern_properties(
    validator: Any,  # noqa: ANN401 - as the library calls it
    patterns: Mapping[str, Any],
    instance: object,
    schema: Mapping[str, Any],
) -> Iterator[ValidationError]:
    del schema
    if not isinstance(instance, dict):
        return
    for pattern, subschema in patterns.items():
        for name, each in cast("dict[str, object]", instance).items():
            if _BUDGET.get().search(pattern, name):
                yield from validator.descend(each, subschema, path=name, schema_path=pattern)


def _check_additional_properties(
    validator: Any,  # noqa: ANN401 - as the library calls it
    additional: object,
    instance: object,
    schema: Mapping[str, Any],
) -> Iterator[ValidationError]:
    """Check as the library does, with its words, which a model sees."""
    if not isinstance(instance, dict):
        return
    values = cast("dict[str, object]", instance)
    patterns: Mapping[str, Any] = schema.get("patternProperties", {})
    extra = [
        name
        for name in values
        if name not in schema.get("properties", {})
        and not any(_BUDGET.get().search(pattern, name) for pattern in patterns)
    ]
    if isinstance(additional, dict):
        for name in extra:
            yield from validator.descend(values[name], additional, path=name)
    elif not additional and extra:
        names = ", ".join(map(repr, sorted(extra)))
        if patterns:
            verb = "does" if len(extra) == 1 else "do"
            listed = ", ".join(map(repr, sorted(patterns)))
            yield ValidationError(f"{names} {verb} not match any of the regexes: {listed}")
        else:
            verb = "was" if len(extra) == 1 else "were"
            message = f"Additional properties are not allowed ({names} {verb} unexpected)"
            yield ValidationError(message)


_OWN_KEYWORDS: Mapping[str, _Keyword] = {
    "additionalProperties": _check_additional_properties,
    "pattern": _check_pattern,
    "patternProperties": _check_pattern_properties,
}
