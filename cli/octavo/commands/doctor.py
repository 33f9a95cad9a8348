"""`octavo doctor`: is everything there that a run would need.

The checks run one after the other, and none of them costs or changes much.
"""

from __future__ import annotations

import asyncio
import json as json_module
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer

from octavo.commands._cli.invocation import ENV_PREFIX, to_env_variable
from octavo.commands._cli.terminal import align_columns, clean, pluralize
from octavo.config.profiles import ModelChoice, read_config_files, read_settings, resolve_model
from octavo.config.run_options import RUN_OPTIONS
from octavo.engine.journal.database import choose_journal, connect, find_journal_path
from octavo.errors import BackendError, OctavoError, RunFailed, SpecErrors
from octavo.pipeline.registry import Registry
from octavo.protocols import Backend, Capabilities, Checking, Starting, Transient
from octavo.tokens.choose import ESTIMATE, find_tokenizer, get_counter

__all__ = ["DoctorChecks", "DoctorResult", "doctor"]


def doctor(
    *,
    model: Annotated[
        str | None,
        typer.Option(
            "-m",
            "--model",
            metavar="MODEL",
            help="Check this model: BACKEND:NAME, or a profile of octavo.toml.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the configuration, the model, the journal and the disk.

    For each it says whether it is as a run needs it, and if not, what to do. A server is asked for
    its list of models and for nothing that costs. The exit code is 3 when the model cannot be
    used, 1 when something else is wrong, and 0 otherwise; a warning changes nothing.
    """
    found = DoctorChecks(model).run_all()
    if json:
        rows = [
            {"check": f.name, "state": f.state, "message": f.message, "hint": f.hint} for f in found
        ]
        sys.stdout.write(json_module.dumps(rows, ensure_ascii=False) + "\n")
    else:
        lines = align_columns(
            [(f.state, f.name, clean(f.message).replace("\n", " ")) for f in found]
        )
        for finding, line in zip(found, lines, strict=True):
            sys.stdout.write(line + "\n")
            if finding.hint:
                sys.stdout.write(f"      help: {clean(finding.hint)}\n")
    wrong = {finding.name for finding in found if finding.state == "fail"}
    if wrong:
        unusable = wrong & {"model", "backend"}
        raise typer.Exit(BackendError.exit_code if unusable else RunFailed.exit_code)


_TIMEOUT_SECONDS = 10.0
"""Seconds that a server may take to answer."""

_SERVER_BACKENDS = ("openai", "vllm")
"""Backends whose tokenizer and window matter to what is sent."""

_LOW_DISK_BYTES, _FULL_DISK_BYTES = 1e9, 1e8
"""Bytes of free disk below which it is said, and below which a run may fail."""

_MAX_CHECKED_BYTES = 1 << 30
"""Bytes of a journal that is still read through for damage."""


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """What was looked at, how it is, and one thing to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    message: str
    hint: str | None = None


class DoctorChecks:
    """Checks what a run with this `-m` would use."""

    def __init__(self, model: str | None) -> None:
        self._model = model

    def run_all(self) -> list[DoctorResult]:
        """Return the findings; what cannot be looked at because of another fault is left out."""
        found = [*self._check_configuration()]
        if found[0].state != "fail":
            found += self._check_backend()
        return [*found, self._check_journal(), self._check_disk()]

    def _check_configuration(self) -> Iterator[DoctorResult]:
        try:
            read = [str(file.path) for file in read_config_files(Path.cwd())]
        except SpecErrors as errors:
            first = errors.errors[0]
            more = f" (and {len(errors.errors) - 1} more)" if len(errors.errors) > 1 else ""
            yield DoctorResult("configuration", "fail", f"{first}{more}", first.hint)
            return
        except OctavoError as error:
            yield DoctorResult("configuration", "fail", error.message, error.hint)
            return
        journal = read_settings(Path.cwd()).get("journal")
        if journal is not None and to_env_variable("journal") not in os.environ:
            choose_journal(Path(str(journal.value)))
        message = f"read {', '.join(read)}" if read else "no file; the defaults hold"
        yield DoctorResult("configuration", "ok", message)
        if unknown := _find_unknown_variables():
            names = ", ".join(unknown)
            hint = "`octavo config show` lists what can be set"
            yield DoctorResult("environment", "warn", f"no option is set by {names}", hint)

    def _check_backend(self) -> Iterator[DoctorResult]:
        try:
            choice = resolve_model(self._model, cwd=Path.cwd(), env=os.environ)
            kind = Registry().get_backend(choice.backend)
            # The window is left out, so that the server is asked and not only the profile.
            backend = kind.open(choice.model, choice.profile.model_copy(update={"window": None}))
            message = f"{choice.profile.model} ({choice.origin or 'nothing is configured'})"
            yield DoctorResult("model", "ok", message)
            known = backend.known
        except OctavoError as error:
            yield DoctorResult("model", "fail", error.message, error.hint)
            return
        for notice in choice.notices if choice.origin else ():
            yield DoctorResult("model", "warn", notice, "use https, or a server on this machine")
        contact = asyncio.run(_check_contact(backend))
        if isinstance(contact, DoctorResult):
            yield contact
        else:
            known, finding = contact
            yield finding
        yield from _check_tokens(backend, choice, known)

    def _check_journal(self) -> DoctorResult:
        path = find_journal_path()
        if not path.exists():
            return DoctorResult("journal", "ok", f"{path} will be made by the first run")
        try:
            connection = connect(path)
            try:
                (replies,) = connection.execute("SELECT count(*) FROM calls").fetchone()
                size = path.stat().st_size
                check = "PRAGMA quick_check(1)"
                state = (
                    connection.execute(check).fetchone()[0] if size < _MAX_CHECKED_BYTES else "ok"
                )
            finally:
                connection.close()
        except OctavoError as error:
            return DoctorResult("journal", "fail", error.message, error.hint)
        except sqlite3.Error as error:
            state, replies, size = str(error), 0, 0
        if state != "ok":
            hint = "move the file away: a new one is made"
            return DoctorResult("journal", "fail", f"{path} is damaged: {state}", hint)
        kept = f"{pluralize(replies, 'reply').replace('replys', 'replies')}, {_format_size(size)}"
        return DoctorResult("journal", "ok", f"{path}, {kept}")

    def _check_disk(self) -> DoctorResult:
        place = next(each for each in find_journal_path().absolute().parents if each.exists())
        free = shutil.disk_usage(place).free
        message = f"{_format_size(free)} free at {place}"
        if not os.access(place, os.W_OK):
            return DoctorResult("disk", "fail", f"{place} is read-only", "choose another --journal")
        if free < _LOW_DISK_BYTES:
            state = "fail" if free < _FULL_DISK_BYTES else "warn"
            return DoctorResult("disk", state, message, "make room: every reply is kept there")
        return DoctorResult("disk", "ok", message)


def _format_size(count: float) -> str:
    """Return a number of bytes as people write it: `12 kB`, `93 MB`, `74 GB`."""
    for unit, least in (("GB", 1e9), ("MB", 1e6)):
        if count >= least:
            return f"{count / least:,.0f} {unit}"
    return f"{count / 1e3:,.0f} kB"


async def _check_contact(backend: Backend) -> DoctorResult | tuple[Capabilities, DoctorResult]:
    """Ask the backend what it can do and whether it would answer."""
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            # Where contact would start a server, what is known without it has to do.
            known = backend.known if isinstance(backend, Starting) else await backend.contact()
            message = await backend.check() if isinstance(backend, Checking) else "ready"
    except TimeoutError:
        message = f"no answer within {_TIMEOUT_SECONDS:g} s"
        return DoctorResult("backend", "fail", message, "start the server, or check base_url")
    except Transient as fault:
        return DoctorResult("backend", "fail", fault.message, "start the server, or check base_url")
    except OctavoError as error:
        return DoctorResult("backend", "fail", error.message, error.hint)
    finally:
        await backend.close()
    return known, DoctorResult("backend", "ok", message)


def _check_tokens(
    backend: Backend, choice: ModelChoice, known: Capabilities
) -> Iterator[DoctorResult]:
    notices: list[str] = []
    name = choice.profile.tokenizer or known.tokenizer or find_tokenizer(backend.model)
    try:
        counting = get_counter(name, notices.append)
        counting.count("one two three")
    except OctavoError as error:
        yield DoctorResult("tokenizer", "fail", error.message, error.hint)
        return
    if counting.exact:
        yield DoctorResult("tokenizer", "ok", f"{counting.name} counts exactly")
    elif choice.backend not in _SERVER_BACKENDS and name == ESTIMATE:
        yield DoctorResult("tokenizer", "ok", f"{counting.name}, which needs no file")
    else:
        hint = "name its tokenizer.json or .gguf file with `tokenizer` in a profile"
        yield DoctorResult(
            "tokenizer", "warn", f"{counting.name}: counts are estimated, too high", hint
        )
    window = choice.profile.window or known.window
    if window:
        yield DoctorResult("window", "ok", f"{window:,} tokens")
    elif choice.backend in _SERVER_BACKENDS:
        hint = "set `window` in a profile: then nothing is sent that cannot fit"
        yield DoctorResult("window", "warn", "not known", hint)


def _find_unknown_variables() -> list[str]:
    """Return the variables with our prefix that stand for no option of any command."""
    from octavo.commands._cli.app import (  # noqa: PLC0415 - imports all
        COMMANDS,
        build_root_command,
        load_command,
    )

    known = {"OCTAVO_MODELS", "OCTAVO_VLLM_URL"}
    pending = [build_root_command(), *(load_command(name, {}) for name in COMMANDS)]
    while pending:
        command = pending.pop()
        known.update(to_env_variable(option.name) for option in command.params if option.name)
        pending += getattr(command, "commands", {}).values()
    known.update(map(to_env_variable, RUN_OPTIONS))
    return sorted(
        name for name in os.environ if name.startswith(f"{ENV_PREFIX}_") and name not in known
    )
