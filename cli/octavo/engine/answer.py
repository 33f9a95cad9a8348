"""A call's answer: a text, a record, or how likely a text is."""

from __future__ import annotations

from octavo.engine.call import Call
from octavo.engine.record_answer import read_record_answer
from octavo.engine.text_answer import read_text_answer
from octavo.errors import ReplyError
from octavo.protocols import Answer

__all__ = ["find_answer"]


async def find_answer(call: Call) -> Answer:
    """Return a good answer; where the journal's is of no use, once by asking anew if wanted.

    Raises ReplyError where there is none, and what sending raises.
    """
    seek = read_text_answer if call.spec.schema is None else read_record_answer
    seek = _read_score if call.spec.scored else seek
    try:
        return await seek(call)
    except ReplyError:
        if not call.resend():
            raise
    return await seek(call)


async def _read_score(call: Call) -> Answer:
    """Return the log probabilities of the text that is scored."""
    reply = await call.wait_for_reply()
    call.mark_succeeded()
    return Answer("", reply.usage.completion, reply.logprobs, predicted=call.predicted)
