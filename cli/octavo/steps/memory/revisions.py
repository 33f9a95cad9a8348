"""Apply revisions to a memory, which is a JSON object filled by small changes.

After PRISM (Jayalath, Wendt, Monath, Tata, Gunel 2024, arXiv 2412.18914): a revision names a path,
an operation and a value, and is checked against the memory's schema before it is applied.

Two readings of ours, since the paper leaves them open. `add` at a list that exists appends to
it, and an object is added member by member. `update` at a path that does not exist yet adds: in a
log whose later entries override the earlier ones it can mean nothing else.

What is applied is returned as revisions that mean the same without the schema, so that a log of
them can be replayed by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from octavo.steps.memory.schema_paths import find_misfit, find_subschema
from octavo.text.encoding import replace_surrogates

__all__ = [
    "MemoryState",
    "Revision",
    "RevisionError",
    "apply_revision",
    "parse_revisions",
    "replay_log",
    "to_revisions",
]


MemoryState = Mapping[str, Any]
"""A memory as one JSON object."""

_MAX_DEPTH = 24
_ABSENT = object()


class RevisionError(ValueError):
    """A revision cannot be applied; the message names its path and says why."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One change: `add` what is not there, or `update` what is."""

    path: tuple[str, ...]
    op: Literal["add", "update"]
    value: Any

    @property
    def line(self) -> str:
        """The revision as one line of JSON; no value can end the line."""
        entry = {"path": list(self.path), "op": self.op, "value": self.value}
        return json.dumps(entry, ensure_ascii=False)


def parse_revisions(items: Iterable[Mapping[str, Any]]) -> list[Revision]:
    """Return the revisions of a checked reply.

    Characters that are half of one, which JSON can spell but no request can carry, are replaced.
    """
    return [
        Revision(
            tuple(map(replace_surrogates, item["path"])),
            item["op"],
            _replace_surrogates_in(item["value"]),
        )
        for item in items
    ]


def apply_revision(
    state: MemoryState, revision: Revision, schema: Mapping[str, Any]
) -> tuple[MemoryState, tuple[Revision, ...]]:
    """Apply a revision; return the new state and the changes, which are empty if nothing changed.

    Raises RevisionError for a path that the schema does not know, a value that does not fit it,
    and an `add` where another value is.
    """
    path_text = _format_path(revision.path)
    subschema = _resolve_path(revision, schema)
    current: Any = _get(state, revision.path)
    if current is _ABSENT:
        _require_parents(state, revision.path, schema, path_text)
        fitting = _coerce_to_fit(schema, subschema, revision.value, path_text)
        applied = Revision(revision.path, "add", fitting)
        return _put(state, revision.path, fitting), (applied,)
    if revision.op == "update":
        if _is_same(current, revision.value):
            return state, ()
        _require_fit(schema, subschema, revision.value, path_text)
        return _put(state, revision.path, revision.value), (revision,)
    if isinstance(current, list):
        return _append_items(state, revision, schema, subschema, cast("list[Any]", current))
    if _is_same(current, revision.value):
        return state, ()
    value: object = revision.value
    if isinstance(current, dict) and isinstance(value, dict):
        return _add_members(state, revision, schema, cast("dict[str, Any]", value))
    raise RevisionError(f"{path_text}: there is a value already, and `add` does not replace it")


def replay_log(lines: Iterable[str]) -> MemoryState:
    """Return the state that a log's lines make.

    Raises IndexError, KeyError, TypeError or ValueError for lines that no log has.
    """
    state: MemoryState = {}
    for line in lines:
        entry = json.loads(line)
        path = tuple(entry["path"])
        current = _get(state, path)
        value = entry["value"]
        if entry["op"] == "add" and isinstance(current, list):
            value = [*cast("list[Any]", current), *value]
        state = _put(state, path, value)
    return state


def to_revisions(state: MemoryState) -> list[Revision]:
    """Return the fewest revisions that produce a state: one for each of its fields."""
    return [Revision((name,), "add", value) for name, value in state.items()]


