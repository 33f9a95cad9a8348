"""Checks the options of a step, and those of the chunker that it names."""

from __future__ import annotations

from octavo.errors import UsageError
from octavo.pipeline.complaints import Owner, salvage, validate
from octavo.pipeline.fields import chunker_field
from octavo.pipeline.problems import Path, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spelling import suggestion
from octavo.pipeline.tree import Mapping, Node
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options, StepType

__all__ = ["chunker_options", "read_options"]


def read_options(
    step: StepType, node: Node, owner: Owner, registry: Registry, problems: Problems
) -> Options | None:
    """Return a step's options; those that were complained about may lack some, or be None."""
    field = chunker_field(step.options)
    if field is None:
        return validate(step.options, node, owner, problems) or salvage(step.options, node)
    # The chunker's own options stand beside the step's; what neither has is unknown.
    named = node.entries.get(field) if isinstance(node, Mapping) else None
    name = step.options.model_fields[field].default if named is None else named.value.data
    chunker = _chunker(name, (*owner.path, field), registry, problems)
    if chunker is None:
        return None
    options = validate(step.options, node, owner, problems)
    own = frozenset(step.options.model_fields)
    beside = Owner(owner.label, owner.path, own.difference(chunker.options.model_fields), own)
    return options if validate(chunker.options, node, beside, problems) is not None else None


def chunker_options(options: Options, registry: Registry) -> Options | None:
    """Return the options of the chunker that checked options name, or None when they name none."""
    field = chunker_field(type(options))
    if field is None:
        return None
    chunker = registry.chunker(getattr(options, field))
    known = {each.alias or name for name, each in chunker.options.model_fields.items()}
    given = options.model_dump(by_alias=True)
    own = {name: value for name, value in given.items() if name in known}
    return chunker.options.model_validate(own)


def _chunker(
    name: object, path: Path, registry: Registry, problems: Problems
) -> ChunkerType | None:
    if not isinstance(name, str):
        hint = suggestion("", registry.names("chunker"))
        problems.add("wrong-type", f"{path[-1]!r} is the name of a chunker", path, hint=hint)
        return None
    try:
        return registry.chunker(name)
    except UsageError as error:
        hint = error.hint or suggestion(name, registry.names("chunker"))
        problems.add("unknown-chunker", error.message, path, hint=hint)
        return None
