"""What a run would do, found by running the steps against predicted replies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from octavo.engine.dispatch.capabilities import cached_capabilities
from octavo.engine.dispatch.pricing import Price
from octavo.engine.dispatch.run_limiter import DEFAULT_PARALLEL
from octavo.engine.journal.history import History, SendReason, TypicalCalls, find_typical_calls
from octavo.engine.journal.ledger import Ledger
from octavo.engine.plan.predict import PlanLedger, PredictedAnswers, SecondAttempts, StepTally
from octavo.engine.report import Silence, Watch
from octavo.engine.run.gather import GatheredDocument, GatherRun
from octavo.engine.run.job import (
    Job,
    JobSession,
    open_job_backend,
    open_job_embedding,
    open_journal,
)
from octavo.engine.run.pipeline import WHOLE, DocumentRun
from octavo.engine.run.prices import find_chat_price, find_embedding_price
from octavo.engine.run.primary_error import primary_error
from octavo.engine.run.run_context import RunContext
from octavo.errors import InputError, ReplyError
from octavo.pipeline.spec import Pipeline
from octavo.text.document import Document
from octavo.text.note import Prediction

__all__ = ["Plan", "PlanFacts", "PlanStep", "SecondAttempts", "build_plan", "forecast"]


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known beside the pipeline: earlier runs, prices, and calls that fly at once.

    `price` looks up the price of the model that replies, `price_embedding` of the one that embeds,
    and gives None where it is unknown. `usual` is None before the first run.
    """

    history: History
    price: Callable[[], Price | None] = lambda: None
    price_embedding: Callable[[], Price | None] = lambda: None
    usual: TypicalCalls | None = None
    jobs: int = 1


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of the plan, over all documents.

    `calls` counts what the step asks for, `cached` those that the journal answers, `sent` the
    others; low and high bound them, and the tokens and the cost, in US dollars, of those to be
    sent. The bounds are equal where nothing depends on what replies say. The likely tokens of
    replies are by their length in earlier runs, else by three quarters of what they may have.
    `reasons` counts why calls would be sent. A cost is None when a price is not known. A reply that
    is cut, empty or no record is asked for once more: `again` is the most that this takes, beside
    what the other fields say.
    """

    step: str
    calls_low: int = 0
    calls_high: int = 0
    cached: int = 0
    sent_low: int = 0
    sent_high: int = 0
    prompt_low: int = 0
    prompt_high: int = 0
    completion_low: int = 0
    completion_high: int = 0
    completion_likely: int = 0
    cost_low: float | None = 0.0
    cost_high: float | None = 0.0
    reasons: Mapping[SendReason, int] = field(default_factory=dict[SendReason, int])
    again: SecondAttempts = field(default_factory=SecondAttempts)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    `depth` is the longest chain of calls that wait for one another; `largest` the most tokens that
    one prompt and its reply may take, counted by `tokenizer`; `window` what the model takes, or
    None when unknown. `priced` says where the price is from. `seconds` are the least and the most
    by what calls took in earlier runs, with `jobs` calls in flight; None before there were any.
    `unreadable` are the inputs that a run would fail on; `failing` the documents, by source, that
    it would fail again, since the journal has replies for them that are of no use.
    """

    steps: tuple[PlanStep, ...]
    documents: int
    depth: int
    largest: int
    window: int | None
    tokenizer: str
    priced: str | None = None
    seconds: tuple[float, float] | None = None
    jobs: int = 1
    unreadable: tuple[InputError, ...] = ()
    failing: tuple[tuple[str, ReplyError], ...] = ()

    @property
    def calls(self) -> tuple[int, int]:
        """Least and most calls, answered by the journal or sent."""
        return sum(s.calls_low for s in self.steps), sum(s.calls_high for s in self.steps)

    @property
    def sent(self) -> tuple[int, int]:
        """Least and most calls that would be sent."""
        return sum(s.sent_low for s in self.steps), sum(s.sent_high for s in self.steps)

    @property
    def tokens(self) -> tuple[int, int]:
        """Least and most tokens of prompts and replies together."""
        return (
            sum(s.prompt_low + s.completion_low for s in self.steps),
            sum(s.prompt_high + s.completion_high for s in self.steps),
        )

    @property
    def again(self) -> SecondAttempts:
        """The most that second attempts take, where replies are of no use at first."""
        return sum((step.again for step in self.steps), SecondAttempts())

    @property
    def likely(self) -> int:
        """The likely tokens of prompts and replies together."""
        low, high = (
            sum(s.prompt_low for s in self.steps),
            sum(s.prompt_high for s in self.steps),
        )
        return (low + high) // 2 + sum(s.completion_likely for s in self.steps)

    @property
    def cost(self) -> tuple[float, float] | None:
        """Least and most US dollars, or None when a price is not known."""
        low = [step.cost_low for step in self.steps]
        high = [step.cost_high for step in self.steps]
        if None in low or None in high:
            return None
        return sum(filter(None, low)), sum(filter(None, high))


