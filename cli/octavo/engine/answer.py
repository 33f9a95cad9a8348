"""A call's answer: a text, a record, or how likely a text is."""

from __future__ import annotations

from octavo.engine.call import Call
from octavo.engine.record_answer import record_answer
from octavo.engine.text_answer import text_answer
from octavo.errors import ReplyError
from octavo.protocols import Answer

__all__ = ["answer_of"]


async def answer_of(call: Call) -> Answer:
    """Return a good answer; where the journal's is of no use, once by asking anew if wanted.

    Raises ReplyError where there is none, and what sending raises.
    """
    seek = text_answer if call.inquiry.schema is None else record_answer
    seek = _score if call.inquiry.scored else seek
    try:
        return await seek(call)
    except ReplyError:
        if not call.resend():
            raise
    return await seek(call)


async def _score(call: Call) -> Answer:
    """Return the log probabilities of the text that is scored."""
    reply = await call.landed()
    call.succeed()
    return Answer("", reply.usage.completion, reply.logprobs, predicted=call.predicted)
