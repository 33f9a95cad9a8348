"""A vLLM server that Octavo starts, watches and stops: where vLLM is, and its command line."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from octavo.backends.vllm.model_files import get_served_name
from octavo.backends.vllm.server_log import VLLMLog
from octavo.config.endpoint import Endpoint
from octavo.errors import BackendError, UsageError
from octavo.protocols.backends import Profile, Serve, Transient
from octavo.protocols.transport import Transport

__all__ = ["VLLMServer", "build_command", "create_root_transport", "find_free_port"]


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


_ENVIRONMENT = {
    "PYTHONUNBUFFERED": "1",
    # A connection that the server closes while a call is on its way to it would lose the call.
    "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": "3600",
}
_SHUTDOWN_TIMEOUT = 20.0
"""Seconds for the guard to end everything, before it is killed itself."""

_EXIT_GRACE = 0.3
"""Seconds in which a process whose connections broke off is seen to have ended."""

_ENGINE_EXIT_TIMEOUT = 7.0
"""Seconds in which a server that lost its engine ends: vLLM looks for that every five."""

_POLL_INTERVAL = 0.2
"""Seconds between two looks at a server that starts."""

_HEALTH_TIMEOUT = 5.0
"""Seconds that a server may take to say that it is well."""


class VLLMServer:
    """A server in a process of its own; made by `start`, which returns when it answers.

    `capacity` is the tokens that its cache holds, if it said so. Only who has `headers` may ask.
    """

    def __init__(self, process: Process, log: VLLMLog, model: str, port: int, key: str) -> None:
        self.name = get_served_name(model)
        self.headers = {"Authorization": f"Bearer {key}"}
        self.base_url = f"http://127.0.0.1:{port}/v1"
        self._process = process
        self._log = log
        self._model = model
        self._port = port
        self._group = 0

    @classmethod
    async def start(cls, model: str, profile: Profile, stage: Callable[[str], None]) -> VLLMServer:
        """Start a server for a model and wait until it answers.

        `stage` is told how far it is. Raises UsageError when there is no vLLM, BackendError with
        the end of the server's log when it does not come up.
        """
        serve = profile.serve
        port = serve.port or find_free_port()
        argv = build_command(model, get_served_name(model), serve, port)
        log = VLLMLog(f"{os.getpid()}-{port}")
        key = secrets.token_hex(16)
        guard = str(Path(__file__).with_name("guard.py"))
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-P", guard, *argv,
                stdin=PIPE, stdout=PIPE, stderr=log.file, start_new_session=True,
                env={**_ENVIRONMENT, **os.environ, "VLLM_API_KEY": key},
            )  # fmt: skip
        except BaseException as error:
            log.remove()
            if isinstance(error, OSError):
                raise BackendError(f"vLLM could not be started: {error}") from None
            raise
        started = cls(process, log, model, port, key)
        try:
            await started._wait_until_ready(stage, profile.timeout)
        except BaseException as error:
            # What the log says is only needed where the server failed.
            await started._stop(keep_log=isinstance(error, BackendError))
            raise
        return started

    @property
    def alive(self) -> bool:
        """Whether the server has not ended."""
        return self._process.returncode is None

    @property
    def capacity(self) -> int | None:
        """Tokens that fit the server's cache, as its log says."""
        return self._log.capacity

    @property
    def last_error(self) -> str:
        """What the log says last, and where it lies."""
        return f"{self._log.read_last_error()} ({self._log.where})"

    async def is_dying(self) -> bool:
        """Tell whether a server that lost a call has ended or is about to."""
        if await self.wait_for_exit(_EXIT_GRACE):
            return True
        root = create_root_transport(self.base_url, self.headers, _HEALTH_TIMEOUT)
        try:
            return not await _is_healthy(root) and await self.wait_for_exit(_ENGINE_EXIT_TIMEOUT)
        finally:
            await root.close()

    async def wait_for_exit(self, within: float) -> bool:
        """Tell whether the server has ended, waiting up to `within` seconds for it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._process.wait()
        return not self.alive

    async def close(self, *, keep_log: bool = False) -> None:
        """End the server and all its processes; safe to call twice."""
        await self._stop(keep_log=keep_log)

    async def _wait_until_ready(self, stage: Callable[[str], None], timeout_seconds: float) -> None:
        assert self._process.stdout is not None
        first_line = await self._process.stdout.readline()
        self._group = int(first_line) if first_line.strip().isdigit() else 0
        root = create_root_transport(self.base_url, self.headers, _HEALTH_TIMEOUT)
        last_stage: str | None = None
        try:
            while True:
                self._log.read()
                if last_stage != self._log.stage:
                    last_stage = self._log.stage
                    stage(
                        f"starting vLLM for {self.name}" + (f": {last_stage}" if last_stage else "")
                    )
                if await self.wait_for_exit(_POLL_INTERVAL):
                    code = self._process.returncode or 0
                    raise self._explain_exit(code, first_line)
                if await _is_healthy(root):
                    self._log.read()
                    return
                if time.monotonic() - self._log.last_growth > timeout_seconds:
                    raise BackendError(
                        f"vLLM said nothing for {timeout_seconds:g} s while it started;"
                        f" its last words: {self.last_error}",
                        hint="raise `timeout` in the profile if it needs longer",
                    )
        finally:
            await root.close()

    def _explain_exit(self, code: int, first_line: bytes) -> BackendError | UsageError:
        error = self._log.explain_exit(self._model, self._port, code)
        if not first_line:  # the guard never got to start it
            return UsageError(
                f"vLLM could not be started: {self._log.read_last_error()}", hint=error.hint
            )
        return error

    async def _stop(self, *, keep_log: bool) -> None:
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(_SHUTDOWN_TIMEOUT):
                await process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        if (process.returncode or 0) < 0 and self._group:  # the guard itself was killed
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, signal.SIGKILL)
        if keep_log:
            self._log.close()
        else:
            self._log.remove()


def create_root_transport(base_url: str, headers: dict[str, str], timeout: float) -> Transport:
    """Return a transport for the routes of vLLM that are not below `/v1`."""
    from octavo.backends.transports.aiohttp import (  # noqa: PLC0415 - only at the first call
        AiohttpTransport,
    )

    return AiohttpTransport(Endpoint(base_url.removesuffix("/v1"), timeout, headers))


async def _is_healthy(root: Transport) -> bool:
    try:
        return (await root.get("/health")).status == 200
    except Transient:
        return False
