"""`octavo split`: the chunks of documents, or with --score how good they are.

Chunks are JSON lines; scores are a table or JSON.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, get_origin

import typer
from pydantic import ValidationError

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
from octavo.commands._cli.terminal import align_columns, encode
from octavo.engine.run.runtime import run_blocking
from octavo.engine.splitting import SplitMethod, score_methods
from octavo.errors import UsageError
from octavo.pipeline.registry import Registry
from octavo.pipeline.yaml_tree import parse_scalar
from octavo.protocols.options import ContextOptions, Options
from octavo.protocols.sources import ChunkerType
from octavo.scoring import Scores
from octavo.text.chunk import Chunk
from octavo.text.document import Document
from octavo.text.span import Span
from octavo.text.splitting.boundary import hash_boundary

__all__ = ["show_scores", "split"]


def split(
    typed: typer.Context,
    *,
    files: FilesArgument = None,
    tokens: Annotated[
        int, typer.Option("--tokens", metavar="N", help="The most tokens of a chunk.")
    ] = 2000,
    by: Annotated[
        list[str] | None,
        typer.Option(
            "--by",
            metavar="CHUNKER",
            help="How to split (else structure); repeatable with --score.",
            show_default=False,
        ),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option(
            "-p",
            "--param",
            metavar="NAME=VALUE",
            help="Set an option of the chunker; repeatable.",
            show_default=False,
        ),
    ] = None,
    before: Annotated[
        int, typer.Option("--before", metavar="N", min=0, help="Tokens of text before a chunk.")
    ] = 0,
    after: Annotated[
        int, typer.Option("--after", metavar="N", min=0, help="Tokens of text after a chunk.")
    ] = 0,
    overlap: Annotated[
        int,
        typer.Option(
            "--overlap", metavar="N", min=0, help="Tokens of whole sentences before a chunk."
        ),
    ] = 0,
    title: Annotated[bool, typer.Option("--title", help="Give each the document's title.")] = False,
    metadata: Annotated[
        list[str] | None,
        typer.Option(
            "--metadata",
            metavar="NAME",
            help="Give each this metadata of the document; repeatable.",
            show_default=False,
        ),
    ] = None,
    previous: Annotated[
        Path | None,
        typer.Option(
            "--previous",
            metavar="FILE",
            help="What this command printed for an earlier version: its borders are kept.",
            show_default=False,
        ),
    ] = None,
    score: Annotated[
        bool, typer.Option("--score", help="Say how good the chunks are instead of printing them.")
    ] = False,
    score_model: Annotated[
        str | None,
        typer.Option(
            "--score-model",
            metavar="MODEL",
            help="Ask this model for the embeddings and log probabilities that scores need.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the scores as JSON, one object a line.")
    ] = False,
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
    What is asked for beside a chunk, or comes with it, stands in `context`.
    With --score a table says how good the chunks are, by each --by.
    Needs no model and sends nothing, but for --score-model.
    """
    how = ReadingOptions(gitignore, text_column, stdin_filename, encoding)
    intake = InputDocuments(files, glob, exclude, how)
    if score_model and not score:
        raise UsageError("--score-model does nothing without --score", hint="add --score")
    if len(by or ()) > 1 and not score:
        raise UsageError("several --by are for --score", hint="give one, or add --score")
    context = ContextOptions(
        title=title, metadata=metadata or [], overlap=overlap, before=before, after=after
    )
    counting = choose_counter(tokenizer, model, typed)
    ways = [
        SplitMethod(
            chunker := Registry().get_chunker(name),
            _parse_chunker_options(chunker, tokens, params or ()),
            tokens,
            counting,
            context=context if context != ContextOptions() else None,
            previous=_read_previous(previous) if previous else None,
        )
        for name in by or ["structure"]
    ]
    if score:
        show_scores(intake, ways, model=score_model, as_json=as_json)
    else:
        for document in intake:
            for chunk in run_blocking(ways[0].split_document(document)):
                line = _as_object(document, chunk, named=intake.several)
                sys.stdout.buffer.write(encode(json.dumps(line, ensure_ascii=False) + "\n"))
    intake.finish()


