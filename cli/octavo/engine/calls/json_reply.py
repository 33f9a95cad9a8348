"""A record that fits its schema, found in the replies of a call.

An invalid record is asked for once more, with what is wrong with it, or within bounds where it was
cut; if the second is invalid too, one of them may be repaired. A record whose text met its bound,
or that a check finds faults with, is asked for once more too, and the better of the two is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from octavo.engine.calls.call import Call
from octavo.engine.calls.json_record import (
    InvalidRecord,
    parse_record,
    repair_record,
    validate_record,
)
from octavo.engine.calls.reply_status import (
    ReplyStatus,
    describe_cut,
    is_over_limit,
    make_cut_error,
    make_refusal_error,
    reply_status,
)
from octavo.engine.calls.truncation import Truncated, bound_schema, ends_at_bound, trim_to_bounds
from octavo.errors import CallError, CutError, FitError, Outcome, ReplyError
from octavo.protocols import Answer, Finish, JsonSchema, Message, Reply

__all__ = ["read_record_answer", "retry_with_error"]


async def read_record_answer(call: Call) -> Answer:
    """Return a record that fits the schema, of the first attempt or the second.

    Raises CutError where too little of one is whole, ReplyError where there is none, and what
    sending raises.
    """
    asked, schema = call.asked, _get_schema(call)
    reply = await call.wait_for_reply()
    try:
        answer = _parse_answer(call, reply)
        if asked.strict and is_over_limit(reply, asked.tokens):
            raise make_cut_error(reply, asked.tokens)
    except InvalidRecord as error:
        if asked.strict:
            raise _make_invalid_error(error) from error
        return await _retry_invalid(call, reply, error)
    if not asked.strict and not answer.predicted and ends_at_bound(answer.value, schema):
        return await _retry_truncated(call, reply, answer)
    faults = asked.find_faults(answer)
    return await _retry_faulty(call, reply, answer, faults) if faults else answer


async def _retry_invalid(call: Call, reply: Reply, error: InvalidRecord) -> Answer:
    """Ask once more for what is no record: with the error, or bounds where it was cut."""
    bounds = schema = _get_schema(call)
    if reply_status(reply) is ReplyStatus.CUT:
        bounds = bound_schema(schema, reply.text, call.asked.tokens)
    messages = call.render_messages(1, bounds)
    if reply_status(reply) is ReplyStatus.WHOLE:
        messages = retry_with_error(messages, reply, error)
    try:
        call.send(1, messages, bounds)
    except FitError:
        # The bad reply, or the bounds, do not fit: ask again without.
        bounds = schema
        call.send(1)
    second = await call.wait_for_reply()
    try:
        return _keep_whole(call, _parse_answer(call, second), bounds)
    except InvalidRecord as invalid:
        reason = invalid
    for candidate in (second, reply):
        with suppress(InvalidRecord):
            value = repair_record(candidate, schema)
            call.outcome = Outcome.REPAIRED
            return Answer(value, candidate.usage.completion, candidate.logprobs)
    if second.finish is Finish.LENGTH:
        raise _make_cut_error(call, second)
    raise _make_invalid_error(reason)


async def _retry_truncated(call: Call, reply: Reply, answer: Answer) -> Answer:
    """Ask once more for a record whose text met its bound; return what is whole of one."""
    schema = _get_schema(call)
    first = call.spec
    try:
        second = await _ask_again(call, reply, "a text in it was cut off at its maxLength")
        return _keep_whole(call, _parse_answer(call, second), schema)
    except (CallError, FitError, InvalidRecord):
        call.spec = first
    return _keep_whole(call, answer, schema)


async def _retry_faulty(call: Call, reply: Reply, answer: Answer, faults: Sequence[str]) -> Answer:
    """Ask once more for a record that has faults; return the one with fewer of them."""
    first = call.spec
    # There is a record already, and that it has faults is known to whoever asked.
    with suppress(CallError, FitError, InvalidRecord):
        second = await _ask_again(call, reply, "; ".join(faults))
        better = _parse_answer(call, second)
        if len(call.asked.find_faults(better)) < len(faults):
            return better
    call.spec = first
    call.mark_succeeded()
    return answer


async def _ask_again(call: Call, reply: Reply, fault: str) -> Reply:
    """Return the reply to a second attempt that shows the model its record and a fault of it."""
    return await call.ask_again(
        retry_with_error(call.render_messages(1), reply, InvalidRecord(fault))
    )


def _parse_answer(call: Call, reply: Reply) -> Answer:
    """Return the record that a reply is; raises InvalidRecord where it is none."""
    if reply_status(reply) is ReplyStatus.REFUSED:
        raise make_refusal_error()
    value = parse_record(reply, _get_schema(call))
    call.mark_succeeded()
    return Answer(value, reply.usage.completion, reply.logprobs, predicted=call.predicted)


def _keep_whole(call: Call, answer: Answer, bounds: JsonSchema) -> Answer:
    """Return a record less what met its bounds; raises CutError where it is none without."""
    schema = _get_schema(call)
    call.mark_succeeded()
    try:
        value, cuts = trim_to_bounds(answer.value, bounds, schema)
        if not cuts:
            return answer
        validate_record(value, schema)
    except (Truncated, InvalidRecord):
        raise _make_cut_error(call) from None
    if call.asked.complete:
        raise _make_cut_error(call)
    said = "; ".join(dict.fromkeys(cuts))
    call.mark_truncated(f"did not fit {call.asked.tokens:,} tokens: {said}")
    return replace(answer, value=value, truncated=True)


def _get_schema(call: Call) -> JsonSchema:
    return call.asked.schema or {}


def _make_cut_error(call: Call, reply: Reply | None = None) -> CutError:
    reason = reply.finish_reason if reply else None
    where = describe_cut(reply or Reply(""), f"{call.asked.tokens:,}")
    return CutError(
        f"the record was cut off {where}",
        hint=None if reason else "raise `tokens` of the step, or split to fewer tokens",
    )


def _make_invalid_error(reason: InvalidRecord) -> ReplyError:
    return ReplyError(f"the reply is no record: {reason}", outcome=Outcome.INVALID)


_RETRY_WITH_ERROR = (
    "That reply cannot be used: {error}. Reply again with one JSON object that fits the schema,"
    " and nothing else."
)


def retry_with_error(
    messages: Sequence[Message], reply: Reply, error: InvalidRecord
) -> tuple[Message, ...]:
    """Return the messages that show a model its invalid reply and what is wrong with it."""
    return (
        *messages,
        Message("assistant", reply.text),
        Message("user", _RETRY_WITH_ERROR.format(error=str(error)[:500])),
    )
