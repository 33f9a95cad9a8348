"""A server process that stands in for vLLM: its command line, routes, log lines and ways to fail.

    python tests/support/vllm_standin.py serve MODEL --port 8000 --max-model-len 8192

The model's name says what goes wrong: `no/model`, `no/gpu`, `no/memory`, `no/port`. Else it serves
replies that depend on the request alone, with a prefix cache. Arguments that vLLM doesn't have
begin with `--standin-`. Like vLLM it runs its engine in a process of its own, which does not end
with it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.mock.answer import Answer, failure
from tests.support.mock.behaviour import Behaviour
from tests.support.mock.server import MockServer

BLOCK = 16
FAILURES = {
    "no/model": (
        "(EngineCore pid=7) ERROR 11-25 19:00:01 [core.py:1100] EngineCore failed to start.",
        "OSError: no/model is not a local folder and is not a valid model identifier",
    ),
    "no/gpu": ("RuntimeError: No CUDA GPUs are available",),
    "no/memory": (
        "(EngineCore pid=7) ERROR 11-25 19:00:09 [core.py:11] ValueError: 16 GiB are needed,",
        "which is larger than the available KV cache memory (2 GiB) at a max seq len of 131072.",
        "RuntimeError: Engine core initialization failed. See root cause above.",
    ),
    "no/port": ("OSError: [Errno 98] Address already in use",),
    "no/reason": ("ValueError: the moon is full",),
}


def log(place, words):
    print(f"(APIServer pid={os.getpid()}) INFO 11-25 19:00:00 [{place}] {words}", file=sys.stderr)


class StandIn:
    """The routes that vLLM has beside the mock server's."""

    def __init__(self, options):
        self.options = options
        self.chats = 0
        self.server = None

    def answer(self, call):
        guarded = not call.path.startswith(("/health", "/metrics", "/tokenize"))
        key = os.environ.get("VLLM_API_KEY")
        if guarded and key and call.headers.get("authorization") != f"Bearer {key}":
            return Answer(401, {"error": "Unauthorized"})
        route = getattr(self, "get_" + call.path.strip("/").replace("/", "_"), None)
        return route(call) if route else None

    def get_health(self, call):
        return Answer(200, "")

    def get_models(self, call):
        card = {"id": self.options.served_model_name or self.options.model, "object": "model"}
        card |= {"root": self.options.model, "max_model_len": self.options.max_model_len}
        return Answer(body={"object": "list", "data": [card]})

    def get_metrics(self, call):
        blocks = self.options.standin_cache // BLOCK
        labels = f'block_size="{BLOCK}",cache_dtype="auto",num_gpu_blocks="{blocks}"'
        return Answer(body=f"vllm:cache_config_info{{{labels}}} 1.0")

    def get_tokenize(self, call):
        text = "".join(each["content"] for each in call.body["messages"])
        tokens = [hash(text[at : at + 4]) for at in range(0, len(text) - 3, 4)]
        told = {"count": len(tokens), "max_model_len": self.options.max_model_len}
        return Answer(body={**told, "tokens": tokens})

    def get_completions(self, call):
        words = call.body["prompt"].split(" ")
        tokens = ["<s>", words[0], *(f" {word}" for word in words[1:]), " more"]
        scores = [None, *(-float(len(token)) for token in tokens[1:])]
        tops = [None, *({token: -1.0} for token in tokens[1:])]
        logprobs = {"tokens": tokens, "token_logprobs": scores, "top_logprobs": tops}
        return Answer(body={"choices": [{"text": call.body["prompt"], "logprobs": logprobs}]})

    def get_chat_completions(self, call):
        self.chats += 1
        fatal = self.options.standin_die_after
        if fatal and self.chats > fatal and not self.survivor():
            os._exit(1)
        if call.body.get("priority") and self.options.scheduling_policy == "fcfs":
            said = f"Got priority {call.body['priority']} but priority scheduling is not enabled."
            return failure(400, said, "BadRequestError")
        if call.body.get("model") != (self.options.served_model_name or self.options.model):
            said = f"The model `{call.body.get('model')}` does not exist."
            return failure(404, said, "NotFoundError")
        return None

    def survivor(self):
        """Tell whether an earlier one has died in this directory: the second one lives."""
        mark = self.options.standin_mark
        if mark is None or Path(mark).exists():
            return mark is not None
        Path(mark).touch()
        return False


def parse(arguments):
    if arguments[:1] == ["serve"]:
        arguments = ["--model", *arguments[1:]]
    parser = argparse.ArgumentParser(prog="vllm")
    add = parser.add_argument
    add("--model")
    add("--host")
    add("--port", type=int)
    add("--served-model-name")
    add("--enable-prefix-caching", action="store_true")
    add("--enable-prompt-tokens-details", action="store_true")
    add("--scheduling-policy", default="fcfs")
    add("--stream-interval", type=int, default=1)
    add("--disable-uvicorn-access-log", action="store_true")
    for name in ("revision", "dtype", "quantization", "load-format"):
        add(f"--{name}")
    add("--tensor-parallel-size", type=int, default=1)
    add("--max-model-len", type=int, default=8192)
    add("--max-num-seqs", type=int, default=256)
    add("--gpu-memory-utilization", type=float)
    add("--standin-cache", type=int, default=400_000, help="tokens that the cache holds")
    add("--standin-latency", type=float, default=0.0)
    add("--standin-per-prompt-token", type=float, default=0.0)
    add("--standin-start", type=float, default=0.0, help="seconds")
    add("--standin-die-after", type=int, default=0, metavar="CHATS")
    add("--standin-mark", help="a file that tells the second server that it is the second")
    add("--standin-processes", help="a file for the ids of the server and its engine")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    # The engine has children and threads of its own, and does not end with its parent.
    engine = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    if options.standin_processes:
        with Path(options.standin_processes).open("a") as file:
            file.write(f"{os.getpid()} {engine.pid}\n")
    log("model.py:555", "Resolved architecture: LlamaForCausalLM")
    log("gpu_model_runner.py:5160", f"Starting to load model {options.model}...")
    if options.model in FAILURES:
        for line in FAILURES[options.model]:
            print(line, file=sys.stderr)
        os._exit(1)
    for share in (0, 50, 100):
        end = "\r" if share < 100 else "\n"
        bar = f"Loading safetensors checkpoint shards: {share:3}% Completed | {share // 50}/2"
        print(bar, end=end, file=sys.stderr, flush=True)
    time.sleep(options.standin_start)
    log("kv_cache_utils.py:2146", f"GPU KV cache size: {options.standin_cache:,} tokens")
    print("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE): 100%|##| 2/2", file=sys.stderr)
    asyncio.run(serve(options))


async def serve(options):
    standin = StandIn(options)
    behaviour = Behaviour(
        latency=options.standin_latency,
        per_prompt_token=options.standin_per_prompt_token,
        model=options.served_model_name or options.model,
        window=options.max_model_len,
        cached=options.enable_prompt_tokens_details,
    )
    server = MockServer(behaviour, answer=standin.answer)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await server.start(options.port)
    log("launcher.py:50", "Application startup complete.")
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