def _parse_chunker_options(chunker: ChunkerType, tokens: int, params: Sequence[str]) -> Options:
    values: dict[str, object] = {"tokens": tokens}
    for each in params:
        name, equals, value = each.partition("=")
        field = chunker.options.model_fields.get(name)
        if not equals or field is None or name == "tokens":
            own = ", ".join(sorted({*chunker.options.model_fields} - {"tokens"})) or "none"
            raise UsageError(
                f"-p {each}: the chunker {chunker.name!r} has no such option",
                hint=f"write NAME=VALUE; its options are: {own}",
            )
        listed = get_origin(field.annotation) is list
        values[name] = value.split(",") if listed else parse_scalar(value)
    try:
        return chunker.options.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        name, reason = str(problem["loc"][0]), problem["msg"]
        given = f"--tokens {tokens}" if name == "tokens" else f"-p {name}={values.get(name)}"
        message = f"{given}: {reason[:1].lower()}{reason[1:]}"
        raise UsageError(message, hint=f"give another value for {name}") from error


def _read_previous(path: Path) -> tuple[Chunk, ...]:
    """Return the chunks of an earlier split, as this command prints them."""
    chunks: list[Chunk] = []
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        parts = [json.loads(line) for line in lines if line]
        text = "".join(part["text"] for part in parts)
        for part in parts:
            start, end = int(part["start"]), int(part["end"])
            chunks.append(
                Chunk(Span(start, end), int(part["tokens"]), (), hash_boundary(text, start))
            )
    except OSError as error:
        raise UsageError(f"--previous {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"--previous {path}: not the output of `octavo split` for one document",
            hint="give the lines that it printed for the earlier version",
        ) from error
    return tuple(chunks)


def _as_object(document: Document, chunk: Chunk, *, named: bool) -> dict[str, object]:
    source: dict[str, object] = {"source": document.source} if named else {}
    context = {"context": dict(chunk.context)} if chunk.context else {}
    return source | {
        "start": chunk.span.start,
        "end": chunk.span.end,
        "tokens": chunk.tokens,
        "headings": chunk.headings,
        **context,
        "text": document.slice(chunk.span),
    }


_NO_VALUE: Final = "-"


def show_scores(
    documents: Iterable[Document], ways: Sequence[SplitMethod], *, model: str | None, as_json: bool
) -> None:
    """Print the scores of each document by each way to split it.

    Raises UsageError and BackendError for a model that is not known or cannot be used.
    """
    rows: list[tuple[str, str, Scores]] = []
    for document in documents:
        found = _compute_scores(document, ways, model)
        for way, scores in zip(ways, found, strict=True):
            if as_json:
                line = {"source": document.source, "by": way.chunker.name, **scores.as_dict()}
                sys.stdout.buffer.write(encode(json.dumps(line, ensure_ascii=False) + "\n"))
            else:
                rows.append((document.source, way.chunker.name, scores))
    if rows:
        lines = align_columns(list(_build_rows(rows)), right=range(2, 14))
        sys.stdout.buffer.write(encode("".join(f"{line}\n" for line in lines)))


def _compute_scores(
    document: Document, ways: Sequence[SplitMethod], model: str | None
) -> list[Scores]:
    if model is None:
        return [run_blocking(way.score_document(document)) for way in ways]
    from octavo.config.profiles import resolve_model  # noqa: PLC0415 - reads configuration files
    from octavo.pipeline.registry import Registry  # noqa: PLC0415 - only where needed

    choice = resolve_model(model, cwd=Path.cwd(), env=os.environ)
    backend = Registry().get_backend(choice.backend).open(choice.model, choice.profile)
    return run_blocking(score_methods(ways, document, backend, private=False))


def _build_rows(rows: Sequence[tuple[str, str, Scores]]) -> Iterable[list[str]]:
    names = list(rows[0][2].as_dict())
    yield ["source", "by", *names]
    for source, by, scores in rows:
        values = scores.as_dict().items()
        yield [source, by, *(_format_cell(name, value) for name, value in values)]


def _format_cell(name: str, value: float | None) -> str:
    if value is None:
        return _NO_VALUE
    return str(value) if name == "chunks" else f"{value:.2f}"
