"""Score each piece of a document by how much speaks for it, given a query.

The methods are shared words (BM25); nearness of embeddings; relevance by the model with reflection,
after ChunkRAG (Singh et al. 2024, arXiv 2410.19572): a score, then its critique and a second score,
of which the mean counts, in two calls at most; and least entropy of the first token with
abstention, after OPRM (Ben-Kish et al. 2025, arXiv 2505.07793): a model that finds the answer in a
piece is sure of how its answer begins. A model that thinks before it answers begins with its
thoughts: turn them off.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from octavo.errors import BackendError, CallError, Outcome, ReplyError, UsageError
from octavo.protocols import Answer, JsonSchema, PromptLike, TokenLogprob, Work
from octavo.steps._support.window import FENCE_TOKENS, ensure_fits_window
from octavo.steps.select.options import SelectOptions
from octavo.text.bm25 import score_bm25
from octavo.text.note import Note, PendingNote, Prediction
from octavo.text.span import describe_spans
from octavo.text.vectors import compute_cosine

__all__ = ["ScoredNote", "Scorer", "build_scorer", "estimate_entropy"]


_TOP_LOGPROBS = 20
"""How many alternatives of a token are asked for: the most that common servers give."""


@dataclass(frozen=True, slots=True)
class ScoredNote:
    """A note and its score, from 0; `predicted` is set where a plan made one of them up."""

    note: Note
    score: float
    predicted: Prediction | None = None


class Scorer(Protocol):
    """Scores all slots; None for one that has no note, or whose call failed and may."""

    async def __call__(self, slots: Sequence[PendingNote]) -> Sequence[ScoredNote | None]: ...


def build_scorer(
    slots: Sequence[PendingNote], options: SelectOptions, query: str, work: Work
) -> tuple[Scorer, int]:
    """Return the scorer, and how many calls it makes one after the other.

    Raises FitError when a prompt cannot fit the window, and UsageError when the schema has no
    score.
    """
    if options.by == "embeddings":
        return _EmbeddingScorer(query, work), 1
    if options.by == "bm25" or options.prompt is None:
        return _Bm25Scorer(query), 0
    prompt = work.prompt(options.prompt)
    variables: dict[str, object] = {"text": "", "headings": (), "query": query}
    if options.by == "entropy":
        variables["abstain"] = options.abstain
        ensure_fits_window(work, prompt, variables, options.reply_tokens, slots)
        return _CallScorer(_EntropyJudge(prompt, variables, options, work), options, work), 1
    schema = _require_score_schema(options, work)
    ensure_fits_window(work, prompt, variables, options.reply_tokens, slots, schema=schema)
    reflect = work.prompt(options.reflect) if options.reflect else None
    if reflect is not None:
        # The first record stands in the second prompt beside the text, with marks of its own, and
        # with blanks between its fields that the reply need not have had.
        with_first_record = [
            _add_tokens(slot, options.reply_tokens + 2 * FENCE_TOKENS) for slot in slots
        ]
        second_variables: dict[str, object] = {**variables, "first": ""}
        ensure_fits_window(
            work, reflect, second_variables, options.reply_tokens, with_first_record, schema=schema
        )
    relevance = _RelevanceJudge(prompt, reflect, schema, variables, options, work)
    return _CallScorer(relevance, options, work), 2 if reflect else 1


def _add_tokens(slot: PendingNote, tokens: int) -> PendingNote:
    return PendingNote(
        slot.spans, slot.max_tokens + tokens, slot.note, slot.boundary_hash, slot.headings
    )


def _require_score_schema(options: SelectOptions, work: Work) -> JsonSchema:
    schema = work.schema(options.schema_ or "")
    score = schema.get("properties", {}).get("score", {})
    kinds = {"integer", "number"}
    if score.get("type") not in kinds or "score" not in schema.get("required", ()):
        raise UsageError(
            f"step {work.step!r}: the schema {options.schema_!r} requires no number `score`",
            hint="give it a required property `score` of type integer, with its bounds",
        )
    return schema


@dataclass(frozen=True, slots=True)
class _Bm25Scorer:
    """Scores by the words that a text and its headings share with the query."""

    query: str

    async def __call__(self, slots: Sequence[PendingNote]) -> Sequence[ScoredNote | None]:
        notes = [await slot.note for slot in slots]
        # A filtered note is no text of the collection: it must not change what words weigh.
        scores = iter(score_bm25(_list_texts(slots, notes), self.query))
        return [note and ScoredNote(note, next(scores), note.predicted) for note in notes]


@dataclass(frozen=True, slots=True)
class _EmbeddingScorer:
    """Scores by the cosine of a text's embedding, its headings included, and the query's."""

    query: str
    work: Work

    async def __call__(self, slots: Sequence[PendingNote]) -> Sequence[ScoredNote | None]:
        notes = [await slot.note for slot in slots]
        texts = _list_texts(slots, notes)
        embedded = await self.work.ask.embed(
            [self.query, *texts], node="embeddings", levels=self.work.after
        )
        query, *vectors = embedded.vectors
        scores = iter([max(0.0, compute_cosine(query, each)) for each in vectors])
        return [
            note and ScoredNote(note, next(scores), note.predicted or embedded.predicted)
            for note in notes
        ]


def _list_texts(slots: Sequence[PendingNote], notes: Sequence[Note | None]) -> list[str]:
    """Return the texts of the notes that are there, each below its headings."""
    return [
        "\n".join([*slot.headings, note.text])
        for slot, note in zip(slots, notes, strict=True)
        if note is not None
    ]


class _NoteJudge(Protocol):
    async def __call__(self, slot: PendingNote, note: Note) -> ScoredNote: ...


@dataclass(frozen=True, slots=True)
class _CallScorer:
    """Scores by calls, all at once, each as soon as its own note is there."""

    judge: _NoteJudge
    options: SelectOptions
    work: Work

    async def __call__(self, slots: Sequence[PendingNote]) -> Sequence[ScoredNote | None]:
        scoring: list[Awaitable[ScoredNote | None]] = [
            self.work.start(self._score_slot(slot)) for slot in slots
        ]
        return [await each for each in scoring]

    async def _score_slot(self, slot: PendingNote) -> ScoredNote | None:
        note = await slot.note
        if note is None:
            return None
        try:
            return await self.judge(slot, note)
        except CallError as error:
            if self.options.on_error == "fail":
                raise
            self.work.skip(slot, error)
            return None


@dataclass(frozen=True, slots=True)
class _RelevanceJudge:
    """Scores by the model's own judgement, once more after it has looked at its first."""

    prompt: PromptLike
    reflect_prompt: PromptLike | None
    schema: JsonSchema
    variables: Mapping[str, object]
    options: SelectOptions
    work: Work

    async def __call__(self, slot: PendingNote, note: Note) -> ScoredNote:
        variables = {**self.variables, "text": note.value, "headings": slot.headings}
        first = await self._ask(self.prompt, variables, slot, 1 if self.reflect_prompt else 0)
        if self.reflect_prompt is None:
            return ScoredNote(note, _read_score(first), note.predicted or first.predicted)
        variables["first"] = first.value
        second = await self._ask(self.reflect_prompt, variables, slot, 0)
        score = (_read_score(first) + _read_score(second)) / 2
        return ScoredNote(note, score, note.predicted or first.predicted or second.predicted)

    async def _ask(
        self,
        prompt: PromptLike,
        variables: Mapping[str, object],
        slot: PendingNote,
        calls_above: int,
    ) -> Answer:
        place = describe_spans(slot.spans)
        return await self.work.ask(
            prompt,
            variables,
            tokens=self.options.reply_tokens,
            schema=self.schema,
            node=f"reflection on {place}" if prompt is self.reflect_prompt else place,
            levels=self.work.after + calls_above,
        ).reply


