"""Reads what vLLM logs while it starts: its progress, its cache size, and why it failed."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from octavo.errors import BackendError, ModelError

__all__ = ["VLLMLog"]


_STAGES = (
    (re.compile(r"Capturing (?:CUDA|cuda) graphs.*?(\d+)%"), "capturing CUDA graphs, {} %"),
    (re.compile(r"Loading .*?shards:\s+(\d+)%"), "loading the weights, {} %"),
    (re.compile(r"Starting to load model"), "loading the weights"),
    (re.compile(r"Downloading|Fetching \d+ files"), "fetching the model"),
    (re.compile(r"torch\.compile|Dynamo bytecode|Compiling a graph"), "compiling the model"),
    (re.compile(r"GPU KV cache size"), "warming up"),
)
"""Lines that tell how far the start is."""

_CAPACITY = re.compile(r"GPU KV cache size: ([\d,]+) tokens")

_PREFIX = re.compile(
    r"^(?:\([^)]*\) ?)*(?:(?:INFO|WARNING|ERROR|DEBUG|CRITICAL)[: ]\s*(?:[\d-]+ [\d:.]+ )?"
    r"(?:\[[^\]]*\] ?)?)?\s*"
)
"""What stands before a line's own words: process, level, time, place."""

_ERROR = re.compile(r"^(?:[\w.]*\.)?\w*(?:Error|Exception|Interrupt)\b.*:")
_NOISE = re.compile(
    r"Engine core initialization failed|See root cause above|^RuntimeError: cancelled"
)
"""Errors that only tell of another one."""

_RETENTION = 7 * 86400
"""Seconds for which the logs of failed servers are kept."""

_MAX_MESSAGE = 300
_LAST_LINES = 3


class _FailureCause(NamedTuple):
    """What a line means: the words for it, the one thing to do, and the kind of error."""

    pattern: re.Pattern[str]
    message: str
    hint: str
    error: type[BackendError] = BackendError


_CAUSES = (
    _FailureCause(
        re.compile(
            r"No CUDA GPUs are available|Failed to infer device type|Found no NVIDIA driver"
            r"|no CUDA-capable device|libcuda\.so|NVML Shared Library Not Found"
            r"|cudaGetDeviceCount|No HIP GPUs"
        ),
        "vLLM found no GPU that it can use",
        "see what nvidia-smi lists, or name the server of another machine with base_url",
    ),
    _FailureCause(
        re.compile(
            r"Free memory on device .* is less than desired|(?:CUDA|HIP) out of memory"
            r"|OutOfMemoryError|No available memory for the cache blocks"
            r"|larger than the available KV\s?cache"
        ),
        "the GPU's memory is too small for the model {model!r}",
        "lower max_model_len, or set gpu_memory_utilization to what is free, in the profile's"
        " `serve`; nvidia-smi shows who holds the GPU",
    ),
    _FailureCause(
        re.compile(
            r"is not a local folder and is not a valid model identifier|Repository Not Found"
            r"|RepositoryNotFoundError|GatedRepoError|does not appear to have a file named"
            r"|LocalEntryNotFoundError|Repo id must|We couldn't connect to"
            r"|Invalid repository ID or local directory|can't load the configuration"
            r"|OfflineModeIsEnabled|RevisionNotFoundError|is not a valid git identifier"
        ),
        "vLLM does not find the model {model!r}",
        "check its name and revision; a gated model needs HF_TOKEN, and without a network it must"
        " have been fetched before",
        ModelError,
    ),
    _FailureCause(
        re.compile(r"[Aa]ddress already in use"),
        "the port {port} is taken",
        "leave `port` out of the profile's `serve`, and a free one is used",
    ),
    _FailureCause(
        re.compile(r"error: (?:unrecognized arguments|argument |ambiguous option)"),
        "vLLM does not take its arguments",
        "correct the profile's `serve`",
    ),
    _FailureCause(
        re.compile(r"No module named '?vllm"),
        "vLLM is not installed where it was started",
        "pip install 'octavo[vllm]'",
    ),
)


class VLLMLog:
    """A server's log in the state directory, read as it grows; removed with `remove`.

    Where that directory cannot be written, an unnamed file takes its place.
    """

    def __init__(self, name: str) -> None:
        from platformdirs import user_log_path  # noqa: PLC0415 - costs time that few runs pay

        folder = user_log_path("octavo")
        self._path: Path | None = folder / f"vllm-{name}.log"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _delete_old_logs(folder)
            flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
            self.file = os.fdopen(os.open(self._path, flags, 0o600), "r+b")
        except OSError:
            import tempfile  # noqa: PLC0415 - the same

            self._path = None
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `remove`
        self.stage = ""
        self.capacity: int | None = None
        self.last_growth = time.monotonic()
        self._read = 0
        self._rest = ""
        self._lines: list[str] = []

    @property
    def where(self) -> str:
        """Where the log lies, for a message."""
        return f"its log is {self._path}" if self._path else "its log could not be kept"

    def read(self) -> None:
        """Take in what was written since the last time; sets `stage`, `capacity` and `grown`."""
        data = os.pread(self.file.fileno(), 1 << 24, self._read)
        if not data:
            return
        self._read += len(data)
        self.last_growth = time.monotonic()
        # Progress bars end their lines with a carriage return.
        text = self._rest + data.decode("utf-8", "replace").replace("\r", "\n")
        *lines, self._rest = text.split("\n")
        for line in lines:
            self._parse_line(line)
        del self._lines[:-2000]

    def explain_exit(self, model: str, port: int, code: int) -> BackendError:
        """Return what made the server end, as far as its last lines tell."""
        self.read()
        if self._rest:
            self._parse_line(self._rest)
            self._rest = ""
        lines = [words for line in self._lines if (words := _PREFIX.sub("", line).strip())]
        for cause in _CAUSES:
            line = next((line for line in lines if cause.pattern.search(line)), None)
            if line is not None:
                message = cause.message.format(model=model, port=port)
                return cause.error(
                    f"{message}: {_shorten(line)}", hint=f"{cause.hint}; {self.where}"
                )
        return BackendError(
            f"vLLM ended with {code} before it answered: {self._find_last_error(lines)}",
            hint=f"correct what it says; {self.where}",
        )

    def read_last_error(self) -> str:
        """Return the last error in the log, else its last lines."""
        self.read()
        return self._find_last_error(
            [words for line in self._lines if (words := _PREFIX.sub("", line).strip())]
        )

    def remove(self) -> None:
        """Close the log and delete it."""
        self.file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the log and keep it."""
        self.file.close()

    def _parse_line(self, line: str) -> None:
        self._lines.append(line)
        if found := _CAPACITY.search(line):
            self.capacity = int(found[1].replace(",", ""))
        for pattern, words in _STAGES:
            if found := pattern.search(line):
                self.stage = words.format(*found.groups())
                return

    @staticmethod
    def _find_last_error(lines: list[str]) -> str:
        errors = [line for line in lines if _ERROR.match(line) and not _NOISE.search(line)]
        if errors:
            return _shorten(errors[-1])
        return _shorten(" | ".join(lines[-_LAST_LINES:])) or "it left no word"


def _shorten(words: str) -> str:
    line = " ".join(
        "".join(character if character.isprintable() else " " for character in words).split()
    )
    return line if len(line) <= _MAX_MESSAGE else line[:_MAX_MESSAGE] + "…"


def _delete_old_logs(folder: Path) -> None:
    """Delete the logs that servers left which failed long ago."""
    for path in folder.glob("vllm-*.log"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _RETENTION:
                path.unlink()
