"""How good chunks are, as a table or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from octavo.chunkers.score import Scores
from octavo.commands.render import encode
from octavo.commands.table import align_columns
from octavo.engine.splitting import SplitMethod, score_methods
from octavo.engine.wait import run_blocking
from octavo.text.document import Document

__all__ = ["show_scores"]

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


def _compute_scores(document: Document, ways: Sequence[SplitMethod], model: str | None) -> list[Scores]:
    if model is None:
        return [run_blocking(way.score_document(document)) for way in ways]
    from octavo.backends.profiles import resolve_model  # noqa: PLC0415 - reads configuration files
    from octavo.pipeline.registry import Registry  # noqa: PLC0415 - the same

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