def _read_score(answer: Answer) -> float:
    assert isinstance(answer.value, Mapping)
    score = float(answer.value["score"])
    if not math.isfinite(score):
        # JSON as it is read may hold NaN, which no bound of a schema excludes and nothing sorts.
        raise ReplyError("the score is no finite number", outcome=Outcome.INVALID)
    return score


@dataclass(frozen=True, slots=True)
class _EntropyJudge:
    """Scores by exp(-H) of the first token's entropy H: 1 when sure, 0 when the model abstains."""

    prompt: PromptLike
    variables: Mapping[str, object]
    options: SelectOptions
    work: Work

    async def __call__(self, slot: PendingNote, note: Note) -> ScoredNote:
        answer = await self.work.ask(
            self.prompt,
            {**self.variables, "text": note.value, "headings": slot.headings},
            tokens=self.options.reply_tokens,
            node=describe_spans(slot.spans),
            levels=self.work.after,
            logprobs=_TOP_LOGPROBS,
        ).reply
        predicted = note.predicted or answer.predicted
        if predicted is not None:
            return ScoredNote(note, 1.0, predicted)
        if _is_abstention(str(answer.value), self.options.abstain):
            return ScoredNote(note, 0.0)
        # Some servers begin with a blank or an empty token, which says nothing of the answer.
        first = next((token for token in answer.logprobs if token.token.strip()), None)
        if first is None:
            raise BackendError(
                f"step {self.work.step!r}: the backend gives no log probabilities, which"
                " `by: entropy` needs",
                hint="use a backend that gives them, or `by: relevance`",
            )
        return ScoredNote(note, math.exp(-estimate_entropy(_list_alternatives(first))))


def _list_alternatives(token: TokenLogprob) -> Sequence[float]:
    """Return the log probabilities of the alternatives, the token itself among them."""
    top = dict(token.top)
    top.setdefault(token.token, token.logprob)
    return tuple(top.values())


def _is_abstention(reply: str, abstain: str) -> bool:
    """Tell whether a reply begins with the abstention, marks around it left out."""
    return re.match(rf"[\W_]*{re.escape(abstain)}(?!\w)", reply) is not None


def estimate_entropy(logprobs: Iterable[float]) -> float:
    """Return the least entropy, in nats, of a distribution with these likeliest alternatives.

    What they leave of 1 lies with tokens that a server does not name. None of them is likelier
    than the least likely one it names, so each adds to the entropy at least as much as that one;
    leaving them out would make a flat distribution look sure.
    """
    shares = [math.exp(min(logprob, 0.0)) for logprob in logprobs]
    shares = [share for share in shares if share > 0]
    rest = 1 - math.fsum(shares)
    named_entropy = -math.fsum(share * math.log(share) for share in shares)
    # What rounding leaves over is no tail.
    if rest < 1e-9:
        return max(0.0, named_entropy)
    return named_entropy - rest * math.log(min(rest, *shares)) if shares else math.inf
