"""Checks what a pipeline's options name: prompts, schemas, and the fields that conditions use.

What the notes of each step look like is inferred, so that conditions over them can be checked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from octavo.diagnostics import Source, shorten, suggest
from octavo.errors import SpecError, UsageError
from octavo.pipeline.conditions import Condition
from octavo.pipeline.option_fields import MarkedOption, find_marked, has_mark
from octavo.pipeline.problems import KeyPath, Problems
from octavo.pipeline.prompts import Prompt, Prompts
from octavo.pipeline.schemas import Schemas, list_fields, list_nested_fields
from octavo.pipeline.spec import WholeSpec
from octavo.pipeline.step_reader import StepDraft
from octavo.pipeline.yaml_tree import MappingNode, ScalarNode
from octavo.protocols.options import ExpressionMark, PromptMark, PromptText, SchemaMark, StepMark

__all__ = [
    "TEXT_FIELDS",
    "NoteShape",
    "Reference",
    "ReferenceChecker",
    "StepShapes",
    "find_inline_prompts",
    "find_references",
    "infer_shapes",
    "list_prompt_variables",
]


class Reference(NamedTuple):
    """A prompt, schema or condition in a pipeline.

    `owner` names the step for errors, `step` is None for the prompt of the whole document, and
    `variables` are the names that a prompt gets, or none where they are not known.
    """

    path: KeyPath
    owner: str
    step: StepDraft | None
    mark: object
    value: Any
    variables: frozenset[str] = frozenset()


def find_references(
    drafts: tuple[StepDraft, ...], whole: WholeSpec | None
) -> tuple[Reference, ...]:
    """Return everything that the options of a pipeline name."""
    found: list[Reference] = []
    if whole is not None:
        found.extend(
            Reference(
                ("whole", *each.path),
                "`whole`",
                None,
                each.mark,
                each.value,
                _get_given_variables(each),
            )
            for each in find_marked(whole)
        )
    for draft in drafts:
        if draft.type is None or draft.options is None:
            continue
        chunker_marks = (
            find_marked(draft.chunker_options) if draft.chunker_options is not None else ()
        )
        for each in (*find_marked(draft.options), *chunker_marks):
            path = (*draft.path, draft.key, *each.path)
            variables = _get_given_variables(each) or draft.type.variables
            found.append(Reference(path, f"`{draft.key}`", draft, each.mark, each.value, variables))
    return tuple(found)


def list_prompt_variables(references: tuple[Reference, ...]) -> frozenset[str]:
    """Return the names that the steps give to their prompts, which parameters cannot have."""
    return frozenset(name for reference in references for name in reference.variables)


def find_inline_prompts(
    references: tuple[Reference, ...], problems: Problems
) -> Iterator[tuple[str, Source]]:
    """Yield the prompts that are written in the pipeline, each with its place."""
    source = problems.source
    for reference in references:
        node = problems.find_node(reference.path)
        leaves = (
            [entry.value for entry in node.entries.values()]
            if isinstance(node, MappingNode)
            else [node]
        )
        for leaf in leaves:
            if isinstance(leaf, ScalarNode):
                first = leaf.line if leaf.style in ("|", ">") else leaf.line - 1
                yield leaf.text, Source(source.path, leaf.text, source.text, first)


class ReferenceChecker:
    """Checks references one by one and keeps what they name."""

    def __init__(
        self, prompts: Prompts, schemas: Schemas, params: frozenset[str], problems: Problems
    ) -> None:
        self.digests: dict[str, str] = {}
        """The digests of the prompts, by the name or text written."""
        self._schemas = schemas
        self._prompts = prompts
        self._params = params
        self._problems = problems

    def check(self, references: tuple[Reference, ...], drafts: tuple[StepDraft, ...]) -> None:
        """Check all references; conditions are checked against what the step before gives."""
        for reference in references:
            if isinstance(reference.mark, PromptMark):
                self._check_prompt(reference)
            elif (
                isinstance(reference.mark, SchemaMark)
                and reference.value not in reference.mark.words
            ):
                self._check_schema(reference)
            elif isinstance(reference.mark, StepMark):
                self._check_step(reference, drafts)
        shapes = infer_shapes(drafts, self._schemas)
        for reference in references:
            if isinstance(reference.mark, ExpressionMark) and reference.step is not None:
                self._check_condition(reference, shapes[reference.step.path])

    def _check_step(self, reference: Reference, drafts: tuple[StepDraft, ...]) -> None:
        assert reference.step is not None  # only steps name steps
        before: list[str] = []
        for draft in drafts:
            if draft is reference.step:
                break
            if draft.path[0] == reference.step.path[0]:
                before.append(draft.name)
        if reference.value not in before:
            message = f"there is no step {shorten(reference.value)!r} before this one"
            hint = suggest(reference.value, before)
            self._problems.add("unknown-name", message, reference.path, hint=hint)

    def _check_prompt(self, reference: Reference) -> None:
        value: str | PromptText = reference.value
        try:
            prompt = self._prompts.get(value)
        except SpecError as error:
            if error.code == "unknown-prompt" and error.position.path == value:
                hint = error.hint or ""
                if str(value).endswith(".j2"):
                    hint = f"write {str(value).removesuffix('.j2')}, without .j2"
                self._problems.add(error.code, error.message, reference.path, hint=hint)
            else:
                self._problems.add_error(error)
            return
        except UsageError as error:
            hint = error.hint or "name another prompt"
            self._problems.add("unknown-prompt", error.message, reference.path, hint=hint)
            return
        self.digests[str(value)] = prompt.digest
        if reference.variables:
            self._check_variables(reference, prompt)

    def _check_variables(self, reference: Reference, prompt: Prompt) -> None:
        known = reference.variables | self._params
        own = self._problems.source.path
        for name, position in prompt.locate_variables().items():
            if name in known:
                continue
            step = reference.owner if position.path == own else f"{reference.owner} of {own}"
            error = SpecError(
                f"{step} gives its prompt no {name!r}",
                code="unknown-variable",
                position=position,
                hint=suggest(name, known),
            )
            self._problems.add_error(error)

    def _check_schema(self, reference: Reference) -> None:
        name: str = reference.value
        try:
            self._schemas.get(name)
        except SpecError as error:
            if error.code == "unknown-schema":
                hint = error.hint or ""
                self._problems.add(error.code, error.message, reference.path, hint=hint)
            else:
                self._problems.add_error(error)
        except UsageError as error:
            hint = error.hint or "name another schema"
            self._problems.add("unknown-schema", error.message, reference.path, hint=hint)

    def _check_condition(self, reference: Reference, shapes: StepShapes) -> None:
        names = _list_names_in_scope(reference, shapes)
        text: str = reference.value
        try:
            condition = Condition(text)
        except UsageError as error:
            hint = error.hint or "correct the condition"
            self._problems.add("bad-expression", error.message, reference.path, hint=hint)
            return
        if names is None:
            return
        known = names | self._params
        for name in sorted(condition.names - known):
            message = f"{shorten(name)!r} is no field of the notes that {reference.owner} gets"
            if _get_scope(reference) == "replies":
                message = f"{shorten(name)!r} is no field of what {reference.owner} asks for"
            elif _get_scope(reference) == "params":
                message = f"{shorten(name)!r} is no parameter, which {reference.owner} needs here"
            if names == TEXT_FIELDS:
                message = f"{message}: they are text"
            hint = suggest(name, known)
            self._problems.add("unknown-field", message, reference.path, hint=hint)
        for name in sorted(condition.names & names & self._params):
            message = f"{name!r} is both a parameter and a field of the notes"
            hint = "rename the parameter"
            self._problems.add("reserved-name", message, reference.path, hint=hint)


def _get_scope(reference: Reference) -> str:
    return reference.mark.over if isinstance(reference.mark, ExpressionMark) else "notes"


def _list_names_in_scope(reference: Reference, shapes: StepShapes) -> frozenset[str] | None:
    """Return the names that a condition may use beside the parameters; None is not known."""
    match _get_scope(reference):
        case "replies":
            return shapes.replies.names
        case "items":
            options = reference.step.options if reference.step else None
            listed: object = getattr(options, "each", None)
            names = shapes.inputs.lists.get(str(listed)) if listed else shapes.inputs.names
            return None if names is None else names | {"item"}
        case "params":
            return frozenset()
        case _:
            return shapes.inputs.names


def _get_given_variables(each: MarkedOption) -> frozenset[str]:
    return each.mark.variables if isinstance(each.mark, PromptMark) else frozenset()


TEXT_FIELDS = frozenset({"text"})
"""The one name that a note of text has in a condition."""


@dataclass(frozen=True, slots=True)
class NoteShape:
    """The names that notes have in a condition, and those of the items in their lists.

    What is not known is None, or not there.
    """

    names: frozenset[str] | None
    lists: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])


class StepShapes(NamedTuple):
    """The shapes of a step's inputs and of its own replies."""

    inputs: NoteShape
    replies: NoteShape