@dataclass
class _PlanScenario:
    """All documents with all replies short, or all long."""

    engine: RunContext
    replies: Prediction
    known: PlanFacts
    known_calls: set[int] = field(default_factory=set[int])
    """Calls of earlier documents that would be sent: no later document sends them again."""

    gathered: list[GatheredDocument] = field(default_factory=list[GatheredDocument])
    failing: dict[str, ReplyError] = field(default_factory=dict[str, ReplyError])
    """By source, what the journal's replies end."""

    longest_chain: int = 0
    """The longest chain of calls of any document."""

    async def plan_document(
        self, pipeline: Pipeline, params: Mapping[str, object], document: Document, number: int
    ) -> Mapping[str, StepTally]:
        """Return what each step of a document comes to."""

        async def reading(engine: RunContext, answers: Callable[[str], PredictedAnswers]) -> None:
            reading = DocumentRun(engine, answers, pipeline, params, document, number)
            result = await reading.run()
            if pipeline.gather:
                self.gathered.append(
                    GatheredDocument.from_document(document, reading.given, result.coverage)
                )

        return await self._count_calls(reading, document.source)

    async def plan_gather(
        self, pipeline: Pipeline, params: Mapping[str, object]
    ) -> Mapping[str, StepTally]:
        """Return what each step over all documents comes to."""

        async def gathering(engine: RunContext, answers: Callable[[str], PredictedAnswers]) -> None:
            gathering = GatherRun(
                engine, answers, pipeline, params, self.gathered, longest_chain=self.longest_chain
            )
            await gathering.run()

        return await self._count_calls(gathering, pipeline.name)

    async def _count_calls(
        self,
        work: Callable[[RunContext, Callable[[str], PredictedAnswers]], Awaitable[None]],
        source: str,
    ) -> Mapping[str, StepTally]:
        forecast = PlanLedger(self.known.history, self.known_calls)
        depths: dict[int, int] = {}
        engine = replace(self.engine, ledger=forecast)
        steps: dict[str, PredictedAnswers] = {}
        usual = self.known.usual

        def answers(step: str) -> PredictedAnswers:
            if step not in steps:
                steps[step] = PredictedAnswers(
                    engine.journal,
                    engine.counts,
                    self.replies,
                    depths,
                    forecast,
                    forecast.tallies[step],
                    embedder=engine.embedder,
                    samples=engine.known.samples,
                    price=self.known.price,
                    price_embedding=self.known.price_embedding,
                    typical_tokens=usual.step_tokens.get(step) if usual is not None else None,
                )
            return steps[step]

        try:
            await work(engine, answers)
        except BaseExceptionGroup as group:
            error = primary_error(group)
            if not isinstance(error, ReplyError):
                raise error from group
            # With the fewest replies nothing may be left to go on with; a run may have more.
            if self.replies is Prediction.LONG:
                self.failing[source] = error
        self.longest_chain = max(self.longest_chain, *depths.values(), 0)
        return forecast.tallies


class _NoticeOnce(Silence):
    """Passes on each notice once, however many passes a plan takes, and nothing else."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._said: set[str] = set()

    def notice(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._watch.notice(message)

    def explained(self, message: str) -> None:
        self.notice(message)


async def build_plan(
    engine: RunContext,
    pipeline: Pipeline,
    params: Mapping[str, object],
    inputs: Iterable[Document | InputError],
    known: PlanFacts,
) -> Plan:
    """Return what a run over these inputs would do; sends nothing.

    Raises FitError when a prompt cannot fit, and what else a run would raise before its first call.
    """
    engine = replace(engine, watch=_NoticeOnce(engine.watch))
    reading = [WHOLE, *(use.name for use in pipeline.steps)]
    gathering = [use.name for use in pipeline.gather]
    steps = {name: PlanStep(name) for name in (*reading, *gathering)}
    documents = largest = 0
    unreadable: list[InputError] = []
    scenarios = [_PlanScenario(engine, replies, known) for replies in Prediction]
    for number, document in enumerate(inputs):
        if isinstance(document, InputError):
            unreadable.append(document)
            continue
        documents += 1
        tallies = [
            await each.plan_document(pipeline, params, document, number) for each in scenarios
        ]
        largest = max(largest, _add_tallies(steps, reading, *tallies))
    if pipeline.gather and documents:
        tallies = [await each.plan_gather(pipeline, params) for each in scenarios]
        largest = max(largest, _add_tallies(steps, gathering, *tallies))
    depth = max(each.longest_chain for each in scenarios)
    failing = {name: error for each in scenarios for name, error in each.failing.items()}
    found = tuple(step for step in steps.values() if step.step != WHOLE or step.calls_high)
    price = known.price() if any(step.sent_high for step in found) else None
    return Plan(
        steps=found,
        documents=documents,
        depth=depth,
        largest=largest,
        window=engine.window,
        tokenizer=engine.counter.name,
        priced=price.origin if price is not None else None,
        seconds=_estimate_seconds(found, depth, known),
        jobs=known.jobs,
        unreadable=tuple(unreadable),
        failing=tuple(failing.items()),
    )


def _add_tallies(
    steps: dict[str, PlanStep],
    names: Iterable[str],
    low: Mapping[str, StepTally],
    high: Mapping[str, StepTally],
) -> int:
    """Add to the plan's steps what those of a list came to; return the most tokens of one call."""
    largest = 0
    for name in names:
        largest = max(largest, low[name].largest, high[name].largest)
        steps[name] = _add_to_step(steps[name], low[name], high[name])
    return largest


