"""What a run would do, found by running the strategies against predicted replies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from octavo.engine.document import Reading
from octavo.engine.engine import Engine
from octavo.engine.failure import blamed
from octavo.engine.folding import WHOLE
from octavo.engine.gathering import Gathered, Gathering
from octavo.engine.history import History, Reason, Usual
from octavo.engine.predict import Again, Forecast, Predictions, Tally
from octavo.engine.price import Price
from octavo.engine.report import Silence, Watch
from octavo.errors import InputError, ReplyError
from octavo.pipeline.spec import Pipeline
from octavo.text.document import Document
from octavo.text.note import Prediction

__all__ = ["Again", "Known", "Plan", "PlanStep", "plan"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known beside the pipeline: earlier runs, prices, and calls that fly at once.

    `price` looks up the price of the model that replies, `price_embedding` of the one that embeds,
    and gives None where it is unknown. `usual` is None before the first run.
    """

    history: History
    price: Callable[[], Price | None] = lambda: None
    price_embedding: Callable[[], Price | None] = lambda: None
    usual: Usual | None = None
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
    reasons: Mapping[Reason, int] = field(default_factory=dict[Reason, int])
    again: Again = field(default_factory=Again)


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
    def again(self) -> Again:
        """The most that second attempts take, where replies are of no use at first."""
        return sum((step.again for step in self.steps), Again())

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
class _Scenario:
    """All documents with all replies short, or all long."""

    engine: Engine
    replies: Prediction
    known: Known
    asked: set[int] = field(default_factory=set[int])
    """Calls of earlier documents that would be sent: no later document sends them again."""

    gathered: list[Gathered] = field(default_factory=list[Gathered])
    failing: dict[str, ReplyError] = field(default_factory=dict[str, ReplyError])
    """By source, what the journal's replies end."""

    longest: int = 0
    """The longest chain of calls of any document."""

    async def read(
        self, pipeline: Pipeline, params: Mapping[str, object], document: Document, number: int
    ) -> Mapping[str, Tally]:
        """Return what each step of a document comes to."""

        async def reading(engine: Engine, answers: Callable[[str], Predictions]) -> None:
            reading = Reading(engine, answers, pipeline, params, document, number)
            result = await reading.result()
            if pipeline.gather:
                self.gathered.append(Gathered.of(document, reading.given, result.coverage))

        return await self._forecast(reading, document.source)

    async def gather(self, pipeline: Pipeline, params: Mapping[str, object]) -> Mapping[str, Tally]:
        """Return what each step over all documents comes to."""

        async def gathering(engine: Engine, answers: Callable[[str], Predictions]) -> None:
            gathering = Gathering(
                engine, answers, pipeline, params, self.gathered, longest=self.longest
            )
            await gathering.result()

        return await self._forecast(gathering, pipeline.name)

    async def _forecast(
        self,
        work: Callable[[Engine, Callable[[str], Predictions]], Awaitable[None]],
        source: str,
    ) -> Mapping[str, Tally]:
        forecast = Forecast(self.known.history, self.asked)
        depths: dict[int, int] = {}
        engine = replace(self.engine, ledger=forecast)
        steps: dict[str, Predictions] = {}
        usual = self.known.usual

        def answers(step: str) -> Predictions:
            if step not in steps:
                steps[step] = Predictions(
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
                    usual=usual.step_tokens.get(step) if usual is not None else None,
                )
            return steps[step]

        try:
            await work(engine, answers)
        except BaseExceptionGroup as group:
            error = blamed(group)
            if not isinstance(error, ReplyError):
                raise error from group
            # With the fewest replies nothing may be left to go on with; a run may have more.
            if self.replies is Prediction.LONG:
                self.failing[source] = error
        self.longest = max(self.longest, *depths.values(), 0)
        return forecast.tallies


class _Once(Silence):
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


async def plan(
    engine: Engine,
    pipeline: Pipeline,
    params: Mapping[str, object],
    inputs: Iterable[Document | InputError],
    known: Known,
) -> Plan:
    """Return what a run over these inputs would do; sends nothing.

    Raises FitError when a prompt cannot fit, and what else a run would raise before its first call.
    """
    engine = replace(engine, watch=_Once(engine.watch))
    reading = [WHOLE, *(use.name for use in pipeline.steps)]
    gathering = [use.name for use in pipeline.gather]
    steps = {name: PlanStep(name) for name in (*reading, *gathering)}
    documents = largest = 0
    unreadable: list[InputError] = []
    scenarios = [_Scenario(engine, replies, known) for replies in Prediction]
    for number, document in enumerate(inputs):
        if isinstance(document, InputError):
            unreadable.append(document)
            continue
        documents += 1
        tallies = [await each.read(pipeline, params, document, number) for each in scenarios]
        largest = max(largest, _add(steps, reading, *tallies))
    if pipeline.gather and documents:
        tallies = [await each.gather(pipeline, params) for each in scenarios]
        largest = max(largest, _add(steps, gathering, *tallies))
    depth = max(each.longest for each in scenarios)
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
        seconds=_seconds(found, depth, known),
        jobs=known.jobs,
        unreadable=tuple(unreadable),
        failing=tuple(failing.items()),
    )


def _add(
    steps: dict[str, PlanStep],
    names: Iterable[str],
    low: Mapping[str, Tally],
    high: Mapping[str, Tally],
) -> int:
    """Add to the plan's steps what those of a list came to; return the most tokens of one call."""
    largest = 0
    for name in names:
        largest = max(largest, low[name].largest, high[name].largest)
        steps[name] = _plus(steps[name], low[name], high[name])
    return largest


def _plus(step: PlanStep, least: Tally, most: Tally) -> PlanStep:
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
        cost_low=_sum(step.cost_low, _pick(min, least.cost, most.cost)),
        cost_high=_sum(step.cost_high, _pick(max, least.cost_most, most.cost_most)),
        reasons=reasons,
        again=step.again + _most(least.again, most.again),
    )


def _most(one: Again, other: Again) -> Again:
    costs = [each.cost for each in (one, other) if each.cost is not None]
    return Again(
        max(one.calls, other.calls),
        max(one.prompt, other.prompt),
        max(one.completion, other.completion),
        max(costs) if len(costs) > 1 else None,
    )


def _pick(
    pick: Callable[[float, float], float], one: float | None, other: float | None
) -> float | None:
    return None if one is None or other is None else pick(one, other)


def _sum(cost: float | None, more: float | None) -> float | None:
    return None if cost is None or more is None else cost + more


def _seconds(steps: Iterable[PlanStep], depth: int, known: Known) -> tuple[float, float] | None:
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
