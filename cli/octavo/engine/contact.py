"""What a backend can do: from the profile, an earlier contact, or one question to the server."""

from __future__ import annotations

from dataclasses import replace

from octavo.engine.journal import Journal
from octavo.engine.patience import Patience
from octavo.engine.report import Watch
from octavo.protocols import Backend, Capabilities, Profile, Transient

__all__ = ["contacted", "known_without_contact"]


def known_without_contact(
    backend: Backend, profile: Profile, journal: Journal
) -> Capabilities | None:
    """Return the capabilities if no server need be asked for them."""
    known = backend.known
    known = replace(
        known,
        window=profile.window or known.window,
        tokenizer=profile.tokenizer or known.tokenizer,
        parallel=profile.parallel or known.parallel,
    )
    if known.window is not None:
        return known
    recorded = journal.contact(_contact_name(backend))
    if recorded is None:
        return None
    return replace(
        recorded,
        tokenizer=known.tokenizer or recorded.tokenizer,
        parallel=known.parallel or recorded.parallel,
    )


async def contacted(
    backend: Backend, profile: Profile, journal: Journal, watch: Watch
) -> Capabilities:
    """Return the capabilities, asking the server once in the life of a journal.

    The window decides the shape of prompts and so their keys: a run that could not learn it would
    not find its replies again, so a server that does not answer ends the run.
    """
    if (known := known_without_contact(backend, profile, journal)) is not None:
        return known
    patience = Patience()
    attempt = 0
    while True:
        attempt += 1
        try:
            found = await backend.contact()
        except Transient as fault:
            delay = patience.refuse_or_wait(fault, attempt)
            if attempt == 1:
                watch.notice(f"waiting for the backend: {fault.message}")
            await patience.sleep(delay)
        else:
            journal.keep_contact(_contact_name(backend), found)
            journal.flush()
            return known_without_contact(backend, profile, journal) or found


def _contact_name(backend: Backend) -> str:
    return f"{backend.identity}\n{backend.model}"
