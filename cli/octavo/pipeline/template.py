"""What a prompt's text says before it is rendered: its parents, messages and variables."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import jinja2
from jinja2 import meta, nodes

from octavo.errors import Position, SpecError
from octavo.pipeline.blocks import PromptLayer, check_blocks
from octavo.pipeline.source import Source, make_spec_error
from octavo.pipeline.spelling import suggest

if TYPE_CHECKING:
    from octavo.pipeline.sandbox import Sandbox

__all__ = ["PromptTemplate", "analyse_prompt"]

_NAMING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_Naming = nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport


@dataclass(frozen=True, slots=True)
class PromptTemplate:
    """A prompt with everything it extends and includes.

    `blocks` tells whether its messages are blocks; otherwise all of it is the user message.
    `variables` are the names it takes from outside, each with its first place.
    """

    source: Source
    digest: str
    blocks: bool
    variables: dict[str, Position]


@dataclass(frozen=True, slots=True)
class _ParsedPrompt:
    source: Source
    tree: nodes.Template
    parent: _ParsedPrompt | None
    included: tuple[_ParsedPrompt, ...]
    imported: tuple[_ParsedPrompt, ...]

    @property
    def lineage(self) -> Iterator[_ParsedPrompt]:
        """This part and what it extends, up to the root."""
        part: _ParsedPrompt | None = self
        while part is not None:
            yield part
            part = part.parent

    def walk(self) -> Iterator[_ParsedPrompt]:
        yield self
        for part in (*((self.parent,) if self.parent else ()), *self.included, *self.imported):
            yield from part.walk()


def analyse_prompt(source: Source, sandbox: Sandbox, find: Callable[[str], Source | None]) -> PromptTemplate:
    """Parse a prompt and all prompts it names.

    Raises SpecError for the first thing wrong, at its line in the file that has it.
    """
    try:
        part = _parse_prompt(source, sandbox, find, ())
        blocks = check_blocks([PromptLayer(each.source, each.tree) for each in part.lineage])
        variables = _find_variables(part)
    except RecursionError as error:
        message = "the prompt is nested too deeply"
        raise make_spec_error(source, "prompt-syntax", message, 1, hint="make it simpler") from error
    digest = hashlib.sha256(b"prompt 1")
    for each in part.walk():
        text = each.source.text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(text) + text)
    return PromptTemplate(source, digest.hexdigest(), blocks, variables)


def _parse_prompt(
    source: Source,
    sandbox: Sandbox,
    find: Callable[[str], Source | None],
    above: tuple[Source, ...],
) -> _ParsedPrompt:
    try:
        tree = sandbox.parse(source.text)
    except jinja2.TemplateSyntaxError as error:
        raise _build_syntax_error(source, error) from error
    _check_filters_and_tests(source, tree, sandbox)
    parent: _ParsedPrompt | None = None
    included: list[_ParsedPrompt] = []
    imported: list[_ParsedPrompt] = []
    for node in tree.find_all(_NAMING):
        named = _find_named(source, node, find)
        if named in (source, *above):
            message = f"{named.path} names itself"
            hint = 'name the built-in one: "builtin:NAME"'
            raise make_spec_error(source, "prompt-loop", message, node.lineno, hint=hint)
        part = _parse_prompt(named, sandbox, find, (source, *above))
        if isinstance(node, nodes.Extends):
            if node not in tree.body or parent is not None:
                message = "`extends` stands once, outside of everything else"
                raise make_spec_error(source, "prompt-syntax", message, node.lineno, hint="move it up")
            parent = part
        elif isinstance(node, nodes.Include) or node.with_context:
            included.append(part)
        else:
            imported.append(part)
    return _ParsedPrompt(source, tree, parent, tuple(included), tuple(imported))


def _build_syntax_error(source: Source, error: jinja2.TemplateSyntaxError) -> SpecError:
    message = (error.message or "the syntax is wrong").rstrip(".")
    return make_spec_error(source, "prompt-syntax", message, error.lineno, hint="correct this line")


def _find_named(source: Source, node: _Naming, find: Callable[[str], Source | None]) -> Source:
    name = node.template.value if isinstance(node.template, nodes.Const) else None
    if not isinstance(name, str):
        message = "a prompt names another one by a fixed name"
        hint = 'write it in quotes: "summarize/part"'
        raise make_spec_error(source, "prompt-syntax", message, node.lineno, hint=hint)
    if (named := find(name)) is None:
        message = f"there is no prompt {name!r}"
        hint = "write a name that `octavo show PIPELINE --prompts` prints"
        raise make_spec_error(source, "unknown-prompt", message, node.lineno, word=name, hint=hint)
    return named


def _check_filters_and_tests(source: Source, tree: nodes.Template, sandbox: Sandbox) -> None:
    for kind, known in ((nodes.Filter, sandbox.filters), (nodes.Test, sandbox.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                message = f"there is no {kind.__name__.lower()} {node.name!r}"
                hint = suggest(node.name, known)
                raise make_spec_error(
                    source, "prompt-syntax", message, node.lineno, word=node.name, hint=hint
                )


def _find_variables(part: _ParsedPrompt) -> dict[str, Position]:
    """Return the names that a prompt and its parents take from outside."""
    outer: set[str] = set()
    for each in part.lineage:
        outer |= _find_names_set_outside(each.tree)
    found: dict[str, Position] = {}
    for each in part.lineage:
        for name, position in _find_own_variables(each).items():
            if name not in outer:
                found.setdefault(name, position)
    return found


def _find_own_variables(part: _ParsedPrompt) -> dict[str, Position]:
    try:
        names = meta.find_undeclared_variables(part.tree)
    except jinja2.TemplateSyntaxError as error:  # what only shows when code is made of it
        raise _build_syntax_error(part.source, error) from error
    found: dict[str, Position] = {}
    for node in part.tree.find_all(nodes.Name):
        if node.name in names and node.name not in found:
            found[node.name] = part.source.locate_line(node.lineno, word=node.name)
    # An included prompt also sees what this one has set, in a loop for example.
    inner = {node.name for node in part.tree.find_all(nodes.Name) if node.ctx == "store"}
    for included in part.included:
        for name, position in _find_variables(included).items():
            if name not in inner:
                found.setdefault(name, position)
    return found


def _find_names_set_outside(tree: nodes.Template) -> set[str]:
    """Return the names set outside of blocks: blocks see them, in this prompt and its parents."""
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, nodes.Macro):
            names.add(node.name)
        elif isinstance(node, nodes.Import):
            names.add(node.target)
        elif isinstance(node, nodes.FromImport):
            names.update(name if isinstance(name, str) else name[1] for name in node.names)
        elif isinstance(node, nodes.Assign | nodes.AssignBlock):
            names.update(name.name for name in node.target.find_all(nodes.Name))
            if isinstance(node.target, nodes.Name):
                names.add(node.target.name)
    return names
