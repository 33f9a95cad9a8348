"""A key goes where it was meant to go, and shows itself nowhere else."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import socket
import threading
import traceback

import pytest
from tests.support.openai_calls import CLIENTS, REQUEST, backend, chat, send
from tests.support.serving import Answer, Behaviour, serving

from octavo.backends.transports.aiohttp import find_proxy
from octavo.config.api_key import KeySource, Secret
from octavo.config.endpoint import OPENAI_BASE_URL, build_clear_text_warning, resolve_endpoint
from octavo.errors import AuthError, MissingKeyError, OctavoError, UsageError
from octavo.protocols import Profile, Transient

KEY = "sk-fake-0123456789abcdefghij"


def read(source: KeySource, environ=None) -> str | None:
    key = asyncio.run(source.read(environ or {}))
    return None if key is None else key.reveal()


def test_a_secret_shows_itself_only_when_asked():
    secret = Secret(KEY)
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        str([secret]),
    ]
    assert not any(KEY in each for each in shown)
    assert secret.reveal() == KEY
    assert secret.scrub(f"key {KEY}!".encode()) == b"key ***!"
    for careless in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            careless(secret)


def test_a_key_comes_from_the_variable_or_else_the_command():
    both = KeySource("LAB_KEY", "echo from-command", required=True)
    assert read(both, {"LAB_KEY": f" {KEY}\n"}) == KEY
    assert read(both, {"LAB_KEY": "  "}) == "from-command"
    assert read(KeySource("LAB_KEY")) is None
    assert read(KeySource()) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (KeySource("LAB_KEY", required=True), "LAB_KEY"),
        (
            KeySource(command="false --secret hush", required=True),
            "'false' failed with exit code 1",
        ),
        (KeySource(command="printf ''", required=True), "'printf' has no key"),
        (KeySource(command="echo two words", required=True), "cannot be a key"),
        (KeySource(command="printf 'a\\nb'", required=True), "cannot be a key"),
        (KeySource(command="no-such-program", required=True), "'no-such-program'"),
    ],
)
def test_a_missing_key_names_where_it_was_looked_for(source, words):
    with pytest.raises(MissingKeyError, match=words) as raised:
        read(source)
    assert "hush" not in str(raised.value)
    assert raised.value.hint


def test_the_key_command_runs_once_and_only_when_something_is_sent(tmp_path):
    command = f"echo run >> {tmp_path}/runs; echo {KEY}"

    async def run(url):
        opened = backend(url, api_key_cmd=command)
        assert opened.known
        assert not (tmp_path / "runs").exists()
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(opened.send(REQUEST, lambda: None))
        await opened.contact()
        await opened.close()

    with serving() as server:
        asyncio.run(run(server.url))
    assert (tmp_path / "runs").read_text() == "run\n"
    assert {call.headers["authorization"] for call in server.calls} == {f"Bearer {KEY}"}


def test_the_key_command_cannot_read_the_document():
    assert read(KeySource(command="cat; echo k", required=True)) == "k"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_in_the_environment_stays_away_from_other_servers(client, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_ADMIN_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Team: {KEY}\nAuthorization: Bearer {KEY}")
    with serving() as server:
        send(server.url, client=client)
    assert KEY not in str(server.calls[0].headers)
    assert "authorization" not in server.calls[0].headers


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_in_the_environment_goes_to_the_environments_server(client, monkeypatch):
    with serving() as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/")
        send(None, client=client, headers={"X-Team": "lab"})
    assert server.calls[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.calls[0].headers["x-team"] == "lab"


@pytest.mark.parametrize("client", CLIENTS)
def test_a_key_follows_no_redirect(client, monkeypatch):
    monkeypatch.setenv("LAB_KEY", KEY)
    with serving() as other:
        headers = {"location": other.url + "/chat/completions"}
        answer = chat(lambda _: Answer(307, {}, headers))
        with serving(answer=answer) as server, pytest.raises(OctavoError, match="redirect"):
            send(server.url, client=client, api_key_env="LAB_KEY")
    assert other.calls == []


def test_openais_own_server_needs_a_key_before_anything_is_sent():
    with pytest.raises(MissingKeyError, match="OPENAI_API_KEY"):
        send(None)


def test_a_server_that_wants_a_key_is_told_from_one_that_refuses_it(monkeypatch):
    answer = chat(lambda _: Answer(401, {"error": {"message": "no"}}))
    with serving(answer=answer) as server:
        with pytest.raises(AuthError, match="wants a key") as raised:
            send(server.url)
        assert "api_key_env" in raised.value.hint
        monkeypatch.setenv("LAB_KEY", KEY)
        with pytest.raises(AuthError, match=r"rejected the key from .* LAB_KEY"):
            send(server.url, api_key_env="LAB_KEY")
        with pytest.raises(AuthError, match="the key command 'echo'"):
            send(server.url, api_key_cmd="echo k")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "fault",
    ["reset", "cut", "json", "timeout", "empty", "error200", "context", "500", "429",
     401, 400, 404, 402, 418, "down", "tls"],
)  # fmt: skip
def test_no_failure_shows_the_key(client, stream, fault, monkeypatch, caplog):
    """Not its text, its traceback, the values of its frames, nor any log; servers quote keys."""
    monkeypatch.setenv("LAB_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    injected = isinstance(fault, str) and fault not in {"down", "tls"}
    quoting = {"error": {"message": f"Incorrect API key {KEY} in 'Bearer {KEY}'"}}
    answer = chat(lambda _: Answer(fault, quoting)) if isinstance(fault, int) else None
    behaviour = Behaviour(faults={fault: 1} if injected else {})
    with serving(behaviour, answer=answer) as server:
        url = server.url.replace("http:", "https:") if fault == "tls" else server.url
        if fault == "down":
            url = "http://127.0.0.1:1/v1"
        with pytest.raises((OctavoError, Transient)) as raised:
            send(url, client=client, stream=stream, timeout=0.1, api_key_env="LAB_KEY")
    error = raised.value
    # The first frame is this test's, which knows the key.
    tb = error.__traceback__.tb_next
    whole = traceback.TracebackException(type(error), error, tb, capture_locals=True)
    shown = [str(error), repr(error), str(vars(error)), *whole.format()]
    shown += traceback.format_exception(error)
    shown += [record.getMessage() + str(vars(record)) for record in caplog.records]
    assert KEY not in "\n".join(shown).replace(f"LAB_KEY={KEY}", "")
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000/v1", "no http or https URL"),
        ("ftp://host/v1", "no http or https URL"),
        ("http://", "no http or https URL"),
        ("http://host:port/v1", "no URL"),
        ("https://me:hush@host/v1", "password"),
        ("https://host/v1?key=hush", "query"),
    ],
)
def test_an_address_that_cannot_be(url, words):
    with pytest.raises(UsageError, match=words) as raised:
        resolve_endpoint(Profile(model="openai:m", base_url=url), {})
    assert "hush" not in str(raised.value)


def test_addresses():
    profile = Profile(model="openai:m")
    assert resolve_endpoint(profile, {}).base_url == OPENAI_BASE_URL
    assert (
        resolve_endpoint(profile, {"OPENAI_BASE_URL": "http://lab/v1/"}).base_url == "http://lab/v1"
    )
    assert resolve_endpoint(profile, {"OPENAI_BASE_URL": ""}).is_openai
    ours = Profile(model="openai:m", base_url="https://api.openai.com:443/v1")
    assert resolve_endpoint(ours, {}).key_source.env == "OPENAI_API_KEY"
    assert resolve_endpoint(ours, {"OPENAI_BASE_URL": "http://lab/v1"}).key_source.env is None


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://gpu.example/v1", True),
        ("http://10.0.0.5:8000/v1", True),
        ("https://gpu.example/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]:8000/v1", False),
    ],
)
def test_an_unencrypted_key_is_warned_about(url, warned):
    profile = Profile(model="openai:m", base_url=url, api_key_env="LAB_KEY")
    line = build_clear_text_warning(profile, {"LAB_KEY": KEY})
    assert bool(line) is warned
    assert KEY not in (line or "")
    assert build_clear_text_warning(profile, {}) is None


def test_proxies_of_the_environment(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    assert find_proxy("http://lab/v1") is None
    monkeypatch.setenv("HTTPS_PROXY", "http://me:p%40ss@proxy:3128")
    monkeypatch.setenv("NO_PROXY", "inside")
    assert find_proxy("http://lab/v1") is None
    assert find_proxy("https://inside/v1") is None
    found = find_proxy("https://lab/v1")
    assert (found.url, found.authorization) == ("http://proxy:3128", "Basic bWU6cEBzcw==")
    assert "Basic" not in repr(found)


# The openai package's transport hands a proxy's password on in a way that aiohttp is giving up.
@pytest.mark.filterwarnings("ignore:.*deprecated:DeprecationWarning")
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_gets_its_own_credentials_and_never_the_key(client, scheme, monkeypatch):
    """With https the proxy sees no more than the tunnel; with http it passes the request on."""
    monkeypatch.setenv("LAB_KEY", KEY)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(10)
    seen = []

    def proxy():
        connection, _ = listener.accept()
        with connection:
            seen.append(connection.recv(65536))
            connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    thread = threading.Thread(target=proxy)
    thread.start()
    monkeypatch.setenv(f"{scheme}_proxy", f"http://me:pass@127.0.0.1:{listener.getsockname()[1]}")
    monkeypatch.setenv("no_proxy", "")
    with listener, pytest.raises(Transient):
        send(f"{scheme}://lab.example/v1", client=client, api_key_env="LAB_KEY")
    thread.join()
    start = b"CONNECT lab.example:443" if scheme == "https" else b"POST http://lab.example/v1/chat"
    assert seen[0].startswith(start)
    assert b"proxy-authorization: basic bWU6cGFzcw==" in seen[0].replace(
        b"Proxy-Authorization: Basic", b"proxy-authorization: basic"
    )
    assert (KEY.encode() in seen[0]) is (scheme == "http")
