"""The options that `tokens` and `split` share, the documents they read, and the tokenizer."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from octavo.commands._cli.error_report import describe
from octavo.commands._cli.invocation import is_on_command_line
from octavo.commands._cli.options.run_options import declare_option
from octavo.commands._cli.terminal import print_stderr
from octavo.errors import InputError, UsageError
from octavo.inputs.discovery import InputSelection, can_be_many, find_inputs
from octavo.inputs.reading import InputReader, read_documents
from octavo.pipeline.registry import Registry
from octavo.protocols.tokens import Counter
from octavo.text.document import Document
from octavo.tokens.choose import ESTIMATE, find_tokenizer, get_counter
from octavo.tokens.estimate import Estimate

__all__ = [
    "TOKENIZER",
    "ColumnOption",
    "EncodingOption",
    "ExcludeOption",
    "FilesArgument",
    "GitignoreOption",
    "GlobOption",
    "InputDocuments",
    "ModelOption",
    "ReadingOptions",
    "StdinOption",
    "TokenizerOption",
    "choose_counter",
]


TOKENIZER = "o200k_base"
"""The tokenizer when none is named: of the most used models, and counted without a network."""

FilesArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILES",
        help="Files and directories; - or nothing reads standard input.",
        show_default=False,
    ),
]
TokenizerOption = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="NAME",
        help=f"An encoding, a tokenizer.json or .gguf file, or `estimate` (else {TOKENIZER}).",
        show_default=False,
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Count as this model does: BACKEND:NAME, or a profile of octavo.toml.",
        show_default=False,
    ),
]
GlobOption = Annotated[list[str] | None, declare_option("glob")]
ExcludeOption = Annotated[list[str] | None, declare_option("exclude")]
GitignoreOption = Annotated[bool, declare_option("gitignore")]
ColumnOption = Annotated[str | None, declare_option("text_column")]
StdinOption = Annotated[str | None, declare_option("stdin_filename")]
EncodingOption = Annotated[str | None, declare_option("encoding")]


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How files are found and read; see the options of the same names."""

    gitignore: bool = True
    text_column: str | None = None
    stdin_filename: str | None = None
    encoding: str | None = None


class InputDocuments:
    """The documents of a command line, one at a time; prints and counts those it cannot read."""

    def __init__(
        self,
        files: Sequence[str] | None,
        glob: Sequence[str] | None,
        exclude: Sequence[str] | None,
        reading: ReadingOptions,
    ) -> None:
        """Find the inputs; raises UsageError for arguments that are wrong before one is read."""
        loaders = Registry().list_loaders()
        names = [*(files or ()), *filter(None, [reading.stdin_filename])]
        self.several = len(files or ()) > 1 or any(
            can_be_many(each, loaders, reading.text_column) for each in names
        )
        selection = InputSelection(
            include=glob or (),
            exclude=exclude or (),
            gitignore=reading.gitignore,
            stdin_name=reading.stdin_filename,
        )
        found = find_inputs(files or (), selection, loaders=loaders)
        self._documents = read_documents(found, InputReader(reading.encoding, reading.text_column))
        self._read = self._failed = 0

    def __iter__(self) -> Iterator[Document]:
        for item in self._documents:
            if isinstance(item, InputError):
                self._failed += 1
                print_stderr(describe(item))
            else:
                self._read += 1
                yield item

    def finish(self) -> None:
        """End the command with exit code 2 when nothing could be read, 1 when some could not."""
        if self._failed:
            raise typer.Exit(1 if self._read else InputError.exit_code)


def choose_counter(tokenizer: str | None, model: str | None, context: typer.Context) -> Counter:
    """Return the counter that the options name; an estimate nobody asked for is told on stderr.

    One that the command line has goes before one that the environment has. Raises UsageError for
    names that stand for nothing, and when both options are given.
    """
    if tokenizer and model:
        named = {name: is_on_command_line(context, name) for name in ("tokenizer", "model")}
        if named["tokenizer"] == named["model"]:
            message = "--tokenizer and --model both say how to count"
            raise UsageError(message, hint="give one of them")
        tokenizer, model = (tokenizer, None) if named["tokenizer"] else (None, model)
    chosen = get_counter(tokenizer or _find_tokenizer(model) or TOKENIZER, _print_notice)
    if isinstance(chosen, Estimate) and tokenizer not in {ESTIMATE, chosen.name}:
        _print_notice(
            f"counting by {chosen.name}, which is made to be too high rather than too low"
        )
    return chosen


def _find_tokenizer(model: str | None) -> str | None:
    if model is None:
        return None
    from octavo.config.profiles import resolve_model  # noqa: PLC0415 - reads configuration files

    choice = resolve_model(model, cwd=Path.cwd(), env=os.environ)
    backend = Registry().get_backend(choice.backend).open(choice.model, choice.profile)
    return backend.known.tokenizer or find_tokenizer(backend.model)


def _print_notice(message: str) -> None:
    print_stderr(f"octavo: {message}")
