"""Check before anything is sent that what a step puts into its prompts fits the window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from octavo.errors import FitError
from octavo.protocols import JsonSchema, PromptLike, Work
from octavo.text.note import PendingNote

__all__ = ["FENCE_TOKENS", "ensure_fits_window"]


FENCE_TOKENS = 24
"""Tokens that the marks around one text may take beyond those around an empty one."""


def ensure_fits_window(
    work: Work,
    prompt: PromptLike,
    variables: Mapping[str, object],
    tokens: int,
    slots: Sequence[PendingNote],
    *,
    schema: JsonSchema | None = None,
) -> None:
    """Raise FitError when the largest slot does not fit the prompt beside `variables`.

    `tokens` is the bound of the reply, and `schema` the one that it must fit.
    """
    room = work.room(prompt, variables, tokens, schema)
    largest = max((slot.max_tokens for slot in slots), default=0)
    if room is not None and largest + FENCE_TOKENS > room:
        raise FitError(
            f"step {work.step!r}: {largest:,} tokens of text do not fit prompt {prompt.name!r}:"
            f" the window of {work.window:,} tokens leaves {room:,} beside the prompt and a reply"
            f" of {tokens:,}",
            hint=f"split to at most {max(1, room - FENCE_TOKENS)} tokens, or use a larger window",
        )
