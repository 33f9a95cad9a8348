"""A call under way: its attempts, one after the other, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from octavo.engine.attempts import Attempts
from octavo.engine.depth import follow
from octavo.engine.entries import Entries
from octavo.engine.flight import Flight
from octavo.engine.inquiry import Inquiry
from octavo.engine.report import Outcome
from octavo.protocols import JsonSchema, Message, Reply
from octavo.text.note import Prediction

__all__ = ["Call"]


@dataclass(slots=True)
class Call:
    """An inquiry under way; its first attempt is sent when it is made.

    `key` is that of the last attempt, or of the one whose reply became the answer; `sent` is how
    many requests this call has to account for, and `outcome` what the ledger will say of it.
    Raises FitError where the first attempt does not fit.
    """

    inquiry: Inquiry
    attempts: Attempts
    entries: Entries
    key: bytes = field(init=False)
    flight: Flight = field(init=False)
    begun: bool = False
    sent: int = 0
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        """Send the first attempt."""
        self.send(0)

    @property
    def predicted(self) -> Prediction | None:
        """What made the last attempt's reply up, in a plan."""
        return self.flight.predicted

    def messages(self, attempt: int, bounds: JsonSchema | None = None) -> tuple[Message, ...]:
        """Return the prompt of an attempt, with `bounds` in place of the inquiry's schema."""
        return self.attempts.messages(self.inquiry, attempt, bounds)

    def send(
        self,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> None:
        """Let an attempt follow the one that has landed; see Attempts.send."""
        self.outcome = Outcome.FAILED  # until it is known to be of use
        self.key, self.flight = self.attempts.send(self.inquiry, attempt, messages, bounds)
        self.flight.board()
        if not self.flight.reply.done():
            self.flight.told = self.entries.sending(self.inquiry.node, self.key)

    def resend(self) -> bool:
        """Send the first attempt once more where a stored reply is of no use and may be forgotten.

        Returns whether it is sent.
        """
        if self.sent or not self.attempts.forget(self.key):
            return False
        self.send(0)
        return True

    async def landed(self) -> Reply:
        """Wait for the last attempt's reply; the first call to do so accounts for it."""
        try:
            reply = await self.flight.wait()
            follow(self.flight.depth)
        finally:
            sent = self.claim()
        if sent:
            self.entries.use(reply.usage)
        return reply

    async def again(self, messages: tuple[Message, ...] | None = None) -> Reply:
        """Send the second attempt and wait for its reply."""
        self.send(1, messages)
        return await self.landed()

    def claim(self) -> int:
        """Leave the flight; return how many of its requests are this call's to account for."""
        self.flight.leave()
        sent = self.flight.claim()
        self.sent += sent
        self.entries.send(sent)
        return sent

    def succeed(self) -> None:
        """Take the reply for good: sent for, or found."""
        self.outcome = Outcome.OK if self.sent else Outcome.CACHED

    def truncate(self, said: str) -> None:
        """Take what is whole of the reply for good, and tell the user what it lacks."""
        self.outcome = Outcome.TRUNCATED
        self.entries.notice(self.inquiry.node, said)

    def enter(self) -> None:
        """Enter in the ledger how the call ended."""
        inquiry = self.inquiry
        site = self.entries.site(inquiry.prompt.digest, *inquiry.options, schema=inquiry.schema)
        self.entries.enter(site, inquiry.node, self.key, self.outcome, self.sent)

    def abandon(self) -> None:
        """Enter the call if its document ended before it could even be waited for."""
        if not self.begun:
            self.outcome = Outcome.DISCARDED
            self.claim()
            self.enter()
