"""The JSON Schema of pipeline files, for editors, generated from the registry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic.json_schema import models_json_schema

from octavo.pipeline.option_fields import find_chunker_field
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Head, ParamSpec, WholeSpec
from octavo.protocols.calls import JsonSchema
from octavo.protocols.options import Options
from octavo.protocols.steps import StepType

__all__ = ["build_pipeline_schema"]


_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_STEP_KEYS: dict[str, Any] = {
    "name": {"type": "string", "description": "The step's name; by default, that of its type."},
    "from": {
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        "description": "The earlier step or steps whose notes this one takes; by default, the one"
        " before.",
    },
}


def build_pipeline_schema(registry: Registry) -> JsonSchema:
    """Return the schema of a pipeline file, with the options of every step and chunker there is.

    Raises UsageError when a package offers a step that cannot be imported.
    """
    steps = [registry.get_step(name) for name in registry.list_names("step")]
    chunkers = [registry.get_chunker(name) for name in registry.list_names("chunker")]
    models = [Head, ParamSpec, WholeSpec, *(part.options for part in (*steps, *chunkers))]
    references, definitions = models_json_schema(
        [(model, "validation") for model in dict.fromkeys(models)]
    )
    named: dict[str, dict[str, Any]] = definitions["$defs"]
    key_of = {model: references[model, "validation"]["$ref"].rsplit("/", 1)[1] for model in models}
    head = named.pop(key_of[Head])
    for step in steps:
        if (field := find_chunker_field(step.options)) is not None:
            own = [(chunker.name, named[key_of[chunker.options]]) for chunker in chunkers]
            named[key_of[step.options]] = _add_chunkers(named[key_of[step.options]], field, own)
    named["Step"] = {"anyOf": list(_iter_steps(steps, key_of))}
    listing = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}}
    return {
        "$schema": _DIALECT,
        "title": "Octavo pipeline",
        "type": "object",
        "additionalProperties": False,
        "required": ["octavo", "steps"],
        "properties": {
            **head["properties"],
            "params": {
                "description": "Values given at each run; prompts use them by name.",
                "type": ["object", "null"],
                "propertyNames": {"pattern": "^[a-z][a-z0-9_]*$"},
                "additionalProperties": {
                    "anyOf": [{"$ref": f"#/$defs/{key_of[ParamSpec]}"}, {"type": "null"}]
                },
            },
            "whole": {"$ref": f"#/$defs/{key_of[WholeSpec]}"},
            "steps": {**listing, "description": "What is done to each document, in order."},
            "gather": {
                **listing,
                "description": "What is done to all results, in the order of the inputs.",
            },
        },
        "$defs": named,
    }


def _iter_steps(steps: list[StepType], key_of: dict[type[Any], str]) -> Iterator[dict[str, Any]]:
    for step in steps:
        options: dict[str, Any] = {"$ref": f"#/$defs/{key_of[step.options]}"}
        if not _has_required(step.options):
            options = {"anyOf": [options, {"type": "null"}]}
        yield {
            "type": "object",
            "additionalProperties": False,
            "required": [step.name],
            "properties": {step.name: {**options, "description": step.about}, **_STEP_KEYS},
        }


def _has_required(options: type[Options]) -> bool:
    return any(field.is_required() for field in options.model_fields.values())


def _add_chunkers(
    options: dict[str, Any], field: str, chunkers: list[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Return a step's options with those of each chunker beside them where it is chosen."""
    properties = dict(options["properties"])
    properties[field] = {**properties[field], "enum": [name for name, _ in chunkers]}
    rules: list[dict[str, Any]] = []
    for name, own in chunkers:
        chosen: dict[str, Any] = {"properties": {field: {"const": name}}}
        if name != properties[field].get("default"):
            chosen["required"] = [field]
        allowed = dict.fromkeys((*properties, *own["properties"]), True)
        rules.append(
            {
                "if": chosen,
                "then": {
                    "properties": {**allowed, **own["properties"]},
                    "required": own.get("required", []),
                    "additionalProperties": False,
                },
            }
        )
    return {**options, "properties": properties, "allOf": rules}
