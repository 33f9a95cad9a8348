"""The scripted backend as users' tests meet it."""

from __future__ import annotations

import asyncio
import json

import pytest

from octavo.backends.scripted.backend import BACKEND, ScriptedBackend
from octavo.backends.scripted.handlers import echo, sentences
from octavo.errors import (
    AuthError,
    ContextError,
    ModelError,
    QuotaError,
    RequestError,
    SpecErrors,
    UsageError,
)
from octavo.pipeline.jinja_dialect import fence_text
from octavo.protocols import (
    Capabilities,
    Finish,
    Message,
    Profile,
    Reply,
    Request,
    Transient,
    Usage,
)


def request(text="Hello", **more):
    more.setdefault("max_tokens", 100)
    return Request((Message("system", "Be brief."), Message("user", text)), **more)


def send(backend, *requests):
    """Send requests one after another and return the replies."""
    started = []

    async def run():
        replies = [await backend.send(each, lambda: started.append(1)) for each in requests]
        await backend.close()
        return replies

    replies = asyncio.run(run())
    assert len(started) == len(requests)
    return replies


def opened(tmp_path, text, **profile):
    path = tmp_path / "rules.yaml"
    path.write_text(text, "utf-8")
    return BACKEND.open(str(path), Profile(model=f"scripted:{path}", **profile))


def problems(tmp_path, text):
    with pytest.raises(SpecErrors) as caught:
        opened(tmp_path, text)
    return [(e.position.line, e.code, e.message, e.hint) for e in caught.value.errors]


def test_a_handler_gives_text_records_replies_and_awaitables():
    async def later(request):
        await asyncio.sleep(0)
        return request.messages[-1].content.upper()

    assert send(ScriptedBackend(lambda r: "A summary."), request())[0].text == "A summary."
    record = send(ScriptedBackend(lambda r: {"ships": ["Pequod", "Ève"]}), request())[0]
    assert json.loads(record.text) == {"ships": ["Pequod", "Ève"]}
    cut = Reply("Half a", Finish.LENGTH, Usage(prompt=7, completion=2))
    assert send(ScriptedBackend(lambda r: cut), request()) == [cut]
    assert send(ScriptedBackend(later), request("again"))[0].text == "AGAIN"


def test_a_handler_may_raise_and_may_not_give_nothing():
    def busy(request):
        raise Transient("busy", kind="rate", retry_after=2.0)

    with pytest.raises(Transient, match="busy"):
        send(ScriptedBackend(busy), request())
    with pytest.raises(UsageError, match="NoneType"):
        send(ScriptedBackend(lambda r: None), request())


def test_requests_are_kept_in_order_and_usage_counts_words():
    backend = ScriptedBackend(lambda r: "one two three")
    replies = send(backend, request("first"), request("second of them"))
    assert [each.messages[-1].content for each in backend.requests] == ["first", "second of them"]
    assert replies[1].usage == Usage(prompt=5, completion=3)


def test_only_a_versioned_handler_has_a_lasting_identity():
    def handler(request):
        return "x"

    versions = [ScriptedBackend(handler, version=each).identity for each in ("1", "1", "2")]
    assert versions[0] == versions[1] != versions[2]
    assert ScriptedBackend(handler).identity != ScriptedBackend(handler).identity
    first, second = (ScriptedBackend(sentences(count), version="1") for count in (1, 2))
    assert first.identity != second.identity


def test_known_is_what_was_given_without_contact():
    known = Capabilities(window=512, structured=False)
    backend = ScriptedBackend(echo, known=known)
    assert backend.known == known == asyncio.run(backend.contact())
    assert ScriptedBackend(echo).known.structured


AHAB = "\nAhab \u201cshouted.\u201d Nobody came"
SHIP = fence_text("The ship left. It sank!")
TWO = f"Summarize.\n\n{SHIP}\n\n{fence_text(AHAB, 'note')}\nIn five words."


