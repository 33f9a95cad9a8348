"""Commands whose own commands are the pipelines: `octavo run NAME`, `octavo plan NAME`."""

from __future__ import annotations

import inspect
import shlex
from collections.abc import Callable, Sequence
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from octavo.commands.flags import build_pipeline_function
from octavo.commands.invocation import Invocation
from octavo.commands.order import RunOptions, declare_run_options
from octavo.commands.settings import bind_defaults
from octavo.errors import OctavoError, UsageError
from octavo.pipeline.lookup import FoundFile, Lookup
from octavo.pipeline.reader import load_pipeline

__all__ = ["PipelineGroup", "build_pipeline_group", "build_common_command"]

_COMMON_COUNT = len(inspect.signature(declare_run_options).parameters)
"""How many of a command's parameters are the common options."""


def build_pipeline_group(name: str, about: str, act: Callable[[RunOptions], int]) -> typer.Typer:
    """Return a command that reads the pipeline named by its first argument.

    The options that follow are the common ones and the pipeline's parameters; `act` gets them and
    returns the exit code.
    """

    class ActingGroup(PipelineGroup):
        def perform(self, order: RunOptions) -> int:
            return act(order)

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

    def perform(self, order: RunOptions) -> int:
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
        common, own = common[:_COMMON_COUNT], common[_COMMON_COUNT:]
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
    return _build_command("", declare_run_options)


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
