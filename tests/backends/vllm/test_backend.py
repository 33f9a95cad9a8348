from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.support import vllm_standin
from tests.support.serving import Answer, Behaviour, failure, serving

from octavo.backends.vllm.backend import VLLMBackend
from octavo.backends.vllm.server_log import VLLMLog
from octavo.errors import BackendError, ContextError, ModelError, UsageError
from octavo.protocols import Message, Profile, Request, Sampling, Serve, Starting

PROGRAM = (sys.executable, vllm_standin.__file__, "serve")


def asked(say="When is it?", **more):
    return Request((Message("user", say),), **{"max_tokens": 60, **more})


def profile(*arguments, model="some/model", **serve):
    started = Serve(command=PROGRAM, arguments=arguments, **serve)
    return Profile(model=f"vllm:{model}", serve=started)


@contextmanager
def stages(backend):
    told = []
    backend.stage = told.append
    yield told


def opened(*arguments, model="some/model", **serve):
    return VLLMBackend(model, profile(*arguments, model=model, **serve))


def alive(process):
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def gone(processes, seconds=15):
    """Wait until processes have ended; tell whether all have."""
    return all(_ended(process, seconds) for process in processes)


def _ended(process, seconds):
    try:
        watched = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], seconds)[0])
    finally:
        os.close(watched)


def listed(path):
    return [int(word) for word in path.read_text().split()]


def run(backend, *requests):
    """Send requests at the same time and stop the server."""

    async def all_of_them():
        try:
            return await asyncio.gather(*(backend.send(each, lambda: None) for each in requests))
        finally:
            await backend.close()

    return asyncio.run(all_of_them())


def test_a_server_is_started_for_the_first_call_and_leaves_no_process(tmp_path):
    processes = tmp_path / "processes"
    backend = opened("--standin-processes", str(processes))
    assert isinstance(backend, Starting)
    assert not processes.exists()
    with stages(backend) as told:
        (reply,) = run(backend, asked())
    assert reply.text
    assert told[0].startswith("starting vLLM for some/model")
    assert told[-1] == ""
    assert len(listed(processes)) == 2
    assert gone(listed(processes))


def test_the_server_tells_its_window_and_how_many_calls_it_takes():
    async def contact(backend):
        try:
            return await backend.contact()
        finally:
            await backend.close()

    widened = []
    backend = opened("--standin-cache=65536", max_model_len=4096)
    backend.capacity = widened.append
    known = asyncio.run(contact(backend))
    assert (known.window, known.parallel) == (4096, 64)
    assert widened == [64]
    known = asyncio.run(contact(opened("--max-model-len=2048", max_num_seqs=5)))
    assert (known.window, known.parallel) == (2048, 5)


def test_replies_say_which_tokens_were_cached_and_records_fit_their_schema():
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    say = "word " * 1000

    async def both():
        backend = opened()
        try:
            first = await backend.send(asked(say), lambda: None)
            second = await backend.send(asked(say, schema=schema), lambda: None)
        finally:
            await backend.close()
        return first, second

    first, second = asyncio.run(both())
    assert first.usage.cached == 0
    assert second.usage.cached > 0.9 * second.usage.prompt
    assert second.text in {'{"ok":true}', '{"ok":false}'}


@pytest.mark.parametrize(
    ("model", "error", "message", "hint"),
    [
        ("no/model", ModelError, "does not find the model 'no/model': OSError", "HF_TOKEN"),
        ("no/gpu", BackendError, "no GPU that it can use: RuntimeError", "nvidia-smi"),
        ("no/memory", BackendError, "memory is too small .* max seq len", "max_model_len"),
        ("no/port", BackendError, r"the port \d+ is taken: OSError", "free one"),
        ("no/reason", BackendError, "ended with 1 .*the moon is full", "what it says"),
    ],
)
def test_why_a_server_does_not_start_is_one_line(empty_home, tmp_path, model, error, message, hint):
    processes = tmp_path / "processes"
    backend = opened("--standin-processes", str(processes), model=model)
    with pytest.raises(error, match=message) as raised:
        run(backend, asked())
    assert "\n" not in str(raised.value)
    assert hint in raised.value.hint
    log = Path(raised.value.hint.partition("its log is ")[2])
    assert "Resolved architecture" in log.read_text()
    assert gone(listed(processes))


def test_wrong_arguments_are_told_as_such():
    with pytest.raises(BackendError, match=r"does not take its arguments: .*--no-such"):
        run(opened("--no-such"), asked())


def test_without_vllm_the_line_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match="no vLLM to start") as raised:
        run(VLLMBackend("some/model", Profile(model="vllm:some/model")), asked())
    assert "octavo[vllm]" in raised.value.hint


def test_a_command_that_is_not_there_is_told():
    with pytest.raises((UsageError, BackendError), match=r"could not be started: .*No such file"):
        run(
            VLLMBackend("m", Profile(model="vllm:m", serve=Serve(command=("/no/such/vllm",)))),
            asked(),
        )


