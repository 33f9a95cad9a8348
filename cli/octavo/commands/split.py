"""`octavo split`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer
from pydantic import ValidationError

from octavo.commands.intake import (
    ColumnOption,
    EncodingOption,
    ExcludeOption,
    FilesArgument,
    GitignoreOption,
    GlobOption,
    How,
    Intake,
    ModelOption,
    StdinOption,
    TokenizerOption,
    counter_for,
)
from octavo.commands.render import encode
from octavo.engine.wait import wait
from octavo.errors import UsageError
from octavo.pipeline.registry import Registry
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options
from octavo.text.chunk import Chunk
from octavo.text.document import Document

__all__ = ["split"]


def split(
    *,
    files: FilesArgument = None,
    tokens: Annotated[
        int, typer.Option("--tokens", metavar="N", help="The most tokens of a chunk.")
    ] = 2000,
    by: Annotated[str, typer.Option("--by", metavar="CHUNKER", help="How to split.")] = "structure",
    tokenizer: TokenizerOption = None,
    model: ModelOption = None,
    glob: GlobOption = None,
    exclude: ExcludeOption = None,
    gitignore: GitignoreOption = True,
    text_column: ColumnOption = None,
    stdin_filename: StdinOption = None,
    encoding: EncodingOption = None,
) -> None:
    """Split documents into chunks, one JSON object a line.

    Each has `start` and `end` (characters of the document), `tokens`, `headings` and `text`, and
    `source` when there may be several documents. The chunks of a document join to its text.
    Needs no model and sends nothing.
    """
    how = How(gitignore, text_column, stdin_filename, encoding)
    intake = Intake(files, glob, exclude, how)
    chunker = Registry().chunker(by)
    if chunker.asks:
        hint = "put it into a pipeline, and run that"
        raise UsageError(f"the chunker {by!r} asks a model", hint=hint)
    options = _options(chunker, tokens)
    counting = counter_for(tokenizer, model)
    for document in intake:
        for chunk in wait(chunker.run(document, options, counting, None)):
            line = _as_object(document, chunk, named=intake.several)
            sys.stdout.buffer.write(encode(json.dumps(line, ensure_ascii=False) + "\n"))
    intake.finish()


def _options(chunker: ChunkerType, tokens: int) -> Options:
    try:
        return chunker.options.model_validate({"tokens": tokens})
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        message = f"--tokens {tokens}: {reason[:1].lower()}{reason[1:]}"
        raise UsageError(message, hint="give another number of tokens") from error


def _as_object(document: Document, chunk: Chunk, *, named: bool) -> dict[str, object]:
    source: dict[str, object] = {"source": document.source} if named else {}
    return source | {
        "start": chunk.span.start,
        "end": chunk.span.end,
        "tokens": chunk.tokens,
        "headings": chunk.headings,
        "text": document.slice(chunk.span),
    }
