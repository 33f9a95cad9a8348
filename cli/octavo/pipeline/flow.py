"""Checks that each step gets what it takes."""

from __future__ import annotations

from octavo.errors import UsageError
from octavo.pipeline.problems import Path, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spelling import shorten, suggestion
from octavo.protocols.steps import Kind, StepType

__all__ = ["check_kind", "check_source"]

_SAID = {
    Kind.DOCUMENT: "the document",
    Kind.CHUNKS: "chunks",
    Kind.NOTES: "notes",
    Kind.NOTE: "one note",
}


def check_source(
    source: str, given: dict[str, Kind | None], path: Path, problems: Problems
) -> Kind | None:
    """Return what the step named by `from` gives, complaining when there is none before."""
    if source in given:
        return given[source]
    message = f"there is no step {shorten(source)!r} before this one"
    hint = suggestion(source, given) if given else "remove `from`: this is the first step"
    problems.add("unknown-name", message, (*path, "from"), hint=hint)
    return None


def check_kind(
    step: StepType, kind: Kind | None, path: Path, registry: Registry, problems: Problems
) -> None:
    """Complain when a step does not take what it gets; None is not known and fits."""
    if kind is None or kind in step.takes:
        return
    takes = " or ".join(_SAID[each] for each in Kind if each in step.takes)
    message = f"`{step.name}` takes {takes}, but gets {_SAID[kind]}"
    between = [name for name in registry.names("step") if _leads(registry, name, kind, step)]
    hint = f"put `- {between[0]}:` before it" if between else "move or remove this step"
    problems.add("step-order", message, path, hint=hint, key=True)


def _leads(registry: Registry, name: str, kind: Kind, step: StepType) -> bool:
    try:
        other = registry.step(name)
    except UsageError:
        return False
    return kind in other.takes and other.gives in step.takes and other.gives is not kind
