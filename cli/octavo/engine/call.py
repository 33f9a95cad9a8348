"""A call under way: its attempts, one after the other, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field

from octavo.engine.attempts import CallSender
from octavo.engine.depth import record_depth
from octavo.engine.entries import CallRecorder
from octavo.engine.flight import InFlightCall
from octavo.engine.inquiry import CallSpec
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

    spec: CallSpec
    sender: CallSender
    recorder: CallRecorder
    key: bytes = field(init=False)
    in_flight: InFlightCall = field(init=False)
    is_awaited: bool = False
    sent: int = 0
    outcome: Outcome = field(init=False)

    def __post_init__(self) -> None:
        """Send the first attempt."""
        self.send(0)

    @property
    def predicted(self) -> Prediction | None:
        """What made the last attempt's reply up, in a plan."""
        return self.in_flight.predicted

    def render_messages(self, attempt: int, bounds: JsonSchema | None = None) -> tuple[Message, ...]:
        """Return the prompt of an attempt, with `bounds` in place of the inquiry's schema."""
        return self.sender.render_messages(self.spec, attempt, bounds)

    def send(
        self,
        attempt: int,
        messages: tuple[Message, ...] | None = None,
        bounds: JsonSchema | None = None,
    ) -> None:
        """Let an attempt follow the one that has landed; see Attempts.send."""
        self.outcome = Outcome.FAILED  # until it is known to be of use
        self.key, self.in_flight = self.sender.send(self.spec, attempt, messages, bounds)
        self.in_flight.add_waiter()
        if not self.in_flight.reply.done():
            self.in_flight.on_sent = self.recorder.make_sent_callback(self.spec.node, self.key)

    def resend(self) -> bool:
        """Send the first attempt once more where a stored reply is of no use and may be forgotten.

        Returns whether it is sent.
        """
        if self.sent or not self.sender.forget(self.key):
            return False
        self.send(0)
        return True

    async def wait_for_reply(self) -> Reply:
        """Wait for the last attempt's reply; the first call to do so accounts for it."""
        try:
            reply = await self.in_flight.wait()
            record_depth(self.in_flight.depth)
        finally:
            sent = self.take_unaccounted()
        if sent:
            self.recorder.add_usage(reply.usage)
        return reply

    async def ask_again(self, messages: tuple[Message, ...] | None = None) -> Reply:
        """Send the second attempt and wait for its reply."""
        self.send(1, messages)
        return await self.wait_for_reply()

    def take_unaccounted(self) -> int:
        """Leave the flight; return how many of its requests are this call's to account for."""
        self.in_flight.remove_waiter()
        sent = self.in_flight.take_unaccounted()
        self.sent += sent
        self.recorder.add_sent(sent)
        return sent

    def mark_succeeded(self) -> None:
        """Take the reply for good: sent for, or found."""
        self.outcome = Outcome.OK if self.sent else Outcome.CACHED

    def mark_truncated(self, said: str) -> None:
        """Take what is whole of the reply for good, and tell the user what it lacks."""
        self.outcome = Outcome.TRUNCATED
        self.recorder.notify(self.spec.node, said)

    def record(self) -> None:
        """Enter in the ledger how the call ended."""
        inquiry = self.spec
        site = self.recorder.find_site(inquiry.prompt.digest, *inquiry.options, schema=inquiry.schema)
        self.recorder.record(site, inquiry.node, self.key, self.outcome, self.sent)

    def abandon(self) -> None:
        """Enter the call if its document ended before it could even be waited for."""
        if not self.is_awaited:
            self.outcome = Outcome.DISCARDED
            self.take_unaccounted()
            self.record()
