"""Money that is used up ends a run at once, whatever status a server tells it by."""

from __future__ import annotations

import json

import pytest
from tests.support.openai_calls import chat, send
from tests.support.serving import Answer, serving

from octavo.errors import QuotaError
from octavo.protocols import Transient

XAI = (
    "Your team 16f2151a has either used all available credits or reached its monthly spending"
    " limit. To continue making API requests, please purchase more credits or raise your spending"
    " limit."
)
ANTHROPIC = (
    "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to"
    " upgrade or purchase credits."
)
GEMINI = (
    "You exceeded your current quota, please check your plan and billing details. For more"
    " information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To"
    " monitor your current usage, head to: https://ai.dev/rate-limit. \n* Quota exceeded for"
    " metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: %d,"
    " model: gemini-3-pro\nPlease retry in 10.67s."
)
FREE = "Rate limit exceeded: free-models-per-%s. Add 10 credits to unlock 1000 free model requests"


def words(said, **error):
    return {"error": {"message": said, **error}}


def quota(name):
    details = [
        {"@type": "QuotaFailure", "violations": [{"quotaId": name, "quotaValue": "250"}]},
        {"@type": "RetryInfo", "retryDelay": "34s"},
    ]
    return [words(GEMINI % 250, code=429, status="RESOURCE_EXHAUSTED", details=details)]


SPENT = [
    ("continue#10373", 429, {"code": "Some resource has been exhausted", "error": XAI}),
    ("koan#2412", 403, {"code": "The caller does not have permission", "error": XAI}),
    ("openclaude#936", 429, words(FREE % "day", code=429)),
    ("openclaude#1549", 429, words("Rate limit exceeded: free-models-per-day-high-balance.")),
    ("continue#9745", 429, [words(GEMINI % 0, code=429, status="RESOURCE_EXHAUSTED")]),
    ("continue#9745", 429, words(json.dumps(words(GEMINI % 0, code=429)), code=429)),
    ("gemini-cli#10513", 429, quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier")),
    ("gemini-cli#2336", 429, words(
        "Quota exceeded for quota metric 'Gemini 2.5 Pro Requests' and limit 'Gemini 2.5 Pro"
        " Requests per day per user per tier' of service 'cloudcode-pa.googleapis.com'")),
    ("continue#5499", 400, words(ANTHROPIC, type="invalid_request_error")),
    ("claude-code#91322", 400, {"type": "error", **words("Your credit balance is too low.")}),
    ("Roo-Code#515", 403, words("Key limit exceeded. Manage it using https://openrouter.ai/keys")),
    ("inspector#1287", 403, words("Key limit exceeded (total limit). Manage it", code=403)),
    ("pi-xai#10", 403, words("You have run out of credits or need a Grok subscription.")),
]  # fmt: skip
PASSING = [
    ("OpenRouter", words(FREE.partition(".")[0] % "min", code=429)),
    ("Gemini", quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier")),
    ("gemini-cli#1841", words("Resource has been exhausted (e.g. check quota).", code=429)),
    ("OpenAI", words("Rate limit reached on tokens per min (TPM): Limit 30000, Used 29000")),
    ("Groq", words("Rate limit reached on tokens per day (TPD): Limit 100000. Try again in 7m")),
]


@pytest.mark.parametrize(("source", "status", "body"), SPENT)
def test_what_is_spent_is_not_asked_for_again(source, status, body, monkeypatch):
    monkeypatch.setenv("SPENT_KEY", "0123456789abcdef")
    with (
        serving(answer=chat(lambda _: Answer(status, body))) as server,
        pytest.raises(QuotaError, match="no quota left: ") as raised,
    ):
        send(server.url, api_key_env="SPENT_KEY")
    assert len(server.calls) == 1, source
    said = str(raised.value).partition("no quota left: ")[2]
    assert said[:20] in json.dumps(body).replace("\\", "")


@pytest.mark.parametrize(("source", "body"), PASSING)
def test_a_rate_still_passes(source, body):
    with (
        serving(answer=chat(lambda _: Answer(429, body))) as server,
        pytest.raises(Transient) as raised,
    ):
        send(server.url)
    assert raised.value.kind == "rate", source


def test_a_key_that_the_server_quotes_is_not_shown(monkeypatch):
    monkeypatch.setenv("SPENT_KEY", "sk-or-v1-0123456789abcdef")
    body = words("Key limit exceeded for sk-or-v1-012...def and ***cdef (0123456789abcdef)")
    with (
        serving(answer=chat(lambda _: Answer(403, body))) as server,
        pytest.raises(QuotaError, match="Key limit exceeded for") as raised,
    ):
        send(server.url, api_key_env="SPENT_KEY")
    assert "sk-or" not in str(raised.value)
    assert "cdef and" not in str(raised.value)
    assert "***cdef" not in str(raised.value)
