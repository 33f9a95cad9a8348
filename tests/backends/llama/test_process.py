"""The embedded model's process, with a library that misbehaves in its place."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from octavo.backends.llama.backend import LlamaBackend
from octavo.backends.llama.model_file import ModelFile
from octavo.errors import BackendError, ContextError, ModelError, RequestError, UsageError
from octavo.protocols import Finish, Message, Profile, Request, TokenLogprob, Transient, Usage

LIBRARY = """
import ctypes, json, os, sys, threading
from types import SimpleNamespace

llama_flash_attn_type = SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_DISABLED=0)
hold = open(os.environ["HOLD"], "w") if "HOLD" in os.environ else None


def CommonParams():
    return SimpleNamespace(
        model=SimpleNamespace(), cpuparams=SimpleNamespace(), cpuparams_batch=SimpleNamespace()
    )


def libc_print(text):
    os.write(1, f"{text} on standard output\\n".encode())
    os.write(2, f"{text} on standard error\\n".encode())


class Server:
    def __init__(self, params):
        self.params = params
        libc_print("loading")
        name = os.path.basename(params.model.path)
        if "broken" in name:
            os.write(2, b"0.1 E unknown architecture: broken\\n")
            raise RuntimeError("Failed to init server")
        if "crash" in name:
            os.write(2, b"GGML_ASSERT(n > 0) failed\\n")
            os.abort()

    def handle_chat_completions(self, body, callback):
        say = body["messages"][-1]["content"]
        if say == "abort":
            os.write(2, b"GGML_ASSERT(x) failed\\n")
            os.abort()
        if say == "hang":
            threading.Event().wait()
        if say == "too long":
            error = {"code": 400, "type": "exceed_context_size_error", "message": "9 > 8 tokens"}
            callback({"error": error})
            return
        if say == "bad":
            callback({"error": {"code": 400, "type": "invalid_request_error", "message": "no"}})
            return
        if say == "raise":
            raise RuntimeError("template failed")
        # "tokens 10 of 20" tells of a prompt of 20 tokens, 10 of which are kept.
        cached, total = map(int, say[7:].split(" of ")) if say.startswith("tokens ") else (0, 9)
        if not body["cache_prompt"]:
            cached = 0
        for processed in range(cached, total + 1, 128):
            progress = {"total": total, "cache": cached, "processed": processed}
            if callback({"choices": [{"delta": {"role": "assistant", "content": None}}],
                         "prompt_progress": progress}):
                return
        callback({"choices": [{"delta": {"role": "assistant", "content": None}}]})
        if say == "endless":
            while not callback({"choices": [{"delta": {"content": "x"}}]}):
                pass
            return
        facts = {
            "threads": self.params.cpuparams.n_threads,
            "batch": self.params.n_ubatch,
            "window": self.params.n_ctx,
            "model": self.params.model.path,
            "hosts": self.params.hostnames,
            "key": len(self.params.api_keys[0]),
            "origins": self.params.cors_origins,
            "waiting": os.environ["OMP_WAIT_POLICY"],
            "process": os.getpid(),
            "body": body,
        }
        top = [{"token": "a", "logprob": -0.5}, {"token": "b", "logprob": -1.5}]
        entry = {"token": "a", "logprob": -0.5, "top_logprobs": top}
        callback({"choices": [{"delta": {"reasoning_content": "Hm."}}]})
        callback({"choices": [{"delta": {"content": json.dumps(facts)},
                               "logprobs": {"content": [entry]}}]})
        callback({"choices": [{"delta": {}, "finish_reason": "length"}]})
        callback({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3,
                                           "prompt_tokens_details": {"cached_tokens": 2}}})
"""


@pytest.fixture
def library(tmp_path, monkeypatch):
    """Put the library where the process finds it before the real one."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "xllamacpp.py").write_text(LIBRARY)
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delenv("OCTAVO_MODELS", raising=False)
    monkeypatch.syspath_prepend(str(folder))
    return folder


@pytest.fixture
def model(tmp_path, library):
    """A model of this name; what is in the file is up to the library."""

    def make(name="model", **profile):
        path = tmp_path / f"{name}.gguf"
        path.write_bytes(b"GGUF")
        profile.setdefault("window", 4096)
        found = ModelFile(name, path)
        return Watched(found, Profile(model=f"llama:{path}", **profile))

    return make


class Watched(LlamaBackend):
    """Takes the window from the profile: the library's models have no header to read."""

    @property
    def _window(self):
        return self._profile.window


def request(say, **more):
    more.setdefault("max_tokens", 50)
    return Request((Message("user", say),), **more)


