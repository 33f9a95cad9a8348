"""A project directory to write pipelines and prompts into, and steps that ask nothing."""

from __future__ import annotations

import textwrap
from typing import Annotated

import pytest
from pydantic import Field

from octavo.errors import SpecErrors
from octavo.pipeline.lookup import Lookup
from octavo.pipeline.reader import load_pipeline, read_pipeline
from octavo.pipeline.registry import Registry
from octavo.protocols import (
    ChunkerRef,
    ChunkerType,
    Expression,
    Kind,
    Options,
    PromptMark,
    PromptRef,
    SchemaRef,
    StepType,
)


class Split(Options, extra="allow"):
    by: ChunkerRef = "lines"
    tokens: int = Field(default=2000, ge=16)


class Lines(Options):
    tokens: int = Field(default=2000, ge=16)
    overlap: int = Field(default=0, ge=0)


class Map(Options):
    prompt: PromptRef
    schema_: SchemaRef | None = Field(default=None, alias="schema")
    words: int | None = Field(default=None, ge=1)
    quick: bool = False


class Filter(Options):
    where: Expression


class Fold(Options):
    first: Annotated[PromptRef, PromptMark("text", "words")]
    next: PromptRef
    shorten: Annotated[PromptRef | None, PromptMark("summary", "words", "have")] = None


async def run(*_):
    raise NotImplementedError


NOTES = frozenset({Kind.CHUNKS, Kind.NOTES})
STEPS = (
    StepType("split", "Split.", Split, frozenset({Kind.DOCUMENT}), Kind.CHUNKS, run),
    StepType("map", "Map.", Map, NOTES, Kind.NOTES, run, frozenset({"text", "headings", "words"})),
    StepType("filter", "Filter.", Filter, NOTES, Kind.NOTES, run),
    StepType("fold", "Fold.", Fold, NOTES, Kind.NOTE, run, frozenset({"text", "summary", "words"})),
    ChunkerType("lines", "Lines.", 1, Lines, run),
)


@pytest.fixture
def registry():
    return Registry(STEPS)


class Project:
    """A working directory with pipelines and prompts in it."""

    def __init__(self, root, registry):
        self.root = root
        self.registry = registry

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(textwrap.dedent(text).lstrip("\n").encode())
        return file

    def prompt(self, name, text):
        return self.write(f"octavo/prompts/{name}.j2", text)

    def schema(self, name, text):
        return self.write(f"octavo/prompts/{name}.json", text)

    @property
    def lookup(self):
        return Lookup(user=self.root / "user")

    def read(self, text):
        text = textwrap.dedent(text).lstrip("\n")
        return read_pipeline(text, "book.yaml", self.registry, self.lookup)

    def load(self, reference):
        return load_pipeline(reference, self.registry, self.lookup)

    def errors(self, text):
        """What is wrong with a text: `line:column code: message`, and the hint on its own line."""
        with pytest.raises(SpecErrors) as caught:
            self.read(text)
        return "".join(map(describe, caught.value.errors))

    def steps(self, text, *, head=""):
        """What is wrong with a pipeline of these steps, which start on line 3."""
        listing = textwrap.indent(textwrap.dedent(text).strip("\n"), "  ")
        return self.errors(f"octavo: 1\nsteps:\n{listing}\n{head}")


def describe(error):
    place = error.position
    where = f"{place.line}:{place.column}"
    if place.path != "book.yaml":
        where = f"{place.path}:{where}"
    assert error.hint, f"no hint for {error}"
    return f"{where} {error.code}: {error.message}\n    {error.hint}\n"


@pytest.fixture
def project(tmp_path, registry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Project(tmp_path, registry)
