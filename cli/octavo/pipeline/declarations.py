"""Checks a parameter that a pipeline declares."""

from __future__ import annotations

import re
from dataclasses import replace

from octavo.errors import UsageError
from octavo.pipeline.params import convert_value
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.spec import Parameter, ParamSpec, ParamType, Scalar
from octavo.pipeline.spelling import shorten

__all__ = ["declare_parameter"]

_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
# fmt: off
_JINJA_NAMES = frozenset({
    "and", "or", "not", "in", "is", "if", "else", "elif", "true", "false", "none", "loop", "self",
    "super", "caller", "varargs", "kwargs", "range", "dict", "namespace", "cycler", "joiner",
})
# fmt: on
"""Names that mean something of their own in a prompt."""


def declare_parameter(name: str, spec: ParamSpec, reserved: frozenset[str], problems: Problems) -> Parameter:
    """Return a parameter, complaining where its declaration contradicts itself.

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
    return replace(parameter, default=_convert_default(parameter, default, (*path, "default"), problems))


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
