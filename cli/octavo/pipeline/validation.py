"""Validates options, and reports what pydantic finds wrong in the words of a pipeline's author.

A step's options are validated together with those of the chunker that it names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from octavo.diagnostics import find_nearest, shorten, suggest
from octavo.errors import UsageError
from octavo.pipeline.option_fields import find_chunker_field, list_names_at
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.registry import Registry
from octavo.pipeline.yaml_tree import MappingNode, ScalarNode, SequenceNode, YamlNode
from octavo.protocols.options import Options
from octavo.protocols.sources import ChunkerType
from octavo.protocols.steps import StepType

__all__ = ["OptionOwner", "read_chunker_options", "read_options", "salvage", "validate"]


Model = TypeVar("Model", bound=BaseModel)

_TYPE_NAMES = {
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
}
_FORM_HINTS = {
    "text": "write text",
    "a whole number": "write a whole number such as 8",
    "a number": "write a number such as 0.5",
    "a list": "write a list such as [a, b]",
    "a mapping": "write a mapping such as {key: value}",
}
_LIMITS = {
    "greater_than_equal": ("must be at least {ge}", "write {ge} or more"),
    "greater_than": ("must be more than {gt}", "write more than {gt}"),
    "less_than_equal": ("must be at most {le}", "write {le} or less"),
    "less_than": ("must be less than {lt}", "write less than {lt}"),
    "too_short": ("must not be empty", "write at least one"),
    "string_too_short": ("must not be empty", "write some text"),
}
_TRUTH = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


class OptionOwner(NamedTuple):
    """What the checked options belong to: a label for errors, the path in the file, and known keys.

    `ignored` are keys that are not options of the model, and `also_known` options that exist next
    to the model's own.
    """

    label: str
    path: KeyPath
    ignored: frozenset[str] = frozenset()
    also_known: frozenset[str] = frozenset()


def validate(
    model: type[Model], node: YamlNode, owner: OptionOwner, problems: Problems
) -> Model | None:
    """Return the options of a node, or None after reporting what is wrong.

    Values are not converted: `"8"` is text, not a number.
    """
    data: Any = {} if node.data is None else node.data
    if isinstance(node, MappingNode):
        data = {key: value for key, value in data.items() if key not in owner.ignored}
    try:
        return model.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    for place, errors in _group_by_place(details, node):
        _report_fault(place, errors, list_names_at(model, errors[0]["loc"][:-1]), owner, problems)
    return None


def salvage(model: type[Model], node: YamlNode) -> Model:
    """Return the text options of a node whose options are invalid, for further checks."""
    data: Any = node.data if isinstance(node, MappingNode) else {}
    names = {field.alias or name for name, field in model.model_fields.items()}
    texts = {key: data[key] for key in names & data.keys() if isinstance(data[key], str)}
    return model.model_construct(None, **texts)


def _group_by_place(
    details: list[ErrorDetails], node: YamlNode
) -> Iterator[tuple[KeyPath, list[ErrorDetails]]]:
    """Yield the errors of each value.

    A value that may have several forms has an error for each; those of the other forms are left
    out where one form fits.
    """
    groups: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in details:
        groups.setdefault(_find_path(detail, node), []).append(detail)
    for place, errors in groups.items():
        fitting = [detail for detail in errors if detail["type"] not in _TYPE_NAMES]
        if fitting:
            yield place, fitting[:1]
        elif not any(len(at) > len(place) and at[: len(place)] == place for at in groups):
            yield place, errors


def _find_path(detail: ErrorDetails, node: YamlNode) -> KeyPath:
    """Return an error's location without the names of union members, which are not keys."""
    path: list[str | int] = []
    at: YamlNode | None = node
    for step in detail["loc"]:
        if isinstance(at, MappingNode) and step in at.entries:
            at = at.entries[str(step)].value
        elif isinstance(at, SequenceNode) and isinstance(step, int) and step < len(at.items):
            at = at.items[step]
        else:
            continue
        path.append(step)
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _report_fault(
    place: KeyPath,
    errors: list[ErrorDetails],
    names: set[str],
    owner: OptionOwner,
    problems: Problems,
) -> None:
    detail = errors[0]
    path = (*owner.path, *place)
    name = shorten(str(place[-1])) if place else owner.label
    node = problems.find_node(path)
    kind = detail["type"]
    context: dict[str, Any] = detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = names | owner.also_known if len(place) == 1 else names
        message = f"{owner.label} has no option {name!r}"
        problems.add("unknown-key", message, path, hint=suggest(name, known), key=True)
    elif kind == "missing":
        message = f"{owner.label} needs {name!r}"
        problems.add("missing-key", message, path, hint=f"add `{name}: ...`", key=True)
    elif kind in _TYPE_NAMES:
        wanted = list(dict.fromkeys(_TYPE_NAMES[each["type"]] for each in errors))
        message = f"{name!r} must be {' or '.join(wanted)}, not {_describe_node(node)}"
        problems.add("wrong-type", message, path, hint=_suggest_form(wanted, node))
    elif kind in ("literal_error", "enum"):
        expected = str(context.get("expected", "")).replace(" or ", ", ").split(", ")
        choices = [choice.strip("'") for choice in expected]
        guess = find_nearest(node.text, choices) if isinstance(node, ScalarNode) else None
        hint = f"did you mean {guess!r}?" if guess else f"write {', '.join(choices)}"
        problems.add("wrong-value", f"{name!r} cannot be {_describe_node(node)}", path, hint=hint)
    elif kind in _LIMITS:
        message, hint = (text.format(**context) for text in _LIMITS[kind])
        problems.add("wrong-value", f"{name!r} {message}", path, hint=hint)
    else:
        message = detail["msg"].removeprefix("Value error, ").rstrip(".")
        message = f"{name!r} is wrong: {message[:1].lower()}{message[1:]}"
        problems.add("wrong-value", message, path, hint=f"correct {name!r}")


def _describe_node(node: YamlNode | None) -> str:
    if isinstance(node, SequenceNode):
        return "a list"
    if isinstance(node, MappingNode):
        return "a mapping"
    if not isinstance(node, ScalarNode) or node.data is None:
        return "nothing"
    if isinstance(node.data, bool):
        return node.text
    quoted = shorten(node.text, 40)
    return f"the text {quoted!r}" if isinstance(node.data, str) else f"the number {quoted}"


def _suggest_form(wanted: list[str], node: YamlNode | None) -> str:
    if isinstance(node, ScalarNode):
        if "text" in wanted and node.data is not None:
            return f'quote it: "{shorten(node.text, 40)}"'
        if "true or false" in wanted:
            return f"write {_TRUTH.get(node.text.lower(), 'true or false')}"
        if node.style and node.text.isdecimal() and any("number" in each for each in wanted):
            return f"write it without quotes: {shorten(node.text, 40)}"
    return next((_FORM_HINTS[each] for each in wanted if each in _FORM_HINTS), "correct it")


def read_options(
    step: StepType, node: YamlNode, owner: OptionOwner, registry: Registry, problems: Problems
) -> Options | None:
    """Return a step's options; if invalid, some of them or None."""
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
    names = frozenset(step.options.model_fields)
    chunker_owner = OptionOwner(
        owner.label, owner.path, names.difference(chunker.options.model_fields), names
    )
    return options if validate(chunker.options, node, chunker_owner, problems) is not None else None


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
