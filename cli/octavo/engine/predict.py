"""Answers without a backend: the journal's where it has one, else a guess of the stated length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from octavo.engine.counting import Counts
from octavo.engine.depth import calls_before
from octavo.engine.embed import Batch
from octavo.engine.example import example
from octavo.engine.flight import Flight
from octavo.engine.journal import Journal
from octavo.engine.queue import Priority
from octavo.engine.vectors import find_vector, vector_key
from octavo.protocols import Reply, Request, Usage
from octavo.text.ngrams import spelt
from octavo.text.note import Prediction
from octavo.text.quote import Quote, short_id

__all__ = ["Predictions", "Tally"]


@dataclass
class Tally:
    """What a plan counted: calls, those the journal answers, and tokens of the others."""

    calls: int = 0
    cached: int = 0
    prompt: int = 0
    completion: int = 0
    largest: int = 0


@dataclass
class Predictions:
    """Answers that cost nothing.

    A predicted reply has as many tokens as it may have, or next to none. `depths` holds,
    for each call of the document, how many calls follow one another up to it.
    """

    journal: Journal
    counts: Counts
    replies: Prediction
    depths: dict[int, int]
    embedder: str = ""
    tally: Tally = field(default_factory=Tally)
    _asked: dict[bytes, Flight] = field(default_factory=dict[bytes, Flight])

    def answer(
        self,
        request: Request,
        key: bytes,
        *,
        quotes: Sequence[Quote],
        priority: Priority,
        behind: Flight | None = None,
    ) -> Flight:
        """Return a flight that has landed."""
        del priority
        if flight := self._asked.get(key):
            return flight
        self.tally.calls += 1
        # A call may also go on from another's prompt without waiting for its reply.
        before = (self.depths.get(q.origin.id, 0) for q in quotes if q.origin.kind == "call")
        waits = (calls_before(), behind.depth if behind else 0)
        depth = self.depths[short_id(key)] = 1 + max(*waits, *before)
        if reply := self.journal.find(key):
            self.tally.cached += 1
            flight = Flight.landed(reply, cached=True)
        else:
            flight = self._predict(request, key)
        flight.depth = depth
        self._asked[key] = flight
        return flight

    def embed(self, texts: Sequence[str], *, priority: Priority) -> Batch:
        """Return a batch that is there; what the journal lacks is a vector by spelling."""
        del priority
        batch = Batch(vector_key(self.embedder, "\0".join(texts)))
        self.tally.calls += 1
        batch.depth = self.depths[short_id(batch.key)] = 1 + calls_before()
        missing: list[str] = []
        for text in texts:
            found = find_vector(self.journal, vector_key(self.embedder, text))
            batch.add(spelt(text) if found is None else found)
            if found is None:
                missing.append(text)
        if missing:
            batch.predicted = self.replies
            self.tally.prompt += sum(self.counts.count_batch(missing))
        else:
            self.tally.cached += 1
        return batch

    def _predict(self, request: Request, key: bytes) -> Flight:
        prompt = self.counts.prompt_once(request.messages)
        completion = request.max_tokens if self.replies is Prediction.LONG else 1
        self.tally.prompt += prompt
        self.tally.completion += completion
        self.tally.largest = max(self.tally.largest, prompt + request.max_tokens)
        # Different calls give different replies, or what is made of them would be one call.
        mark = key.hex()[: 6 if completion > 1 else 2]
        text = " ".join([mark, *["word"] * (completion - 1)])
        if request.schema is not None:
            text = json.dumps(example(request.schema, words=completion, mark=mark))
        reply = Reply(text, usage=Usage(prompt, completion))
        return Flight.landed(reply, predicted=self.replies)
