"""Reads the steps of a pipeline, and checks that each step gets what it takes.

Each step is one key with its options, next to `name` and `from`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from octavo.diagnostics import find_nearest, shorten, suggest
from octavo.errors import UsageError
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import StepUse
from octavo.pipeline.validation import OptionOwner, read_chunker_options, read_options
from octavo.pipeline.yaml_tree import MappingNode, ScalarNode, SequenceNode
from octavo.protocols.options import Options
from octavo.protocols.steps import Kind, StepType

__all__ = ["StepDraft", "check_kind", "check_sources", "read_steps"]


_MAX_STEPS = 100
_STEP_KEYS = ("name", "from")
_STEP_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_KIND_NAMES = {
    Kind.DOCUMENT: "the document",
    Kind.CHUNKS: "chunks",
    Kind.NOTES: "notes",
    Kind.NOTE: "one note",
}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StepDraft:
    """A step as far as it could be read; what could not be read is None and was reported.

    `path` leads to the step in the file, `key` is the key that gives its type. `chunker_options`
    are given next to the step's own.
    """

    path: KeyPath
    key: str
    name: str
    sources: tuple[str, ...]
    type: StepType | None
    options: Options | None
    chunker_options: Options | None

    @property
    def use(self) -> StepUse:
        """The step for the engine, if no problem was reported."""
        assert self.type is not None
        assert self.options is not None
        return StepUse(self.type, self.options, self.name, self.sources)


def read_steps(
    section: Literal["steps", "gather"],
    registry: Registry,
    problems: Problems,
    used_names: set[str],
) -> tuple[StepDraft, ...]:
    """Return the steps of a list, reporting what is wrong.

    `used_names` are the names in use; those of the steps are added to it. What the steps take is
    checked against what the ones before give.
    """
    listing = problems.find_node((section,))
    drafts: list[StepDraft] = []
    kinds: dict[str, Kind | None] = {}
    kind: Kind | None = Kind.DOCUMENT if section == "steps" else Kind.NOTES
    items = listing.items if isinstance(listing, SequenceNode) else []
    if len(items) > _MAX_STEPS:
        message = f"{section!r} has {len(items):,} steps; {_MAX_STEPS} are the most"
        problems.add(
            "too-large", message, (section, _MAX_STEPS), hint="make several pipelines of it"
        )
        items = items[:_MAX_STEPS]
    for index, node in enumerate(items):
        path: KeyPath = (section, index)
        if not isinstance(node, MappingNode):
            message = "a step is one key with its options"
            name = shorten(node.text) if isinstance(node, ScalarNode) and node.text else "map"
            problems.add("wrong-type", message, path, hint=f"write `- {name}: {{}}`")
            kind = None
            continue
        draft = _read_step(node, path, registry, problems, used_names)
        if draft.sources:
            kind = check_sources(draft.sources, kinds, path, problems)
        if draft.type is not None:
            check_kind(draft.type, kind, (*path, draft.key), registry, problems)
        if draft.type is None:
            kind = None
        else:
            kind = draft.type.given(draft.options) if draft.options else draft.type.gives
        kinds[draft.name] = kind
        drafts.append(draft)
    return tuple(drafts)


def _read_step(
    node: MappingNode, path: KeyPath, registry: Registry, problems: Problems, used_names: set[str]
) -> StepDraft:
    key, step = _read_type(node, path, registry, problems)
    options = chunker_options = None
    if step is not None:
        owner = OptionOwner(f"`{key}`", (*path, key))
        options = read_options(step, node.entries[key].value, owner, registry, problems)
        chunker_options = read_chunker_options(options, registry) if options is not None else None
    name = _read_step_name(node, "name", path, problems)
    if name is not None and not _STEP_NAME.fullmatch(name):
        message = f"{shorten(name)!r} cannot be the name of a step"
        hint = "write a letter, then letters, digits, - and _"
        problems.add("wrong-value", message, (*path, "name"), hint=hint)
        name = None
    if name in used_names:
        message = f"there is a step {name!r} already"
        problems.add("duplicate-name", message, (*path, "name"), hint="choose another name")
        name = None
    name = name or _find_free_name(key, used_names)
    used_names.add(name)
    return StepDraft(
        path, key, name, _read_sources(node, path, problems), step, options, chunker_options
    )


def _read_type(
    node: MappingNode, path: KeyPath, registry: Registry, problems: Problems
) -> tuple[str, StepType | None]:
    """Return the key that says a step's type, and the type."""
    keys = [key for key in node.entries if key not in _STEP_KEYS]
    known = [key for key in keys if registry.has("step", key)]
    if not keys:
        message = "the step does not say what to do"
        problems.add("missing-key", message, path, hint=suggest("", registry.list_names("step")))
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
            problems.add("unknown-key", message, where, hint=_suggest_move(other, key), key=True)
    try:
        return key, registry.get_step(key)
    except UsageError as error:
        hint = error.hint or suggest(key, registry.list_names("step"))
        problems.add("unknown-step", error.message, (*path, key), hint=hint, key=True)
        return key, None


