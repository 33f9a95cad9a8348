"""Reads a pipeline and checks everything that can be checked before any call.

All problems are found in one pass, each with its position, line, and one fix.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from octavo.diagnostics import Source, shorten, suggest
from octavo.errors import SpecError, SpecErrors
from octavo.pipeline.lookup import BUILTIN_PREFIX, FileOrigin, FoundFile, Lookup
from octavo.pipeline.params import declare_parameter
from octavo.pipeline.problems import Problems
from octavo.pipeline.prompts import Prompts
from octavo.pipeline.references import (
    ReferenceChecker,
    find_inline_prompts,
    find_references,
    list_prompt_variables,
)
from octavo.pipeline.registry import Registry
from octavo.pipeline.schemas import Schemas
from octavo.pipeline.spec import (
    Head,
    Parameter,
    ParamSpec,
    Pipeline,
    StepUse,
    WholePrompt,
    WholeSpec,
)
from octavo.pipeline.step_reader import read_steps
from octavo.pipeline.validation import OptionOwner, salvage, validate
from octavo.pipeline.yaml_repair import read_tree
from octavo.pipeline.yaml_tree import MappingNode, SequenceNode

__all__ = ["load_pipeline", "read_about", "read_pipeline"]


_VERSION = 1
_SECTIONS = frozenset({"params", "whole", "steps", "gather"})


def load_pipeline(
    pipeline: str | FoundFile, registry: Registry | None = None, lookup: Lookup | None = None
) -> Pipeline:
    """Return the pipeline of a name or path, or one that was found already.

    Raises UsageError when there is none, and SpecErrors with all that is wrong with it.
    """
    lookup = lookup or Lookup()
    try:
        found = lookup.find_pipeline(pipeline) if isinstance(pipeline, str) else pipeline
    except SpecError as error:
        raise SpecErrors((error,)) from error
    if found.origin is FileOrigin.FILE:
        lookup = lookup.with_directory_of(found.path)
    return _PipelineReader(found.name, found.source, registry or Registry(), lookup).read()


def read_about(found: FoundFile) -> str:
    """Return a pipeline's `about` line, even if the pipeline has other errors."""
    root = read_tree(found.text, _ignore)
    entry = root.entries.get("about") if isinstance(root, MappingNode) else None
    data = entry.value.data if entry is not None else None
    return " ".join(data.split()) if isinstance(data, str) else ""


def _ignore(*_: object) -> None:
    pass


def read_pipeline(
    text: str, path: str, registry: Registry | None = None, lookup: Lookup | None = None
) -> Pipeline:
    """Return the pipeline of a text; `path` is its place, for errors and for what lies beside it.

    Raises SpecErrors with all that is wrong with it.
    """
    lookup = lookup or (
        Lookup() if path.startswith(BUILTIN_PREFIX) else Lookup().with_directory_of(path)
    )
    name = Path(path.removeprefix(BUILTIN_PREFIX)).stem
    return _PipelineReader(name, Source(path, text), registry or Registry(), lookup).read()


