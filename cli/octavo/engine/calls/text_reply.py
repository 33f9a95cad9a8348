"""A usable text, found in the replies of a call.

A text that is cut or empty is asked for once more, with a lower word target; of one that is cut
again, the part up to its last complete sentence or line is used. A text that a check finds faults
with is asked for once more, with these faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from octavo.engine.calls.call import Call
from octavo.engine.calls.reply_status import (
    ReplyStatus,
    describe_cut,
    find_complete_end,
    is_over_limit,
    make_cut_error,
    make_refusal_error,
    reply_status,
)
from octavo.errors import CallError, FitError, Outcome, ReplyError
from octavo.protocols import Answer, Message, Reply
from octavo.text.quote import Quote, QuoteOrigin, to_row_id

__all__ = ["read_text_answer", "retry_with_faults"]


async def read_text_answer(call: Call) -> Answer:
    """Return a quote of the reply that holds, of the first attempt or the second.

    Raises ReplyError where neither is of use, and what sending raises.
    """
    asked = call.asked
    reply = await call.wait_for_reply()
    if asked.logprobs and _has_wanted_logprobs(reply, strict=asked.strict):
        call.mark_succeeded()
        return _quote_reply(call, reply, len(reply.text))
    if not asked.strict and reply_status(reply) in {ReplyStatus.CUT, ReplyStatus.EMPTY}:
        reply = await call.ask_again()
    elif reply_status(reply) is ReplyStatus.WHOLE:
        answer = _quote_reply(call, reply, len(reply.text))
        if faults := asked.find_faults(answer):
            return await _ask_for_rewrite(call, reply, answer, faults)
    return _quote_reply(call, reply, _find_usable_end(call, reply))


def _has_wanted_logprobs(reply: Reply, *, strict: bool) -> bool:
    """Tell whether a reply has the log probabilities that it was asked for, whole or not.

    What is wanted stands at its beginning, so being cut is no fault; one of a single token always
    is. One without any text says something only to whoever takes it as it comes.
    """
    wanted = {ReplyStatus.CUT, ReplyStatus.EMPTY} if strict else {ReplyStatus.CUT}
    return bool(reply.logprobs) and reply_status(reply) in wanted


def _quote_reply(call: Call, reply: Reply, end: int) -> Answer:
    """Return the first characters of a reply as a quote of it, without blanks around them."""
    text = reply.text[:end]
    body = text.strip()
    start = len(text) - len(text.lstrip())
    return Answer(
        value=Quote(body, QuoteOrigin("call", to_row_id(call.spec.key), start)),
        tokens=reply.usage.completion,
        logprobs=reply.logprobs,
        truncated=end < len(reply.text),
        predicted=call.predicted,
    )


def _find_usable_end(call: Call, reply: Reply) -> int:
    """Return how many characters of a text hold; raises ReplyError when it is of no use."""
    asked, found = call.asked, reply_status(reply)
    if asked.strict and found is not ReplyStatus.REFUSED and is_over_limit(reply, asked.tokens):
        raise make_cut_error(reply, asked.tokens)
    match found:
        case ReplyStatus.WHOLE:
            call.mark_succeeded()
        case ReplyStatus.EMPTY:
            raise ReplyError("the reply is empty", outcome=Outcome.INVALID)
        case ReplyStatus.REFUSED:
            raise make_refusal_error()
        case ReplyStatus.CUT:
            end = 0 if asked.strict else find_complete_end(reply.text)
            if not end:
                raise make_cut_error(reply, asked.tokens)
            call.mark_truncated(
                f"was cut {describe_cut(reply, str(asked.tokens))};"
                " it ends at its last complete sentence or line"
            )
            return end
    return len(reply.text)


async def _ask_for_rewrite(
    call: Call, reply: Reply, answer: Answer, faults: Sequence[str]
) -> Answer:
    """Ask once more for a text that has faults; return the one with fewer of them."""
    # The first attempt's prompt: the text is not too long, so the word target stays.
    messages = call.render_messages(0)
    first = call.spec
    # There is a text already, and that it has faults is known to whoever asked.
    with suppress(CallError, FitError):
        second = await call.ask_again(retry_with_faults(messages, reply, faults))
        better = _quote_reply(call, second, len(second.text))
        if reply_status(second) is ReplyStatus.WHOLE and len(call.asked.find_faults(better)) < len(
            faults
        ):
            call.mark_succeeded()
            return better
    call.spec = first
    call.mark_succeeded()
    return answer


_RETRY_WITH_FAULTS = (
    "That text cannot be used as it is: {faults}. Write it again, whole and corrected, and nothing"
    " else."
)


def retry_with_faults(
    messages: Sequence[Message], reply: Reply, faults: Sequence[str]
) -> tuple[Message, ...]:
    """Return the messages that show a model its text and what is wrong with it."""
    return (
        *messages,
        Message("assistant", reply.text),
        Message("user", _RETRY_WITH_FAULTS.format(faults="; ".join(faults)[:500])),
    )
