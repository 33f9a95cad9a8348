"""Read a document section by section, and join what was found up the tree of its headings.

The step follows ToM (arXiv 2511.00489, EMNLP 2025): each leaf is read on its own, parents settle
what their children found, conflicts by the children's confidence, and a single child's finding goes
up as it is. Unlike there, headings give the tree and no call is spent on its structure. A document
without headings is outlined by the model, which names the words that each section begins and ends
with and does not write the text again; an outline that does not cover the text is not used. A
parent's own text is read as one more leaf next to its sections, where ToM reads it in a second call
after them: one call less for each parent, and one less that waits. A failed node is a failure here,
where the reference code hands the error's words to the parent as a finding.

The paper chooses chunks by embeddings first; here the whole document is read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from octavo.errors import CallError, FitError, ReplyError
from octavo.protocols import (
    JsonSchema,
    Kind,
    Options,
    PromptLike,
    PromptMark,
    PromptRef,
    SchemaRef,
    StepType,
    Work,
)
from octavo.steps._support.window import ensure_fits_window
from octavo.steps.tree.branches import (
    TITLE_TOKENS,
    Branch,
    JoinLimits,
    TreeNode,
    build_branch,
    build_section_record,
    join_branches,
)
from octavo.steps.tree.outline import MAX_SECTIONS, OUTLINE_SCHEMA, OutlineFinder, OutlineSection
from octavo.steps.tree.sections import Section, build_section_tree
from octavo.text.note import Note, PendingNote, to_awaitable
from octavo.text.span import Span, describe_spans, merge_spans
from octavo.text.splitting.boundary import hash_boundary
from octavo.text.splitting.kernel import hash_boundaries

__all__ = ["STEP", "TreeOptions"]


_ENTRY_TOKENS = 64
"""Tokens of a section in the result beside its note."""


class TreeOptions(Options):
    """How to read sections, and how to join what was found."""

    leaf: Annotated[PromptRef, PromptMark("text", "headings", "height", "words")] = Field(
        description="The prompt for a piece of a section's own text; it sees `text`, `headings`,"
        " `height` (0) and `words`."
    )
    parent: Annotated[PromptRef, PromptMark("notes", "titles", "headings", "height", "words")] = (
        Field(
            description="The prompt that joins the notes of a section's parts; it sees `notes`,"
            " `titles` (of each note's section, empty where it has none), `headings`, `height`"
            " and `words`."
        )
    )
    outline: Annotated[PromptRef | None, PromptMark("text")] = Field(
        default=None,
        description="The prompt that finds sections in a chunk of a document without headings; it"
        " sees `text`. Without it the chunks are joined as they are.",
    )
    schema_: SchemaRef | None = Field(
        default=None, alias="schema", description="The JSON Schema that each note must fit."
    )
    tokens: int = Field(default=400, ge=1, description="The most tokens of a note.")
    words: int | None = Field(default=None, ge=1, description="The length asked for, in words.")
    outline_tokens: int = Field(default=600, ge=1, description="The most tokens of an outline.")
    depth: int = Field(
        default=4,
        ge=1,
        le=16,
        description="How deep sections may be; deeper ones are text of the one above.",
    )
    fan_in: int = Field(default=8, ge=2, description="The most notes in one call.")
    show: Literal["note", "sections"] = Field(
        default="note",
        description="Whether the result is the root's note, or a record of all sections with"
        " theirs.",
    )
    on_error: Literal["fail", "skip"] = Field(
        default="fail",
        description="Whether a failed piece ends the document or is left out; a failed join ends"
        " it in any case.",
    )


@dataclass(frozen=True, slots=True)
class _TreeReader:
    """What all calls share. `outline` is None where headings give the sections."""

    options: TreeOptions
    work: Work
    leaf_prompt: PromptLike
    parent_prompt: PromptLike
    outline: PromptLike | None
    schema: JsonSchema | None
    limits: JoinLimits


async def run(
    slots: Sequence[PendingNote], options: TreeOptions, work: Work
) -> Sequence[PendingNote]:
    """Return one slot for the root. Raises FitError when a call cannot fit the window."""
    if not slots:
        return slots
    chunks = [slot.spans[0] for slot in slots]
    section = build_section_tree(work.document, chunks, options.depth)
    if not _has_text(section):
        section = Section(None, (), section.span, chunks)
    wanted = options.outline is not None and not section.sections
    reader = _TreeReader(
        options,
        work,
        leaf_prompt=work.prompt(options.leaf),
        parent_prompt=work.prompt(options.parent),
        outline=work.prompt(options.outline) if wanted and options.outline else None,
        schema=work.schema(options.schema_) if options.schema_ else None,
        limits=JoinLimits(options.tokens, options.fan_in, None, work.counter.count),
    )
    pieces = _build_pieces(section, slots, work)
    reader = replace(reader, limits=_add_room(reader, section))
    root = build_branch(section, lambda span, _: pieces[span], reader.limits)
    _ensure_prompts_fit(reader, root)
    work.follow(root.height + (3 if reader.outline else 1))
    node = _start_branch(root, 0, reader)
    return [
        PendingNote(
            spans=merge_spans(span for leaf in root.leaves for span in leaf.spans),
            max_tokens=_compute_bound(root, reader),
            note=work.start(build_section_record(node, headed=bool(section.sections)))
            if options.show == "sections"
            else node.note,
            boundary_hash=root.boundary_hash,
        )
    ]


def _has_text(section: Section) -> bool:
    return bool(section.pieces) or any(map(_has_text, section.sections))


def _list_paths(section: Section) -> list[tuple[str, ...]]:
    return [section.headings, *(path for each in section.sections for path in _list_paths(each))]


def _build_pieces(
    section: Section, slots: Sequence[PendingNote], work: Work
) -> Mapping[Span, PendingNote]:
    """Return a slot for each piece: a chunk's own where it was not cut."""
    whole = {slot.spans[0]: slot for slot in slots}
    found: dict[Span, PendingNote] = {}

    def add(each: Section) -> None:
        hashes = hash_boundaries(work.document.text, [span.start for span in each.pieces])
        for span, own in zip(each.pieces, hashes, strict=True):
            slot = whole.get(span)
            bound = slot.max_tokens if slot else work.counter.count(work.document.slice(span))
            found[span] = _build_piece(span, each.headings, bound, own, work)
        for below in each.sections:
            add(below)

    add(section)
    return found


