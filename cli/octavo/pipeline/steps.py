"""Reads the steps of a pipeline: each is one key with its options, beside `name` and `from`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from octavo.errors import UsageError
from octavo.pipeline.complaints import Owner
from octavo.pipeline.flow import check_kind, check_sources
from octavo.pipeline.options import chunker_options, read_options
from octavo.pipeline.problems import Path, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Use
from octavo.pipeline.spelling import nearest, shorten, suggestion
from octavo.pipeline.tree import Leaf, Listing, Mapping
from octavo.protocols.steps import Kind, Options, StepType

__all__ = ["Draft", "read_steps"]

_MOST = 100
_BESIDE = ("name", "from")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A step as far as it could be read; what could not is None and was complained about.

    `path` leads to the step in the file, `key` is the key that says its type. `beside` are the
    options of the chunker that stand beside the step's.
    """

    path: Path
    key: str
    name: str
    sources: tuple[str, ...]
    type: StepType | None
    options: Options | None
    beside: Options | None

    @property
    def use(self) -> Use:
        """The step for the engine, once nothing was complained about."""
        assert self.type is not None
        assert self.options is not None
        return Use(self.type, self.options, self.name, self.sources)


def read_steps(
    which: Literal["steps", "gather"], registry: Registry, problems: Problems, taken: set[str]
) -> tuple[Draft, ...]:
    """Return the steps of a list, complaining about each that is wrong.

    `taken` are the names in use; those of the steps are added to it. What the steps take is
    checked against what the ones before give.
    """
    listing = problems.node((which,))
    drafts: list[Draft] = []
    given: dict[str, Kind | None] = {}
    kind: Kind | None = Kind.DOCUMENT if which == "steps" else Kind.NOTES
    items = listing.items if isinstance(listing, Listing) else []
    if len(items) > _MOST:
        message = f"{which!r} has {len(items):,} steps; {_MOST} are the most"
        problems.add("too-large", message, (which, _MOST), hint="make several pipelines of it")
        items = items[:_MOST]
    for index, node in enumerate(items):
        path: Path = (which, index)
        if not isinstance(node, Mapping):
            message = "a step is one key with its options"
            name = shorten(node.text) if isinstance(node, Leaf) and node.text else "map"
            problems.add("wrong-type", message, path, hint=f"write `- {name}: {{}}`")
            kind = None
            continue
        draft = _draft(node, path, registry, problems, taken)
        if draft.sources:
            kind = check_sources(draft.sources, given, path, problems)
        if draft.type is not None:
            check_kind(draft.type, kind, (*path, draft.key), registry, problems)
        if draft.type is None:
            kind = None
        else:
            kind = draft.type.given(draft.options) if draft.options else draft.type.gives
        given[draft.name] = kind
        drafts.append(draft)
    return tuple(drafts)


def _draft(
    node: Mapping, path: Path, registry: Registry, problems: Problems, taken: set[str]
) -> Draft:
    key, step = _type(node, path, registry, problems)
    options = beside = None
    if step is not None:
        owner = Owner(f"`{key}`", (*path, key))
        options = read_options(step, node.entries[key].value, owner, registry, problems)
        beside = chunker_options(options, registry) if options is not None else None
    name = _text(node, "name", path, problems)
    if name is not None and not _NAME.fullmatch(name):
        message = f"{shorten(name)!r} cannot be the name of a step"
        hint = "write a letter, then letters, digits, - and _"
        problems.add("wrong-value", message, (*path, "name"), hint=hint)
        name = None
    if name in taken:
        message = f"there is a step {name!r} already"
        problems.add("duplicate-name", message, (*path, "name"), hint="choose another name")
        name = None
    name = name or _free(key, taken)
    taken.add(name)
    return Draft(path, key, name, _sources(node, path, problems), step, options, beside)


def _type(
    node: Mapping, path: Path, registry: Registry, problems: Problems
) -> tuple[str, StepType | None]:
    """Return the key that says a step's type, and the type."""
    keys = [key for key in node.entries if key not in _BESIDE]
    known = [key for key in keys if registry.has("step", key)]
    if not keys:
        message = "the step does not say what to do"
        problems.add("missing-key", message, path, hint=suggestion("", registry.names("step")))
        return "step", None
    key = known[0] if known else keys[0]
    for other in keys:
        if other == key:
            continue
        where = (*path, other)
        if other in known:
            message = f"{other!r} stands in the step of {key!r}; a step is one key"
            problems.add("two-steps", message, where, hint=f"write `- {other}:`", key=True)
        elif known and node.entries[key].value.data is None:
            message = f"{other!r} stands beside {key!r}, not under it"
            hint = f"indent it by two more spaces, or write {{{other}: ...}} after `{key}:`"
            problems.add("unknown-key", message, where, hint=hint, key=True)
        elif known:
            message = f"{shorten(other)!r} cannot stand beside a step; `name` and `from` can"
            problems.add("unknown-key", message, where, hint=_move(other, key), key=True)
    try:
        return key, registry.step(key)
    except UsageError as error:
        hint = error.hint or suggestion(key, registry.names("step"))
        problems.add("unknown-step", error.message, (*path, key), hint=hint, key=True)
        return key, None


def _move(other: str, key: str) -> str:
    guess = nearest(other, _BESIDE)
    return f"did you mean {guess!r}?" if guess else f"move it under `{key}:`, or remove it"


def _text(node: Mapping, key: str, path: Path, problems: Problems) -> str | None:
    entry = node.entries.get(key)
    if entry is None or (isinstance(entry.value, Leaf) and isinstance(entry.value.data, str)):
        return None if entry is None else str(entry.value.data)
    message = f"{key!r} is the name of a step"
    hint = f"write {key}: NAME" + (", in quotes" if isinstance(entry.value, Leaf) else "")
    problems.add("wrong-type", message, (*path, key), hint=hint)
    return None


def _sources(node: Mapping, path: Path, problems: Problems) -> tuple[str, ...]:
    """Return the names after `from`: one, or a list of them."""
    entry = node.entries.get("from")
    if entry is None or not isinstance(entry.value, Listing):
        name = _text(node, "from", path, problems)
        return () if name is None else (name,)
    names = [item.data for item in entry.value.items]
    texts = tuple(name for name in names if isinstance(name, str))
    if not names or len(texts) < len(names):
        message = "'from' is the name of a step, or a list of such names"
        hint = "write from: [NAME, NAME]"
        problems.add("wrong-type", message, (*path, "from"), hint=hint)
    return texts


def _free(key: str, taken: set[str]) -> str:
    number = 1
    name = key
    while name in taken:
        number += 1
        name = f"{key}-{number}"
    return name
