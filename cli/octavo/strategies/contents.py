"""What a tree step gives when all its sections are asked for: a record of them and their notes."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace

from octavo.strategies.branch import Branch
from octavo.text.note import Note

__all__ = ["TreeNode", "build_section_record"]


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A branch, its note, and its parts; those of an outlined chunk come with its outline."""

    branch: Branch
    note: Awaitable[Note | None]
    parts: Awaitable[Sequence[TreeNode]]


async def build_section_record(root: TreeNode, *, headed: bool) -> Note | None:
    """Return a record of the root's note and of all sections, or None when no note is left.

    `headed` tells whether the document has headings. Where it has none, chunks in which no section
    was found have an entry too.
    """
    note = await root.note
    if note is None:
        return None
    while len(parts := await root.parts) == 1 and parts[0].branch.title is not None:
        root = parts[0]
    entry = {**_describe_place(root), "note": note.value}
    return replace(note, value={**entry, "sections": await _list_entries(root, headed=headed)})


async def _list_entries(node: TreeNode, *, headed: bool) -> list[dict[str, object]]:
    """Return what the result says of the sections below a node."""
    found: list[dict[str, object]] = []
    for part in await node.parts:
        note = await part.note
        inner = await _list_entries(part, headed=headed)
        is_piece = part.branch.leaf is not None and not inner
        if note is None or (part.branch.title is None and (headed or not is_piece)):
            found += inner
            continue
        entry = _describe_place(part)
        # A note that was handed up unasked stands where it was made.
        if all(each is not note for each in await _read_titled_notes(part)):
            entry["note"] = note.value
        found.append({**entry, "sections": inner} if inner else entry)
    return found


async def _read_titled_notes(node: TreeNode) -> list[Note | None]:
    return [await part.note for part in await node.parts if part.branch.title is not None]


def _describe_place(node: TreeNode) -> dict[str, object]:
    span = node.branch.span
    return {"title": node.branch.title, "start": span.start, "end": span.end}
