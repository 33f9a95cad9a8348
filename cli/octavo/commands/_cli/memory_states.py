"""The memories that a run's calls saw, read back from the prompts in the journal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from octavo.engine.journal.runs import list_calls
from octavo.engine.journal.store import Journal
from octavo.steps.memory.log import find_shown_memory
from octavo.steps.memory.revisions import MemoryState

__all__ = ["SeenState", "iterate_seen_states"]


@dataclass(frozen=True, slots=True)
class SeenState:
    """The memory of one document before a call: what the calls before it had made of it."""

    source: str
    step: str
    node: str
    state: MemoryState


def iterate_seen_states(journal: Journal, run: int) -> Iterator[SeenState]:
    """Yield the memory that each call of a run saw, in the order in which the calls ended.

    The state after a part is the one that the next call of its document saw; after the last part,
    the call for the answer. Calls whose prompts show no memory, or are not stored, are left out.
    """
    for row in list_calls(journal, run):
        try:
            messages = journal.read_messages(row.call)
        except KeyError:
            continue
        for message in messages:
            if message.role == "user" and (state := find_shown_memory(message.content)) is not None:
                yield SeenState(row.source, row.step, row.node, state)
                break