def _resolve_path(revision: Revision, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of what a revision names; refuse one that no state could take."""
    path_text = _format_path(revision.path)
    if not revision.path:
        raise RevisionError("the path is empty; name a field of the memory")
    if len(revision.path) > _MAX_DEPTH:
        raise RevisionError(f"{path_text}: the path is too long")
    subschema = find_subschema(schema, revision.path)
    if subschema is None:
        raise RevisionError(f"{path_text}: the schema has no such path")
    try:
        json.dumps(revision.value, allow_nan=False)
    except ValueError as error:
        raise RevisionError(f"{path_text}: the value is no JSON") from error
    return subschema


def _append_items(
    state: MemoryState,
    revision: Revision,
    schema: Mapping[str, Any],
    subschema: Mapping[str, Any],
    current: list[Any],
) -> tuple[MemoryState, tuple[Revision, ...]]:
    path_text = _format_path(revision.path)
    items: list[Any] = _coerce_to_fit(schema, subschema, revision.value, path_text)
    if subschema.get("uniqueItems"):
        items = [item for index, item in enumerate(items) if item not in current + items[:index]]
    if not items:
        return state, ()
    _require_fit(schema, subschema, [*current, *items], path_text)
    applied = Revision(revision.path, "add", items)
    return _put(state, revision.path, [*current, *items]), (applied,)


def _add_members(
    state: MemoryState, revision: Revision, schema: Mapping[str, Any], members: Mapping[str, Any]
) -> tuple[MemoryState, tuple[Revision, ...]]:
    """Add an object's members one by one; all of them, or none."""
    applied: list[Revision] = []
    for name, value in members.items():
        state, more = apply_revision(state, Revision((*revision.path, name), "add", value), schema)
        applied += more
    return state, tuple(applied)


def _coerce_to_fit(
    schema: Mapping[str, Any], subschema: Mapping[str, Any], value: object, path_text: str
) -> Any:  # noqa: ANN401 - of the type that the schema wants
    """Return a value that fits; one item alone is taken for a list of one."""
    if (misfit := find_misfit(schema, subschema, value)) is None:
        return value
    if not isinstance(value, list) and find_misfit(schema, subschema, [value]) is None:
        return [value]
    raise RevisionError(f"{path_text}: {misfit}")


def _require_fit(
    schema: Mapping[str, Any], subschema: Mapping[str, Any], value: object, path_text: str
) -> None:
    if (misfit := find_misfit(schema, subschema, value)) is not None:
        raise RevisionError(f"{path_text}: {misfit}")


def _require_parents(
    state: MemoryState, path: Sequence[str], schema: Mapping[str, Any], path_text: str
) -> None:
    """Refuse a path through what is no object, or to an item that a list does not have."""
    for end in range(len(path)):
        parent = _get(state, path[:end])
        if isinstance(parent, list):
            raise RevisionError(f"{path_text}: the list has no such item; add to the list itself")
        if parent is not _ABSENT and not isinstance(parent, dict):
            raise RevisionError(f"{path_text}: {_format_path(path[:end])} is no object")
        if parent is _ABSENT and find_misfit(schema, find_subschema(schema, path[:end]) or {}, {}):
            raise RevisionError(f"{path_text}: {_format_path(path[:end])} is no object")


def _is_same(one: object, other: object) -> bool:
    return one == other and type(one) is type(other)  # 1 and true are equal, but not the same


def _format_path(path: Sequence[str]) -> str:
    return "/".join(path)[:80]


def _get(state: object, path: Sequence[str]) -> object:
    at = state
    for key in path:
        if isinstance(at, Mapping):
            at = cast("Mapping[str, object]", at).get(key, _ABSENT)
            continue
        items = cast("list[object]", at) if isinstance(at, list) else []
        if not key.isdecimal() or int(key[:9]) >= len(items):
            return _ABSENT
        at = items[int(key[:9])]
    return at


def _put(node: object, path: Sequence[str], value: object) -> Any:  # noqa: ANN401 - a JSON value
    """Return a copy of a value with another one at a path; nothing else is copied."""
    if not path:
        return value
    key, *rest = path
    if isinstance(node, list):
        items = list(cast("list[object]", node))
        items[int(key)] = _put(items[int(key)], rest, value)
        return items
    fields = dict(cast("Mapping[str, object]", node)) if isinstance(node, Mapping) else {}
    fields[key] = _put(fields.get(key), rest, value)
    return fields


def _replace_surrogates_in(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    written = json.dumps(value, ensure_ascii=False)
    fixed = replace_surrogates(written)
    return value if fixed == written else json.loads(fixed)
