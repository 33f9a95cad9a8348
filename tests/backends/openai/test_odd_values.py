"""Numbers that no server can mean are unknown; they cost no reply that was paid for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.openai_calls import REQUEST, chat, send
from tests.support.serving import Answer, serving

from octavo.protocols import Usage


@pytest.mark.parametrize("count", ["1e400", "Infinity", "NaN", "10000000000000000000", "-1", '"7"'])
def test_a_usage_out_of_range_is_unknown(count):
    body = '{"choices": [{"message": {"content": "Noon."}}], "usage": {"prompt_tokens": %s}}'
    raw = (body % count).encode()
    with serving(answer=chat(lambda _: Answer(body=raw))) as server:
        reply = send(server.url)
    assert (reply.text, reply.usage) == ("Noon.", Usage())


@pytest.mark.parametrize("value", ["-Infinity", "NaN", '"-0.5"', "[7]", "{}"])
def test_an_odd_log_probability_is_unknown_and_loses_no_reply(value):
    body = '{"choices": [{"message": {"content": "Noon."}, "logprobs": {"content": [%s]}}]}'
    token = f'{{"token": "Noon", "logprob": {value}, "top_logprobs": [{{"logprob": {value}}}]}}'
    raw = (body % token).encode()
    with serving(answer=chat(lambda _: Answer(body=raw))) as server:
        reply = send(server.url, replace(REQUEST, logprobs=1))
    assert (reply.text, reply.logprobs) == ("Noon.", ())
