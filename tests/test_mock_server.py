"""The mock server is as predictable as the tests that stand on it need."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.mock.behaviour import FAULTS, Behaviour, PrefixCache, RateLimit
from tests.support.mock.replies import record, sentences
from tests.support.openai_calls import send
from tests.support.serving import serving

from octavo.errors import ContextError
from octavo.protocols import Finish, Transient
from octavo.tokens.choose import get_counter

PROGRAM = Path(__file__).with_name("support") / "mock_server.py"


def ask(url: str, text: str = "When is it?", **fields) -> dict:
    body = {"model": "mock", "messages": [{"role": "user", "content": text}], **fields}
    request = Request(url + "/chat/completions", json.dumps(body).encode(), method="POST")
    with urlopen(request, timeout=10) as response:
        return json.load(response)


def headers(url: str) -> dict[str, str]:
    try:
        body = {"model": "mock", "messages": [{"role": "user", "content": "When?"}]}
        request = Request(url + "/chat/completions", json.dumps(body).encode(), method="POST")
        with urlopen(request, timeout=10) as response:
            return dict(response.headers)
    except HTTPError as error:
        return dict(error.headers)


@given(number=st.integers(0, 2**64), limit=st.integers(1, 3000))
def test_replies_keep_to_their_limit(number, limit):
    text, tokens, finish = sentences(number, limit)
    assert 0 < tokens <= limit
    assert (finish, text[-1]) == ("stop", ".") or finish == "length"
    assert sentences(number, limit) == (text, tokens, finish)


def test_replies_are_as_long_as_their_tokens_say():
    text, tokens, _ = sentences(12345, 500)
    assert get_counter("o200k_base").count(text) == tokens


def test_replies_depend_on_the_request_alone():
    texts = []
    for _ in range(2):
        with serving(Behaviour(jitter=0.5, stragglers=0.5)) as server:
            texts.append([ask(server.url, str(n))["choices"][0] for n in range(5)])
    assert texts[0] == texts[1]
    assert len({choice["message"]["content"] for choice in texts[0]}) == 5


def test_records_fit_their_schema():
    person = {"type": "object", "properties": {"age": {"type": "integer", "minimum": 18}}}
    schema = {
        "type": "object",
        "properties": {
            "people": {"type": "array", "items": {"$ref": "#/$defs/person"}, "minItems": 2},
            "mood": {"enum": ["good", "bad"]},
            "sure": {"type": ["boolean", "null"]},
        },
        "$defs": {"person": person},
    }
    for number in range(20):
        value = json.loads(record(schema, number)[0])
        assert len(value["people"]) >= 2
        assert all(each["age"] >= 18 for each in value["people"])
        assert value["mood"] in {"good", "bad"}
        assert isinstance(value["sure"], bool)


def test_faults_meet_their_share_and_repeat_with_the_seed():
    behaviour = Behaviour(faults={"500": 0.1, "reset": 0.2}, seed=7)
    found = [behaviour.fault(str(n).encode(), 0) for n in range(4000)]
    assert found == [behaviour.fault(str(n).encode(), 0) for n in range(4000)]
    assert 300 < found.count("500") < 500
    assert 650 < found.count("reset") < 950
    assert {behaviour.fault(b"x", turn) for turn in range(50)} == {None, "500", "reset"}
    with pytest.raises(ValueError, match="shares"):
        Behaviour(faults={"sometimes": 1})


SEEN = {
    "500": "server", "503": "server", "429": "rate", "reset": "connection", "cut": "connection",
    "json": "server", "timeout": "timeout", "empty": "server", "refusal": Finish.REFUSAL,
    "length": Finish.LENGTH, "context": ContextError, "error200": "server",
}  # fmt: skip


@pytest.mark.parametrize("kind", FAULTS)
def test_every_fault_reaches_the_client_as_what_it_is_and_stands_in_the_log(kind):
    with serving(Behaviour(faults={kind: 1.0})) as server:
        try:
            seen = send(server.url, timeout=0.2 if kind == "timeout" else 10.0).finish
        except Transient as fault:
            seen = fault.kind
        except ContextError as error:
            seen = type(error)
    assert seen == SEEN[kind]
    assert [entry.fault for entry in server.log] == [kind]


def test_its_ceiling_is_measured_and_printed():
    command = [sys.executable, PROGRAM, "--ceiling", "--seconds", "0.3"]
    told = subprocess.run(command, check=True, capture_output=True, text=True, timeout=50).stdout
    answered, ceiling = (float(found) for found in re.findall(r": (\d+) calls/s", told))
    assert answered > 50
    assert ceiling > 50


def test_latencies_vary_as_asked():
    behaviour = Behaviour(latency=1, jitter=0.5, stragglers=0.1, per_reply_token=0.01)
    times = [behaviour.time(str(n).encode(), 0, 0, 100) for n in range(2000)]
    usual = [each for each in times if each < 5]
    assert 1700 < len(usual) < 1900
    assert 1.0 <= min(usual) < 1.1
    assert 2.9 < max(usual) <= 3.0


def test_the_rate_limit_tells_what_remains_and_how_long_to_wait():
    limit = RateLimit(120, burst=2)
    assert limit.wait(10.0) == 0
    limit.take()
    assert limit.headers() == {
        "x-ratelimit-limit-requests": "120",
        "x-ratelimit-remaining-requests": "3",
        "x-ratelimit-reset-requests": "500ms",
    }
    limit.take(3)
    assert limit.wait(10.0) == pytest.approx(0.5)
    assert limit.wait(10.25) == pytest.approx(0.25)
    assert limit.wait(10.5) == 0
    assert limit.wait(10.5, cost=99) == pytest.approx(1.5)  # a full bucket will have to do


def test_calls_and_tokens_beyond_the_limits_are_refused_and_all_answers_tell_them():
    with serving(Behaviour(rate=60)) as server:
        first, second = headers(server.url), headers(server.url)
    assert (first["x-ratelimit-remaining-requests"], first.get("retry-after")) == ("0", None)
    assert 0 < int(second["retry-after-ms"]) <= 1000
    with serving(Behaviour(token_rate=6000)) as server:
        assert headers(server.url)["x-ratelimit-limit-tokens"] == "6000"
        assert "retry-after" in headers(server.url)  # a prompt and a reply of up to 256 tokens
    with serving(Behaviour(rate=60, told=False)) as server:
        assert headers(server.url).keys() == headers(server.url).keys()
    assert [entry.status for entry in server.log] == [200, 429]


def test_the_prefix_cache_counts_leading_blocks():
    cache = PrefixCache(blocks=6)
    text = "a" * 512 + "b" * 300
    assert [cache.take(text), cache.take(text), cache.take("x" + text)] == [0, 192, 0]
    assert cache.take(text[:600] + "z" * 300) == 128
    for other in "cdefgh":
        cache.take(other * 300)
    assert cache.take(text) == 0


def test_the_log_tells_what_happened_to_each_call():
    with serving(Behaviour(latency=0.02, cached=True)) as server:
        ask(server.url, "word " * 100)
        told = ask(server.url, "word " * 100)["usage"]
    first, second = server.log
    assert (first.digest, first.turn, second.turn) == (second.digest, 0, 1)
    assert first.latency >= 0.02
    assert second.arrival >= first.arrival + first.latency
    assert (first.status, first.fault, first.cached) == (200, None, 0)
    assert second.cached == told["prompt_tokens_details"]["cached_tokens"] > 0
    assert (second.prompt, second.reply) == (told["prompt_tokens"], told["completion_tokens"])


def test_more_calls_at_once_than_it_takes_are_refused():
    async def burst(url):
        return await asyncio.gather(
            *(asyncio.to_thread(status, url, str(n)) for n in range(4)),
        )

    with serving(Behaviour(in_flight=1, latency=0.3)) as server:
        found = asyncio.run(burst(server.url))
    assert sorted(found) == [200, 429, 429, 429]
    assert server.most_in_flight >= 2


def status(url, text):
    try:
        ask(url, text)
    except OSError as error:
        return error.code
    return 200


def test_as_a_program_it_prints_its_address_and_keeps_a_log(tmp_path):
    log = tmp_path / "calls.jsonl"
    command = [sys.executable, PROGRAM, "--log", log, "--fault", "length=1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        url = server.stdout.readline().strip()
        reply = ask(url)
        server.terminate()
        assert server.wait(10) == 0
    assert reply["choices"][0]["finish_reason"] == "length"
    (line,) = log.read_text().splitlines()
    assert json.loads(line)["fault"] == "length"
    wrong = [*command[:2], "--fault", "bad=1"]
    refused = subprocess.run(wrong, check=False, capture_output=True, text=True)
    assert refused.returncode == 1
    assert all(kind in refused.stderr for kind in FAULTS)