def infer_shapes(drafts: tuple[StepDraft, ...], schemas: Schemas) -> dict[KeyPath, StepShapes]:
    """Return, for each step, the names that its conditions may use.

    What asks a model gives text, or records where it names a schema; what does not hands on what
    it gets; a step's type may know better. `gather` begins with what `steps` gave.
    """
    shapes: dict[KeyPath, StepShapes] = {}
    shape_by_name: dict[str, NoteShape] = {}
    before = NoteShape(TEXT_FIELDS)
    for draft in drafts:
        source = _intersect_shapes(
            [shape_by_name.get(name, NoteShape(None)) for name in draft.sources] or [before]
        )
        asked = _infer_reply_shape(draft, source, schemas)
        shapes[draft.path] = StepShapes(source, asked)
        own = draft.type.fields if draft.type and draft.options else None
        try:
            known = own(draft.options) if own else None
        except AttributeError:  # options that lack what is required, which is told elsewhere
            before = shape_by_name[draft.name] = NoteShape(None)
            continue
        before = shape_by_name[draft.name] = asked if known is None else NoteShape(known)
    return shapes


def _intersect_shapes(shapes: Sequence[NoteShape]) -> NoteShape:
    """Return what is known of the notes of several steps: the names that all of them have."""
    if len(shapes) == 1:
        return shapes[0]
    names = shapes[0].names
    for shape in shapes[1:]:
        names = None if names is None or shape.names is None else names & shape.names
    return NoteShape(names)


def _infer_reply_shape(draft: StepDraft, inputs: NoteShape, schemas: Schemas) -> NoteShape:
    if draft.type is None or draft.options is None:
        return NoteShape(None)
    named = [
        each.value
        for each in find_marked(draft.options)
        if isinstance(each.mark, SchemaMark) and each.mark.notes
    ]
    if named:
        schema = schemas.get_all().get(named[0])
        return (
            NoteShape(None)
            if schema is None
            else NoteShape(list_fields(schema), list_nested_fields(schema))
        )
    return NoteShape(TEXT_FIELDS) if has_mark(draft.type.options, PromptMark) else inputs