def _add_to_step(step: PlanStep, least: StepTally, most: StepTally) -> PlanStep:
    sent = sorted((least.sent, most.sent))
    reasons = Counter(step.reasons) + (most if most.sent >= least.sent else least).reasons
    return replace(
        step,
        calls_low=step.calls_low + min(least.calls, most.calls),
        calls_high=step.calls_high + max(least.calls, most.calls),
        cached=step.cached + max(least.calls - least.sent, most.calls - most.sent),
        sent_low=step.sent_low + sent[0],
        sent_high=step.sent_high + sent[1],
        prompt_low=step.prompt_low + min(least.prompt, most.prompt),
        prompt_high=step.prompt_high + max(least.prompt, most.prompt),
        completion_low=step.completion_low + min(least.completion, most.completion),
        completion_high=step.completion_high + max(least.completion_most, most.completion_most),
        completion_likely=step.completion_likely + round((least.likely + most.likely) / 2),
        cost_low=_add_known(step.cost_low, _pick_known(min, least.cost, most.cost)),
        cost_high=_add_known(step.cost_high, _pick_known(max, least.cost_most, most.cost_most)),
        reasons=reasons,
        again=step.again + _take_maximum(least.again, most.again),
    )


def _take_maximum(one: SecondAttempts, other: SecondAttempts) -> SecondAttempts:
    costs = [each.cost for each in (one, other) if each.cost is not None]
    return SecondAttempts(
        max(one.calls, other.calls),
        max(one.prompt, other.prompt),
        max(one.completion, other.completion),
        max(costs) if len(costs) > 1 else None,
    )


def _pick_known(
    pick: Callable[[float, float], float], one: float | None, other: float | None
) -> float | None:
    return None if one is None or other is None else pick(one, other)


def _add_known(cost: float | None, more: float | None) -> float | None:
    return None if cost is None or more is None else cost + more


def _estimate_seconds(
    steps: Iterable[PlanStep], depth: int, known: PlanFacts
) -> tuple[float, float] | None:
    """Return the least and the most seconds: all places busy, or the longest chain alone."""
    usual = known.usual
    if usual is None:
        return None
    low = high = chain_low = chain_high = 0.0
    for step in steps:
        each = usual.step_seconds.get(step.step, usual.seconds)
        low += step.sent_low * each / known.jobs
        high += step.sent_high * each / known.jobs
        chain_low = max(chain_low, each if step.sent_low else 0.0)
        chain_high = max(chain_high, each if step.sent_high else 0.0)
    sent = sum(step.sent_high for step in steps)
    return max(low, chain_low), max(high, chain_high * min(depth, sent))


async def forecast(job: Job, *, watch: Watch | None = None) -> Plan:
    """Return what `execute` would do with a job; sends nothing and writes no run.

    Raises FitError when a prompt cannot fit, and what else a run would raise before its first call.
    """
    quiet = watch or Silence()
    with open_journal(job, quiet) as journal:
        async with (
            open_job_backend(job, quiet) as backend,
            open_job_embedding(job, backend, quiet) as embedding,
        ):
            known = cached_capabilities(backend, job.profile, journal) or backend.known
            opened = JobSession(job, journal, backend, known, embedding)
            engine = opened.build_context(Ledger(journal, None), quiet)
            name = job.pipeline.name
            expected = PlanFacts(
                History(journal, name, job.command, fresh=job.fresh),
                price=cache(lambda: find_chat_price(job, backend)),
                price_embedding=cache(lambda: find_embedding_price(job, embedding)),
                usual=find_typical_calls(
                    journal, model=f"{backend.identity} {backend.model}", pipeline=name
                ),
                jobs=opened.parallel or DEFAULT_PARALLEL,
            )
            return await build_plan(engine, job.pipeline, job.params, job.inputs, expected)
