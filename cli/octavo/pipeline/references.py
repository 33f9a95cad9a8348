"""Checks what a pipeline's options name: prompts, schemas, and the fields that conditions use."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from octavo.errors import SpecError, UsageError
from octavo.pipeline.expressions import Condition
from octavo.pipeline.fields import Marked, marked
from octavo.pipeline.formats import TEXT, Names, formats
from octavo.pipeline.problems import Path, Problems
from octavo.pipeline.prompts import Prompt, Prompts
from octavo.pipeline.schemas import Schemas
from octavo.pipeline.source import Source
from octavo.pipeline.spec import WholeSpec
from octavo.pipeline.spelling import shorten, suggestion
from octavo.pipeline.steps import Draft
from octavo.pipeline.tree import Leaf, Mapping
from octavo.protocols.reference import (
    ExpressionMark,
    PromptMark,
    PromptText,
    SchemaMark,
    StepMark,
)

__all__ = ["Reference", "References", "names_of", "references_in", "texts_in"]


@dataclass(frozen=True, slots=True)
class Reference:
    """A prompt, schema or condition in a pipeline.

    `owner` names the step for errors, `draft` is None for the prompt of the whole document, and
    `variables` are the names that a prompt gets, or none where they are not known.
    """

    path: Path
    owner: str
    draft: Draft | None
    mark: object
    value: Any
    variables: frozenset[str] = frozenset()


def references_in(drafts: tuple[Draft, ...], whole: WholeSpec | None) -> tuple[Reference, ...]:
    """Return everything that the options of a pipeline name."""
    found: list[Reference] = []
    if whole is not None:
        found.extend(
            Reference(("whole", *each.path), "`whole`", None, each.mark, each.value, _given(each))
            for each in marked(whole)
        )
    for draft in drafts:
        if draft.type is None or draft.options is None:
            continue
        beside = marked(draft.beside) if draft.beside is not None else ()
        for each in (*marked(draft.options), *beside):
            path = (*draft.path, draft.key, *each.path)
            variables = _given(each) or draft.type.variables
            found.append(Reference(path, f"`{draft.key}`", draft, each.mark, each.value, variables))
    return tuple(found)


def names_of(references: tuple[Reference, ...]) -> frozenset[str]:
    """Return the names that the steps give to their prompts, which parameters cannot have."""
    return frozenset(name for reference in references for name in reference.variables)


def texts_in(references: tuple[Reference, ...], problems: Problems) -> Iterator[tuple[str, Source]]:
    """Yield the prompts that are written in the pipeline, each with its place."""
    source = problems.source
    for reference in references:
        node = problems.node(reference.path)
        leaves = (
            [entry.value for entry in node.entries.values()]
            if isinstance(node, Mapping)
            else [node]
        )
        for leaf in leaves:
            if isinstance(leaf, Leaf):
                first = leaf.line if leaf.style in ("|", ">") else leaf.line - 1
                yield leaf.text, Source(source.path, leaf.text, source.text, first)


class References:
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

    def check(self, references: tuple[Reference, ...], drafts: tuple[Draft, ...]) -> None:
        """Check all references; conditions are checked against what the step before gives."""
        for reference in references:
            if isinstance(reference.mark, PromptMark):
                self._prompt(reference)
            elif (
                isinstance(reference.mark, SchemaMark)
                and reference.value not in reference.mark.words
            ):
                self._schema(reference)
            elif isinstance(reference.mark, StepMark):
                self._step(reference, drafts)
        given = formats(drafts, self._schemas)
        for reference in references:
            if isinstance(reference.mark, ExpressionMark) and reference.draft is not None:
                self._condition(reference, given[reference.draft.path])

    def _step(self, reference: Reference, drafts: tuple[Draft, ...]) -> None:
        assert reference.draft is not None  # only steps name steps
        before: list[str] = []
        for draft in drafts:
            if draft is reference.draft:
                break
            if draft.path[0] == reference.draft.path[0]:
                before.append(draft.name)
        if reference.value not in before:
            message = f"there is no step {shorten(reference.value)!r} before this one"
            hint = suggestion(reference.value, before)
            self._problems.add("unknown-name", message, reference.path, hint=hint)

    def _prompt(self, reference: Reference) -> None:
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
                self._problems.take(error)
            return
        except UsageError as error:
            hint = error.hint or "name another prompt"
            self._problems.add("unknown-prompt", error.message, reference.path, hint=hint)
            return
        self.digests[str(value)] = prompt.digest
        if reference.variables:
            self._variables(reference, prompt)

    def _variables(self, reference: Reference, prompt: Prompt) -> None:
        known = reference.variables | self._params
        own = self._problems.source.path
        for name, position in prompt.uses().items():
            if name in known:
                continue
            step = reference.owner if position.path == own else f"{reference.owner} of {own}"
            error = SpecError(
                f"{step} gives its prompt no {name!r}",
                code="unknown-variable",
                position=position,
                hint=suggestion(name, known),
            )
            self._problems.take(error)

    def _schema(self, reference: Reference) -> None:
        name: str = reference.value
        try:
            self._schemas.get(name)
        except SpecError as error:
            if error.code == "unknown-schema":
                hint = error.hint or ""
                self._problems.add(error.code, error.message, reference.path, hint=hint)
            else:
                self._problems.take(error)
        except UsageError as error:
            hint = error.hint or "name another schema"
            self._problems.add("unknown-schema", error.message, reference.path, hint=hint)

    def _condition(self, reference: Reference, given: Names) -> None:
        names = _names_over(reference, given)
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
            if _over(reference) == "replies":
                message = f"{shorten(name)!r} is no field of what {reference.owner} asks for"
            elif _over(reference) == "params":
                message = f"{shorten(name)!r} is no parameter, which {reference.owner} needs here"
            if names == TEXT:
                message = f"{message}: they are text"
            hint = suggestion(name, known)
            self._problems.add("unknown-field", message, reference.path, hint=hint)
        for name in sorted(condition.names & names & self._params):
            message = f"{name!r} is both a parameter and a field of the notes"
            hint = "rename the parameter"
            self._problems.add("reserved-name", message, reference.path, hint=hint)


def _over(reference: Reference) -> str:
    return reference.mark.over if isinstance(reference.mark, ExpressionMark) else "notes"


def _names_over(reference: Reference, given: Names) -> frozenset[str] | None:
    """Return the names that a condition may use beside the parameters; None is not known."""
    match _over(reference):
        case "replies":
            return given.asked.names
        case "items":
            options = reference.draft.options if reference.draft else None
            listed: object = getattr(options, "each", None)
            names = given.taken.lists.get(str(listed)) if listed else given.taken.names
            return None if names is None else names | {"item"}
        case "params":
            return frozenset()
        case _:
            return given.taken.names


def _given(each: Marked) -> frozenset[str]:
    return each.mark.variables if isinstance(each.mark, PromptMark) else frozenset()
