"""Conditions over notes, as `where` contains them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, cast

from octavo.diagnostics import shorten
from octavo.errors import CallError, UsageError

if TYPE_CHECKING:
    from octavo.pipeline.jinja_dialect import Sandbox

__all__ = ["Condition"]


class Condition:
    """A condition in Jinja's expression language, such as `has_info and score >= 3`.

    It is compiled once and evaluated for each note, whose fields (or `text`) are its names, next
    to the parameters. `names` are those it uses. Raises UsageError for an invalid expression.
    """

    def __init__(self, text: str) -> None:
        import jinja2  # noqa: PLC0415 - costs time that --help need not pay
        from jinja2 import nodes  # noqa: PLC0415 - the same
        from jinja2.parser import Parser  # noqa: PLC0415 - the same

        self.text = text
        sandbox = _get_sandbox()
        try:
            parser = Parser(sandbox, text, state="variable")
            tree = parser.parse_expression()
            if not parser.stream.eos:
                token = parser.stream.current
                raise UsageError(
                    f"{token.value!r} does not belong into the condition {shorten(text)!r}",
                    hint="write one condition, such as `score >= 3 and has_info`",
                )
            self.names = frozenset(node.name for node in tree.find_all(nodes.Name))
            if isinstance(tree, nodes.Name):
                self.names |= {tree.name}
            self._evaluate = sandbox.compile_expression(text, undefined_to_none=False)
        except (jinja2.TemplateError, SyntaxError, RecursionError) as error:
            reason = getattr(error, "message", None) or "it is nested too deeply"
            raise UsageError(
                f"{shorten(text)!r} is not a condition: {reason.rstrip('.')}",
                hint="write one condition, such as `score >= 3 and has_info`",
            ) from error

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def holds(self, values: Mapping[str, object]) -> bool:
        """Tell whether the condition holds for these values.

        Raises CallError when a name has no value or values of two kinds are compared.
        """
        return bool(self._evaluate_as(values, bool))

    def evaluate(self, values: Mapping[str, object]) -> object:
        """Return the value of the expression for these values; a generator becomes a list.

        Raises CallError as `holds` does.
        """
        return self._evaluate_as(values, _materialize)

    def _evaluate_as(self, values: Mapping[str, object], of: Callable[[object], object]) -> object:
        try:
            return of(self._evaluate(dict(values)))
        except Exception as error:
            reason = str(error).rstrip(".") or type(error).__name__
            raise CallError(
                f"the condition {self.text!r} cannot be evaluated: {reason}",
                hint="require the field in the schema, or test it with `is defined`",
            ) from error


@cache
def _get_sandbox() -> Sandbox:
    from octavo.pipeline.jinja_dialect import Sandbox  # noqa: PLC0415 - imports Jinja

    return Sandbox(lambda _: None)


def _materialize(value: object) -> object:
    import jinja2  # noqa: PLC0415 - imported already by whoever compiled the expression

    many = isinstance(value, Iterator | list)
    parts = list(cast("Iterable[object]", value)) if many else [value]
    for part in parts:
        if isinstance(part, jinja2.Undefined):
            str(part)  # a strict one raises, and says what is missing
    return parts if many else parts[0]