class _PipelineReader:
    """One reading of one file."""

    def __init__(self, name: str, source: Source, registry: Registry, lookup: Lookup) -> None:
        self._name = name
        self._registry = registry
        self._lookup = lookup
        self._problems = Problems(source)

    def read(self) -> Pipeline:
        problems = self._problems
        problems.root = root = read_tree(problems.source.text, problems.report)
        if not isinstance(root, MappingNode):
            raise self._report_empty()
        head = self._read_head(root)
        whole = self._read_whole(root)
        used_names: set[str] = set()
        step_drafts = read_steps("steps", self._registry, problems, used_names)
        gather_drafts = read_steps("gather", self._registry, problems, used_names)
        drafts = (*step_drafts, *gather_drafts)
        references = find_references(drafts, whole)
        params = self._read_params(root, list_prompt_variables(references))
        self._check_each(head, params)
        prompts = Prompts(self._lookup, dict(find_inline_prompts(references, problems)))
        schemas = Schemas(self._lookup)
        checker = ReferenceChecker(prompts, schemas, frozenset(params), problems)
        checker.check(references, drafts)
        if problems.any or head is None:
            raise problems.collect_errors()
        steps = tuple(draft.use for draft in step_drafts)
        gather = tuple(draft.use for draft in gather_drafts)
        parameters = tuple(each for each in params.values() if each is not None)
        content = [
            [[p.name, p.type, p.default, p.required, p.choices, p.repeatable] for p in parameters],
            whole.model_dump(mode="json") if whole else None,
            [_describe_use(use) for use in steps],
            [_describe_use(use) for use in gather],
            checker.digests,
            schemas.get_all(),
            head.each,
        ]
        return Pipeline(
            name=self._name,
            about=head.about,
            params=parameters,
            whole=WholePrompt(whole.prompt, whole.tokens, whole.words) if whole else None,
            steps=steps,
            gather=gather,
            digest=hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest(),
            path=problems.source.path,
            prompts=prompts,
            schemas=schemas,
            each=head.each,
        )

    def _report_empty(self) -> SpecErrors:
        problems = self._problems
        if problems.root is not None or not problems.any:
            what = "there is nothing in it" if problems.root is None else "it is no mapping of keys"
            hint = f"start with `octavo: {_VERSION}`, then `steps:`"
            problems.add("empty", f"this is no pipeline: {what}", (), hint=hint)
        return problems.collect_errors()

    def _read_head(self, root: MappingNode) -> Head | None:
        problems = self._problems
        version = root.entries.get("octavo")
        number = version.value.data if version is not None else None
        if isinstance(number, int | float) and number != _VERSION:
            message = f"this Octavo reads version {_VERSION} of pipelines"
            problems.add("version", message, ("octavo",), hint=f"write `octavo: {_VERSION}`")
            raise problems.collect_errors()  # what else is wrong may be right in that version
        head = validate(Head, root, OptionOwner("the pipeline", (), _SECTIONS, _SECTIONS), problems)
        if "steps" not in root.entries:
            hint = "add `steps:` and, under it, `- split: {}`"
            problems.add("missing-key", "the pipeline needs 'steps'", (), hint=hint)
        for name in ("steps", "gather"):
            entry = root.entries.get(name)
            if entry is not None and not (
                isinstance(entry.value, SequenceNode) and entry.value.items
            ):
                hint = "write `- STEP: {...}` lines under it"
                problems.add("wrong-type", f"{name!r} is a list of steps", (name,), hint=hint)
        return head

    def _read_whole(self, root: MappingNode) -> WholeSpec | None:
        entry = root.entries.get("whole")
        if entry is None:
            return None
        owner = OptionOwner("`whole`", ("whole",))
        whole = validate(WholeSpec, entry.value, owner, self._problems)
        return whole or salvage(WholeSpec, entry.value)

    def _read_params(
        self, root: MappingNode, reserved: frozenset[str]
    ) -> dict[str, Parameter | None]:
        """Return the parameters by name; None is one that is declared wrong."""
        entry = root.entries.get("params")
        if entry is None or entry.value.data is None:
            return {}
        if not isinstance(entry.value, MappingNode):
            hint = "write `NAME: {type: string, about: ...}` lines under it"
            message = "'params' is a mapping of names"
            self._problems.add("wrong-type", message, ("params",), hint=hint)
            return {}
        found: dict[str, Parameter | None] = {}
        for name, each in entry.value.entries.items():
            owner = OptionOwner(f"the parameter {shorten(name)!r}", ("params", name))
            spec = validate(ParamSpec, each.value, owner, self._problems)
            found[name] = declare_parameter(name, spec, reserved, self._problems) if spec else None
        return found

    def _check_each(self, head: Head | None, params: dict[str, Parameter | None]) -> None:
        name = head.each if head else None
        if name is None:
            return
        if name not in params:
            message = f"{shorten(name)!r} is no parameter"
            hint = suggest(name, params) if params else f"declare it under `params`: {name}"
            self._problems.add("unknown-name", message, ("each",), hint=hint)
        elif (parameter := params[name]) is not None and not parameter.repeatable:
            message = f"the parameter {name!r} takes one value only"
            hint = "add `repeatable: true` to it"
            self._problems.add("wrong-value", message, ("each",), hint=hint)


def _describe_use(use: StepUse) -> list[object]:
    return [use.type.name, use.options.model_dump(mode="json"), use.name, use.sources]
