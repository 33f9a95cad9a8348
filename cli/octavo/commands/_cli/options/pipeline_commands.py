"""Commands whose own commands are the pipelines: `octavo run NAME`, `octavo plan NAME`.

A pipeline's parameters become options of the command that runs it.
"""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from octavo.commands._cli.invocation import Invocation, bind_defaults, is_on_command_line
from octavo.commands._cli.options.run_options import (
    CONTEXT_PARAMETER,
    FORMATS_BY_SUFFIX,
    RunRequest,
    declare_parameter,
    set_parameters,
)
from octavo.config.run_options import RUN_OPTIONS, ResultFormat, RunOptions
from octavo.errors import OctavoError, UsageError
from octavo.pipeline.lookup import FoundFile, Lookup
from octavo.pipeline.params import parse_pairs
from octavo.pipeline.reader import load_pipeline
from octavo.pipeline.spec import Parameter, ParamType, Pipeline, Scalar

__all__ = [
    "PipelineGroup",
    "build_common_command",
    "build_pipeline_function",
    "build_pipeline_group",
    "to_flag",
]


def build_pipeline_group(name: str, about: str, act: Callable[[RunRequest], int]) -> typer.Typer:
    """Return a command that reads the pipeline named by its first argument.

    The options that follow are the common ones and the pipeline's parameters; `act` gets them and
    returns the exit code.
    """

    class ActingGroup(PipelineGroup):
        def perform(self, request: RunRequest) -> int:
            return act(request)

    application = typer.Typer(
        name=name,
        cls=ActingGroup,
        help=about,
        rich_markup_mode=None,
        add_completion=False,
        options_metavar="",
        subcommand_metavar="PIPELINE [OPTIONS] [INPUTS]...",
        invoke_without_command=True,
        epilog=f"`octavo {name} PIPELINE --help` also shows the pipeline's own options.",
    )
    application.callback()(_require_pipeline)
    return application


