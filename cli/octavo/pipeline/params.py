"""Parameters of a pipeline: their declarations checked, and their values in one run.

A parameter may be JSON, from a file or written on the command line itself.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self, cast

from octavo.diagnostics import Source, shorten, suggest
from octavo.errors import SpecError, UsageError
from octavo.pipeline.lookup import MAX_BYTES
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.spec import Parameter, ParamSpec, ParamType, Scalar

__all__ = [
    "JsonText",
    "convert_value",
    "declare_parameter",
    "parse_pairs",
    "read_json_text",
    "resolve_params",
]


_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_VALUE_NAMES = {
    ParamType.STRING: "text",
    ParamType.INTEGER: "a whole number",
    ParamType.NUMBER: "a number",
    ParamType.BOOLEAN: "true or false",
    ParamType.CHOICE: "one of its choices",
    ParamType.JSON: "a JSON file",
}
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")


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
    """Return a value for every parameter, from the given values and the defaults.

    Strings are read as the parameter's type; a repeatable parameter takes a list or one value and
    gives a tuple. A parameter that is not required and has no default is None. Raises UsageError
    with all problems.
    """
    declared = {parameter.name: parameter for parameter in parameters}
    errors: list[UsageError] = []
    for name in given:
        if name not in declared:
            message = f"there is no parameter {shorten(name)!r}"
            errors.append(UsageError(message, hint=_suggest_parameter(name, declared)))
    values: dict[str, Scalar | tuple[Scalar, ...] | None] = {}
    for name, parameter in declared.items():
        value = given.get(name)
        if value is not None and value not in ([], ()):
            try:
                values[name] = convert_value(parameter, value)
            except UsageError as error:
                errors.append(error)
        elif parameter.required:
            message = f"the parameter {name!r} needs a value"
            about = f" ({parameter.about})" if parameter.about else ""
            flag = f"--{name.replace('_', '-')}"
            errors.append(UsageError(message + about, hint=f"add {flag} VALUE"))
        else:
            values[name] = parameter.default
    if len(errors) == 1:
        raise errors[0]
    if errors:
        lines = "\n".join(f"  {each.message}; {each.hint}" for each in errors)
        raise UsageError(f"{len(errors)} parameters are wrong:\n{lines}")
    return values


def convert_value(parameter: Parameter, value: object) -> Scalar | tuple[Scalar, ...]:
    """Return a value as the parameter's type.

    Raises UsageError when it is not of that type, SpecError for a file that is not JSON.
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
    converted: Scalar | None = None
    hint = ""
    match parameter.type:
        case ParamType.STRING:
            converted = value if isinstance(value, str) else None
            hint = "quote it"
        case ParamType.INTEGER:
            converted, hint = _parse_number(value, whole=True), "write a whole number such as 8"
        case ParamType.NUMBER:
            converted, hint = _parse_number(value, whole=False), "write a number such as 0.5"
        case ParamType.BOOLEAN:
            converted = value if isinstance(value, bool) else _BOOLEANS.get(str(value).lower())
            hint = "write true or false"
        case ParamType.JSON:
            return read_json_text(parameter.name, value)
        case ParamType.CHOICE:
            converted = value if isinstance(value, str) and value in parameter.choices else None
            hint = suggest(str(value), parameter.choices)
    if converted is None:
        kind = "one of its choices" if parameter.choices else _VALUE_NAMES[parameter.type]
        message = f"the parameter {parameter.name!r} is {kind}, not {shorten(str(value), 40)!r}"
        raise UsageError(message, hint=hint)
    return converted


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


# fmt: off
_JINJA_NAMES = frozenset({
    "and", "or", "not", "in", "is", "if", "else", "elif", "true", "false", "none", "loop", "self",
    "super", "caller", "varargs", "kwargs", "range", "dict", "namespace", "cycler", "joiner",
})
# fmt: on
"""Names that mean something of their own in a prompt."""