def test_the_command_vllm_is_found_on_the_path(monkeypatch, tmp_path):
    program = tmp_path / "vllm"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {vllm_standin.__file__} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (reply,) = run(VLLMBackend("some/model", Profile(model="vllm:some/model")), asked())
    assert reply.text


def test_a_server_that_dies_is_started_once_more_and_its_calls_are_sent_again(tmp_path):
    requests = [asked(f"question {number}") for number in range(12)]
    expected = [reply.text for reply in run(opened(), *requests)]
    dying = ("--standin-die-after=5", "--standin-latency=0.05")
    backend = opened(*dying, f"--standin-mark={tmp_path / 'mark'}")
    with stages(backend) as told:
        replies = run(backend, *requests)
    assert [reply.text for reply in replies] == expected
    assert any("starting it again" in stage for stage in told)
    with pytest.raises(BackendError, match="vLLM ended 2 times while it answered"):
        run(opened(*dying), *requests)


def test_killing_octavo_ends_all_processes_of_the_server(tmp_path):
    processes = tmp_path / "processes"
    script = f"""
import asyncio
from octavo.backends.vllm.backend import VLLMBackend
from octavo.protocols import Message, Profile, Request, Serve
serve = Serve(command={PROGRAM!r}, arguments=["--standin-processes", {str(processes)!r}])
backend = VLLMBackend("m", Profile(model="vllm:m", serve=serve))
async def main():
    await backend.send(Request((Message("user", "Hello"),), max_tokens=20), lambda: None)
    print("answered", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"answered\n"
        assert all(map(alive, listed(processes)))
        child.send_signal(signal.SIGKILL)
    assert gone(listed(processes))


def test_giving_up_ends_a_start_at_once(tmp_path):
    processes = tmp_path / "processes"

    async def main():
        backend = opened("--standin-start=60", "--standin-processes", str(processes))
        call = asyncio.ensure_future(backend.send(asked(), lambda: None))
        loading = asyncio.Event()
        backend.stage = lambda stage: loading.set() if "100 %" in stage else None
        await loading.wait()
        backend.give_up()
        with pytest.raises(BackendError, match="stopped before vLLM had started"):
            await call
        await backend.close()

    asyncio.run(main())
    assert gone(listed(processes))


def test_a_prompt_that_does_not_fit_is_counted_by_the_server_and_refused_with_the_numbers():
    message = r"a prompt of 5,000 tokens and a reply of 60 do not fit the window of 4,096"
    with pytest.raises(ContextError, match=message):
        run(opened(max_model_len=4096), asked("a" * 20_000))


def test_a_given_text_is_scored():
    messages = (Message("user", "It was "), Message("assistant", "a rainy day"))
    [reply] = run(opened(), Request(messages, max_tokens=1, scores=True))
    assert [(each.token, each.logprob) for each in reply.logprobs] == [
        (" a", -2.0),
        (" rainy", -6.0),
        (" day", -4.0),
    ]


@contextmanager
def attached(answer=None, **behaviour):
    """Serve a model `short` that was loaded as `org/model`, as a vLLM that runs already does."""

    def chosen(call):
        if call.path == "/models":
            card = {"id": "short", "root": "org/model", "max_model_len": 9000}
            return Answer(body={"data": [card]})
        if call.path == "/metrics":
            info = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="1024"} 1.0'
            return Answer(body=info)
        return answer(call) if answer else None

    with serving(Behaviour(model="short", **behaviour), answer=chosen) as server:
        yield server


@pytest.mark.parametrize("name", ["short", "org/model"])
def test_a_running_server_is_used_by_either_name_of_its_model(monkeypatch, name):
    async def contact_and_send(backend):
        known = await backend.contact()
        await backend.send(asked(priority=3), lambda: None)
        await backend.close()
        return known

    with attached() as server:
        monkeypatch.setenv("OCTAVO_VLLM_URL", server.url.removesuffix("/v1"))
        known = asyncio.run(contact_and_send(VLLMBackend(name, Profile(model=f"vllm:{name}"))))
        chat = server.calls[-1]
    assert (known.window, known.parallel) == (9000, 16)
    assert (chat.body["model"], chat.body["priority"]) == ("short", 3)


def test_a_running_server_with_another_model_is_refused():
    with attached() as server, pytest.raises(ModelError, match="does not serve") as raised:
        run(VLLMBackend("other", Profile(model="vllm:other", base_url=server.url)), asked())
    assert "short" in raised.value.hint


def test_a_server_that_does_not_schedule_by_priority_is_sent_none():
    def refuse(call):
        if call.path == "/chat/completions" and "priority" in call.body:
            return failure(400, "Got priority 3 but Priority scheduling is not enabled.", "x")
        return None

    with attached(refuse) as server:
        backend = VLLMBackend("short", Profile(model="vllm:short", base_url=server.url))
        replies = run(backend, asked(priority=3))
        bodies = [call.body for call in server.calls if call.path == "/chat/completions"]
    assert replies[0].text
    assert ["priority" in body for body in bodies] == [True, False]


def test_keys_name_the_weights_and_not_where_they_are(tmp_path):
    def model_of(name, **serve):
        return VLLMBackend(name, Profile(model=f"vllm:{name}", serve=Serve(**serve))).model

    assert model_of("org/m") == "org/m"
    assert model_of("org/m", revision="v2", quantization="fp8", dtype="half") == "org/m@v2+fp8"
    for place in ("here", "there"):
        folder = tmp_path / place / "tiny"
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(b"123")
    here, there = tmp_path / "here" / "tiny", tmp_path / "there" / "tiny"
    assert model_of(str(here)) == model_of(str(there))
    (there / "model.safetensors").write_bytes(b"1234")
    assert model_of(str(here)) != model_of(str(there))
    plain = VLLMBackend("m", Profile(model="vllm:m"))
    assert plain.identity == "vllm"
    warm = VLLMBackend("m", Profile(model="vllm:m", options={"top_p": 0.5}))
    assert warm.identity != plain.identity


def test_a_name_is_needed():
    with pytest.raises(UsageError, match="needs a model's name"):
        VLLMBackend("", Profile(model="vllm:"))


def test_samples_of_one_prompt_are_asked_for_together():
    def several(call):
        if call.path != "/chat/completions":
            return None
        choices = [
            {"index": n, "message": {"content": f"vote {n}"}, "finish_reason": "stop"}
            for n in range(call.body["n"])
        ]
        return Answer(body={"choices": choices, "usage": {"prompt_tokens": 9}})

    async def votes(backend):
        try:
            alike = [asked(sample=n, temperature=0.7) for n in (1, 2, 3)]
            return await backend.sample(alike, lambda: None)
        finally:
            await backend.close()

    with attached(several) as server:
        backend = VLLMBackend("short", Profile(model="vllm:short", base_url=server.url))
        assert isinstance(backend, Sampling)
        replies = asyncio.run(votes(backend))
    assert [reply.text for reply in replies] == ["vote 0", "vote 1", "vote 2"]


def test_a_model_that_embeds_embeds():
    def embedded(call):
        if call.path != "/embeddings":
            return None
        data = [{"index": n, "embedding": [1.0, n]} for n in range(len(call.body["input"]))]
        return Answer(body={"data": data, "model": call.body["model"]})

    async def vectors(backend):
        try:
            return await backend.embed(["one", "two"])
        finally:
            await backend.close()

    with attached(embedded) as server:
        profile = Profile(model="vllm:short", base_url=server.url, embeddings="short")
        backend = VLLMBackend("short", profile)
        assert backend.known.embeddings
        assert backend.embedder == "vllm short"
        found = asyncio.run(vectors(backend)).vectors
    assert [list(each) for each in found] == [[1.0, 0.0], [1.0, 1.0]]


def test_the_log_tells_how_far_the_start_is():
    info = "(EngineCore pid=9) INFO 11-25 19:00:00 "
    lines = [
        f"{info}[gpu_model_runner.py:51] Starting to load model some/model...",
        "\rLoading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01]\r",
        f"{info}[backends.py:9] Dynamo bytecode transform time: 4.01 s",
        f"{info}[kv_cache_utils.py:21] GPU KV cache size: 397,120 tokens",
        "\rCapturing CUDA graphs (decode, FULL):  57%|#####7    | 20/35 [00:01<00:01]",
        "(APIServer pid=7) INFO:     Application startup complete.",
    ]
    log = VLLMLog("test")
    seen = []
    try:
        for line in lines:
            os.write(log.file.fileno(), line.encode() + b"\n")
            log.read()
            seen.append(log.stage)
        assert log.capacity == 397_120
    finally:
        log.remove()
    assert seen == [
        "loading the weights",
        "loading the weights, 50 %",
        "compiling the model",
        "warming up",
        "capturing CUDA graphs, 57 %",
        "capturing CUDA graphs, 57 %",
    ]


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "memory"),
        ("ValueError: Free memory on device cuda:0 (2/79 GiB) is less than desired", "memory"),
        ("ValueError: No available memory for the cache blocks. Try increasing", "memory"),
        ("RuntimeError: Failed to infer device type, please set", "no GPU"),
        ("RuntimeError: Found no NVIDIA driver on your system.", "no GPU"),
        ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "does not find"),
        ("OSError: We couldn't connect to 'https://huggingface.co' to load", "does not find"),
        ("OSError: [Errno 98] Address already in use", "port 8000 is taken"),
        ("api_server.py: error: argument --dtype: invalid choice: 'x'", "take its arguments"),
        ("/usr/bin/python3: No module named vllm", "not installed"),
    ],
)
def test_what_the_last_lines_mean(line, cause):
    log = VLLMLog("test")
    prefix = "(EngineCore pid=9) ERROR 11-25 19:00:09 [core.py:1100] "
    words = f"{prefix}{line}\n{prefix}RuntimeError: Engine core initialization failed.\n"
    try:
        os.write(log.file.fileno(), words.encode())
        error = log.explain_exit("some/model", 8000, 1)
    finally:
        log.remove()
    assert cause in error.message
    assert error.message.endswith(line)
