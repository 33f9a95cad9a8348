"""What `octavo doctor` looks at, one thing after the other; nothing here costs or changes much."""

from __future__ import annotations

import asyncio
import inspect
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from octavo.backends.profiles import ModelChoice, read_config_files, resolve_model, read_settings
from octavo.commands.order import options
from octavo.commands.progress import plural
from octavo.commands.settings import PREFIX, variable
from octavo.engine.storage import choose_journal, connect, find_journal_path
from octavo.errors import OctavoError, SpecErrors
from octavo.pipeline.registry import Registry
from octavo.protocols import Backend, Capabilities, Checking, Starting, Transient
from octavo.tokens.choose import ESTIMATE, get_counter, find_tokenizer

__all__ = ["Checkup", "Finding"]

_PATIENCE = 10.0
"""Seconds that a server may take to answer."""
_SERVERS = ("openai", "vllm")
"""Backends whose tokenizer and window matter to what is sent."""
_TIGHT, _FULL = 1e9, 1e8
"""Bytes of free disk below which it is said, and below which a run may fail."""
_LARGEST = 1 << 30
"""Bytes of a journal that is still read through for damage."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it is, and one thing to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    message: str
    hint: str | None = None


class Checkup:
    """Looks at what a run with this `-m` would use."""

    def __init__(self, model: str | None) -> None:
        self._model = model

    def all(self) -> list[Finding]:
        """Return the findings; what cannot be looked at because of another fault is left out."""
        found = [*self._configuration()]
        if found[0].state != "fail":
            found += self._backend()
        return [*found, self._journal(), self._disk()]

    def _configuration(self) -> Iterator[Finding]:
        try:
            read = [str(file.path) for file in read_config_files(Path.cwd())]
        except SpecErrors as errors:
            first = errors.errors[0]
            more = f" (and {len(errors.errors) - 1} more)" if len(errors.errors) > 1 else ""
            yield Finding("configuration", "fail", f"{first}{more}", first.hint)
            return
        except OctavoError as error:
            yield Finding("configuration", "fail", error.message, error.hint)
            return
        journal = read_settings(Path.cwd()).get("journal")
        if journal is not None and variable("journal") not in os.environ:
            choose_journal(Path(str(journal.value)))
        told = f"read {', '.join(read)}" if read else "no file; the defaults hold"
        yield Finding("configuration", "ok", told)
        if unknown := _unknown_variables():
            names = ", ".join(unknown)
            hint = "`octavo config show` lists what can be set"
            yield Finding("environment", "warn", f"no option is set by {names}", hint)

    def _backend(self) -> Iterator[Finding]:
        try:
            choice = resolve_model(self._model, cwd=Path.cwd(), env=os.environ)
            kind = Registry().get_backend(choice.backend)
            # The window is left out, so that the server is asked and not only the profile.
            backend = kind.open(choice.model, choice.profile.model_copy(update={"window": None}))
            told = f"{choice.profile.model} ({choice.origin or 'nothing is configured'})"
            yield Finding("model", "ok", told)
            known = backend.known
        except OctavoError as error:
            yield Finding("model", "fail", error.message, error.hint)
            return
        for notice in choice.notices if choice.origin else ():
            yield Finding("model", "warn", notice, "use https, or a server on this machine")
        contact = asyncio.run(_contact(backend))
        if isinstance(contact, Finding):
            yield contact
        else:
            known, finding = contact
            yield finding
        yield from _tokens(backend, choice, known)

    def _journal(self) -> Finding:
        path = find_journal_path()
        if not path.exists():
            return Finding("journal", "ok", f"{path} will be made by the first run")
        try:
            connection = connect(path)
            try:
                (replies,) = connection.execute("SELECT count(*) FROM calls").fetchone()
                size = path.stat().st_size
                check = "PRAGMA quick_check(1)"
                state = connection.execute(check).fetchone()[0] if size < _LARGEST else "ok"
            finally:
                connection.close()
        except OctavoError as error:
            return Finding("journal", "fail", error.message, error.hint)
        except sqlite3.Error as error:
            state, replies, size = str(error), 0, 0
        if state != "ok":
            hint = "move the file away: a new one is made"
            return Finding("journal", "fail", f"{path} is damaged: {state}", hint)
        kept = f"{plural(replies, 'reply').replace('replys', 'replies')}, {_size(size)}"
        return Finding("journal", "ok", f"{path}, {kept}")

    def _disk(self) -> Finding:
        place = next(each for each in find_journal_path().absolute().parents if each.exists())
        free = shutil.disk_usage(place).free
        message = f"{_size(free)} free at {place}"
        if not os.access(place, os.W_OK):
            return Finding("disk", "fail", f"{place} is read-only", "choose another --journal")
        if free < _TIGHT:
            state = "fail" if free < _FULL else "warn"
            return Finding("disk", state, message, "make room: every reply is kept there")
        return Finding("disk", "ok", message)


def _size(count: float) -> str:
    """Return a number of bytes as people write it: `12 kB`, `93 MB`, `74 GB`."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:,.0f} {unit}"
    return f"{count / 1e3:,.0f} kB"


