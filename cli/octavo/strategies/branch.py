"""The shape of a tree over sections: which notes one call joins, known before the first reply."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from octavo.strategies.fit import FENCE_TOKENS
from octavo.text.doctree import Section
from octavo.text.grouping import build_tree
from octavo.text.note import PendingNote
from octavo.text.span import Span

__all__ = ["TITLE_TOKENS", "Branch", "JoinLimits", "build_branch", "join_branches"]

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
    """What bounds a call that joins notes: each has `size` tokens at most, `most` of them fit.

    `room` is the tokens that the prompt leaves for notes and titles, `count` counts a title's.
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


def build_branch(section: Section, piece: Callable[[Span, Section], PendingNote], joints: JoinLimits) -> Branch:
    """Return the branch of a section; sections without any text of their own or below are not in.

    `piece` makes the slot of a piece of a section's text. Raises FitError when no two notes fit
    one call.
    """
    parts = [_build_leaf(piece(span, section)) for span in section.pieces]
    below = (build_branch(each, piece, joints) for each in section.sections)
    parts += [part for part in below if part.parts]
    return join_branches(section.title, section.headings, section.span, parts, joints)


def join_branches(
    title: str | None,
    headings: tuple[str, ...],
    span: Span,
    parts: Sequence[Branch],
    joints: JoinLimits,
) -> Branch:
    """Return a branch over parts, in groups where they are too many or too long for one call."""
    levels = build_tree(
        [part.boundary_hash for part in parts],
        [joints.note_tokens + FENCE_TOKENS + _count_title_tokens(part, joints) for part in parts],
        size=joints.note_tokens + FENCE_TOKENS,
        most=joints.max_notes,
        room=joints.room,
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


def _count_title_tokens(part: Branch, joints: JoinLimits) -> int:
    return joints.count_tokens(part.title) + TITLE_TOKENS if part.title else 0


def _group_branches(headings: tuple[str, ...], parts: Sequence[Branch]) -> Branch:
    span = Span(parts[0].span.start, parts[-1].span.end)
    return Branch(None, headings, span, parts[0].boundary_hash, tuple(parts))


def _build_leaf(leaf: PendingNote) -> Branch:
    return Branch(None, leaf.headings, leaf.spans[0], leaf.boundary_hash, leaf=leaf)
