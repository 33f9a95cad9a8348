"""The process of the embedded model, as the backend speaks with it, and the log that it writes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from octavo.errors import BackendError, ModelError
from octavo.protocols.backends import Transient

__all__ = ["LlamaLog", "LlamaProcess", "LlamaSettings", "count_available_cores"]


_MAX_BYTES = 1_000_000
"""Bytes from which on a log begins anew."""

_LAST_LINES = 3


class LlamaLog:
    """The end of the log file in the state directory, which all processes share.

    `file` is open to append. Where that directory cannot be written, an unnamed file takes its
    place.
    """

    def __init__(self) -> None:
        from platformdirs import user_log_path  # noqa: PLC0415 - costs time that few runs pay

        path = user_log_path("octavo") / "llama.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            self.where = f"its log is {path}"
        except OSError:
            handle, unkept = tempfile.mkstemp()
            Path(unkept).unlink()
            self.where = "its log could not be kept"
        self.file = os.fdopen(handle, "a+b")
        if self.file.seek(0, os.SEEK_END) > _MAX_BYTES:
            self.file.truncate(0)
        self._start_offset = self.file.seek(0, os.SEEK_END)

    def read_last_lines(self) -> str:
        """Return the last lines since this log was opened, joined, or an empty text."""
        if self.file.closed:
            return ""
        self.file.seek(self._start_offset)
        lines = self.file.read().decode("utf-8", "replace").splitlines()
        return " | ".join([" ".join(line.split()) for line in lines if line.strip()][-_LAST_LINES:])

    def close(self) -> None:
        """Close the file; what it says stays."""
        self.file.close()


_LONGEST_LINE = 1 << 26
"""Bytes of one answer: a long reply with log probabilities takes megabytes."""

_SHUTDOWN_TIMEOUT = 5.0
"""Seconds that a process has to end by itself."""


@dataclass(frozen=True, slots=True)
class LlamaSettings:
    """How to load a model: its file, its window in tokens, and the threads that compute.

    `embeds` loads it for embeddings instead of replies; `pools` then makes a text's vector the
    mean of its tokens', for a model that says no way of its own.
    """

    model: Path
    window: int
    threads: int
    embeds: bool = False
    pools: bool = False

    @property
    def batch(self) -> int:
        """How many tokens of a prompt are computed at once.

        The attention of a batch takes memory for each pair of its tokens and the window's: the
        product is bounded.
        """
        if self.embeds:
            return self.window  # a text's vector is made of one batch
        return max(32, min(512, 512 * 8192 // self.window))

    @property
    def as_json(self) -> str:
        """The settings as the process reads them."""
        return json.dumps(
            {
                "model": str(self.model.absolute()),
                "window": self.window,
                "threads": self.threads,
                "batch": self.batch,
                "embeds": self.embeds,
                "pools": self.pools,
            }
        )


class LlamaProcess:
    """A loaded model that answers one request at a time; made by `start`."""

    def __init__(self, process: Process, log: LlamaLog, directory: str) -> None:
        self._process = process
        self._log = log
        self._directory = directory
        self._last_id = 0

    @classmethod
    async def start(cls, settings: LlamaSettings) -> LlamaProcess:
        """Load a model; raises ModelError when it cannot be."""
        log = LlamaLog()
        directory = tempfile.mkdtemp(prefix="octavo-")
        # Threads that wait by spinning take the processor from those they wait for as soon as
        # anything else runs: on two busy cores that is a hundred times slower.
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", str(Path(__file__).with_name("worker.py")),
            settings.as_json, directory, stdin=PIPE, stdout=PIPE, stderr=log.file, env=environment,
            limit=_LONGEST_LINE, start_new_session=True,
        )  # fmt: skip
        started = cls(process, log, directory)
        try:
            first = await started._read_message()
        except BaseException:
            await started.close()
            raise
        if "ready" not in first:
            reason = log.read_last_lines() or first.get("failed")
            await started.close()
            raise ModelError(
                f"{settings.model} could not be loaded: {reason}",
                hint=f"check that it is a model that llama.cpp reads; {log.where}",
            )
        return started

    async def ask(
        self,
        body: Mapping[str, Any],
        started: Callable[[], None],
        timeout_seconds: float,
        draft: Callable[[str], None] | None = None,
    ) -> Mapping[str, Any]:
        """Return the answer to a request: a mapping with `reply`, `vectors` or `error`.

        The body is a chat's, or holds `texts` to embed.

        Calls `started` at the first token, and `draft` with the text so far. Raises Transient when
        nothing is heard for `timeout_seconds`, BackendError when the process ends.
        """
        self._last_id += 1
        number = self._last_id
        self._write_message({"id": number, "body": body})
        text = ""
        try:
            while True:
                async with asyncio.timeout(timeout_seconds):
                    message = await self._read_message()
                if message.get("id") != number:
                    continue  # the rest of a call that was cancelled
                if "began" in message:
                    started()
                if draft is not None and "said" in message:
                    draft(text := text + message["said"])
                if message.keys() & {"reply", "vectors", "error"}:
                    return message
        except TimeoutError:
            await self.close()
            reason = f"the embedded model said nothing for {timeout_seconds:g} s"
            raise Transient(reason, kind="timeout") from None
        except asyncio.CancelledError:
            self._write_message({"cancel": number})
            raise

    @property
    def alive(self) -> bool:
        """Whether it can still be asked."""
        return self._process.returncode is None

    async def close(self) -> None:
        """End the process and free what it holds; safe to call twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_SHUTDOWN_TIMEOUT):
                await self._process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._log.close()
        shutil.rmtree(self._directory, ignore_errors=True)

    def _write_message(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        if not self._process.stdin.is_closing():
            self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def _read_message(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if line.endswith(b"\n"):
            return json.loads(line)
        await self._process.wait()
        where = self._log.where
        end = self._log.read_last_lines() or "it left no word"
        raise BackendError(
            f"the embedded model's process ended with {self._process.returncode}: {end}",
            hint=f"run the same command again: what was answered is kept; {where}",
        )


def count_available_cores() -> int:
    """Return how many processors this process may use, at most 16."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        cores = os.cpu_count() or 1
    with suppress(OSError, ValueError):
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text("ascii").split()
        if quota != "max":
            cores = min(cores, max(1, int(quota) // int(period)))
    return min(cores, 16)
