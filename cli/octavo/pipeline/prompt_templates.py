"""What a prompt's text says before it is rendered: its parents, messages and variables.

The blocks of a prompt are its messages: text outside them would never be sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import jinja2
from jinja2 import nodes

from octavo.diagnostics import Source, make_spec_error, suggest
from octavo.errors import Position, SpecError

if TYPE_CHECKING:
    from octavo.pipeline.jinja_dialect import Sandbox

__all__ = ["ROLES", "PromptLayer", "PromptTemplate", "analyse_prompt", "check_blocks"]


ROLES = ("system", "user")
_SILENT_NODES = (
    nodes.Assign,
    nodes.AssignBlock,
    nodes.Block,
    nodes.Extends,
    nodes.FromImport,
    nodes.Import,
    nodes.Macro,
)
"""What may stand outside the messages: it sends nothing."""

_NAMING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
_Naming = nodes.Extends | nodes.Include | nodes.Import | nodes.FromImport


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PromptTemplate:
    """A prompt with everything it extends and includes.

    `blocks` tells whether its messages are blocks; otherwise all of it is the user message.
    `variables` are the names it takes from outside, each with its first place.
    """

    source: Source
    digest: str
    blocks: bool
    variables: dict[str, Position]


class PromptLayer(NamedTuple):
    """A prompt's text and its syntax tree."""

    source: Source
    tree: nodes.Template


class _ParsedPrompt(NamedTuple):
    """The tree of a prompt, and of those that it names."""

    name: str
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


def analyse_prompt(
    name: str, source: Source, sandbox: Sandbox, find: Callable[[str], Source | None]
) -> PromptTemplate:
    """Parse a prompt and all prompts it names.

    Raises SpecError for the first thing wrong, at its line in the file that has it.
    """
    try:
        part = _parse_prompt(name, source, sandbox, find, ())
        blocks = check_blocks([PromptLayer(each.source, each.tree) for each in part.lineage])
        variables = _find_variables(part, sandbox)
    except RecursionError as error:
        message = "the prompt is nested too deeply"
        raise make_spec_error(
            source, "prompt-syntax", message, 1, hint="make it simpler"
        ) from error
    digest = hashlib.sha256(b"prompt 1")
    for each in part.walk():
        text = each.source.text.encode("utf-8", "surrogatepass")
        digest.update(b"%d:" % len(text) + text)
    return PromptTemplate(source, digest.hexdigest(), blocks, variables)


