"""The options of `run` and `plan` as Typer takes them, and what a command line asks with them.

Both commands take the same options, so that one line becomes the other by one word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import Parameter, Signature
from typing import TYPE_CHECKING, Annotated, Any

import typer

from octavo.commands._cli.invocation import Invocation
from octavo.config.run_options import RUN_OPTIONS, DeclaredOption, ResultFormat, RunOptions

if TYPE_CHECKING:
    from octavo.engine.dispatch.allowance import Allowance
    from octavo.pipeline.spec import Pipeline

__all__ = [
    "CONTEXT_PARAMETER",
    "FORMATS_BY_SUFFIX",
    "RunRequest",
    "declare_option",
    "declare_parameter",
    "set_parameters",
]


FORMATS_BY_SUFFIX = {
    ".json": ResultFormat.JSON,
    ".jsonl": ResultFormat.JSONL,
    ".ndjson": ResultFormat.JSONL,
    ".csv": ResultFormat.CSV,
}
"""The formats of files, by the endings of their names."""

CONTEXT_PARAMETER = Parameter("context", Parameter.KEYWORD_ONLY, annotation=typer.Context)
"""Where Typer puts the context of a command."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RunRequest:
    """What a command line asks for: a pipeline, all values given for its parameters, options."""

    pipeline: Pipeline
    params: Mapping[str, list[object]]
    invocation: Invocation
    options: RunOptions

    @property
    def allowance(self) -> Allowance:
        """What the run may spend."""
        from octavo.engine.dispatch.allowance import Allowance  # noqa: PLC0415 - completion needs none

        asked = self.options
        return Allowance(asked.max_calls, asked.max_tokens, asked.max_cost, asked.max_minutes)


def declare_option(name: str) -> Any:  # noqa: ANN401 - as Typer's own functions
    """Return what Typer shows of a run option, and the words that it is given by."""
    declared = RUN_OPTIONS[name]
    option = declared.option
    shown: dict[str, Any] = {
        "metavar": option.metavar,
        "help": option.help,
        "show_default": option.show_default,
    }
    if option.argument:
        return typer.Argument(**shown)
    flag = declared.flag
    flag = f"{flag}/--no-{flag[2:]}" if option.negatable else flag
    return typer.Option(*filter(None, (option.short, flag)), **shown)


def declare_parameter(declared: DeclaredOption) -> Parameter:
    """Return a run option as the parameter of a command."""
    kind, default = declared.type, declared.default
    if declared.repeatable:
        kind, default = list[str], None
    return Parameter(
        declared.name,
        Parameter.KEYWORD_ONLY,
        default=default,
        annotation=Annotated[
            kind if default is not None else kind | None, declare_option(declared.name)
        ],
    )


def set_parameters(function: Callable[..., None], parameters: Sequence[Parameter]) -> None:
    """Give a function of keywords the signature from which Typer makes a command."""
    signature = Signature(parameters)
    function.__signature__ = signature  # pyright: ignore[reportFunctionMemberAccess] - read by inspect
    function.__annotations__ = {each.name: each.annotation for each in parameters}
