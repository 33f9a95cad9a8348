"""What a backend can do: from the profile, an earlier contact, or one question to the server."""

from __future__ import annotations

import time
from dataclasses import replace

from octavo.engine.journal.store import Journal
from octavo.engine.report import Watch
from octavo.protocols import Backend, Capabilities, Profile, Transient

__all__ = ["cached_capabilities", "fetch_capabilities"]


_RECHECK_SECONDS = 3600.0
"""Seconds after which a server that did not tell its window is asked for it again."""


def cached_capabilities(
    backend: Backend, profile: Profile, journal: Journal
) -> Capabilities | None:
    """Return the capabilities if no server need be asked for them."""
    return _find_capabilities(backend, profile, journal, lately=_RECHECK_SECONDS)


def _find_capabilities(
    backend: Backend, profile: Profile, journal: Journal, *, lately: float
) -> Capabilities | None:
    known = backend.known
    known = replace(
        known,
        window=profile.window or known.window,
        tokenizer=profile.tokenizer or known.tokenizer,
        parallel=profile.parallel or known.parallel,
    )
    if known.window is not None:
        return known
    recorded = journal.find_contact(_name_contact(backend))
    if recorded is None:
        return None
    capabilities, asked = recorded
    if capabilities.window is None and time.time() - asked > lately:
        return None
    # What the profile alone says may have changed since.
    return replace(
        capabilities,
        tokenizer=known.tokenizer or capabilities.tokenizer,
        structured=known.structured,
        logprobs=known.logprobs,
        prompt_logprobs=known.prompt_logprobs,
        embeddings=known.embeddings,
        parallel=known.parallel or capabilities.parallel,
    )


async def fetch_capabilities(
    backend: Backend, profile: Profile, journal: Journal, watch: Watch
) -> Capabilities:
    """Return the capabilities, asking the server for them unless it has told its window before.

    The window decides the shape of prompts and so their keys: a run that could not learn it would
    not find its replies again, so a server that does not answer at the first contact ends the run.
    One that told no window is asked again after an hour, since it may know by then; when it does
    not answer, what it told before holds.
    """
    if (known := cached_capabilities(backend, profile, journal)) is not None:
        return known
    earlier = _find_capabilities(backend, profile, journal, lately=float("inf"))

    def report_wait(fault: Transient, attempt: int, _delay: float) -> None:
        if attempt == 1:
            watch.notice(f"waiting for the backend: {fault.message}")

    if earlier is None:
        from octavo.engine.dispatch.circuit_breaker import (  # noqa: PLC0415 - for the first contact
            CircuitBreaker,
        )
        from octavo.engine.dispatch.retry import RetryPolicy  # noqa: PLC0415 - for the first contact

        found = await RetryPolicy().retry(backend.contact, CircuitBreaker(), report_wait)
    else:
        try:
            found = await backend.contact()
        except Transient:
            return earlier
    journal.keep_contact(_name_contact(backend), found)
    journal.flush()
    return cached_capabilities(backend, profile, journal) or found


def _name_contact(backend: Backend) -> str:
    return f"{backend.identity}\n{backend.model}"
