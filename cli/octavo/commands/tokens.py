"""`octavo tokens`."""

from __future__ import annotations

import sys

import typer

from octavo.commands._cli.options.input_options import (
    ColumnOption,
    EncodingOption,
    ExcludeOption,
    FilesArgument,
    GitignoreOption,
    GlobOption,
    InputDocuments,
    ModelOption,
    ReadingOptions,
    StdinOption,
    TokenizerOption,
    choose_counter,
)
from octavo.commands._cli.terminal import clean_line, encode

__all__ = ["tokens"]


def tokens(
    context: typer.Context,
    *,
    files: FilesArgument = None,
    tokenizer: TokenizerOption = None,
    model: ModelOption = None,
    glob: GlobOption = None,
    exclude: ExcludeOption = None,
    gitignore: GitignoreOption = True,
    text_column: ColumnOption = None,
    stdin_filename: StdinOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Count the tokens of documents.

    One line for each: the count, a tab and the path, and at last the total when there are several.
    What is counted is the text that a pipeline would get: of HTML, the readable part.
    """
    how = ReadingOptions(gitignore, text_column, stdin_filename, encoding)
    intake = InputDocuments(files, glob, exclude, how)
    counting = choose_counter(tokenizer, model, context)
    total = lines = 0
    for document in intake:
        count = counting.count(document.text)
        total += count
        lines += 1
        name = f"\t{clean_line(document.source)}" if files else ""
        sys.stdout.buffer.write(encode(f"{count}{name}\n"))
    if lines > 1:
        sys.stdout.buffer.write(encode(f"{total}\ttotal\n"))
    intake.finish()
