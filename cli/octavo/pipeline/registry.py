"""What pipelines can name: steps, chunkers, loaders and backends.

Each of ours is one line of a table and is imported when it is asked for, so that importing the
registry imports none of them. Packages add theirs by entry points, which are read only when a name
is not in the table, or when all names are listed; they cannot take a built-in's name.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Literal, TypeVar

from octavo.diagnostics import suggest
from octavo.errors import UsageError
from octavo.protocols.backends import BackendType
from octavo.protocols.sources import ChunkerType, LoaderType
from octavo.protocols.steps import StepType

__all__ = ["PartKind", "PartType", "Registry"]


PartKind = Literal["step", "chunker", "loader", "backend"]
PartType = StepType | ChunkerType | LoaderType | BackendType
Part = TypeVar("Part", StepType, ChunkerType, LoaderType, BackendType)

_BUILT_IN: dict[PartKind, dict[str, str]] = {
    "step": {
        "split": "octavo.steps.split",
        "map": "octavo.steps.map",
        "filter": "octavo.steps.filter",
        "select": "octavo.steps.select.step",
        "pick": "octavo.steps.pick",
        "reduce": "octavo.steps.reduce",
        "review": "octavo.steps.review",
        "merge": "octavo.steps.merge",
        "fold": "octavo.steps.fold",
        "memory": "octavo.steps.memory.step",
        "vote": "octavo.steps.vote.step",
        "tally": "octavo.steps.tally.step",
        "extract": "octavo.steps.extract.step",
        "compress": "octavo.steps.compress.step",
        "margins": "octavo.steps.margins.step",
        "tree": "octavo.steps.tree.step",
    },
    "chunker": {
        "structure": "octavo.chunkers.structure",
        "tokens": "octavo.chunkers.tokens",
        "sentences": "octavo.chunkers.sentences",
        "headings": "octavo.chunkers.headings",
        "rows": "octavo.chunkers.rows",
        "code": "octavo.chunkers.code.chunker",
        "adaptive": "octavo.chunkers.adaptive",
        "semantic": "octavo.chunkers.semantic",
        "perplexity": "octavo.chunkers.perplexity",
        "margin": "octavo.chunkers.margin",
        "shift": "octavo.chunkers.shift",
        "anchors": "octavo.chunkers.anchors",
        "regex": "octavo.chunkers.regex",
        "outline": "octavo.chunkers.outline",
        "questions": "octavo.chunkers.questions",
    },
    "loader": {
        "text": "octavo.loaders.text",
        "markdown": "octavo.loaders.markdown",
        "html": "octavo.loaders.html",
        "code": "octavo.loaders.code",
        "jsonl": "octavo.loaders.jsonl",
        "csv": "octavo.loaders.csv",
        "office": "octavo.loaders.office.loader",
    },
    "backend": {
        "openai": "octavo.backends.openai.backend",
        "llama": "octavo.backends.llama.backend",
        "vllm": "octavo.backends.vllm.backend",
        "scripted": "octavo.backends.scripted.backend",
    },
}


class Registry:
    """Finds steps, chunkers, loaders and backends by name.

    `own` are further ones given by a program; they come before all others.
    """

    def __init__(self, own: Iterable[PartType] = ()) -> None:
        self._found: dict[tuple[PartKind, str], PartType] = {
            (_get_kind(part), part.name): part for part in own
        }
        self._own = tuple(self._found)
        self._offered: dict[PartKind, dict[str, EntryPoint]] = {}

    def get_step(self, name: str) -> StepType:
        """Return a step; raises UsageError with a suggestion when there is none."""
        return self._find("step", name, StepType)

    def get_chunker(self, name: str) -> ChunkerType:
        """Return a chunker; raises UsageError with a suggestion when there is none."""
        return self._find("chunker", name, ChunkerType)

    def get_loader(self, name: str) -> LoaderType:
        """Return a loader; raises UsageError with a suggestion when there is none."""
        return self._find("loader", name, LoaderType)

    def list_loaders(self) -> tuple[LoaderType, ...]:
        """Return all loaders; of several for one suffix, the first is the one to use.

        A program's own come first, then those of packages, then ours, and at last plain text, the
        one for unknown formats.
        """
        own = [name for kind, name in self._own if kind == "loader"]
        ours = [name for name in _BUILT_IN["loader"] if name != "text"]
        others = [name for name in self.list_names("loader") if name not in _BUILT_IN["loader"]]
        names = (*dict.fromkeys((*own, *others, *ours)), "text")
        return tuple(self.get_loader(name) for name in names)

    def get_backend(self, name: str) -> BackendType:
        """Return a backend; raises UsageError with a suggestion when there is none."""
        return self._find("backend", name, BackendType)

    def list_names(self, kind: PartKind) -> tuple[str, ...]:
        """Return all names of a kind, sorted; imports none of what they stand for."""
        own = {name for of, name in self._found if of == kind}
        return tuple(sorted({*_BUILT_IN[kind], *own, *self._read_entry_points(kind)}))

    def has(self, kind: PartKind, name: str) -> bool:
        """Tell whether there is a part of this name; imports nothing."""
        known = (kind, name) in self._found or name in _BUILT_IN[kind]
        return known or name in self._read_entry_points(kind)

    def _find(self, kind: PartKind, name: str, wanted: type[Part]) -> Part:
        found = self._found.get((kind, name)) or self._load(kind, name)
        if not isinstance(found, wanted):
            raise UsageError(
                f"the package that offers the {kind} {name!r} gives a {type(found).__name__}",
                hint=f"its entry point must name a {wanted.__name__}",
            )
        self._found[kind, name] = found
        return found

    def _load(self, kind: PartKind, name: str) -> object:
        if module := _BUILT_IN[kind].get(name):
            return getattr(importlib.import_module(module), kind.upper())
        entry = self._read_entry_points(kind).get(name)
        if entry is None:
            raise UsageError(
                f"there is no {kind} {name!r}", hint=suggest(name, self.list_names(kind))
            )
        try:
            return entry.load()
        except Exception as error:
            package = entry.dist.name if entry.dist else entry.value
            raise UsageError(
                f"the {kind} {name!r} of {package} cannot be imported: {error}",
                hint=f"reinstall or remove {package}",
            ) from error

    def _read_entry_points(self, kind: PartKind) -> dict[str, EntryPoint]:
        if kind not in self._offered:
            offered = entry_points(group=f"octavo.{kind}s")
            self._offered[kind] = {entry.name: entry for entry in offered}
        return self._offered[kind]


def _get_kind(part: PartType) -> PartKind:
    match part:
        case StepType():
            return "step"
        case ChunkerType():
            return "chunker"
        case LoaderType():
            return "loader"
        case BackendType():
            return "backend"