def answered(backend, *requests):
    """Send requests one after another; the backend is closed in the end."""

    async def run():
        begun = []
        try:
            replies = [await backend.send(each, lambda: begun.append(1)) for each in requests]
        finally:
            await backend.close()
            await backend.close()
        assert len(begun) == len(replies)
        return replies

    return asyncio.run(run())


def test_a_call_starts_the_process_and_its_reply_comes_whole(model, capfd):
    backend = model(options={"top_k": 3, "seed": None})
    schema = {"type": "object"}
    first, second = answered(
        backend, request("one", logprobs=2, schema=schema), request("two", attempt=1)
    )
    assert (first.finish, first.reasoning) == (Finish.LENGTH, "Hm.")
    assert first.usage == Usage(prompt=7, completion=3, cached=2)
    assert first.logprobs == (TokenLogprob("a", -0.5, (("a", -0.5), ("b", -1.5))),)
    facts, other = json.loads(first.text), json.loads(second.text)
    assert facts["process"] == other["process"] != os.getpid()
    assert (facts["window"], facts["batch"]) == (4096, 512)
    assert (facts["waiting"], facts["threads"] >= 1) == ("passive", True)
    body = facts["body"]
    assert (body["max_tokens"], body["temperature"], body["top_logprobs"]) == (50, 0.0, 2)
    assert body["response_format"]["json_schema"]["schema"] == schema
    assert body["top_k"] == 3
    assert "seed" not in body
    assert other["body"]["temperature"] > 0
    assert capfd.readouterr() == ("", ""), "the library's chatter reached the terminal"


def test_nobody_else_can_reach_the_server(model):
    facts = json.loads(answered(model(), request("hello"))[0].text)
    (host,) = facts["hosts"]
    assert host.endswith(".sock")
    assert (facts["key"] >= 32, facts["origins"]) == (True, "")
    assert not Path(host).parent.exists(), "the socket's directory was left behind"


def test_a_wide_window_is_computed_in_small_batches(model):
    facts = json.loads(answered(model(window=131_072), request("hello"))[0].text)
    assert (facts["window"], facts["batch"]) == (131_072, 32)


@pytest.mark.parametrize(
    ("tokens", "reused"),
    [
        (["0 of 600", "100 of 700"], True),
        (["0 of 600", "599 of 600"], False),  # the last token alone
        (["0 of 600", "596 of 600"], True),
        (["0 of 600", "100 of 613"], False),  # 512 and 1
        (["0 of 600", "100 of 512"], True),
        (["0 of 600", "100 of 514"], False),  # 514 would be computed as 512 and 2
        (["0 of 600", "601 of 700"], False),  # a part of the reply
        (["0 of 513", "513 of 600"], False),  # a token that was computed alone
        (["0 of 513", "512 of 600"], True),
        (["0 of 600", "100 of 700", "700 of 800"], True),
    ],
)
def test_a_kept_prompt_is_used_where_it_changes_no_rounding(model, tokens, reused):
    """Batches are of 512 tokens; a remainder of fewer than 4 is computed by another routine."""
    replies = answered(model(), *(request(f"tokens {each}") for each in tokens))
    assert json.loads(replies[-1].text)["body"]["cache_prompt"] is reused


def test_nothing_is_kept_of_a_prompt_that_was_given_up(model):
    async def run():
        backend = model()
        begun = asyncio.Event()
        endless = asyncio.create_task(backend.send(request("endless"), begun.set))
        await begun.wait()
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        reply = await backend.send(request("tokens 5 of 100"), lambda: None)
        await backend.close()
        return json.loads(reply.text)["body"]["cache_prompt"]

    assert asyncio.run(run()) is False


def test_calls_at_once_take_turns_in_one_process(model):
    async def run():
        backend = model()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(backend.send(request(str(number)), lambda: None))
                for number in range(5)
            ]
        await backend.close()
        return [json.loads(task.result().text) for task in tasks]

    facts = asyncio.run(run())
    assert [each["body"]["messages"][0]["content"] for each in facts] == list("01234")
    assert len({each["process"] for each in facts}) == 1


@pytest.mark.parametrize(
    ("say", "error", "said"),
    [
        ("too long", ContextError, "9 > 8 tokens"),
        ("bad", RequestError, "refused the request: no"),
        ("raise", RequestError, "template failed"),
    ],
)
def test_a_refusal_ends_the_call_and_not_the_process(model, say, error, said):
    backend = model()

    async def run():
        with pytest.raises(error, match=said):
            await backend.send(request(say), lambda: None)
        reply = await backend.send(request("again"), lambda: None)
        await backend.close()
        return reply

    assert json.loads(asyncio.run(run()).text)["body"]["messages"][0]["content"] == "again"