def _parse_prompt(
    name: str,
    source: Source,
    sandbox: Sandbox,
    find: Callable[[str], Source | None],
    ancestors: tuple[Source, ...],
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
        named_as, named = _find_named(source, node, find)
        if named in (source, *ancestors):
            message = f"{named.path} names itself"
            hint = 'name the built-in one: "builtin:NAME"'
            raise make_spec_error(source, "prompt-loop", message, node.lineno, hint=hint)
        part = _parse_prompt(named_as, named, sandbox, find, (source, *ancestors))
        if isinstance(node, nodes.Extends):
            if node not in tree.body or parent is not None:
                message = "`extends` stands once, outside of everything else"
                raise make_spec_error(
                    source, "prompt-syntax", message, node.lineno, hint="move it up"
                )
            parent = part
        elif isinstance(node, nodes.Include) or node.with_context:
            included.append(part)
        else:
            imported.append(part)
    return _ParsedPrompt(name, source, tree, parent, tuple(included), tuple(imported))


def _build_syntax_error(source: Source, error: jinja2.TemplateSyntaxError) -> SpecError:
    message = (error.message or "the syntax is wrong").rstrip(".")
    return make_spec_error(source, "prompt-syntax", message, error.lineno, hint="correct this line")


def _find_named(
    source: Source, node: _Naming, find: Callable[[str], Source | None]
) -> tuple[str, Source]:
    name = node.template.value if isinstance(node.template, nodes.Const) else None
    if not isinstance(name, str):
        message = "a prompt names another one by a fixed name"
        hint = 'write it in quotes: "summarize/part"'
        raise make_spec_error(source, "prompt-syntax", message, node.lineno, hint=hint)
    if (named := find(name)) is None:
        message = f"there is no prompt {name!r}"
        hint = "write a name that `octavo show PIPELINE --prompts` prints"
        raise make_spec_error(source, "unknown-prompt", message, node.lineno, word=name, hint=hint)
    return name, named


def _check_filters_and_tests(source: Source, tree: nodes.Template, sandbox: Sandbox) -> None:
    for kind, known in ((nodes.Filter, sandbox.filters), (nodes.Test, sandbox.tests)):
        for node in tree.find_all(kind):
            if node.name not in known:
                message = f"there is no {kind.__name__.lower()} {node.name!r}"
                hint = suggest(node.name, known)
                raise make_spec_error(
                    source, "prompt-syntax", message, node.lineno, word=node.name, hint=hint
                )


def _find_variables(part: _ParsedPrompt, sandbox: Sandbox) -> dict[str, Position]:
    """Return the names that a prompt and its parents take from outside."""
    set_outside: set[str] = set()
    for each in part.lineage:
        set_outside |= _find_names_set_outside(each.tree)
    found: dict[str, Position] = {}
    for each in part.lineage:
        for name, position in _find_own_variables(each, sandbox).items():
            if name not in set_outside:
                found.setdefault(name, position)
    return found


def _find_own_variables(part: _ParsedPrompt, sandbox: Sandbox) -> dict[str, Position]:
    try:
        names = sandbox.find_undeclared(part.name, part.tree)
    except jinja2.TemplateSyntaxError as error:  # what only shows when code is made of it
        raise _build_syntax_error(part.source, error) from error
    found: dict[str, Position] = {}
    for node in part.tree.find_all(nodes.Name):
        if node.name in names and node.name not in found:
            found[node.name] = part.source.locate_line(node.lineno, word=node.name)
    # An included prompt also sees what this one has set, in a loop for example.
    inner = {node.name for node in part.tree.find_all(nodes.Name) if node.ctx == "store"}
    for included in part.included:
        for name, position in _find_variables(included, sandbox).items():
            if name not in inner:
                found.setdefault(name, position)
    return found


def _find_names_set_outside(tree: nodes.Template) -> set[str]:
    """Return the names set outside blocks; blocks see them in this prompt and its parents."""
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


def check_blocks(layers: list[PromptLayer]) -> bool:
    """Return whether the messages are blocks, for a prompt and its parents up to the root.

    Without a block `system` or `user` all of the prompt is the user message. Raises SpecError for
    text that would never be sent.
    """
    blocks = {node.name for each in layers for node in each.tree.find_all(nodes.Block)}
    messages = not blocks.isdisjoint(ROLES)
    printed: set[str] = set(ROLES)
    if messages:
        if "user" not in blocks:
            hint = "put the rest into {% block user %} ... {% endblock %}"
            raise make_spec_error(
                layers[0].source, "no-user", "the prompt has no block `user`", 1, hint=hint
            )
        _check_outside(layers[-1])
    else:
        printed = {node.name for node in layers[-1].tree.find_all(nodes.Block)}
    for each in layers[:-1]:
        _check_outside(each)
    _check_known(layers, printed)
    return messages


def _check_outside(layer: PromptLayer) -> None:
    for node in layer.tree.body:
        if isinstance(node, nodes.Output):
            outside = [piece for piece in node.nodes if not _is_blank(piece)]
        else:
            outside = [] if isinstance(node, _SILENT_NODES) else [node]
        if outside:
            message = "what stands outside of the blocks is never sent"
            hint = "put it into {% block user %} ... {% endblock %}"
            first = outside[0]
            words = first.data.split() if isinstance(first, nodes.TemplateData) else [""]
            raise make_spec_error(
                layer.source, "outside-block", message, first.lineno, word=words[0], hint=hint
            )


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData) and not node.data.strip()


def _check_known(layers: list[PromptLayer], printed: set[str]) -> None:
    """Refuse blocks that nothing prints, from the root down."""
    reachable = set(printed)
    overridden: set[str] = set()
    for layer in reversed(layers):
        for node in layer.tree.body:
            if isinstance(node, nodes.Block) and node.name not in reachable:
                message = f"the block `{node.name}` is never sent"
                hint = suggest(node.name, reachable)
                raise make_spec_error(
                    layer.source, "unknown-block", message, node.lineno, word=node.name, hint=hint
                )
        reachable.update(node.name for node in layer.tree.find_all(nodes.Block))
    for layer in layers:
        for node in layer.tree.find_all(nodes.Block):
            if node.required and node.name not in overridden:
                message = f"the block `{node.name}` is required and has no text"
                hint = f"write {{% block {node.name} %}} in a prompt that extends this one"
                raise make_spec_error(
                    layer.source, "unknown-block", message, node.lineno, hint=hint
                )
            overridden.add(node.name)
