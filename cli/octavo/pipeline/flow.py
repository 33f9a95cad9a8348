"""Checks that each step gets what it takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from octavo.errors import UsageError
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spelling import shorten, suggest
from octavo.protocols.steps import Kind, StepType

__all__ = ["check_kind", "check_sources"]

_KIND_NAMES = {
    Kind.DOCUMENT: "the document",
    Kind.CHUNKS: "chunks",
    Kind.NOTES: "notes",
    Kind.NOTE: "one note",
}


def check_sources(
    sources: Sequence[str], given: Mapping[str, Kind | None], path: KeyPath, problems: Problems
) -> Kind | None:
    """Return what the steps named by `from` give, complaining about those not before.

    Several give chunks if each of them does, and notes if not.
    """
    kinds: list[Kind | None] = []
    for index, source in enumerate(sources):
        if source in given:
            kinds.append(given[source])
            continue
        where: KeyPath = (*path, "from") if len(sources) == 1 else (*path, "from", index)
        message = f"there is no step {shorten(source)!r} before this one"
        hint = suggest(source, given) if given else "remove `from`: this is the first step"
        problems.add("unknown-name", message, where, hint=hint)
    if len(kinds) < len(sources) or None in kinds:
        return None
    if len(set(kinds)) == 1:
        return Kind.NOTES if len(kinds) > 1 and kinds[0] is Kind.NOTE else kinds[0]
    return Kind.NOTES


def check_kind(
    step: StepType, kind: Kind | None, path: KeyPath, registry: Registry, problems: Problems
) -> None:
    """Complain when a step does not take what it gets; None is not known and fits."""
    if kind is None or kind in step.takes:
        return
    takes = " or ".join(_KIND_NAMES[each] for each in Kind if each in step.takes)
    message = f"`{step.name}` takes {takes}, but gets {_KIND_NAMES[kind]}"
    between = [name for name in registry.list_names("step") if _is_bridge(registry, name, kind, step)]
    hint = f"put `- {between[0]}:` before it" if between else "move or remove this step"
    problems.add("step-order", message, path, hint=hint, key=True)


def _is_bridge(registry: Registry, name: str, kind: Kind, step: StepType) -> bool:
    try:
        other = registry.get_step(name)
    except UsageError:
        return False
    return kind in other.takes and other.gives in step.takes and other.gives is not kind
