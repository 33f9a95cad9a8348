"""The blocks of a prompt are its messages: what stands elsewhere would never be sent."""

from __future__ import annotations

from typing import NamedTuple

from jinja2 import nodes

from octavo.pipeline.source import Source, make_spec_error
from octavo.pipeline.spelling import suggest

__all__ = ["ROLES", "PromptLayer", "check_blocks"]

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


class PromptLayer(NamedTuple):
    """A prompt's text and its syntax tree."""

    source: Source
    tree: nodes.Template


def check_blocks(line: list[PromptLayer]) -> bool:
    """Tell whether the messages are blocks, given a prompt and what it extends, up to the root.

    Without a block `system` or `user` all of the prompt is the user message. Raises SpecError for
    text that would never be sent.
    """
    blocks = {node.name for each in line for node in each.tree.find_all(nodes.Block)}
    messages = not blocks.isdisjoint(ROLES)
    known: set[str] = set(ROLES)
    if messages:
        if "user" not in blocks:
            hint = "put the rest into {% block user %} ... {% endblock %}"
            raise make_spec_error(line[0].source, "no-user", "the prompt has no block `user`", 1, hint=hint)
        _check_outside(line[-1])
    else:
        known = {node.name for node in line[-1].tree.find_all(nodes.Block)}
    for each in line[:-1]:
        _check_outside(each)
    _check_known(line, known)
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


def _check_known(line: list[PromptLayer], known: set[str]) -> None:
    """Refuse blocks that nothing prints, from the root down."""
    reachable = set(known)
    overridden: set[str] = set()
    for layer in reversed(line):
        for node in layer.tree.body:
            if isinstance(node, nodes.Block) and node.name not in reachable:
                message = f"the block `{node.name}` is never sent"
                hint = suggest(node.name, reachable)
                raise make_spec_error(
                    layer.source, "unknown-block", message, node.lineno, word=node.name, hint=hint
                )
        reachable.update(node.name for node in layer.tree.find_all(nodes.Block))
    for layer in line:
        for node in layer.tree.find_all(nodes.Block):
            if node.required and node.name not in overridden:
                message = f"the block `{node.name}` is required and has no text"
                hint = f"write {{% block {node.name} %}} in a prompt that extends this one"
                raise make_spec_error(layer.source, "unknown-block", message, node.lineno, hint=hint)
            overridden.add(node.name)
