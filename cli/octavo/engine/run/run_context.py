"""What all documents of a run share."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from octavo.engine.journal.ledger import Ledger
from octavo.engine.journal.store import Journal
from octavo.engine.journal.token_counts import JournalCounter
from octavo.engine.report import Watch
from octavo.errors import FitError
from octavo.pipeline.registry import Registry
from octavo.protocols import Capabilities, Counter, Request

__all__ = ["RunContext"]


@dataclass(slots=True, eq=False, repr=False)
class RunContext:
    """The journal, the tokenizer, the model's name and window, and who watches.

    `window` is None when neither the profile nor the backend says it; `known` is what the backend
    can do, and `embedder` what embeds, empty when nothing does.
    """

    journal: Journal
    ledger: Ledger
    watch: Watch
    registry: Registry
    counter: Counter
    counts: JournalCounter
    identity: str
    model: str
    window: int | None
    known: Capabilities = field(default_factory=Capabilities)
    embedder: str = ""

    @property
    def model_hash(self) -> bytes:
        """SHA-256 of what answers: the backend's identity and the model."""
        return hashlib.sha256(f"{self.identity}\n{self.model}".encode()).digest()

    def require_fit(self, request: Request) -> None:
        """Raise FitError when a request cannot fit the window together with its reply.

        An estimate, which counts too much by design, refuses nothing that was planned for. What is
        far from the window is not counted: that would keep the first calls from being sent.
        """
        if self.window is None or not self.counter.exact:
            return
        if self.counts.count_prompt_at_most(request.messages) + request.max_tokens <= self.window:
            return
        prompt = self.counts.count_prompt_once(request.messages)
        if prompt + request.max_tokens > self.window:
            raise FitError(
                f"a prompt of {prompt:,} tokens and a reply of {request.max_tokens:,} do not fit"
                f" the window of {self.window:,} tokens of {self.model}",
                hint="split to fewer tokens, or use a model with a larger window",
            )
