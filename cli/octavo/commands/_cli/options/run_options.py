"""The options of `run` and `plan`, and the values that a command line gives them.

Both commands take the same options, so that one line becomes the other by one word.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from octavo.commands._cli.invocation import Invocation

if TYPE_CHECKING:
    from octavo.engine.dispatch.budget import Allowance
    from octavo.pipeline.spec import Pipeline

__all__ = [
    "FORMATS_BY_SUFFIX",
    "FindingsFormat",
    "ProgressMode",
    "ResultFormat",
    "RunOptions",
    "declare_run_options",
]


class FindingsFormat(StrEnum):
    """How findings are written."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class ProgressMode(StrEnum):
    """How a run shows what it does: `auto` is `bar` on a terminal and `plain` elsewhere."""

    AUTO = "auto"
    BAR = "bar"
    PLAIN = "plain"
    NONE = "none"


class ResultFormat(StrEnum):
    """What a result looks like."""

    TEXT = "text"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


FORMATS_BY_SUFFIX = {
    ".json": ResultFormat.JSON,
    ".jsonl": ResultFormat.JSONL,
    ".ndjson": ResultFormat.JSONL,
    ".csv": ResultFormat.CSV,
}
"""The formats of files, by the endings of their names."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """A pipeline, all values given for its parameters, and the values of the options below."""

    pipeline: Pipeline
    params: Mapping[str, list[object]]
    invocation: Invocation
    inputs: tuple[str, ...] = ()
    output: str | None = None
    model: str | None = None
    jobs: int | None = None
    keep_going: bool = False
    fresh: bool = False
    json: bool = False
    format: ResultFormat | None = None
    front_matter: bool = False
    lock: bool = True
    output_format: FindingsFormat = FindingsFormat.TEXT
    exit_zero: bool = False
    dry_run: bool = False
    glob: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    changed_since: str | None = None
    text_column: str | None = None
    stdin_filename: str | None = None
    encoding: str | None = None
    private: bool = False
    quiet: bool = False
    verbose: bool = False
    debug: bool = False
    progress: ProgressMode = ProgressMode.AUTO
    events: str | None = None
    timeout: float | None = None
    hedge: float | None = None
    allow_partial: float | None = None
    until: str | None = None
    max_calls: int | None = None
    max_tokens: int | None = None
    max_cost: float | None = None
    max_minutes: float | None = None

    @property
    def allowance(self) -> Allowance:
        """What the run may spend."""
        from octavo.engine.dispatch.budget import Allowance  # noqa: PLC0415 - completion needs none

        return Allowance(self.max_calls, self.max_tokens, self.max_cost, self.max_minutes)


def declare_run_options(
    *,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUTS]...",
            help="Files and directories; - or nothing reads standard input.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="PATH",
            help="Write to a file; to a directory, as a tree like the inputs', when there may be"
            " several, or when PATH is one or ends with a slash.",
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "-m", "--model", metavar="MODEL", help="BACKEND:NAME, or a profile of octavo.toml."
        ),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="KEY=VALUE",
            help="Set a parameter of the pipeline; repeatable.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("-j", "--jobs", metavar="N", help="The most calls in flight."),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option(
            "-k",
            "--keep-going/--no-keep-going",
            help="Start further documents after a failure.",
            show_default=False,
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="Print the plan and send nothing.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask everything again instead of using the journal.")
    ] = False,
    private: Annotated[
        bool,
        typer.Option(
            "--private/--no-private",
            help="Keep nothing of this run on disk but its results.",
            show_default=False,
        ),
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print one JSON object a line for each document: result, sources, coverage,"
            " usage, run.",
        ),
    ] = False,
    format: Annotated[  # noqa: A002 - the option's name
        ResultFormat | None,
        typer.Option(
            "--format",
            help="What results look like: `text`; `json` as --json; `jsonl` and `csv` one row a"
            " document, with its metadata. Else by the ending of -o.",
        ),
    ] = None,
    output_format: Annotated[
        FindingsFormat,
        typer.Option(
            "--output-format",
            help="How a review's findings are written: lines, JSON, or GitHub's annotations.",
        ),
    ] = FindingsFormat.TEXT,
    exit_zero: Annotated[
        bool,
        typer.Option("--exit-zero", help="End with 0 whatever a review finds or a document fails."),
    ] = False,
    lock: Annotated[
        bool,
        typer.Option(
            "--lock/--no-lock",
            help="Keep octavo.lock beside results written with -o, for `octavo check`.",
        ),
    ] = True,
    front_matter: Annotated[
        bool,
        typer.Option(
            "--front-matter/--no-front-matter",
            help="Put the hashes of source and pipeline, the model and the coverage before text"
            " results, as YAML.",
            show_default=False,
        ),
    ] = False,
    glob: Annotated[
        list[str] | None,
        typer.Option(
            "--glob",
            metavar="PATTERN",
            help="Take only these files of directories; repeatable.",
            show_default=False,
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="PATTERN",
            help="Leave these files of directories out; repeatable.",
            show_default=False,
        ),
    ] = None,
    gitignore: Annotated[
        bool,
        typer.Option(
            "--gitignore/--no-gitignore",
            help="Leave out what .gitignore files leave out (the default).",
            show_default=False,
        ),
    ] = True,
    changed_since: Annotated[
        str | None,
        typer.Option(
            "--changed-since",
            metavar="REF",
            help="Take only files that git says have changed since REF.",
        ),
    ] = None,
    text_column: Annotated[
        str | None,
        typer.Option(
            "--text-column",
            metavar="NAME",
            help="Read each row of CSV as a document, whose text is in this column; of JSON Lines"
            " too, where it is else `text`.",
        ),
    ] = None,
    stdin_filename: Annotated[
        str | None,
        typer.Option(
            "--stdin-filename",
            metavar="NAME",
            help="Read standard input as a file of this name, for its format.",
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding", metavar="NAME", help="The encoding of inputs that are not UTF-8."
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option("--timeout", metavar="SECONDS", help="How long a call may stay unanswered."),
    ] = None,
    allow_partial: Annotated[
        float | None,
        typer.Option(
            "--allow-partial",
            metavar="SHARE",
            help="Leave out what fails, and take results that cover so much, such as 0.98.",
        ),
    ] = None,
    until: Annotated[
        str | None,
        typer.Option(
            "--until", metavar="STEP", help="End with this step: its notes are the result."
        ),
    ] = None,
    max_calls: Annotated[
        int | None,
        typer.Option("--max-calls", metavar="N", help="End, with code 4, before sending more."),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            "--max-tokens", metavar="N", help="The same for tokens of prompts and replies together."
        ),
    ] = None,
    max_cost: Annotated[
        float | None,
        typer.Option("--max-cost", metavar="DOLLARS", help="The same for what the tokens cost."),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", metavar="MINUTES", help="The same for the time."),
    ] = None,
    hedge: Annotated[
        float | None,
        typer.Option(
            "--hedge",
            metavar="TIMES",
            help="Send a second copy of a call that takes so many times as long as usual; the first"
            " reply is taken, and both may be billed.",
        ),
    ] = None,
    progress: Annotated[
        ProgressMode, typer.Option("--progress", help="What standard error shows of the run.")
    ] = ProgressMode.AUTO,
    events: Annotated[
        str | None,
        typer.Option(
            "--events",
            metavar="FILE",
            help="Write everything that happens to a file, one JSON object a line.",
        ),
    ] = None,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Write only errors to standard error.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Also say what is used, and each call's end.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Save the traceback of any error to a file, and name it."),
    ] = False,
) -> None:
    """Carry the options' names, types and help; the commands are built from its signature."""