def declare_parameter(
    name: str, spec: ParamSpec, reserved: frozenset[str], problems: Problems
) -> Parameter:
    """Return a parameter, reporting where its declaration contradicts itself.

    `reserved` are the names that the pipeline's steps give to prompts.
    """
    path: KeyPath = ("params", name)
    plain = shorten(re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789") or "value")
    if not _PARAMETER_NAME.fullmatch(name):
        message = f"{shorten(name)!r} cannot be the name of a parameter"
        problems.add("wrong-value", message, path, hint=f"call it {plain!r}", key=True)
    elif name in reserved or name in _JINJA_NAMES:
        owner = "Jinja" if name in _JINJA_NAMES else "the steps"
        message = f"{name!r} has a meaning in prompts already, given by {owner}"
        problems.add("reserved-name", message, path, hint=f"call it 'the_{name}'", key=True)
    if (spec.type is ParamType.CHOICE) != (spec.choices is not None):
        message = f"{shorten(name)!r} has the type {spec.type.value!r}"
        if spec.choices is None:
            message, hint = f"{message} but no choices", "add `choices: [..., ...]`"
            problems.add("missing-key", message, (*path, "type"), hint=hint)
        else:
            message = f"{message} but has choices"
            problems.add("wrong-value", message, (*path, "choices"), hint="write `type: choice`")
    if spec.required and spec.default is not None:
        message = f"{shorten(name)!r} is required, so its default is never used"
        problems.add("wrong-value", message, (*path, "default"), hint="remove one of the two")
    required = spec.default is None if spec.required is None else spec.required
    default = spec.default
    if spec.type is ParamType.BOOLEAN and spec.required is None and not spec.repeatable:
        # A switch that is not given is off.
        required, default = False, bool(default) if default is None else default
    parameter = Parameter(
        name=name,
        type=spec.type,
        about=spec.about,
        required=required,
        choices=tuple(spec.choices or ()),
        repeatable=spec.repeatable,
    )
    return replace(
        parameter, default=_convert_default(parameter, default, (*path, "default"), problems)
    )


def _convert_default(
    parameter: Parameter, default: Scalar | list[Scalar] | None, path: KeyPath, problems: Problems
) -> Scalar | tuple[Scalar, ...] | None:
    if default is None or (parameter.type is ParamType.CHOICE and not parameter.choices):
        return () if parameter.repeatable and not parameter.required else None
    try:
        return convert_value(parameter, default)
    except UsageError as error:
        problems.add("wrong-type", error.message, path, hint=error.hint or "correct the default")
        return None


class JsonText(str):
    """A text that is JSON, and the path of the file it was read from, for errors."""

    __slots__ = ("path",)
    path: str

    def __new__(cls, text: str, path: str) -> Self:
        """Make the text of a file."""
        self = super().__new__(cls, text)
        self.path = path
        return self

    @property
    def source(self) -> Source:
        """The text with its path."""
        return Source(self.path, str(self))

    @property
    def value(self) -> object:
        """What the text says."""
        return json.loads(self)


def read_json_text(name: str, value: object) -> JsonText:
    """Return the JSON that a parameter's value is or names.

    A text that begins like an object or a list is JSON itself, any other is a path. Raises
    UsageError for a file that cannot be read, and SpecError at the place where it is not JSON.
    """
    if isinstance(value, JsonText):
        return value
    if isinstance(value, dict | list):
        return JsonText(json.dumps(value, ensure_ascii=False), f"--{name}")
    if not isinstance(value, str | Path):
        raise UsageError(
            f"the parameter {name!r} is a JSON file, not {shorten(str(value), 40)!r}",
            hint="give the path of a file",
        )
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        text = JsonText(value, f"--{name}")
    else:
        text = JsonText(_read_json_file(name, Path(value)), str(value))
    try:
        _ = text.value
    except json.JSONDecodeError as error:
        raise SpecError(
            f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}",
            code="bad-json",
            position=text.source.locate_line(error.lineno, error.colno),
            hint="correct this line",
        ) from error
    except (RecursionError, ValueError) as error:
        raise SpecError(
            "the JSON is nested too deeply, or a number in it is too long",
            code="bad-json",
            position=text.source.locate_line(1),
            hint="make it simpler",
        ) from error
    return text


def _read_json_file(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"the parameter {name!r}: {path} cannot be read: {error.strerror}",
            hint="give the path of a JSON file, or JSON that begins with { or [",
        ) from error
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"the parameter {name!r}: {path} has more than {MAX_BYTES:,} bytes",
            hint="give a smaller file",
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"the parameter {name!r}: {path} is not UTF-8 at byte {error.start}",
            hint="save it as UTF-8",
        ) from error