def _require_pipeline(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        raise UsageError("say which pipeline to run", hint="`octavo ls` lists the pipelines")


class PipelineGroup(TyperGroup):
    """Makes a command of each pipeline when it is asked for."""

    def perform(self, request: RunRequest) -> int:
        """Do what the command line asks for, and return the exit code."""
        raise NotImplementedError

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ANN401 - the library's type is private
        del ctx
        return [found.name for found in Lookup().list_pipelines()]

    def get_command(self, ctx: Any, cmd_name: str) -> TyperCommand | None:  # noqa: ANN401 - same
        try:
            pipeline = load_pipeline(cmd_name)
        except OctavoError:
            if ctx.resilient_parsing:  # the shell asks for completions
                return None
            raise
        command = _build_command(pipeline.name, build_pipeline_function(pipeline, self.perform))
        invocation: Invocation = ctx.find_object(Invocation) or Invocation()
        found = {name: each.value for name, each in invocation.settings.items() if name != "model"}
        return bind_defaults(command, found)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - same
        if args and args[0].startswith("-") and args[0] not in {*ctx.help_option_names, "-", "--"}:
            raise UsageError(
                f"{args[0]} stands before the pipeline's name",
                hint=f"write {ctx.command_path} {shlex.join(_move_name_first(args))}",
            )
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - same
        with bind_defaults(build_common_command()).make_context("", [], parent=ctx) as inner:
            cast("TyperCommand", inner.command).format_options(inner, formatter)
        rows = [(found.name, _describe_pipeline(found)) for found in Lookup().list_pipelines()]
        if rows:
            with formatter.section("Pipelines"):
                formatter.write_dl(rows)


class PipelineCommand(TyperCommand):
    """Shows the pipeline's parameters under a heading of their own, after the common options."""

    def format_options(self, ctx: Any, formatter: Any) -> None:  # noqa: ANN401 - same
        *common, help_option = self.get_params(ctx)
        common, own = common[: len(RUN_OPTIONS)], common[len(RUN_OPTIONS) :]
        sections = (
            ("Arguments", [each for each in common if each.param_type_name == "argument"]),
            (
                "Options",
                [each for each in (*common, help_option) if each.param_type_name == "option"],
            ),
            (f"Parameters of {self.name}", own),
        )
        for title, shown in sections:
            records = [record for each in shown if (record := each.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    # The metavar of the inputs says more than their type.
                    formatter.write_dl([(n.replace(" <list[str]>", ""), h) for n, h in records])


def build_common_command() -> PipelineCommand:
    """Return a command that takes the options of every pipeline, and does nothing."""

    def perform(**values: Any) -> None:  # noqa: ANN401 - as parsed
        del values

    set_parameters(perform, _COMMON_PARAMETERS)
    return _build_command("", perform)


def _build_command(name: str, function: Callable[..., None]) -> PipelineCommand:
    application = typer.Typer(rich_markup_mode=None, add_completion=False)
    application.command(name, cls=PipelineCommand)(function)
    return cast("PipelineCommand", get_command(application))


def _move_name_first(args: Sequence[str]) -> list[str]:
    """Return the words with the pipeline's name at the beginning, if one of them can be it."""
    names = {found.name for found in Lookup().list_pipelines()}
    named = (at for at, word in enumerate(args) if word in names or word.endswith(".yaml"))
    place = next(named, None)
    if place is None:
        return ["PIPELINE", *args]
    return [args[place], *args[:place], *args[place + 1 :]]


def _describe_pipeline(found: FoundFile) -> str:
    try:
        return load_pipeline(found).about
    except OctavoError as error:
        return f"(cannot be read: {error.message.splitlines()[0]})"


_COMMON_PARAMETERS = [declare_parameter(each) for each in RUN_OPTIONS.values()]
_RESERVED = {*RUN_OPTIONS, "help"}
_METAVARS = {ParamType.INTEGER: "INTEGER", ParamType.NUMBER: "NUMBER", ParamType.JSON: "FILE"}


def build_pipeline_function(
    pipeline: Pipeline, act: Callable[[RunRequest], int]
) -> Callable[..., None]:
    """Return a function whose signature has the common options, then the pipeline's parameters.

    Called with their values it hands `act` the request, which returns the exit code. Raises
    UsageError when a parameter has the name of one of the common options.
    """
    for parameter in pipeline.params:
        if parameter.name in _RESERVED:
            raise UsageError(
                f"{pipeline.path}: the parameter {parameter.name!r} has the name of an option of"
                " the command",
                hint=f"rename it, for example to {pipeline.name}_{parameter.name}",
            )

    def perform(context: typer.Context, **values: Any) -> None:  # noqa: ANN401 - as parsed
        common = {name: values.pop(name) for name in RUN_OPTIONS}
        common["format"] = _choose_format(context, common)
        for name, declared in RUN_OPTIONS.items():
            if declared.repeatable:
                common[name] = tuple(common[name] or ())
        options = RunOptions(**common)
        params = _collect_values(values, options.param)
        invocation = context.find_object(Invocation) or Invocation()
        invocation.debug |= options.debug
        invocation.private |= options.private
        if code := act(RunRequest(pipeline, params, invocation, options)):
            raise typer.Exit(code)

    set_parameters(
        perform,
        [*_COMMON_PARAMETERS, *map(_declare_parameter, pipeline.params), CONTEXT_PARAMETER],
    )
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
    if source == "DEFAULT_MAP" and FORMATS_BY_SUFFIX.get(
        PurePath(own["output"] or "").suffix.lower()
    ):
        wanted = None  # the ending of -o, which the command line has, goes before a file
    if not own["json"] or wanted is ResultFormat.JSON:
        return wanted
    given = {name: is_on_command_line(context, name) for name in ("json", "format")}
    if wanted is not None and given["json"] and given["format"]:
        raise UsageError(f"--json and --format {wanted} differ", hint="give one of them")
    return wanted if given["format"] else ResultFormat.JSON


def _collect_values(flags: Mapping[str, object], pairs: Sequence[str]) -> dict[str, list[object]]:
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
