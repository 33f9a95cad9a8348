"""The options of a run, declared once: names, types, defaults, help and bounds.

The command line, the keys of `octavo.toml`, the environment variables and the checks of the Python
API are all made from these fields. The order of the fields is the order of the help.
"""

# Every start reads this. Evaluated annotations and named tuples take a fraction of the time that
# resolving hints and making dataclasses of them all would.

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Annotated, Any, NamedTuple, SupportsFloat, SupportsIndex, get_args

from octavo.errors import UsageError

__all__ = [
    "RUN_OPTIONS",
    "DeclaredOption",
    "FindingsFormat",
    "ProgressMode",
    "ResultFormat",
    "RunOptions",
    "check_bounds",
    "check_numbers",
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


class Bounds(NamedTuple):
    """The numbers that an option takes: more than `above`, at most `most`."""

    above: float = 0
    most: float | None = None
    advice: str = "give more, or leave it out"
    example: float | None = None
    """A number to show after the advice."""

    def allow(self, value: float) -> bool:
        """Tell whether a number is one of them; not-a-number never is."""
        return value > self.above and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        return (
            f"above {self.above}" if self.most is None else f"between {self.above} and {self.most}"
        )


_POSITIVE = Bounds()


class Option(NamedTuple):
    """What is said of an option beside its name, type and default."""

    help: str
    metavar: str | None = None
    bounds: Bounds | None = None
    short: str = ""
    """The option of one letter: `-o`."""
    show_default: bool = True
    negatable: bool = False
    """Whether there is a `--no-` form."""
    argument: bool = False
    path: bool = False
    """Whether it names a file, which is relative to the configuration file that says it."""
    in_files: bool = True
    """Whether it is a key of `octavo.toml`."""
    in_config: bool = True
    """Whether `octavo config show` shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What a run is asked to do, beside the pipeline and its parameters."""

    inputs: Annotated[
        tuple[str, ...],
        Option(
            "Files and directories; - or nothing reads standard input.",
            "[INPUTS]...",
            argument=True,
            in_files=False,
            in_config=False,
        ),
    ] = ()
    output: Annotated[
        str | None,
        Option(
            "Write to a file; to a directory, as a tree like the inputs', when there may be"
            " several, or when PATH is one or ends with a slash.",
            "PATH",
            short="-o",
            in_files=False,
        ),
    ] = None
    model: Annotated[
        str | None,
        Option("BACKEND:NAME, or a profile of octavo.toml.", "MODEL", short="-m", in_files=False),
    ] = None
    param: Annotated[
        tuple[str, ...],
        Option(
            "Set a parameter of the pipeline; repeatable.",
            "KEY=VALUE",
            short="-p",
            in_files=False,
            in_config=False,
        ),
    ] = ()
    jobs: Annotated[int | None, Option("The most calls in flight.", "N", _POSITIVE, short="-j")] = (
        None
    )
    keep_going: Annotated[
        bool,
        Option(
            "Start further documents after a failure.",
            short="-k",
            negatable=True,
            show_default=False,
        ),
    ] = False
    dry_run: Annotated[
        bool,
        Option("Print the plan and send nothing.", short="-n", in_files=False, in_config=False),
    ] = False
    fresh: Annotated[
        bool, Option("Ask everything again instead of using the journal.", in_files=False)
    ] = False
    private: Annotated[
        bool,
        Option(
            "Keep nothing of this run on disk but its results.", negatable=True, show_default=False
        ),
    ] = False
    json: Annotated[
        bool,
        Option(
            "Print one JSON object a line for each document: result, sources, coverage, usage,"
            " run.",
            in_files=False,
            in_config=False,
        ),
    ] = False
    format: Annotated[
        ResultFormat | None,
        Option(
            "What results look like: `text`; `json` as --json; `jsonl` and `csv` one row a"
            " document, with its metadata. Else by the ending of -o."
        ),
    ] = None
    csv_safe: Annotated[
        bool,
        Option(
            "Write a ' before texts in CSV that spreadsheets take for formulas (=, +, -, @, tab,"
            " CR); else CSV is exact."
        ),
    ] = False
    output_format: Annotated[
        FindingsFormat,
        Option("How a review's findings are written: lines, JSON, or GitHub's annotations."),
    ] = FindingsFormat.TEXT
    exit_zero: Annotated[
        bool, Option("End with 0 whatever a review finds or a document fails.")
    ] = False
    lock: Annotated[
        bool,
        Option(
            "Keep octavo.lock beside results written with -o, for `octavo check`.", negatable=True
        ),
    ] = True
    front_matter: Annotated[
        bool,
        Option(
            "Put the hashes of source and pipeline, the model and the coverage before text"
            " results, as YAML.",
            negatable=True,
            show_default=False,
        ),
    ] = False
    glob: Annotated[
        tuple[str, ...], Option("Take only these files of directories; repeatable.", "PATTERN")
    ] = ()
    exclude: Annotated[
        tuple[str, ...], Option("Leave these files of directories out; repeatable.", "PATTERN")
    ] = ()
    gitignore: Annotated[
        bool,
        Option(
            "Leave out what .gitignore files leave out (the default).",
            negatable=True,
            show_default=False,
        ),
    ] = True
    changed_since: Annotated[
        str | None,
        Option("Take only files that git says have changed since REF.", "REF", in_files=False),
    ] = None
    text_column: Annotated[
        str | None,
        Option(
            "Read each row of CSV as a document, whose text is in this column; of JSON Lines too,"
            " where it is else `text`.",
            "NAME",
        ),
    ] = None
    stdin_filename: Annotated[
        str | None,
        Option(
            "Read standard input as a file of this name, for its format.", "NAME", in_files=False
        ),
    ] = None
    encoding: Annotated[
        str | None, Option("The encoding of inputs that are not UTF-8.", "NAME")
    ] = None
    timeout: Annotated[
        float | None, Option("How long a call may stay unanswered.", "SECONDS", _POSITIVE)
    ] = None
    allow_partial: Annotated[
        float | None,
        Option(
            "Leave out what fails, and take results that cover so much, such as 0.98.",
            "SHARE",
            Bounds(0, 1, "write the share of a document that is enough", 0.98),
        ),
    ] = None
    until: Annotated[
        str | None,
        Option("End with this step: its notes are the result.", "STEP", in_files=False),
    ] = None
    max_calls: Annotated[
        int | None, Option("End, with code 4, before sending more.", "N", _POSITIVE)
    ] = None
    max_tokens: Annotated[
        int | None, Option("The same for tokens of prompts and replies together.", "N", _POSITIVE)
    ] = None
    max_cost: Annotated[
        float | None, Option("The same for what the tokens cost.", "DOLLARS", _POSITIVE)
    ] = None
    max_minutes: Annotated[float | None, Option("The same for the time.", "MINUTES", _POSITIVE)] = (
        None
    )
    hedge: Annotated[
        float | None,
        Option(
            "Send a second copy of a call that takes so many times as long as usual; the first"
            " reply is taken, and both may be billed.",
            "TIMES",
            Bounds(1, None, "write how many times as long as usual a call may take", 2.5),
        ),
    ] = None
    progress: Annotated[ProgressMode, Option("What standard error shows of the run.")] = (
        ProgressMode.AUTO
    )
    events: Annotated[
        str | None,
        Option(
            "Write everything that happens to a file, one JSON object a line.", "FILE", path=True
        ),
    ] = None
    quiet: Annotated[bool, Option("Write only errors to standard error.", short="-q")] = False
    verbose: Annotated[bool, Option("Also say what is used, and each call's end.", short="-v")] = (
        False
    )
    debug: Annotated[bool, Option("Save the traceback of any error to a file, and name it.")] = (
        False
    )


class DeclaredOption(NamedTuple):
    """A field of RunOptions; `type` is that of a value, without None."""

    name: str
    type: Any
    default: Any
    option: Option

    @property
    def flag(self) -> str:
        """The option of the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def repeatable(self) -> bool:
        """Whether it may be given several times."""
        return isinstance(self.default, tuple)


def _read_declaration() -> dict[str, DeclaredOption]:
    declared: dict[str, DeclaredOption] = {}
    for field in fields(RunOptions):
        kind, option = get_args(field.type)
        if field.default is None:
            kind, _ = get_args(kind)
        declared[field.name] = DeclaredOption(field.name, kind, field.default, option)
    return declared


RUN_OPTIONS: Mapping[str, DeclaredOption] = _read_declaration()
"""The declared options by name, in the order of the help."""


def check_bounds(options: RunOptions, write: Callable[[DeclaredOption, float], str]) -> None:
    """Raise UsageError for a number that its option does not take, such as not-a-number.

    `write` returns how the caller gives a value to an option.
    """
    for declared in RUN_OPTIONS.values():
        bounds, value = declared.option.bounds, getattr(options, declared.name)
        if bounds is not None and value is not None and not bounds.allow(value):
            hint = bounds.advice
            if bounds.example is not None:
                hint += f", for example {write(declared, bounds.example)}"
            raise UsageError(f"{write(declared, value)} is not {bounds}", hint=hint)


def check_numbers(options: RunOptions) -> None:
    """Raise UsageError for a number of a program that is none, or that its option does not take."""
    for declared in RUN_OPTIONS.values():
        value = getattr(options, declared.name)
        if declared.option.bounds is None or value is None:
            continue
        wanted, kind = (
            ("a whole number", SupportsIndex)
            if declared.type is int
            else ("a number", SupportsFloat)
        )
        if isinstance(value, bool) or not isinstance(value, kind):
            message = f"{declared.name}={value!r} is not {wanted}"
            raise UsageError(message, hint=f"give {wanted}, or leave it out")
    check_bounds(options, lambda declared, value: f"{declared.name}={value!r}")
