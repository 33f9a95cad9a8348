"""The values of a pipeline's parameters in one run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

from octavo.errors import UsageError
from octavo.pipeline.json_value import read_json_text
from octavo.pipeline.spec import Parameter, ParamType, Scalar
from octavo.pipeline.spelling import shorten, suggest

__all__ = ["convert_value", "parse_pairs", "resolve_params"]

_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def parse_pairs(pairs: Iterable[str]) -> dict[str, list[str]]:
    """Return the values of `key=value` strings, as given with `-p`, in order.

    Raises UsageError, naming all that are not of that form.
    """
    given: dict[str, list[str]] = {}
    wrong: list[str] = []
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if equals and name:
            given.setdefault(name.strip().replace("-", "_"), []).append(value)
        else:
            wrong.append(pair)
    if wrong:
        shown = ", ".join(repr(shorten(pair)) for pair in wrong)
        raise UsageError(f"not a parameter: {shown}", hint="write -p NAME=VALUE")
    return given


def resolve_params(
    parameters: Iterable[Parameter], given: Mapping[str, object]
) -> dict[str, Scalar | tuple[Scalar, ...] | None]:
    """Return a value for every parameter, from what was given and the defaults.

    Strings are read as the parameter's type; a repeatable parameter takes a list or one value and
    gives a tuple. A parameter that is not required and has no default is None. Raises UsageError
    with all problems.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    problems: list[UsageError] = []
    for name in given:
        if name not in declared:
            message = f"there is no parameter {shorten(name)!r}"
            problems.append(UsageError(message, hint=_suggest_parameter(name, declared)))
    values: dict[str, Scalar | tuple[Scalar, ...] | None] = {}
    for name, parameter in declared.items():
        value = given.get(name)
        if value is not None and value not in ([], ()):
            try:
                values[name] = convert_value(parameter, value)
            except UsageError as error:
                problems.append(error)
        elif parameter.required:
            message = f"the parameter {name!r} needs a value"
            about = f" ({parameter.about})" if parameter.about else ""
            flag = f"--{name.replace('_', '-')}"
            problems.append(UsageError(message + about, hint=f"add {flag} VALUE"))
        else:
            values[name] = parameter.default
    if len(problems) == 1:
        raise problems[0]
    if problems:
        lines = "\n".join(f"  {each.message}; {each.hint}" for each in problems)
        raise UsageError(f"{len(problems)} parameters are wrong:\n{lines}")
    return values


def convert_value(parameter: Parameter, value: object) -> Scalar | tuple[Scalar, ...]:
    """Return a value as the parameter's type.

    Raises UsageError when it is none, SpecError for a file that is not JSON.
    """
    if parameter.repeatable:
        return tuple(_convert_one(parameter, each) for each in _as_sequence(value))
    several = _as_sequence(value)
    if parameter.type is ParamType.JSON and not all(
        isinstance(each, str | Path) for each in several
    ):
        several = (value,)  # a list that is the JSON itself
    if len(several) != 1:
        message = f"the parameter {parameter.name!r} takes one value, not {len(several)}"
        raise UsageError(message, hint="give it once")
    return _convert_one(parameter, several[0])


def _as_sequence(value: object) -> Sequence[object]:
    return cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)


def _convert_one(parameter: Parameter, value: object) -> Scalar:
    found: Scalar | None = None
    hint = ""
    match parameter.type:
        case ParamType.STRING:
            found = value if isinstance(value, str) else None
            hint = "quote it"
        case ParamType.INTEGER:
            found, hint = _parse_number(value, whole=True), "write a whole number such as 8"
        case ParamType.NUMBER:
            found, hint = _parse_number(value, whole=False), "write a number such as 0.5"
        case ParamType.BOOLEAN:
            found = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
            hint = "write true or false"
        case ParamType.JSON:
            return read_json_text(parameter.name, value)
        case ParamType.CHOICE:
            found = value if isinstance(value, str) and value in parameter.choices else None
            hint = suggest(str(value), parameter.choices)
    if found is None:
        kind = "one of its choices" if parameter.choices else _VALUE_NAMES[parameter.type]
        message = f"the parameter {parameter.name!r} is {kind}, not {shorten(str(value), 40)!r}"
        raise UsageError(message, hint=hint)
    return found


_VALUE_NAMES = {
    ParamType.STRING: "text",
    ParamType.INTEGER: "a whole number",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.CHOICE: "one of its choices",
    ParamType.JSON: "a JSON file",
}


def _parse_number(value: object, *, whole: bool) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        if whole:
            return None if isinstance(value, float) else int(value)
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _suggest_parameter(name: str, declared: Mapping[str, Parameter]) -> str:
    return suggest(name, declared) if declared else "this pipeline has no parameters"