def test_a_crash_is_told_with_the_end_of_the_log(model, capfd, empty_home, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(BackendError, match=r"ended with -6: .*GGML_ASSERT\(x\) failed") as caught:
        answered(model(), request("abort"))
    log = empty_home / ".local" / "state" / "octavo" / "log" / "llama.log"
    assert str(log) in caught.value.hint
    assert "GGML_ASSERT" in log.read_text()
    assert log.stat().st_mode & 0o77 == 0
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.glob("octavo-*")) == [], "the socket's directory was left behind"


@pytest.mark.parametrize(
    ("name", "error", "said"),
    [
        ("broken", ModelError, "broken.gguf could not be loaded: .*unknown architecture"),
        ("crash", BackendError, r"ended with -6: .*GGML_ASSERT\(n > 0\) failed"),
    ],
)
def test_a_model_that_cannot_be_loaded(model, name, error, said):
    with pytest.raises(error, match=said):
        answered(model(name), request("hello"))


def test_a_log_that_cannot_be_kept_stops_nothing(model, empty_home):
    (empty_home / ".local").write_text("in the way")
    with pytest.raises(BackendError, match=r"GGML_ASSERT\(x\) failed") as caught:
        answered(model(), request("abort"))
    assert "could not be kept" in caught.value.hint


def test_silence_is_given_up_and_the_next_call_has_a_new_process(model):
    async def run():
        backend = model(timeout=0.3)
        with pytest.raises(Transient, match=r"nothing for 0\.3 s") as caught:
            await backend.send(request("hang"), lambda: None)
        backend._client._profile = Profile(model="llama:x", window=4096)
        reply = await backend.send(request("again"), lambda: None)
        await backend.close()
        return caught.value.kind, reply

    kind, reply = asyncio.run(run())
    assert (kind, bool(reply.text)) == ("timeout", True)


def test_a_cancelled_call_makes_room_for_the_next(model):
    async def run():
        backend = model()
        begun = asyncio.Event()
        endless = asyncio.create_task(backend.send(request("endless"), begun.set))
        await begun.wait()
        waiting = asyncio.create_task(backend.send(request("next"), lambda: None))
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless
        reply = await waiting
        await backend.close()
        return json.loads(reply.text)["body"]["messages"][0]["content"]

    assert asyncio.run(run()) == "next"


def test_closing_does_not_wait_for_a_call_under_way(model):
    async def run():
        backend = model()
        begun = asyncio.Event()
        endless = asyncio.create_task(backend.send(request("endless"), begun.set))
        await begun.wait()
        endless.cancel()
        await backend.close()
        with pytest.raises(asyncio.CancelledError):
            await endless

    asyncio.run(run())


def test_the_process_ends_with_a_parent_that_is_killed(tmp_path, library):
    """It holds a pipe open for writing, and the pipe ends when the process does."""
    hold = tmp_path / "hold"
    os.mkfifo(hold)
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    program = textwrap.dedent(
        f"""
        import asyncio
        from pathlib import Path
        from octavo.backends.llama.process import LlamaProcess, LlamaSettings

        async def run():
            settings = LlamaSettings(Path({str(tmp_path / "model.gguf")!r}), 512, 1)
            process = await LlamaProcess.start(settings)
            print("started", flush=True)
            body = {{"messages": [{{"role": "user", "content": "hang"}}]}}
            await process.ask(body, lambda: None, 60)

        asyncio.run(run())
        """
    )
    paths = os.pathsep.join([str(library), *(path for path in sys.path if path.endswith("cli"))])
    environment = {**os.environ, "HOLD": str(hold), "PYTHONPATH": paths, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE
    ) as parent:
        with hold.open("rb") as held:
            assert parent.stdout.readline() == b"started\n"
            parent.send_signal(signal.SIGKILL)
            assert held.read() == b""
        parent.wait()
    assert list(tmp_path.glob("octavo-*")) == []


def test_without_the_library_the_command_to_install_it_is_named(tmp_path, monkeypatch):
    found = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name: None if name == "xllamacpp" else found(name)
    )
    backend = LlamaBackend(ModelFile("smollm2"), Profile(model="llama:smollm2"))
    with pytest.raises(UsageError, match="xllamacpp") as caught:
        asyncio.run(backend.send(request("hello"), lambda: None))
    assert caught.value.hint == "pip install 'octavo[local]'"


def test_a_default_file_that_is_another_is_refused(tmp_path, monkeypatch, library):
    monkeypatch.setenv("OCTAVO_MODELS", str(tmp_path))
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"GGUF of something else")
    backend = LlamaBackend(ModelFile("smollm2"), Profile(model="llama:smollm2"))
    with pytest.raises(BackendError, match="is not the model that smollm2 stands for"):
        asyncio.run(backend.send(request("hello"), lambda: None))
