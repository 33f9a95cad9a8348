"""A text that holds, sought in the replies of a call.

One that is cut or empty is asked for once more, with a lower word target; of one that is cut again,
what holds is the part up to its last complete sentence or line. One that a check finds faults with
is asked for once more with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from octavo.engine.call import Call
from octavo.engine.records import rewritten
from octavo.engine.verdict import Verdict, complete_part, cut, is_over, refused, verdict
from octavo.errors import CallError, FitError, Outcome, ReplyError
from octavo.protocols import Answer, Reply
from octavo.text.quote import QuoteOrigin, Quote, to_row_id

__all__ = ["text_answer"]


async def text_answer(call: Call) -> Answer:
    """Return a quote of the reply that holds, of the first attempt or the second.

    Raises ReplyError where neither is of use, and what sending raises.
    """
    inquiry = call.inquiry
    reply = await call.landed()
    if inquiry.logprobs and _tells(reply, strict=inquiry.strict):
        call.succeed()
        return _quoted(call, reply, len(reply.text))
    if not inquiry.strict and verdict(reply) in {Verdict.CUT, Verdict.EMPTY}:
        reply = await call.again()
    elif verdict(reply) is Verdict.WHOLE:
        answer = _quoted(call, reply, len(reply.text))
        if faults := inquiry.faults(answer):
            return await _rewritten(call, reply, answer, faults)
    return _quoted(call, reply, _end(call, reply))


def _tells(reply: Reply, *, strict: bool) -> bool:
    """Tell whether a reply has the log probabilities that it was asked for, whole or not.

    What is wanted stands at its beginning, so being cut is no fault; one of a single token always
    is. One without any text says something only to whoever takes it as it comes.
    """
    wanted = {Verdict.CUT, Verdict.EMPTY} if strict else {Verdict.CUT}
    return bool(reply.logprobs) and verdict(reply) in wanted


def _quoted(call: Call, reply: Reply, end: int) -> Answer:
    """Return the first characters of a reply as a quote of it, without blanks around them."""
    text = reply.text[:end]
    body = text.strip()
    start = len(text) - len(text.lstrip())
    return Answer(
        value=Quote(body, QuoteOrigin("call", to_row_id(call.key), start)),
        tokens=reply.usage.completion,
        logprobs=reply.logprobs,
        truncated=end < len(reply.text),
        predicted=call.predicted,
    )


def _end(call: Call, reply: Reply) -> int:
    """Return how many characters of a text hold; raises ReplyError when it is of no use."""
    inquiry, found = call.inquiry, verdict(reply)
    if inquiry.strict and found is not Verdict.REFUSED and is_over(reply, inquiry.tokens):
        raise cut(inquiry.tokens)
    match found:
        case Verdict.WHOLE:
            call.succeed()
        case Verdict.EMPTY:
            raise ReplyError("the reply is empty", outcome=Outcome.INVALID)
        case Verdict.REFUSED:
            raise refused()
        case Verdict.CUT:
            end = 0 if inquiry.strict else complete_part(reply.text)
            if not end:
                raise cut(inquiry.tokens)
            call.truncate(
                f"was cut at {inquiry.tokens} tokens; it ends at its last complete sentence or line"
            )
            return end
    return len(reply.text)


async def _rewritten(call: Call, reply: Reply, answer: Answer, faults: Sequence[str]) -> Answer:
    """Ask once more for a text that has faults; return the one with fewer of them."""
    # The first attempt's prompt: the text is not too long, so the word target stays.
    messages = call.messages(0)
    first = call.key
    # There is a text already, and that it has faults is known to whoever asked.
    with suppress(CallError, FitError):
        second = await call.again(rewritten(messages, reply, faults))
        better = _quoted(call, second, len(second.text))
        if verdict(second) is Verdict.WHOLE and len(call.inquiry.faults(better)) < len(faults):
            call.succeed()
            return better
    call.key = first
    call.succeed()
    return answer
