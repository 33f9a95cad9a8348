"""The options of the `margins` step: how to read, what to keep, and how to answer."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from octavo.protocols import Options, PromptMark, PromptRef

__all__ = ["MarginsOptions"]


class MarginsOptions(Options):
    """How to read, what to keep, and how to answer."""

    read: Annotated[PromptRef, PromptMark("segments", "headings", "classify", "words")] = Field(
        description="The prompt for a margin; it sees `segments`, `headings`, `classify`, `words`."
    )
    answer: Annotated[PromptRef, PromptMark("segments", "margins", "words")] = Field(
        description="The prompt for the answer; it sees `segments`, `margins` and `words`."
    )
    judge: Annotated[PromptRef | None, PromptMark("margin")] = Field(
        default=None,
        description="The prompt for a verdict of its own; it sees `margin`, and is to say YES or"
        " NO.",
    )
    collapse: Annotated[PromptRef | None, PromptMark("margins", "words")] = Field(
        default=None,
        description="The prompt that makes one margin of several where segments are read alone and"
        " all margins are too long for one answer; it sees `margins` and `words`.",
    )
    mode: Literal["cumulative", "segments"] = Field(
        default="cumulative",
        description="Whether each segment is read with all before it, or alone.",
    )
    classify: Literal["inline", "separate", "none"] = Field(
        default="inline",
        description="Whether a margin begins with its verdict, gets one by a call of its own, or"
        " is kept in any case.",
    )
    overflow: Literal["segments", "fail"] = Field(
        default="segments",
        description="Whether a document larger than the window is read by segments, or refused.",
    )
    tokens: int = Field(default=250, ge=1, description="The most tokens of a margin.")
    words: int | None = Field(default=None, ge=1, description="The length of a margin, in words.")
    answer_tokens: int = Field(default=600, ge=1, description="The most tokens of an answer.")
    answer_words: int | None = Field(
        default=None, ge=1, description="The length of an answer, in words."
    )
    empty: str | None = Field(
        default=None,
        description="The answer when no margin is kept; without it the document alone is asked.",
    )
    show: Literal["answer", "margins"] = Field(
        default="answer",
        description="Whether the result is the answer, or a record of it and the margins kept.",
    )
    rounds: int = Field(default=8, ge=1, description="The most rounds of collapsing.")
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed margin ends the document or is left out."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if self.classify == "separate" and self.judge is None:
            raise ValueError("`classify: separate` needs a prompt `judge`")
        return self
