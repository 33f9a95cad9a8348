"""The shape of a tree over sections, and the record of its notes.

Which notes one call joins is known before the first reply. When all sections are asked for, the
step gives a record of them and their notes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from octavo.steps._support.window import FENCE_TOKENS
from octavo.steps.tree.sections import Section
from octavo.text.note import Note, PendingNote
from octavo.text.span import Span
from octavo.text.splitting.grouping import build_tree

__all__ = [
    "TITLE_TOKENS",
    "Branch",
    "JoinLimits",
    "TreeNode",
    "build_branch",
    "build_section_record",
    "join_branches",
]


TITLE_TOKENS = 8
"""Tokens that a title's place in a prompt takes beside the title."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A section, a group of a section's parts, or a piece of text; `leaf` holds a piece's slot.

    Only sections have a title. A branch with one part hands that part's note on.
    """

    title: str | None
    headings: tuple[str, ...]
    span: Span
    boundary_hash: int
    parts: tuple[Branch, ...] = ()
    leaf: PendingNote | None = None

    @property
    def height(self) -> int:
        """How many calls stand below this one's; a branch of one part makes none of its own."""
        above = 1 if len(self.parts) > 1 else 0
        return above + max((part.height for part in self.parts), default=0)

    @property
    def heading_paths(self) -> list[tuple[str, ...]]:
        """The heading paths of this branch and all below it."""
        return [self.headings, *(path for part in self.parts for path in part.heading_paths)]

    @property
    def leaves(self) -> list[PendingNote]:
        """The pieces' slots, in the order of the text."""
        own = [self.leaf] if self.leaf else []
        return [*own, *(leaf for part in self.parts for leaf in part.leaves)]


@dataclass(frozen=True, slots=True)
class JoinLimits:
    """The limits of a call that joins notes: at most `max_notes` of `note_tokens`.

    `room` is the tokens that the prompt leaves for notes and titles; `count_tokens` counts those of
    a title.
    """

    note_tokens: int
    max_notes: int
    room: int | None
    count_tokens: Callable[[str], int]

    @property
    def max_untitled_notes(self) -> int:
        """How many notes without a title one call joins at most."""
        if self.room is None:
            return self.max_notes
        return min(self.max_notes, self.room // (self.note_tokens + FENCE_TOKENS))


def build_branch(
    section: Section, piece: Callable[[Span, Section], PendingNote], limits: JoinLimits
) -> Branch:
    """Return the branch of a section, without sections that have no text in them or below.

    `piece` makes the slot of a piece of a section's text. Raises FitError when no two notes fit
    one call.
    """
    parts = [_build_leaf(piece(span, section)) for span in section.pieces]
    below = (build_branch(each, piece, limits) for each in section.sections)
    parts += [part for part in below if part.parts]
    return join_branches(section.title, section.headings, section.span, parts, limits)


def join_branches(
    title: str | None,
    headings: tuple[str, ...],
    span: Span,
    parts: Sequence[Branch],
    limits: JoinLimits,
) -> Branch:
    """Return a branch over parts, in groups where they are too many or too long for one call."""
    levels = build_tree(
        [part.boundary_hash for part in parts],
        [limits.note_tokens + FENCE_TOKENS + _count_title_tokens(part, limits) for part in parts],
        size=limits.note_tokens + FENCE_TOKENS,
        max_items=limits.max_notes,
        max_tokens=limits.room,
    )
    level = list(parts)
    for groups in levels[:-1]:
        level = [
            level[group.start]
            if len(group) == 1
            else _group_branches(headings, [level[number] for number in group])
            for group in groups
        ]
    return Branch(title, headings, span, level[0].boundary_hash if level else 0, tuple(level))


def _count_title_tokens(part: Branch, limits: JoinLimits) -> int:
    return limits.count_tokens(part.title) + TITLE_TOKENS if part.title else 0


def _group_branches(headings: tuple[str, ...], parts: Sequence[Branch]) -> Branch:
    span = Span(parts[0].span.start, parts[-1].span.end)
    return Branch(None, headings, span, parts[0].boundary_hash, tuple(parts))


def _build_leaf(leaf: PendingNote) -> Branch:
    return Branch(None, leaf.headings, leaf.spans[0], leaf.boundary_hash, leaf=leaf)


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
    """Return the entries of the sections below a node."""
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
