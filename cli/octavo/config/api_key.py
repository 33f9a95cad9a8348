"""An API key: where it comes from, and a value that nobody prints by accident."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn

from octavo.errors import MissingKeyError

__all__ = ["KeySource", "Secret"]


class Secret:
    """Holds a key. Printing, formatting and pickling it give nothing away; `reveal` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key, for the header that carries it."""
        return self._value

    def scrub(self, raw: bytes) -> bytes:
        """Return what a server sent with `***` where it quotes the key."""
        return raw.replace(self._value.encode(), b"***")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled or copied")


_COMMAND_TIMEOUT = 120.0
"""Seconds that a key command may take: it may ask a person for a password."""


@dataclass(frozen=True, slots=True)
class KeySource:
    """An environment variable, a command, both (the variable first), or nothing.

    `required` tells whether having no key is an error before anything is sent.
    """

    env: str | None = None
    command: str | None = None
    required: bool = False

    @property
    def description(self) -> str:
        """The places that were searched for the key, in words; empty when none is configured."""
        tried = [f"the environment variable {self.env}"] if self.env else []
        if self.command:
            tried.append(f"the key command {self._command_name!r}")
        return " and ".join(tried)

    async def read(self, environ: Mapping[str, str]) -> Secret | None:
        """Return the key, or None when there is none and none is needed.

        The command runs in the user's shell with no standard input, since that may be a document.
        Raises MissingKeyError, which names the variable or the command and never what they gave.
        """
        value = environ.get(self.env, "").strip() if self.env else ""
        if not value and self.command:
            value = await self._run_command(self.command, environ)
        if not value:
            if self.required:
                self._raise_missing("has no key")
            return None
        if not (value.isascii() and value.isprintable() and " " not in value):
            self._raise_missing(
                "gives something that cannot be a key: it has spaces or odd characters"
            )
        return Secret(value)

    async def _run_command(self, command: str, environ: Mapping[str, str]) -> str:
        process = await asyncio.create_subprocess_shell(
            command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=dict(environ),
        )
        try:
            async with asyncio.timeout(_COMMAND_TIMEOUT):
                output, _ = await process.communicate()
        except TimeoutError:
            self._raise_missing(f"gave nothing for {_COMMAND_TIMEOUT:.0f} s")
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode:
            self._raise_missing(f"failed with exit code {process.returncode}")
        return output.decode("utf-8", "replace").strip()

    @property
    def _command_name(self) -> str:
        """The command's first word. The rest may contain secrets."""
        try:
            return shlex.split(self.command or "")[0]
        except (ValueError, IndexError):
            return (self.command or "").partition(" ")[0]

    def _raise_missing(self, what: str) -> NoReturn:
        hint = (
            "run the command of `api_key_cmd` in a shell to see what it says"
            if self.command
            else f"export {self.env}=… in the shell that runs octavo"
        )
        raise MissingKeyError(f"{self.description} {what}", hint=hint)
