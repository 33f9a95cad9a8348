"""What a process does that writes to a journal beside others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from octavo.engine.journal.prompts import pack
from octavo.engine.journal.run_entry import begin_run
from octavo.engine.journal.store import Journal
from octavo.protocols import Message, Reply

__all__ = ["key", "write"]


def key(number: int) -> bytes:
    """Return the key of a call that all processes know."""
    return number.to_bytes(32, "big", signed=False)[::-1]


def write(path: str, name: int, others: int, ready, results) -> None:
    """Open the journal with the others at once, and store replies to the same keys.

    Each process is the first to have ten of the keys. Tells what is durable for all keys.
    """

    async def store() -> list[str]:
        with Journal(Path(path)) as journal:
            journal.prepare()
            begin_run(journal, pipeline="p", model="m", command=())
            for number in range(10 * name, 10 * name + 10):
                assert await keep(journal, number) == f"{name} {number}"
            ready.wait(30)
            return [await keep(journal, number) for number in range(10 * others)]

    async def keep(journal: Journal, number: int) -> str:
        message = Message("user", f"{number} " * 50)
        return (
            await journal.keep(key(number), pack((message,), ()), Reply(f"{name} {number}"))
        ).text

    ready.wait(30)
    results.put((name, asyncio.run(store())))
