"""Shorten a document part by part until it fits a budget.

The method is SCOPE (Zhang, Wang, Wang 2025, arXiv 2508.15813): parts are rewritten at the same time
and put together in their order; how much each keeps follows from the budget and from how much it
weighs, so that the most dispensable parts are shortened most and some not at all; names and numbers
are kept. Code checks here that they are, and that none is made up: a rewritten part that fails is
asked for once more, and then stays as it was, as does a part that got no shorter. Lengths are named
as InstructCMP does (Do, Kwon, Kamigaito, Okumura 2024, arXiv 2406.11097).

With `spread: dynamic`, the paper's form, what a part is asked for depends on all parts: an edit
elsewhere may change what is asked of others. Shares move in steps of 0.05, so a small edit mostly
changes nothing. `spread: even` asks every part for the same share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field, field_validator

from octavo.errors import CallError, Outcome, ReplyError, UsageError
from octavo.pipeline.conditions import Condition
from octavo.protocols import (
    Asked,
    ExpressionMark,
    Kind,
    Options,
    PromptLike,
    PromptRef,
    StepType,
    Work,
)
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.steps.compress.facts import find_facts, find_lost_facts
from octavo.steps.compress.shares import ImportanceMethod, allot_shares, measure_importance
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.span import describe_spans, merge_spans

__all__ = ["STEP", "CompressOptions"]


_REPLY_SLACK = 1.5
"""How many times its target a rewritten part may take before it is cut."""

_EXTRA_TOKENS = 48
"""Tokens beyond that, which a short part needs more of."""

_RETRY_TEMPERATURE = 0.7
"""The temperature of a second attempt: the same one would give the same reply."""

ParamExpression = Annotated[str, ExpressionMark("params")]
"""A parameter's name, or an expression over parameters."""


