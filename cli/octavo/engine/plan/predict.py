"""Answers without a backend: the journal's where it has one, else a guess of the stated length.

Where a schema is asked for, the guess is a record that fits it.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from octavo.engine.calls.critical_path import get_depth
from octavo.engine.dispatch.in_flight import CallSpec, EmbeddingBatch, InFlightCall
from octavo.engine.dispatch.key import can_join_samples, compute_prompt_key
from octavo.engine.dispatch.pricing import Price
from octavo.engine.dispatch.priority import CallPriority
from octavo.engine.journal.history import CallSite, History, SendReason
from octavo.engine.journal.ledger import Ledger
from octavo.engine.journal.store import Journal
from octavo.engine.journal.token_counts import JournalCounter
from octavo.engine.journal.vectors import compute_vector_key, find_vector
from octavo.errors import Outcome
from octavo.protocols import JsonSchema, Reply, Usage
from octavo.text.note import Prediction
from octavo.text.quote import to_row_id
from octavo.text.vectors import to_spelling_vector

__all__ = ["PlanLedger", "PredictedAnswers", "SecondAttempts", "StepTally", "build_example"]


_LIKELY_SHARE = 0.75
"""The share of what a reply may have that it is taken to have before any is known."""


@dataclass(frozen=True, slots=True)
class SecondAttempts:
    """The most that second attempts take, should every reply be of no use at first.

    `calls` are requests, `prompt` and `completion` tokens; `cost` is in US dollars, and None when
    a price is not known.
    """

    calls: int = 0
    prompt: int = 0
    completion: int = 0
    cost: float | None = 0.0

    def __add__(self, other: SecondAttempts) -> SecondAttempts:
        """Return both together."""
        return SecondAttempts(
            self.calls + other.calls,
            self.prompt + other.prompt,
            self.completion + other.completion,
            None if self.cost is None or other.cost is None else self.cost + other.cost,
        )


@dataclass
class StepTally:
    """What a plan counted of a step: calls, and of those to be sent tokens, cost and reasons.

    `cost` is in US dollars, and None once a price was not known; `again` comes on top.
    `completion_most` and `cost_most` are those of the longest replies, whatever is predicted.
    """

    calls: int = 0
    sent: int = 0
    prompt: int = 0
    completion: int = 0
    likely: float = 0.0
    largest: int = 0
    cost: float | None = 0.0
    completion_most: int = 0
    cost_most: float | None = 0.0
    reasons: Counter[SendReason] = field(default_factory=Counter[SendReason])
    again: SecondAttempts = field(default_factory=SecondAttempts)

    def add_call(self, prompt: int, completion: int, most: int, price: Price | None) -> None:
        """Count the tokens of a call to be sent, whose reply may have `most`."""
        self.prompt += prompt
        self.completion += completion
        self.completion_most += most
        if price is None or self.cost is None or self.cost_most is None:
            self.cost = self.cost_most = None
        else:
            self.cost += price.cost(prompt, completion)
            self.cost_most += price.cost(prompt, most)

    def add_second_attempt(self, prompt: int, completion: int, price: Price | None) -> None:
        """Count the most that a second attempt of a call to be sent may take."""
        cost = None if price is None else price.cost(prompt, completion)
        self.again += SecondAttempts(1, prompt, completion, cost)


class PlanLedger(Ledger):
    """The ledger of a plan: counts calls, and why those to be sent would be, and writes nothing.

    `asked` are the ids of the calls that earlier documents would send.
    """

    def __init__(self, history: History, asked: set[int]) -> None:
        super().__init__(history.journal, None)
        self.tallies: defaultdict[str, StepTally] = defaultdict(StepTally)
        self._history = history
        self._known_calls = asked
        self._sending: set[int] = set()
        self._sites: list[tuple[str, CallSite]] = []

    def mark_to_send(self, key: bytes) -> bool:
        """Note that a call is not in the journal; tell whether it is the first with its key."""
        number = to_row_id(key)
        if number in self._known_calls:
            return False
        self._known_calls.add(number)
        self._sending.add(number)
        return True

    def open_site(
        self, source: str, step: str, *, prompt: str, model: bytes, options: bytes
    ) -> int:
        """Remember the site of a step."""
        site = CallSite(step, bytes.fromhex(prompt[:16]), model[:8], options[:8])
        self._sites.append((source, site))
        return len(self._sites) - 1

    def record(self, site: int, node: str, key: bytes, outcome: Outcome, attempts: int) -> None:
        """Count a call, and why it would be sent unless something answers it."""
        del node, outcome, attempts
        source, where = self._sites[site]
        tally = self.tallies[where.step]
        tally.calls += 1
        if to_row_id(key) in self._sending:
            self._sending.discard(to_row_id(key))
            tally.sent += 1
            tally.reasons[self._history.find_reason(source, where, key)] += 1


@dataclass
class PredictedAnswers:
    """Answers that cost nothing.

    A predicted reply has as many tokens as it may have, or next to none. `depths` holds,
    for each call of the document, how many calls follow one another up to it; `typical_tokens` is
    how many tokens replies usually have.
    """

    journal: Journal
    counts: JournalCounter
    replies: Prediction
    depths: dict[int, int]
    ledger: PlanLedger
    tally: StepTally
    embedder: str = ""
    samples: bool = False
    price: Callable[[], Price | None] = lambda: None
    price_embedding: Callable[[], Price | None] = lambda: None
    typical_tokens: float | None = None
    _asked: dict[bytes, InFlightCall] = field(default_factory=dict[bytes, InFlightCall])
    _prompts: set[bytes] = field(default_factory=set[bytes])

    def answer(self, spec: CallSpec) -> InFlightCall:
        """Return a call that is answered already."""
        if call := self._asked.get(spec.key):
            return call
        # A call may also continue another's prompt without waiting for its reply.
        origins = (quote.origin for quote in spec.quotes)
        before = (self.depths.get(each.id, 0) for each in origins if each.kind == "call")
        waits = (get_depth(), spec.after.depth if spec.after else 0)
        depth = self.depths[to_row_id(spec.key)] = 1 + max(*waits, *before)
        if reply := self.journal.find(spec.key):
            call = InFlightCall.from_reply(reply, cached=True)
        else:
            call = self._predict(spec)
        call.depth = depth
        self._asked[spec.key] = call
        return call

    def forget(self, key: bytes) -> bool:
        """Keep to what the journal has: a plan is not for retries."""
        del key
        return False

    def embed(self, texts: Sequence[str], *, priority: CallPriority) -> EmbeddingBatch:
        """Return a batch that is there; what the journal lacks is a vector by spelling."""
        del priority
        batch = EmbeddingBatch(compute_vector_key(self.embedder, "\0".join(texts)))
        batch.depth = self.depths[to_row_id(batch.key)] = 1 + get_depth()
        missing: list[str] = []
        for text in texts:
            found = find_vector(self.journal, compute_vector_key(self.embedder, text))
            batch.add(to_spelling_vector(text) if found is None else found)
            if found is None:
                missing.append(text)
        if missing:
            batch.predicted = self.replies
            if self.ledger.mark_to_send(batch.key):
                tokens = sum(self.counts.count_batch(missing))
                self.tally.add_call(tokens, 0, 0, self.price_embedding())
        return batch

    def _predict(self, spec: CallSpec) -> InFlightCall:
        request, key, again = spec.request, spec.key, spec.retry_tokens
        prompt = whole = self.counts.count_prompt_once(request.messages)
        self.tally.largest = max(self.tally.largest, prompt + request.max_tokens)
        if can_join_samples(request) and self.replies is Prediction.SHORT and self.samples:
            # Asked for by one request, samples share their prompt.
            name = compute_prompt_key(request)
            prompt = 0 if name in self._prompts else prompt
            self._prompts.add(name)
        completion = request.max_tokens if self.replies is Prediction.LONG else 1
        if self.ledger.mark_to_send(key):
            price = self.price()
            self.tally.add_call(prompt, completion, request.max_tokens, price)
            if again is not None:
                self.tally.add_second_attempt(whole + again, request.max_tokens, price)
            usual = (
                _LIKELY_SHARE * request.max_tokens
                if self.typical_tokens is None
                else self.typical_tokens
            )
            self.tally.likely += min(usual, request.max_tokens)
        # Different calls give different replies, or what is made of them would be one call.
        mark = key.hex()[: 6 if completion > 1 else 2]
        text = " ".join([mark, *["word"] * (completion - 1)])
        if request.schema is not None:
            text = json.dumps(build_example(request.schema, words=completion, mark=mark))
        reply = Reply(text, usage=Usage(prompt, completion))
        return InFlightCall.from_reply(reply, predicted=self.replies)


_MAX_DEPTH = 8
_MAX_VALUES = 10_000
"""Values in an example: a schema of a few lines can ask for any number of them."""


def build_example(schema: JsonSchema, *, words: int, mark: str = "word") -> object:
    """Return a value that fits the schema's types, enumerations and bounds.

    Its strings share about `words` words and begin with `mark`. Formats and patterns are not
    followed: nothing but a plan reads it.
    """
    return _ExampleBuilder(schema, mark).build(schema, words, 0, _MAX_VALUES)


@dataclass(frozen=True, slots=True)
class _ExampleBuilder:
    root: JsonSchema
    mark: str

    def build(self, schema: object, words: int, depth: int, room: int) -> object:
        node: Mapping[str, Any] = {}
        if isinstance(schema, Mapping):
            node = cast("Mapping[str, Any]", schema)
        if depth > _MAX_DEPTH or room < 1:
            return None
        if "const" in node:
            return node["const"]
        if node.get("enum"):
            return node["enum"][0]
        if "$ref" in node:
            return self.build(self._resolve_reference(node["$ref"]), words, depth + 1, room)
        for choice in ("anyOf", "oneOf", "allOf"):
            if node.get(choice):
                return self.build(node[choice][0], words, depth + 1, room)
        return self._build_of_type(node, words, depth, room)

    def _build_of_type(self, node: Mapping[str, Any], words: int, depth: int, room: int) -> object:
        kind = node.get("type", "object" if "properties" in node else "string")
        match cast("list[str]", kind)[0] if isinstance(kind, list) else kind:
            case "object":
                fields: Mapping[str, object] = node.get("properties", {})
                if len(fields) > room:
                    fields = {}
                count = max(1, len(fields))
                share, room = max(1, words // count), room // count
                return {
                    name: self.build(each, share, depth + 1, room) for name, each in fields.items()
                }
            case "array":
                count = min(room, max(1, int(node.get("minItems", 1))))
                return [self.build(node.get("items"), words, depth + 1, room // count)] * count
            case "integer" | "number":
                return node.get("minimum", 0)
            case "boolean":
                return True
            case "null":
                return None
            case _:
                text = " ".join([self.mark, *["word"] * (words - 1)])
                return text[: node.get("maxLength", len(text))]

    def _resolve_reference(self, reference: object) -> object:
        node: Any = self.root
        for part in str(reference).removeprefix("#/").split("/"):
            node = cast("Mapping[str, Any]", node).get(part) if isinstance(node, Mapping) else None
        return cast("object", node)
