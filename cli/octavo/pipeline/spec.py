"""A pipeline: what its YAML may say, and the checked values that the engine receives."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from octavo.errors import UsageError
from octavo.protocols.calls import JsonSchema
from octavo.protocols.options import Options, PromptMark, PromptRef, PromptText
from octavo.protocols.steps import StepType

if TYPE_CHECKING:
    from octavo.pipeline.prompts import Prompt, Prompts
    from octavo.pipeline.schemas import Schemas

__all__ = [
    "Head",
    "ParamSpec",
    "ParamType",
    "Parameter",
    "Pipeline",
    "Scalar",
    "StepUse",
    "WholePrompt",
    "WholeSpec",
]


Scalar = str | int | float | bool


class ParamType(StrEnum):
    """What a parameter's value may be."""

    STRING = "string"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    JSON = "json"


class ParamSpec(BaseModel):
    """A parameter as a pipeline declares it."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    type: ParamType = Field(default=ParamType.STRING, description="What the value may be.")
    about: str = Field(default="", description="One line for the help.")
    default: Scalar | list[Scalar] | None = Field(
        default=None, description="The value when none is given."
    )
    required: bool | None = Field(
        default=None,
        description="Whether a value must be given; by default, when there is no default.",
    )
    choices: list[str] | None = Field(
        default=None, min_length=1, description="The values of a choice."
    )
    repeatable: bool = Field(default=False, description="Whether several values may be given.")


class WholeSpec(BaseModel):
    """How a document that is one chunk is asked, once."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    prompt: Annotated[PromptRef, PromptMark("text", "headings", "words")] = Field(
        description="The prompt for the whole document."
    )
    tokens: int = Field(default=900, ge=1, description="The most tokens of the reply.")
    words: int | None = Field(
        default=None, ge=1, description="The length that the prompt asks for, in words."
    )


class Head(BaseModel):
    """What a pipeline file says beside its parts: `params`, `whole`, `steps` and `gather`."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    octavo: Literal[1] = Field(description="The version of this format: 1.")
    about: str = Field(default="", description="One line that says what the pipeline does.")
    each: str | None = Field(
        default=None,
        description="A repeatable parameter: the steps are run, and answer, for each of its values,"
        " which prompts see one at a time.",
    )


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value given at each run.

    `default` is a tuple where the parameter is repeatable, and None where there is no default.
    """

    name: str
    type: ParamType = ParamType.STRING
    about: str = ""
    default: Scalar | tuple[Scalar, ...] | None = None
    required: bool = True
    choices: tuple[str, ...] = ()
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class StepUse:
    """A step of a pipeline: its type, its checked options, its name, and where its input is from.

    `sources` are the names of earlier steps of the same list, whose notes it takes one after the
    other; none means the step before.
    """

    type: StepType
    options: Options
    name: str
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WholePrompt:
    """The prompt for a document that is one chunk, for a reply of at most `tokens`.

    It asks for about `words` words, and sees `text`, `headings` and `words`.
    """

    prompt: str | PromptText
    tokens: int = 900
    words: int | None = None


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline in which everything that can be checked without a document was checked.

    `digest` changes with what the pipeline does, its prompts and schemas included, not with its
    comments or its place; `path` is for people only. `each` names the parameter for each of whose
    values the steps give an answer.
    """

    name: str
    about: str
    params: tuple[Parameter, ...]
    whole: WholePrompt | None
    steps: tuple[StepUse, ...]
    gather: tuple[StepUse, ...]
    digest: str
    path: str
    prompts: Prompts = field(repr=False, compare=False)
    schemas: Schemas = field(repr=False, compare=False)
    each: str | None = None

    def truncate_after(self, step: str) -> Pipeline:
        """Return the pipeline up to a step; its result is that step's notes.

        Raises UsageError for a step that it does not have.
        """
        names = [use.name for use in (*self.steps, *self.gather)]
        if step not in names:
            raise UsageError(
                f"the pipeline {self.name!r} has no step {step!r}",
                hint=f"its steps: {', '.join(names)}",
            )
        end = names.index(step) + 1
        return replace(
            self,
            steps=self.steps[:end],
            gather=self.gather[: max(0, end - len(self.steps))],
            whole=self.whole if end > 1 else None,  # of a document that is only split, the chunks
            digest=hashlib.sha256(f"{self.digest} until {step}".encode()).hexdigest(),
        )

    def skip_errors(self) -> Pipeline:
        """Return the pipeline with `on_error: skip` on each step that has it."""
        return replace(self, steps=tuple(map(_skip_errors_of, self.steps)))

    def get_prompt(self, reference: str | PromptText) -> Prompt:
        """Return a prompt that the pipeline names or holds; raises SpecError for others."""
        return self.prompts.get(reference)

    def get_schema(self, reference: str) -> JsonSchema:
        """Return a JSON Schema that the pipeline names; raises SpecError for others."""
        return self.schemas.get(reference)


def _skip_errors_of(use: StepUse) -> StepUse:
    if "on_error" not in type(use.options).model_fields:
        return use
    return replace(use, options=use.options.model_copy(update={"on_error": "skip"}))
