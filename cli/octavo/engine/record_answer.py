"""A record that fits its schema, sought in the replies of a call.

What is no record is asked for once more, with what is wrong with it, or within bounds where it was
cut; if the second is none either, one of them may be mended. A record whose text met its bound, or
that a check finds faults with, is asked for once more too, and of the two the better one taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from octavo.engine.bounds import Curtailed, bounded, curtailed, ends_at_bound
from octavo.engine.call import Call
from octavo.engine.records import Invalid, fits, mended, read_record, retold
from octavo.engine.verdict import Verdict, cut, is_over, refused, verdict
from octavo.errors import CallError, CutError, FitError, Outcome, ReplyError
from octavo.protocols import Answer, Finish, JsonSchema, Reply

__all__ = ["record_answer"]


async def record_answer(call: Call) -> Answer:
    """Return a record that fits the inquiry's schema, of the first attempt or the second.

    Raises CutError where too little of one is whole, ReplyError where there is none, and what
    sending raises.
    """
    inquiry, schema = call.inquiry, _schema(call)
    reply = await call.landed()
    try:
        answer = _read(call, reply)
        if inquiry.strict and is_over(reply, inquiry.tokens):
            raise cut(inquiry.tokens)
    except Invalid as error:
        if inquiry.strict:
            raise _none(error) from error
        return await _second(call, reply, error)
    if not inquiry.strict and not answer.predicted and ends_at_bound(answer.value, schema):
        return await _shorter(call, reply, answer)
    faults = inquiry.faults(answer)
    return await _better(call, reply, answer, faults) if faults else answer


async def _second(call: Call, reply: Reply, error: Invalid) -> Answer:
    """Ask once more for what is no record: with the error, or bounds where it was cut."""
    bounds = schema = _schema(call)
    if verdict(reply) is Verdict.CUT:
        bounds = bounded(schema, reply.text, call.inquiry.tokens)
    messages = call.messages(1, bounds)
    if verdict(reply) is Verdict.WHOLE:
        messages = retold(messages, reply, error)
    try:
        call.send(1, messages, bounds)
    except FitError:
        # The bad reply, or the bounds, do not fit: ask again without.
        bounds = schema
        call.send(1)
    second = await call.landed()
    try:
        return _whole(call, _read(call, second), bounds)
    except Invalid as invalid:
        reason = invalid
    for candidate in (second, reply):
        with suppress(Invalid):
            value = mended(candidate, schema)
            call.outcome = Outcome.REPAIRED
            return Answer(value, candidate.usage.completion, candidate.logprobs)
    raise _too_long(call) if second.finish is Finish.LENGTH else _none(reason)


async def _shorter(call: Call, reply: Reply, answer: Answer) -> Answer:
    """Ask once more for a record whose text met its bound; return what is whole of one."""
    schema = _schema(call)
    first = call.key
    try:
        second = await _again(call, reply, "a text in it was cut off at its maxLength")
        return _whole(call, _read(call, second), schema)
    except (CallError, FitError, Invalid):
        call.key = first
    return _whole(call, answer, schema)


async def _better(call: Call, reply: Reply, answer: Answer, faults: Sequence[str]) -> Answer:
    """Ask once more for a record that has faults; return the one with fewer of them."""
    first = call.key
    # There is a record already, and that it has faults is known to whoever asked.
    with suppress(CallError, FitError, Invalid):
        second = await _again(call, reply, "; ".join(faults))
        better = _read(call, second)
        if len(call.inquiry.faults(better)) < len(faults):
            return better
    call.key = first
    call.succeed()
    return answer


async def _again(call: Call, reply: Reply, fault: str) -> Reply:
    """Return the reply to a second attempt that shows the model its record and a fault of it."""
    return await call.again(retold(call.messages(1), reply, Invalid(fault)))


def _read(call: Call, reply: Reply) -> Answer:
    """Return the record that a reply is; raises Invalid where it is none."""
    if verdict(reply) is Verdict.REFUSED:
        raise refused()
    value = read_record(reply, _schema(call))
    call.succeed()
    return Answer(value, reply.usage.completion, reply.logprobs, predicted=call.predicted)


def _whole(call: Call, answer: Answer, bounds: JsonSchema) -> Answer:
    """Return a record less what met its bounds; raises CutError where it is none without."""
    schema = _schema(call)
    call.succeed()
    try:
        value, cuts = curtailed(answer.value, bounds, schema)
        if not cuts:
            return answer
        fits(value, schema)
    except (Curtailed, Invalid):
        raise _too_long(call) from None
    if call.inquiry.complete:
        raise _too_long(call)
    said = "; ".join(dict.fromkeys(cuts))
    call.truncate(f"did not fit {call.inquiry.tokens:,} tokens: {said}")
    return replace(answer, value=value, truncated=True)


def _schema(call: Call) -> JsonSchema:
    return call.inquiry.schema or {}


def _too_long(call: Call) -> CutError:
    return CutError(
        f"the record was cut off at {call.inquiry.tokens:,} tokens",
        hint="raise `tokens` of the step, or split to fewer tokens",
    )


def _none(reason: Invalid) -> ReplyError:
    return ReplyError(f"the reply is no record: {reason}", outcome=Outcome.INVALID)