def test_echo_gives_the_fenced_texts_or_the_last_message():
    assert send(ScriptedBackend(echo), request(TWO), request("Plain.")) == [
        Reply(
            "The ship left. It sank!\n\nAhab \u201cshouted.\u201d Nobody came", usage=Usage(23, 9)
        ),
        Reply("Plain.", usage=Usage(3, 1)),
    ]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, "The ship left."),
        (2, "The ship left. Ahab \u201cshouted.\u201d"),
        (3, "The ship left. It sank! Ahab \u201cshouted.\u201d"),
        (9, "The ship left. It sank! Ahab \u201cshouted.\u201d Nobody came"),
    ],
)
def test_sentences_of_several_texts_take_turns(count, expected):
    assert send(ScriptedBackend(sentences(count)), request(TWO))[0].text == expected


def test_sentences_of_other_scripts_and_of_nothing():
    said = sentences(1)
    assert said(request("\u6211\u6765\u4e86\u3002\u6211\u89c1\u4e86\u3002")) == (
        "\u6211\u6765\u4e86\u3002"
    )
    assert said(request("")) == ""
    with pytest.raises(UsageError):
        sentences(0)


RULES = r"""
rules:
  - match: '(?i)name is (?P<who>\w+)(, captain)?'
    reply: "Hello, $who$2: $$5, $0."
  - contains: "costs (a lot)"
    reply: "It costs $1."
  - contains: as JSON
    record: {has_info: true, ships: [Pequod]}
  - contains: half
    reply: "So far"
    finish: length
  - match: '^List'
    reply: 12
default: {sentences: 1}
"""


def test_the_first_rule_that_matches_answers(tmp_path):
    backend = opened(tmp_path, RULES)
    texts = ["My Name is Ishmael", "It costs (a lot)", "as JSON please", "half", "Go on. Stop."]
    replies = send(backend, *(request(text) for text in texts))
    assert [reply.text for reply in replies] == [
        "Hello, Ishmael: $5, Name is Ishmael.",
        "It costs $1.",
        '{"has_info": true, "ships": ["Pequod"]}',
        "So far",
        "Go on.",
    ]
    assert [reply.finish for reply in replies] == ["stop", "stop", "stop", "length", "stop"]
    assert backend.requests == []


def test_rules_see_the_system_message_too(tmp_path):
    backend = opened(tmp_path, "rules: [{match: 'brief\\.\\n\\nHello', reply: both}]")
    assert send(backend, request())[0].text == "both"


def test_identity_is_of_the_values_and_nothing_else(tmp_path):
    def identity(text, name="rules.yaml"):
        path = tmp_path / name
        path.write_text(text)
        return BACKEND.open(str(path), Profile(model="scripted:x")).identity

    first = identity("default: A\nwindow: 100\n")
    assert first == identity("# why\nwindow: 100\ndefault: 'A'\n", "other.yaml")
    assert first != identity("default: B\nwindow: 100\n")


def test_capabilities_come_from_the_file_unless_the_profile_says_otherwise(tmp_path):
    text = "default: A\nwindow: 100\nstructured: false\nembeddings: false\nparallel: 3\n"
    assert opened(tmp_path, text).known == Capabilities(window=100, structured=False, parallel=3)
    assert opened(tmp_path, text, window=50).known.window == 50


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("auth", AuthError),
        ("quota", QuotaError),
        ("model", ModelError),
        ("context", ContextError),
        ("request", RequestError),
    ],
)
def test_faults_that_end_something(tmp_path, name, error):
    with pytest.raises(error):
        send(opened(tmp_path, f"default: {{fail: {name}}}"), request())