def _suggest_move(other: str, key: str) -> str:
    guess = find_nearest(other, _STEP_KEYS)
    return f"did you mean {guess!r}?" if guess else f"move it under `{key}:`, or remove it"


def _read_step_name(node: MappingNode, key: str, path: KeyPath, problems: Problems) -> str | None:
    entry = node.entries.get(key)
    if entry is None or (isinstance(entry.value, ScalarNode) and isinstance(entry.value.data, str)):
        return None if entry is None else str(entry.value.data)
    message = f"{key!r} is the name of a step"
    hint = f"write {key}: NAME" + (", in quotes" if isinstance(entry.value, ScalarNode) else "")
    problems.add("wrong-type", message, (*path, key), hint=hint)
    return None


def _read_sources(node: MappingNode, path: KeyPath, problems: Problems) -> tuple[str, ...]:
    """Return the names after `from`: one, or a list of them."""
    entry = node.entries.get("from")
    if entry is None or not isinstance(entry.value, SequenceNode):
        name = _read_step_name(node, "from", path, problems)
        return () if name is None else (name,)
    names = [item.data for item in entry.value.items]
    texts = tuple(name for name in names if isinstance(name, str))
    if not names or len(texts) < len(names):
        message = "'from' is the name of a step, or a list of such names"
        hint = "write from: [NAME, NAME]"
        problems.add("wrong-type", message, (*path, "from"), hint=hint)
    return texts


def _find_free_name(key: str, used_names: set[str]) -> str:
    number = 1
    name = key
    while name in used_names:
        number += 1
        name = f"{key}-{number}"
    return name


def check_sources(
    sources: Sequence[str],
    known_kinds: Mapping[str, Kind | None],
    path: KeyPath,
    problems: Problems,
) -> Kind | None:
    """Return what the steps named by `from` give, reporting names that are not earlier steps.

    Several give chunks if each of them does, and notes if not.
    """
    kinds: list[Kind | None] = []
    for index, source in enumerate(sources):
        if source in known_kinds:
            kinds.append(known_kinds[source])
            continue
        where: KeyPath = (*path, "from") if len(sources) == 1 else (*path, "from", index)
        message = f"there is no step {shorten(source)!r} before this one"
        hint = (
            suggest(source, known_kinds) if known_kinds else "remove `from`: this is the first step"
        )
        problems.add("unknown-name", message, where, hint=hint)
    if len(kinds) < len(sources) or None in kinds:
        return None
    if len(set(kinds)) == 1:
        return Kind.NOTES if len(kinds) > 1 and kinds[0] is Kind.NOTE else kinds[0]
    return Kind.NOTES


def check_kind(
    step: StepType, kind: Kind | None, path: KeyPath, registry: Registry, problems: Problems
) -> None:
    """Report a step that does not take what it gets; None is unknown and fits."""
    if kind is None or kind in step.takes:
        return
    takes = " or ".join(_KIND_NAMES[each] for each in Kind if each in step.takes)
    message = f"`{step.name}` takes {takes}, but gets {_KIND_NAMES[kind]}"
    between = [
        name for name in registry.list_names("step") if _is_bridge(registry, name, kind, step)
    ]
    hint = f"put `- {between[0]}:` before it" if between else "move or remove this step"
    problems.add("step-order", message, path, hint=hint, key=True)


def _is_bridge(registry: Registry, name: str, kind: Kind, step: StepType) -> bool:
    try:
        other = registry.get_step(name)
    except UsageError:
        return False
    return kind in other.takes and other.gives in step.takes and other.gives is not kind
