"""Ask the same question several times and take the answer that leads by enough votes.

This is the first-to-ahead-by-k voting with red flags of MAKER (Meyerson et al. 2025, arXiv
2511.09030): replies that are cut or not a valid record are discarded and not repaired, since a
malformed reply often comes with a wrong one. Unlike there, votes count in sample order, whatever
order replies arrive in, samples are sent only when the decision needs them, and no consensus is an
outcome with its tally and not an error after many tries. The first sample is that of a step that
does not vote: temperature 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from octavo.errors import CallError, Outcome, ReplyError, UsageError
from octavo.pipeline.conditions import Condition
from octavo.protocols import (
    Answer,
    Asked,
    ExpressionMark,
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptRef,
    SchemaRef,
    StepType,
    Work,
)
from octavo.steps._support.window import ensure_fits_window
from octavo.steps.vote.ballot import Ballot, compute_required_lead, estimate_votes
from octavo.text.equality import Equality, to_canonical_form
from octavo.text.note import Note, PendingNote, Prediction, Record, to_fields
from octavo.text.span import describe_spans

__all__ = ["STEP", "VoteOptions"]


_SAMPLES_PER_LEAD = 10
"""The most samples for each vote of the lead."""

_ENTRY_TOKENS = 16
"""Tokens that an answer's place in the tally takes beyond its own."""


class VoteOptions(Options):
    """What to ask of each chunk or note, and when an answer has won."""

    prompt: PromptRef = Field(description="The prompt; it sees `text`, `headings` and `words`.")
    tokens: int = Field(
        default=750, ge=1, description="The most tokens of a reply; one that is cut is no vote."
    )
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    schema_: SchemaRef | None = Field(
        default=None, alias="schema", description="The JSON Schema that each reply must fit."
    )
    key: Annotated[str | None, ExpressionMark("replies")] = Field(
        default=None,
        description="What must be equal in two replies for one answer: an expression over the"
        " reply's fields, or over `text`; the whole reply without it.",
    )
    alike: Equality = Field(
        default=Equality.UNICODE, description="How far texts may differ and be one answer."
    )
    k: int = Field(default=3, ge=1, description="By how many votes an answer must lead.")
    max_votes: int | None = Field(
        default=None, ge=1, description="The most samples of a chunk or note; 10 for each of `k`."
    )
    reliability: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="The probability that the whole document is answered right; gives `k`.",
    )
    accuracy: float | None = Field(
        default=None,
        gt=0.5,
        lt=1,
        description="The probability that one vote is right, measured; needed for `reliability`.",
    )
    temperature: float = Field(
        default=0.1, ge=0, description="The temperature of all samples but the first."
    )
    plain: bool = Field(
        default=False,
        description="Give the winning reply itself; no consensus is then a failed call.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail", description="Whether a failed call ends the document or is left out."
    )

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        if (self.reliability is None) != (self.accuracy is None):
            raise ValueError("`reliability` and `accuracy` are given together")
        if self.reliability is not None and "k" in self.model_fields_set:
            raise ValueError("`reliability` gives `k`; remove one of them")
        if self.reliability is None and self.max_votes is not None and self.max_votes < self.k:
            raise ValueError(f"no answer can lead by {self.k} votes of {self.max_votes}")
        return self


@dataclass(frozen=True, slots=True)
class _VoteSettings:
    """What all samples share, and what decides."""

    prompt: PromptLike
    schema: JsonSchema | None
    key: Condition | None
    lead: int
    max_samples: int


async def run(
    slots: Sequence[PendingNote], options: VoteOptions, work: Work
) -> Sequence[PendingNote]:
    """Return a slot for each of `slots`, with the outcome of its vote.

    Raises UsageError when `reliability` takes more votes than there may be.
    """
    lead = _compute_lead(options, len(slots), work)
    question = _VoteSettings(
        work.prompt(options.prompt),
        work.schema(options.schema_) if options.schema_ else None,
        Condition(options.key) if options.key else None,
        lead,
        options.max_votes or _SAMPLES_PER_LEAD * lead,
    )
    empty = {"text": "", "headings": (), "words": options.words}
    ensure_fits_window(work, question.prompt, empty, options.tokens, slots, schema=question.schema)
    bound = options.tokens
    if not options.plain:
        bound += question.max_samples * (options.tokens + _ENTRY_TOKENS) + _ENTRY_TOKENS
    return [
        replace(slot, max_tokens=bound, note=work.start(_poll_slot(slot, question, options, work)))
        for slot in slots
    ]