async def _contact(backend: Backend) -> Finding | tuple[Capabilities, Finding]:
    """Ask the backend what it can do and whether it would answer."""
    try:
        async with asyncio.timeout(_PATIENCE):
            # Where contact would start a server, what is known without it has to do.
            known = backend.known if isinstance(backend, Starting) else await backend.contact()
            told = await backend.check() if isinstance(backend, Checking) else "ready"
    except TimeoutError:
        message = f"no answer within {_PATIENCE:g} s"
        return Finding("backend", "fail", message, "start the server, or check base_url")
    except Transient as fault:
        return Finding("backend", "fail", fault.message, "start the server, or check base_url")
    except OctavoError as error:
        return Finding("backend", "fail", error.message, error.hint)
    finally:
        await backend.close()
    return known, Finding("backend", "ok", told)


def _tokens(backend: Backend, choice: ModelChoice, known: Capabilities) -> Iterator[Finding]:
    told: list[str] = []
    name = choice.profile.tokenizer or known.tokenizer or find_tokenizer(backend.model)
    try:
        counting = get_counter(name, told.append)
        counting.count("one two three")
    except OctavoError as error:
        yield Finding("tokenizer", "fail", error.message, error.hint)
        return
    if counting.exact:
        yield Finding("tokenizer", "ok", f"{counting.name} counts exactly")
    elif choice.backend not in _SERVERS and name == ESTIMATE:
        yield Finding("tokenizer", "ok", f"{counting.name}, which needs no file")
    else:
        hint = "name its tokenizer.json or .gguf file with `tokenizer` in a profile"
        yield Finding("tokenizer", "warn", f"{counting.name}: counts are estimated, too high", hint)
    window = choice.profile.window or known.window
    if window:
        yield Finding("window", "ok", f"{window:,} tokens")
    elif choice.backend in _SERVERS:
        hint = "set `window` in a profile: then nothing is sent that cannot fit"
        yield Finding("window", "warn", "not known", hint)


def _unknown_variables() -> list[str]:
    """Return the variables with our prefix that stand for no option of any command."""
    from octavo.commands.main import COMMANDS, load, root_command  # noqa: PLC0415 - loads this module

    known = {"OCTAVO_MODELS", "OCTAVO_VLLM_URL"}
    pending = [root_command(), *(load(name, {}) for name in COMMANDS)]
    while pending:
        command = pending.pop()
        known.update(variable(option.name) for option in command.params if option.name)
        pending += getattr(command, "commands", {}).values()
    known.update(map(variable, inspect.signature(options).parameters))
    return sorted(
        name for name in os.environ if name.startswith(f"{PREFIX}_") and name not in known
    )