@pytest.mark.parametrize("name", ["rate", "server", "timeout", "connection"])
def test_faults_that_pass_last_as_long_as_told_for_each_call(tmp_path, name):
    backend = opened(
        tmp_path,
        f"rules: [{{contains: flaky, fail: {name}, times: 2, retry_after: 1.5}}]\ndefault: fine",
    )

    async def tries(text):
        failed = []
        while True:
            try:
                reply = await backend.send(request(text), lambda: None)
            except Transient as error:
                failed.append((error.kind, error.retry_after))
            else:
                return failed, reply.text

    async def run():
        return [await tries(text) for text in ("flaky one", "flaky two", "calm", "flaky one")]

    twice = [(name, 1.5), (name, 1.5)]
    assert asyncio.run(run()) == [(twice, "fine"), (twice, "fine"), ([], "fine"), ([], "fine")]


def test_faults_that_spoil_a_reply_end_at_a_re_ask(tmp_path):
    text = (
        "rules:\n"
        "  - {contains: refuse, fail: refusal, times: 1}\n"
        "  - {contains: nothing, fail: empty}\n"
        "  - {contains: long, fail: length, times: 1}\n"
        "default: one two three four\n"
    )
    backend = opened(tmp_path, text)
    replies = send(
        backend,
        request("refuse"),
        request("refuse", attempt=1),
        request("nothing"),
        request("nothing", attempt=3),
        request("long"),
        request("long, but shorter", attempt=1),
    )
    got = [(reply.finish.value, reply.text) for reply in replies]
    assert got[0][0] == "refusal"
    assert got[1:] == [
        ("stop", "one two three four"),
        ("stop", ""),
        ("stop", ""),
        ("length", "one two"),
        ("stop", "one two three four"),
    ]


def test_a_prompt_without_a_rule_is_an_error_that_names_the_file(tmp_path):
    backend = opened(tmp_path, "rules: [{contains: X, reply: Y}]")
    with pytest.raises(
        RequestError, match=r"rules\.yaml matches the prompt that ends with 'Hello'"
    ):
        send(backend, request())


def test_every_problem_of_a_file_is_reported_with_its_line(tmp_path):
    text = (
        "rules:\n"
        "  - contain: x\n"
        "    reply: y\n"
        "  - match: '(unclosed'\n"
        "    reply: y\n"
        "  - match: (a)\n"
        "    reply: costs $5\n"
        "  - contains: x\n"
        "  - fail: flood\n"
        "window: none\n"
        "default: {reply: a, times: 2}\n"
    )
    found = problems(tmp_path, text)
    assert [(line, code) for line, code, _, _ in found] == [
        (2, "unknown-key"),
        (4, "rule"),
        (7, "rule"),
        (8, "rule"),
        (9, "literal-error"),
        (10, "int-parsing"),
        (11, "rule"),
    ]
    assert "contains" in found[0][3]
    assert "unterminated" in found[1][2]
    assert "no group '5'" in found[2][2]


@pytest.mark.parametrize(
    ("text", "line", "code"),
    [
        ("rules: [\n", 2, "yaml"),
        ("default: a\ndefault: b\n", 2, "duplicate-key"),
        ("", 1, "rule"),
        ("- a list\n", 1, "model-type"),
        ("default: \x07\n", 1, "yaml"),
        ("window: 3\n", 1, "rule"),
        ("default: {contains: x, reply: y}", 1, "rule"),
        ("default:\n  record: 2020-02-30\n", 1, "yaml"),
        ("default:\n  record: 2020-02-20\n", 2, "invalid-json-value"),
    ],
)
def test_files_that_are_no_rules(tmp_path, text, line, code):
    assert [found[:2] for found in problems(tmp_path, text)] == [(line, code)]


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        BACKEND.open(str(tmp_path / "absent.yaml"), Profile(model="scripted:absent.yaml"))
    with pytest.raises(UsageError, match="needs a file"):
        BACKEND.open("", Profile(model="scripted:"))
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"default: caf\xe9")
    with pytest.raises(UsageError, match="not UTF-8 at byte 12"):
        BACKEND.open(str(path), Profile(model="scripted:x"))