def _compute_lead(options: VoteOptions, items: int, work: Work) -> int:
    if options.reliability is None or options.accuracy is None:
        return options.k
    lead = compute_required_lead(options.reliability, options.accuracy, items)
    if options.max_votes is not None and options.max_votes < lead:
        raise UsageError(
            f"step {work.step!r}: a reliability of {options.reliability} over {items:,} parts, at"
            f" an accuracy of {options.accuracy}, takes a lead of {lead:,} votes; `max_votes` is"
            f" {options.max_votes:,}",
            hint=f"raise `max_votes` to {_SAMPLES_PER_LEAD * lead}, or remove it",
        )
    votes = estimate_votes(lead, options.accuracy)
    work.explain(
        f"step {work.step!r}: a lead of {lead:,} votes decides, for a reliability of"
        f" {options.reliability} over {items:,} parts at an accuracy of {options.accuracy};"
        f" about {votes:.1f} votes for each part"
    )
    return lead


async def _poll_slot(
    slot: PendingNote, question: _VoteSettings, options: VoteOptions, work: Work
) -> Note | None:
    note = await slot.note
    if note is None:
        return None
    ballot = Ballot(question.lead, question.max_samples)
    try:
        return await _Poll(note, slot, question, options, work, ballot).decide()
    except CallError as error:
        if options.on_error == "fail":
            raise
        work.skip(slot, error)
        return None


@dataclass
class _Poll:
    """The vote on one chunk or note.

    `answers` holds the first reply of each answer with its key, `predicted_answer` the last
    reply that a plan made up.
    """

    note: Note
    slot: PendingNote
    settings: _VoteSettings
    options: VoteOptions
    work: Work
    ballot: Ballot
    answers: dict[str, tuple[Answer, object]] = field(
        default_factory=dict[str, tuple[Answer, object]]
    )
    predicted_answer: Answer | None = None

    async def decide(self) -> Note:
        """Ask until the vote is decided, or cannot be; return what came of it."""
        asked: list[Asked] = []
        while True:
            asked.extend(
                self._ask(sample) for sample in range(len(asked), self.ballot.required_samples)
            )
            if self.ballot.sample_count == len(asked):
                return self._build_result()
            await self._count_sample(asked[self.ballot.sample_count])

    def _ask(self, sample: int) -> Asked:
        spans = self.slot.spans
        return self.work.ask(
            self.settings.prompt,
            {
                "text": self.note.value,
                "headings": self.slot.headings,
                "words": self.options.words,
            },
            tokens=self.options.tokens,
            words=self.options.words,
            schema=self.settings.schema,
            node=f"vote {sample + 1}, {describe_spans(spans)}",
            levels=self.work.after,
            sample=sample,
            temperature=self.options.temperature if sample else None,
            strict=True,
        )

    async def _count_sample(self, asked: Asked) -> None:
        try:
            answer = await asked.reply
        except ReplyError:
            self.ballot.add_flagged()
            return
        if answer.predicted is not None:
            self.predicted_answer = answer
        if answer.predicted is Prediction.LONG:
            self.ballot.add_flagged()
            return
        key = answer.value if answer.predicted else self._evaluate_key(answer)
        name = to_canonical_form(key, self.options.alike)
        if answer.predicted and self.ballot.standings:
            # With the fewest calls, whatever is asked agrees with what was answered before.
            name = self.ballot.standings[0][0]
        self.answers.setdefault(name, (answer, key))
        self.ballot.add_vote(name)

    def _evaluate_key(self, answer: Answer) -> object:
        if self.settings.key is None:
            return answer.value
        fields = to_fields(answer.value)
        return self.settings.key.evaluate({**self.work.params, **fields})

    def _build_result(self) -> Note:
        name = self.ballot.winner
        winner = self.predicted_answer if name is None else self.answers[name][0]
        predicted = self.predicted_answer.predicted if self.predicted_answer else None
        if self.options.plain:
            if winner is None:
                raise self._build_no_consensus()
            return replace(self.note, value=winner.value, predicted=predicted)
        record: Record = {
            "value": winner.value if winner else None,
            "no_consensus": winner is None,
            "tally": [
                {"value": self.answers[each][1], "votes": votes}
                for each, votes in self.ballot.standings
            ],
            "flagged": self.ballot.flags,
        }
        return replace(self.note, value=record, predicted=predicted)

    def _build_no_consensus(self) -> ReplyError:
        votes = ", ".join(str(votes) for _, votes in self.ballot.standings[:5]) or "none"
        return ReplyError(
            f"no consensus in step {self.work.step!r}: of {self.ballot.sample_count} samples"
            f" {self.ballot.flags} were no votes, and {len(self.answers)} answers got {votes};"
            f" a lead of {self.settings.lead} decides",
            outcome=Outcome.INVALID,
            hint="raise `max_votes`, or give a `key` that tells fewer answers apart",
        )


def _list_fields(options: VoteOptions) -> frozenset[str] | None:
    return None if options.plain else frozenset({"value", "no_consensus", "tally", "flagged"})


STEP = StepType(
    name="vote",
    about="Ask one question several times and take the answer that leads by enough votes.",
    options=VoteOptions,
    takes=frozenset({Kind.CHUNKS, Kind.NOTES}),
    gives=Kind.NOTES,
    run=run,
    variables=frozenset({"text", "headings", "words"}),
    fields=_list_fields,
)
