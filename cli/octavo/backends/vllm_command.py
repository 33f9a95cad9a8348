"""How a vLLM server is started: where vLLM is, and what its command line says."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import sys

from octavo.errors import UsageError
from octavo.protocols.backends import Serve

__all__ = ["build_command", "find_free_port"]

_HOST = "127.0.0.1"
_OWN_ARGUMENTS = (
    "--enable-prefix-caching",
    "--enable-prompt-tokens-details",  # or a reply doesn't tell which tokens were cached
    "--scheduling-policy=priority",
    # The first token is told at once, which is when a call that shares the prompt may follow; the
    # rest in larger pieces, since each costs both sides processor time.
    "--stream-interval=16",
    "--disable-uvicorn-access-log",
)
_SERVE_OPTIONS = (
    "revision",
    "dtype",
    "quantization",
    "load_format",
    "tensor_parallel_size",
    "max_model_len",
    "max_num_seqs",
    "gpu_memory_utilization",
)


def build_command(model: str, served: str, serve: Serve, port: int) -> list[str]:
    """Return the command that serves `model` under the name `served` on a loopback port.

    The profile's own arguments come last and so win. Raises UsageError when there is no vLLM.
    """
    return [
        *_find_program(serve, model),
        f"--host={_HOST}",
        f"--port={port}",
        f"--served-model-name={served}",
        *_OWN_ARGUMENTS,
        *(
            f"--{name.replace('_', '-')}={value}"
            for name in _SERVE_OPTIONS
            if (value := getattr(serve, name)) is not None
        ),
        *serve.arguments,
    ]


def find_free_port() -> int:
    """Return a port that is free on this machine now."""
    with socket.socket() as listener:
        listener.bind((_HOST, 0))
        return listener.getsockname()[1]


def _find_program(serve: Serve, model: str) -> list[str]:
    if serve.command:
        return [*serve.command, model]
    if importlib.util.find_spec("vllm") is not None:
        return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", f"--model={model}"]
    if (program := shutil.which("vllm")) is not None:
        return [program, "serve", model]
    raise UsageError(
        "there is no vLLM to start: neither the package nor the command vllm is here",
        hint="pip install 'octavo[vllm]', or set OCTAVO_VLLM_URL to a server that runs",
    )
