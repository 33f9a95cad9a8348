"""Editors get a schema of pipeline files that agrees with the reader."""

from __future__ import annotations

import pytest

from octavo.errors import SpecErrors
from octavo.pipeline.editor_schema import build_pipeline_schema
from octavo.pipeline.registry import Registry
from octavo.pipeline.yaml_repair import read_tree

jsonschema = pytest.importorskip(
    "jsonschema", reason="jsonschema checks the schema, if it is there"
)

HEAD = "octavo: 1\nsteps:\n  - split: {tokens: 100, overlap: 1}\n"
TEXTS = {
    HEAD: True,
    HEAD
    + "  - map: {prompt: a b}\n    name: x\n  - map: {prompt: {user: a b}}\n    from: x\n": True,
    "octavo: 1\nsteps: [split: ]": True,
    HEAD + "params: {a: {type: choice, choices: [b]}, c: }": True,
    HEAD + "whole: {prompt: a b, tokens: 5}\ngather: [filter: {where: text}]": True,
    HEAD + "abuot: x": False,
    HEAD.replace("overlap", "overlp"): False,
    HEAD.replace("100", "many"): False,
    HEAD.replace("octavo: 1", "octavo: 2"): False,
    HEAD + "  - map: {}": False,
    HEAD + "  - map: {prompt: a b}\n    filter: {where: text}": False,
    HEAD + "params: {a: {type: bool}}": False,
    "octavo: 1\nsteps: []": False,
    HEAD + "  - split: {by: other}": False,
}


@pytest.mark.parametrize("text", TEXTS)
def test_the_schema_and_the_reader_agree(project, registry, text):
    schema = build_pipeline_schema(registry)
    data = read_tree(text, lambda *_: None).data
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(data))
    try:
        project.read(text)
        accepted = True
    except SpecErrors:
        accepted = False
    assert (not errors, accepted) == (TEXTS[text], TEXTS[text])


def test_the_schema_of_the_built_in_steps_is_valid():
    schema = build_pipeline_schema(Registry())
    jsonschema.Draft202012Validator.check_schema(schema)
    steps = {next(iter(step["required"])) for step in schema["$defs"]["Step"]["anyOf"]}
    assert {"split", "map", "filter", "reduce", "merge", "fold"} <= steps
