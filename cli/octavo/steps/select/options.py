"""The options of the `select` step: by what pieces are chosen, and how many."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from octavo.errors import UsageError
from octavo.protocols import (
    Expression,
    ExpressionMark,
    Options,
    PromptMark,
    PromptRef,
    SchemaMark,
    Work,
)

__all__ = ["SelectOptions", "resolve_method"]


class SelectOptions(Options):
    """By what to choose, and how much."""

    query: Expression = Field(
        description="What is looked for: a parameter's name, or an expression over parameters."
    )
    by: Literal["bm25", "embeddings", "relevance", "entropy", "given"] = Field(
        default="bm25",
        description="Shared words, nearness of meaning, the model's judgement, or how sure it is of"
        " an answer's first token; `given` is the one that the parameter `by` names.",
    )
    keep: int | None = Field(default=None, ge=1, description="The most pieces, neighbours apart.")
    least: int = Field(
        default=1, ge=0, description="The fewest pieces, however little speaks for them."
    )
    tokens: int | None = Field(
        default=None, ge=1, description="The most tokens of all pieces, neighbours included."
    )
    drop: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The share of the score before below which no more pieces are taken.",
    )
    neighbours: int = Field(
        default=0, ge=0, description="How many pieces before and after each are taken too."
    )
    prompt: Annotated[PromptRef | None, PromptMark("text", "headings", "query", "abstain")] = Field(
        default=None,
        description="The prompt for a score or an answer; it sees `text`, `headings`, `query` and,"
        " by entropy, `abstain`.",
    )
    attempt: Annotated[PromptRef | None, PromptMark("text", "headings", "query", "abstain")] = (
        Field(
            default=None,
            description="The prompt for an answer, where `by: given` may ask for one or the other.",
        )
    )
    reflect: Annotated[PromptRef | None, PromptMark("text", "headings", "query", "first")] = Field(
        default=None,
        description="The prompt for a second score; it sees the `first` record too. The mean"
        " counts.",
    )
    schema_: Annotated[str | None, SchemaMark(notes=False)] = Field(
        default=None,
        alias="schema",
        description="The JSON Schema of a score's record; its number `score` counts, from 0.",
    )
    judge: Annotated[PromptRef | None, PromptMark("query", "notes")] = Field(
        default=None,
        description="The prompt that answers from the pieces chosen and says whether they are too"
        " few or too many; it sees `query` and `notes`.",
    )
    rounds: Annotated[str, ExpressionMark("params")] = Field(
        default="3",
        description="How often a choice is judged and changed by one piece, with `judge`: a number,"
        " or a parameter's name.",
    )
    judge_tokens: int = Field(default=400, ge=1, description="The most tokens of a judgement.")
    reply_tokens: int = Field(default=150, ge=1, description="The most tokens of a reply.")
    abstain: str = Field(
        default="NONE",
        min_length=1,
        description="How a reply begins that finds nothing, by entropy.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @field_validator("rounds", mode="before")
    @classmethod
    def _accept_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.keep is not None and self.least > self.keep:
            raise ValueError(f"`least: {self.least}` is more than `keep: {self.keep}`")
        if self.by == "given":
            if self.prompt is None or self.attempt is None or self.schema_ is None:
                raise ValueError("`by: given` needs `prompt`, `attempt` and `schema`")
            return self
        if self.attempt is not None:
            raise ValueError(f"`by: {self.by}` takes no `attempt`")
        asks = self.by in {"relevance", "entropy"}
        if asks != (self.prompt is not None):
            need = "needs a" if asks else "takes no"
            raise ValueError(f"`by: {self.by}` {need} `prompt`")
        if (self.by == "relevance") != (self.schema_ is not None):
            need = "needs a" if self.by == "relevance" else "takes no"
            raise ValueError(f"`by: {self.by}` {need} `schema`")
        if self.reflect is not None and self.by != "relevance":
            raise ValueError(f"`by: {self.by}` takes no `reflect`")
        return self


def resolve_method(options: SelectOptions, work: Work) -> SelectOptions:
    """Return the options with the method of the parameter `by` if the pipeline says `given`."""
    if options.by != "given":
        return options
    by = work.params.get("by")
    chosen_one: dict[str, object] = {"by": by, "attempt": None}
    if by == "entropy":
        chosen_one |= {"prompt": options.attempt, "schema_": None, "reflect": None}
    elif by in {"bm25", "embeddings"}:
        chosen_one |= {"prompt": None, "schema_": None, "reflect": None}
    elif by != "relevance":
        raise UsageError(
            f"step {work.step!r}: `by: given` needs a parameter `by`, which is {by!r}",
            hint="declare it as a choice of bm25, embeddings, relevance and entropy",
        )
    return options.model_copy(update=chosen_one)