def _build_piece(
    span: Span, headings: tuple[str, ...], bound: int, boundary_hash: int, work: Work
) -> PendingNote:
    note = Note(work.document.slice(span), (span,))
    return PendingNote((span,), bound, to_awaitable(note), boundary_hash, headings)


def _add_room(reader: _TreeReader, section: Section) -> JoinLimits:
    options = reader.options
    empty = {
        "notes": ("",) * options.fan_in,
        "titles": ("",) * options.fan_in,
        "headings": _find_longest(_list_paths(section)),
        "height": 1,
        "words": options.words,
    }
    room = reader.work.room(reader.parent_prompt, empty, options.tokens, reader.schema)
    return replace(reader.limits, room=room)


def _find_longest(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    return max(paths, key=lambda path: sum(map(len, path)), default=())


def _ensure_prompts_fit(reader: _TreeReader, root: Branch) -> None:
    options, leaves = reader.options, root.leaves
    if reader.outline:
        tokens = options.outline_tokens
        ensure_fits_window(
            reader.work, reader.outline, {"text": ""}, tokens, leaves, schema=OUTLINE_SCHEMA
        )
    empty = {
        "text": "",
        "headings": _find_longest(root.heading_paths),
        "height": 0,
        "words": options.words,
    }
    ensure_fits_window(
        reader.work, reader.leaf_prompt, empty, options.tokens, leaves, schema=reader.schema
    )


def _compute_bound(root: Branch, reader: _TreeReader) -> int:
    if reader.options.show == "note":
        return reader.options.tokens
    sections = MAX_SECTIONS * len(root.leaves) if reader.outline else len(root.heading_paths)
    return (sections + 1) * (reader.options.tokens + _ENTRY_TOKENS)


def _start_branch(branch: Branch, calls_above: int, reader: _TreeReader) -> TreeNode:
    """Start the calls of a branch; `calls_above` counts those between it and the root's."""
    work = reader.work
    if branch.leaf is not None:
        if reader.outline is None:
            return TreeNode(
                branch,
                work.start(_read_leaf(branch, branch.leaf, calls_above, reader)),
                work.start(_return_parts(())),
            )
        outlined = work.start(_outline_leaf(branch, branch.leaf, calls_above, reader))
        note = work.start(_read_outlined(branch, branch.leaf, outlined, calls_above, reader))
        return TreeNode(branch, note, work.start(_list_inner_parts(outlined)))
    calls_above_parts = calls_above + (1 if len(branch.parts) > 1 else 0)
    parts = [_start_branch(part, calls_above_parts, reader) for part in branch.parts]
    return TreeNode(
        branch,
        work.start(_join_parts(branch, parts, calls_above, reader)),
        work.start(_return_parts(parts)),
    )


async def _return_parts(parts: Sequence[TreeNode]) -> Sequence[TreeNode]:
    return parts


async def _read_leaf(
    branch: Branch, leaf: PendingNote, calls_above: int, reader: _TreeReader
) -> Note | None:
    note = await leaf.note
    if note is None:
        return None
    variables = {"text": note.value, "headings": branch.headings, "height": 0}
    try:
        return await _ask_note(reader, reader.leaf_prompt, variables, note.spans, calls_above)
    except CallError as error:
        if reader.options.on_error == "fail":
            raise
        reader.work.skip(leaf, error)
        return None


async def _join_parts(
    branch: Branch, parts: Sequence[TreeNode], calls_above: int, reader: _TreeReader
) -> Note | None:
    """Join the notes of the parts; a single one is passed on without a call."""
    found = [(part.branch, note) for part in parts if (note := await part.note) is not None]
    if len(found) < 2:
        return found[0][1] if found else None
    variables: dict[str, object] = {
        "notes": [note.value for _, note in found],
        "titles": [part.title or "" for part, _ in found],
        "headings": branch.headings,
        # Each chunk that is to be outlined may become a parent of its own.
        "height": branch.height + (1 if reader.outline else 0),
    }
    spans = merge_spans(span for _, note in found for span in note.spans)
    return await _ask_note(reader, reader.parent_prompt, variables, spans, calls_above)


async def _ask_note(
    reader: _TreeReader,
    prompt: PromptLike,
    variables: Mapping[str, object],
    spans: tuple[Span, ...],
    calls_above: int,
) -> Note:
    options, work = reader.options, reader.work
    answer = await work.ask(
        prompt,
        {**variables, "words": options.words},
        tokens=options.tokens,
        words=options.words,
        schema=reader.schema,
        node=describe_spans(spans),
        levels=work.after + calls_above,
    ).reply
    return Note(answer.value, spans, predicted=answer.predicted)


async def _outline_leaf(
    branch: Branch, leaf: PendingNote, calls_above: int, reader: _TreeReader
) -> TreeNode | None:
    """Return the chunk as a node over the sections that the model finds in it, or None."""
    options, work = reader.options, reader.work
    note = await leaf.note
    if note is None or reader.outline is None:
        return None
    outline = OutlineFinder(
        reader.outline, options.outline_tokens, work, reader.limits.max_untitled_notes
    )
    try:
        found = await outline.find_sections(note, levels=work.after + calls_above + 2)
    except CallError as error:
        # A chunk can be read without an outline: nothing is then missing from the result.
        if options.on_error == "fail" and not isinstance(error, ReplyError):
            raise
        return None
    if len(found) < 2:
        return None
    parts = [_build_titled_leaf(each, leaf.max_tokens, work) for each in found]
    try:
        joined = join_branches(None, (), branch.span, parts, reader.limits)
    except FitError:
        return None
    # The chunk's place in the tree is for one call.
    return (
        _start_branch(joined, calls_above, replace(reader, outline=None))
        if joined.height == 1
        else None
    )


def _build_titled_leaf(found: OutlineSection, bound: int, work: Work) -> Branch:
    tokens = work.counter.count(work.document.slice(found.span))
    # What was found to fit, before the titles were known, was the chunk without one.
    fits = tokens + work.counter.count(found.title) + TITLE_TOKENS <= bound
    boundary_hash = hash_boundary(work.document.text, found.span.start)
    path = (found.title,) if found.title and fits else ()
    leaf = _build_piece(found.span, path, tokens, boundary_hash, work)
    return Branch(found.title, path, found.span, boundary_hash, leaf=leaf)


async def _read_outlined(
    branch: Branch,
    leaf: PendingNote,
    outlined: Awaitable[TreeNode | None],
    calls_above: int,
    reader: _TreeReader,
) -> Note | None:
    node = await outlined
    return await (_read_leaf(branch, leaf, calls_above, reader) if node is None else node.note)


async def _list_inner_parts(outlined: Awaitable[TreeNode | None]) -> Sequence[TreeNode]:
    node = await outlined
    return () if node is None else await node.parts


STEP = StepType(
    name="tree",
    about="Read sections by the document's headings, and join what was found up their tree.",
    options=TreeOptions,
    takes=frozenset({Kind.CHUNKS}),
    gives=Kind.NOTE,
    run=run,
    fields=lambda options: (
        frozenset({"title", "start", "end", "note", "sections"})
        if options.show == "sections"
        else None
    ),
)
