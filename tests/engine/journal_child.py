"""What a process does that writes to a journal beside others."""

from __future__ import annotations

import asyncio
from pathlib import Path

from octavo.engine.journal import Journal
from octavo.engine.packing import pack
from octavo.engine.runs import begin
from octavo.protocols import Message, Reply

__all__ = ["key", "write"]


def key(number: int) -> bytes:
    """Return the key of a call that all processes know."""
    return number.to_bytes(32, "big", signed=False)[::-1]


def write(path: str, name: int, calls: int, ready, results) -> None:
    """Open the journal, store replies to the same keys as the others, and tell what is durable."""

    async def store() -> list[str]:
        found = {}
        ready.wait(30)
        with Journal(Path(path)) as journal:
            journal.prepare()
            begin(journal, pipeline="p", model="m", command=())
            for place in range(calls):
                number = (place + 10 * name) % calls  # each is first somewhere
                message = Message("user", f"{number} " * 50)
                kept = journal.keep(key(number), pack((message,), ()), Reply(f"{name} {number}"))
                found[number] = (await kept).text
        return [found[number] for number in range(calls)]

    results.put((name, asyncio.run(store())))
