"""A pipeline's parameters as options of the command that runs it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Annotated, Any, cast

import typer

from octavo.commands.invocation import Invocation
from octavo.commands.order import FORMATS_BY_SUFFIX, ResultFormat, RunOptions, declare_run_options
from octavo.commands.settings import is_on_command_line
from octavo.errors import UsageError
from octavo.pipeline.params import parse_pairs
from octavo.pipeline.spec import Parameter, ParamType, Pipeline, Scalar

__all__ = ["build_pipeline_function", "to_flag"]

_COMMON_OPTIONS = inspect.signature(declare_run_options, eval_str=True).parameters
_RESERVED = {*_COMMON_OPTIONS, "help", "inputs"}
_METAVARS = {ParamType.INTEGER: "INTEGER", ParamType.NUMBER: "NUMBER", ParamType.JSON: "FILE"}


def build_pipeline_function(pipeline: Pipeline, act: Callable[[RunOptions], int]) -> Callable[..., None]:
    """Return a function whose signature has the common options, then the pipeline's parameters.

    Called with their values it hands `act` the order, which returns the exit code. Raises
    UsageError when a parameter has the name of one of the common options.
    """
    for parameter in pipeline.params:
        if parameter.name in _RESERVED:
            raise UsageError(
                f"{pipeline.path}: the parameter {parameter.name!r} has the name of an option of"
                " the command",
                hint=f"rename it, for example to {pipeline.name}_{parameter.name}",
            )
    parameters = (*_COMMON_OPTIONS.values(), *(_declare_parameter(parameter) for parameter in pipeline.params))
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)

    def perform(context: typer.Context, **values: Any) -> None:  # noqa: ANN401 - as parsed
        pairs: list[str] = values.pop("param") or []
        own = {name: values.pop(name) for name in _COMMON_OPTIONS if name in values}
        own["format"] = _choose_format(context, own)
        for name in ("inputs", "glob", "exclude"):
            own[name] = tuple(own[name] or ())
        params = _collect_values(values, pairs)
        invocation = context.find_object(Invocation) or Invocation()
        invocation.debug |= own["debug"]
        invocation.private |= own["private"]
        if code := act(RunOptions(pipeline, params, invocation, **own)):
            raise typer.Exit(code)

    signature = inspect.Signature(
        [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*parameters, context)]
    )
    perform.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - read by inspect
    perform.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    perform.__doc__ = pipeline.about or f"Run {pipeline.path}."
    return perform


def to_flag(parameter: Parameter) -> str:
    """Return the option that sets a parameter."""
    return "--" + parameter.name.replace("_", "-")


def _declare_parameter(parameter: Parameter) -> inspect.Parameter:
    """Return the parameter as Typer reads it: text, for the pipeline's own rules to check."""
    notes: list[str] = []
    name = to_flag(parameter)
    if parameter.required:
        notes.append("required")
    elif parameter.default not in (None, "", ()):
        notes.append(f"default: {_format_default(parameter.default)}")
    if parameter.repeatable:
        notes.append("repeatable")
    note = f"[{'; '.join(notes)}]" if notes else ""
    about = f"{parameter.about}  {note}".strip()
    kind: Any = str | None
    declared = [name]
    metavar = "|".join(parameter.choices) or _METAVARS.get(parameter.type, "TEXT")
    if parameter.type is ParamType.BOOLEAN and not parameter.repeatable:
        kind, metavar = bool | None, None
        declared = [f"{name}/--no-{name[2:]}"]
    elif parameter.repeatable:
        kind = list[str] | None
    option = typer.Option(
        *declared, metavar=metavar, help=about, show_default=False, allow_from_autoenv=False
    )
    return inspect.Parameter(
        parameter.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind, option],
    )


def _choose_format(context: typer.Context, own: Mapping[str, Any]) -> ResultFormat | None:
    """Return the one format that `--json` and `--format` ask for.

    Raises UsageError when the command line has both and they differ; one given there goes before
    one from the environment or a file.
    """
    wanted: ResultFormat | None = own["format"]
    source = getattr(context.get_parameter_source("format"), "name", "")
    if source == "DEFAULT_MAP" and FORMATS_BY_SUFFIX.get(PurePath(own["output"] or "").suffix.lower()):
        wanted = None  # the ending of -o, which the command line has, goes before a file
    if not own["json"] or wanted is ResultFormat.JSON:
        return wanted
    given = {name: is_on_command_line(context, name) for name in ("json", "format")}
    if wanted is not None and given["json"] and given["format"]:
        raise UsageError(f"--json and --format {wanted} differ", hint="give one of them")
    return wanted if given["format"] else ResultFormat.JSON


def _collect_values(flags: Mapping[str, object], pairs: list[str]) -> dict[str, list[object]]:
    """Return the values that were given for each parameter, by its flag and by `-p`."""
    given: dict[str, list[object]] = {}
    for name, value in flags.items():
        if value is not None:
            given[name] = cast("list[object]", value) if isinstance(value, list) else [value]
    for name, values in parse_pairs(pairs).items():
        given[name] = [*given.get(name, ()), *values]
    for name, values in given.items():
        if any(isinstance(each, str) and not _is_text(each) for each in values):
            raise UsageError(f"the parameter {name!r} is not UTF-8 text", hint="write it in UTF-8")
    return given


def _is_text(value: str) -> bool:
    """Tell whether a word of the command line was text and not bytes that are none."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _format_default(default: Scalar | tuple[Scalar, ...] | None) -> str:
    if isinstance(default, tuple):
        return ", ".join(str(each) for each in default)
    if isinstance(default, bool):
        return "yes" if default else "no"
    return str(default)
