"""What a run would do, found by running the strategies against predicted replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from octavo.engine.document import Reading
from octavo.engine.engine import Engine
from octavo.engine.failure import blamed
from octavo.engine.predict import Predictions, Tally
from octavo.engine.report import Silence, Watch
from octavo.errors import InputError, ReplyError
from octavo.pipeline.spec import Pipeline
from octavo.text.document import Document
from octavo.text.note import Prediction

__all__ = ["Plan", "PlanStep", "plan"]


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step of the plan, over all documents.

    `calls` counts what the step asks for, `cached` those that the journal answers; low and high
    bound both, and the tokens of the calls to be sent. The bounds of `calls` are equal where the
    number of calls does not depend on what replies say.
    """

    step: str
    calls_low: int = 0
    calls_high: int = 0
    cached: int = 0
    prompt_low: int = 0
    prompt_high: int = 0
    completion_low: int = 0
    completion_high: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    `depth` is the longest chain of calls that wait for one another; `largest` the most tokens that
    one prompt and its reply may take, counted by `tokenizer`; `window` what the model takes, or
    None when unknown. `unreadable` are the inputs that a run would fail on.
    """

    steps: tuple[PlanStep, ...]
    documents: int
    depth: int
    largest: int
    window: int | None
    tokenizer: str
    unreadable: tuple[InputError, ...] = ()

    @property
    def calls(self) -> tuple[int, int]:
        """Least and most calls, answered by the journal or sent."""
        return sum(s.calls_low for s in self.steps), sum(s.calls_high for s in self.steps)


@dataclass
class _Scenario:
    """One pass over a document with all replies short, or all long."""

    engine: Engine
    replies: Prediction
    depths: dict[int, int] = field(default_factory=dict[int, int])
    steps: dict[str, Predictions] = field(default_factory=dict[str, Predictions])

    def answers(self, step: str) -> Predictions:
        """Return what answers a step's calls."""
        if step not in self.steps:
            engine = self.engine
            self.steps[step] = Predictions(
                engine.journal, engine.counts, self.replies, self.depths, engine.embedder
            )
        return self.steps[step]


class _Once(Silence):
    """Passes on each notice once, however many passes a plan takes, and nothing else."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._said: set[str] = set()

    def notice(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            self._watch.notice(message)


async def plan(
    engine: Engine,
    pipeline: Pipeline,
    params: Mapping[str, object],
    inputs: Iterable[Document | InputError],
) -> Plan:
    """Return what a run over these inputs would do; sends nothing.

    Raises FitError when a prompt cannot fit, and what else a run would raise before its first call.
    """
    engine = replace(engine, watch=_Once(engine.watch))
    steps = {use.name: PlanStep(use.name) for use in pipeline.steps}
    documents = depth = largest = 0
    unreadable: list[InputError] = []
    for number, document in enumerate(inputs):
        if isinstance(document, InputError):
            unreadable.append(document)
            continue
        documents += 1
        scenarios = [_Scenario(engine, replies) for replies in Prediction]
        for scenario in scenarios:
            reading = Reading(engine, scenario.answers, pipeline, params, document, number)
            try:
                await reading.result()
            except BaseExceptionGroup as group:
                error = blamed(group)
                # With the fewest replies nothing may be left to go on with; a run may have more.
                if not (isinstance(error, ReplyError) and scenario.replies is Prediction.SHORT):
                    raise error from group
        low, high = scenarios
        depth = max(depth, *low.depths.values(), *high.depths.values(), 0)
        for name, step in steps.items():
            least, most = low.answers(name).tally, high.answers(name).tally
            largest = max(largest, least.largest, most.largest)
            steps[name] = _plus(step, least, most)
    return Plan(
        steps=tuple(steps.values()),
        documents=documents,
        depth=depth,
        largest=largest,
        window=engine.window,
        tokenizer=engine.counter.name,
        unreadable=tuple(unreadable),
    )


def _plus(step: PlanStep, least: Tally, most: Tally) -> PlanStep:
    return replace(
        step,
        calls_low=step.calls_low + min(least.calls, most.calls),
        calls_high=step.calls_high + max(least.calls, most.calls),
        cached=step.cached + max(least.cached, most.cached),
        prompt_low=step.prompt_low + least.prompt,
        prompt_high=step.prompt_high + most.prompt,
        completion_low=step.completion_low + least.completion,
        completion_high=step.completion_high + most.completion,
    )