class CompressOptions(Options):
    """How much shorter, and what counts."""

    prompt: PromptRef = Field(
        description="The prompt for each part; it sees `text`, `headings`, `words`, `have`,"
        " `keep`, `missing` and `added`."
    )
    ratio: ParamExpression = Field(
        default="0.5", description="The share of its tokens that the document keeps."
    )
    target: ParamExpression | None = Field(
        default=None, description="The tokens that the document keeps; goes before `ratio`."
    )
    query: ParamExpression | None = Field(
        default=None, description="What matters: parts that speak of it are shortened less."
    )
    by: ImportanceMethod = Field(
        default="words",
        description="What tells how much a part weighs: its words, or its embedding.",
    )
    spread: Literal["dynamic", "even"] = Field(
        default="dynamic",
        description="Whether parts that weigh less keep less, or all the same share.",
    )
    least: float = Field(
        default=0.25, gt=0, lt=1, description="The smallest share that a part is asked to keep."
    )
    rounds: int = Field(
        default=2, ge=1, le=5, description="How often parts are shortened while there is too much."
    )
    on_error: Literal["fail", "keep"] = Field(
        default="keep",
        description="Whether a failed call ends the document or leaves its part as it was.",
    )
    on_over: Literal["keep", "fail"] = Field(
        default="keep",
        description="Whether a result over the target is given, and said to be, or is a failure.",
    )

    @field_validator("ratio", "target", mode="before")
    @classmethod
    def _accept_number(cls, value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return str(value) if number else value


@dataclass(slots=True)
class _PartState:
    """The current text, tokens and weight of a part, and why it may not get shorter."""

    slot: PendingNote
    note: Note
    text: str
    tokens: int
    weight: float
    fixed_reason: str = ""


async def run(
    slots: Sequence[PendingNote], options: CompressOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the shortened text.

    Raises UsageError for a ratio or a target that cannot be, FitError when a prompt cannot fit.
    """
    shortening = _DocumentShortener(work.prompt(options.prompt), options, work)
    shortening.compute_goal(1)
    largest = max((slot.max_tokens for slot in slots), default=0)
    empty: dict[str, object] = {"text": "", "headings": (), "words": 1, "have": 1}
    empty |= {"keep": (), "missing": (), "added": ()}
    # The names that must stay stand in the prompt a second time, those that were lost a third, and
    # those that were made up are no longer than a reply.
    with_allowance = [
        replace(slot, max_tokens=4 * slot.max_tokens + FENCE_TOKENS) for slot in slots
    ]
    ensure_fits_window(work, shortening.prompt, empty, largest, with_allowance)
    work.follow(2 * options.rounds)
    return [
        PendingNote(
            spans=merge_spans(span for slot in slots for span in slot.spans),
            max_tokens=sum(slot.max_tokens for slot in slots),
            note=work.start(shortening.shorten(slots)),
            boundary_hash=slots[0].boundary_hash if slots else 0,
        )
    ]


@dataclass(frozen=True, slots=True)
class _DocumentShortener:
    """One document being shortened."""

    prompt: PromptLike
    options: CompressOptions
    work: Work

    async def shorten(self, slots: Sequence[PendingNote]) -> Note:
        """Shorten parts in rounds while the document is too long, and return them as one note."""
        parts, predicted = await self._weigh_parts(slots)
        before = self._count_tokens(parts)
        goal = self.compute_goal(before)
        for number in range(self.options.rounds):
            chosen = self._choose_parts(parts, goal)
            rewriting = [
                self.work.start(self._rewrite(part, share, number)) for part, share in chosen
            ]
            for each in rewriting:
                predicted = await each or predicted
        if predicted is None:
            self._report_outcome(parts, before, self._count_tokens(parts), goal)
        text = "".join(part.text for part in parts)
        return Note(
            text, merge_spans(s for part in parts for s in part.note.spans), None, predicted
        )

    def compute_goal(self, tokens: int) -> int:
        """Return how many of a document's tokens it may keep."""
        target = self._evaluate(self.options.target)
        if target is not None:
            if isinstance(target, bool) or not isinstance(target, int) or target < 1:
                raise UsageError(
                    f"step {self.work.step!r}: a target is a number of tokens, not {target!r}",
                    hint="write a whole number such as 2000",
                )
            return target
        ratio = self._evaluate(self.options.ratio)
        if isinstance(ratio, bool) or not isinstance(ratio, int | float) or not 0 < ratio <= 1:
            raise UsageError(
                f"step {self.work.step!r}: a ratio lies above 0 and up to 1, not {ratio!r}",
                hint="write a share such as 0.5",
            )
        return int(tokens * ratio)

    def _count_tokens(self, parts: Sequence[_PartState]) -> int:
        return self.work.counter.count("".join(part.text for part in parts))

    def _evaluate(self, expression: str | None) -> object:
        return None if expression is None else Condition(expression).evaluate(self.work.params)

    async def _weigh_parts(
        self, slots: Sequence[PendingNote]
    ) -> tuple[list[_PartState], Prediction | None]:
        found = [(slot, note) for slot in slots if (note := await slot.note) is not None]
        texts = [note.text for _, note in found]
        query = str(self._evaluate(self.options.query) or "")
        weights, predicted = await measure_importance(texts, query, self.options.by, self.work)
        predicted = next((note.predicted for _, note in found if note.predicted), predicted)
        tokens = self.work.counter.count_batch(texts)
        return [
            _PartState(slot, note, text, count, weight)
            for (slot, note), text, count, weight in zip(found, texts, tokens, weights, strict=True)
        ], predicted

    def _choose_parts(
        self, parts: Sequence[_PartState], goal: int
    ) -> list[tuple[_PartState, float]]:
        """Return the parts to shorten, each with the share that it keeps; none at the goal."""
        if self._count_tokens(parts) <= goal:
            return []
        adjustable = [part for part in parts if not part.fixed_reason]
        remaining = goal - sum(part.tokens for part in parts if part.fixed_reason)
        dynamic = self.options.spread == "dynamic"
        weights = [part.weight if dynamic else 0.0 for part in adjustable]
        shares = allot_shares(
            [part.tokens for part in adjustable], weights, remaining, self.options.least
        )
        return [(part, share) for part, share in zip(adjustable, shares, strict=True) if share < 1]

    async def _rewrite(self, part: _PartState, share: float, number: int) -> Prediction | None:
        """Shorten a part without losing facts; it stays as it is if two attempts lose some."""
        keep = find_facts(part.text)
        missing: tuple[str, ...] = ()
        added: tuple[str, ...] = ()
        for attempt in range(2):
            try:
                variables = {"keep": keep, "missing": missing, "added": added}
                answer = await self._ask(part, share, 2 * number + attempt, variables).reply
            except CallError as error:
                if attempt and self.options.on_error == "fail":
                    raise
                part.fixed_reason = error.message
                continue
            if answer.predicted is Prediction.SHORT:
                part.text, part.tokens = str(answer.value), int(part.tokens * share)
                return answer.predicted
            if answer.predicted is not None:
                # As many calls as there may be, and each has lost all and made up what it says.
                missing, added = keep, (str(answer.value),)
                continue
            text = _restore_whitespace(part.text, str(answer.value))
            tokens = self.work.counter.count(text)
            missing = find_lost_facts(keep, text)
            added = find_lost_facts(find_facts(text), "\n".join([*part.slot.headings, part.text]))
            if tokens < part.tokens and not missing and not added:
                part.text, part.tokens, part.fixed_reason = text, tokens, ""
                return None
            part.fixed_reason = _describe_fault(missing, added)
        return Prediction.LONG if not part.fixed_reason else None

    def _ask(
        self, part: _PartState, share: float, sample: int, extra_variables: Mapping[str, object]
    ) -> Asked:
        have = len(part.text.split())
        return self.work.ask(
            self.prompt,
            {
                "text": part.text,
                "headings": part.slot.headings,
                "words": max(1, int(have * share)),
                "have": have,
                **extra_variables,
            },
            tokens=min(part.tokens, math.ceil(_REPLY_SLACK * share * part.tokens) + _EXTRA_TOKENS),
            node=f"{describe_spans(part.slot.spans)}, attempt {sample + 1}",
            levels=self.work.after + 2 * self.options.rounds - 1 - sample,
            sample=sample,
            temperature=_RETRY_TEMPERATURE if sample % 2 else None,
            strict=True,
        )

    def _report_outcome(
        self, parts: Sequence[_PartState], before: int, after: int, goal: int
    ) -> None:
        """Report parts and a total that stayed too long, or fail if the options say so."""
        reasons = [part.fixed_reason for part in parts if part.fixed_reason]
        if reasons:
            self.work.notice(
                f"{len(reasons)} of {len(parts)} parts got no shorter: {'; '.join(reasons[:3])}"
                + ("; ..." if len(reasons) > 3 else "")
            )
        if after <= goal:
            return
        message = f"compressed from {before:,} to {after:,} tokens, not to {goal:,}"
        if self.options.on_over == "fail":
            raise ReplyError(
                message, outcome=Outcome.INVALID, hint="raise the target, or `rounds` of the step"
            )
        self.work.notice(message)


def _describe_fault(missing: Sequence[str], added: Sequence[str]) -> str:
    if missing:
        return f"{missing[0]!r} was lost"
    return f"{added[0]!r} was made up" if added else "as long as before"


def _restore_whitespace(before: str, after: str) -> str:
    """Return a rewritten text with the surrounding white space of the original."""
    body = before.strip()
    start = before.index(body)
    return before[:start] + after.strip() + before[start + len(body) :]


STEP = StepType(
    name="compress",
    about="Tell the document more briefly, part by part, until it keeps to a budget.",
    options=CompressOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTE,
    run=run,
    variables=frozenset({"text", "headings", "words", "have", "keep", "missing", "added"}),
)
