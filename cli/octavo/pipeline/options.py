"""Checks the options of a step, and those of the chunker that it names."""

from __future__ import annotations

from octavo.errors import UsageError
from octavo.pipeline.complaints import OptionOwner, salvage, validate
from octavo.pipeline.fields import find_chunker_field
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.spelling import suggest
from octavo.pipeline.tree import MappingNode, YamlNode
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import Options, StepType

__all__ = ["read_chunker_options", "read_options"]


def read_options(
    step: StepType, node: YamlNode, owner: OptionOwner, registry: Registry, problems: Problems
) -> Options | None:
    """Return a step's options; those that were complained about may lack some, or be None."""
    field = find_chunker_field(step.options)
    if field is None:
        return validate(step.options, node, owner, problems) or salvage(step.options, node)
    # The chunker's own options stand beside the step's; what neither has is unknown.
    named = node.entries.get(field) if isinstance(node, MappingNode) else None
    name = step.options.model_fields[field].default if named is None else named.value.data
    chunker = _find_chunker(name, (*owner.path, field), registry, problems)
    if chunker is None:
        return None
    options = validate(step.options, node, owner, problems)
    own = frozenset(step.options.model_fields)
    beside = OptionOwner(owner.label, owner.path, own.difference(chunker.options.model_fields), own)
    return options if validate(chunker.options, node, beside, problems) is not None else None


def read_chunker_options(options: Options, registry: Registry) -> Options | None:
    """Return the options of the chunker that checked options name, or None when they name none."""
    field = find_chunker_field(type(options))
    if field is None:
        return None
    chunker = registry.get_chunker(getattr(options, field))
    known = {each.alias or name for name, each in chunker.options.model_fields.items()}
    given = options.model_dump(by_alias=True)
    own = {name: value for name, value in given.items() if name in known}
    return chunker.options.model_validate(own)


def _find_chunker(
    name: object, path: KeyPath, registry: Registry, problems: Problems
) -> ChunkerType | None:
    if not isinstance(name, str):
        hint = suggest("", registry.list_names("chunker"))
        problems.add("wrong-type", f"{path[-1]!r} is the name of a chunker", path, hint=hint)
        return None
    try:
        return registry.get_chunker(name)
    except UsageError as error:
        hint = error.hint or suggest(name, registry.list_names("chunker"))
        problems.add("unknown-chunker", error.message, path, hint=hint)
        return None
