"""The dialect of Jinja that prompts and expressions are written in.

Rendered prompts enter keys, so everything that shapes white space is pinned, and the dialect has
only filters and globals whose result depends on nothing but their input. Names that do not exist
are errors. The sandbox keeps a shared pipeline from reaching into the program. Importing this
module imports Jinja: import it where a prompt is needed.

The filter `fence` marks where a text begins and ends in a prompt, so that the text cannot end
itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, MutableMapping
from io import StringIO
from typing import Any

import jinja2
from jinja2 import Environment, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.idtracking import VAR_LOAD_RESOLVE
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

__all__ = ["Sandbox", "fence_text"]


# fmt: off
_FILTERS = frozenset({
    "abs", "batch", "capitalize", "center", "count", "d", "default", "dictsort",
    "first", "float", "format", "groupby", "indent", "int", "items", "join",
    "last", "length", "list", "lower", "map", "max", "min", "reject",
    "rejectattr", "replace", "reverse", "round", "select", "selectattr", "slice", "sort",
    "string", "sum", "title", "trim", "truncate", "unique", "upper", "wordcount",
    "wordwrap",
})
# fmt: on
_GLOBALS = ("range", "dict", "namespace", "cycler", "joiner")
_MAX_REPETITION = 100_000
_FENCE_TAG = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_FENCE_DIGITS = 8


class _ParsedLoader(jinja2.FunctionLoader):
    """Compiles what has been generated already, where it has been."""

    def load(
        self,
        environment: Environment,
        name: str,
        globals: MutableMapping[str, Any] | None = None,  # noqa: A002 - Jinja's own signature
    ) -> jinja2.Template:
        assert isinstance(environment, Sandbox)
        text, file, is_current = self.get_source(environment, name)
        python = environment.generated.pop(name, None)
        if python is None:
            python = environment.compile(text, name, file, raw=True)
        code = compile(python, file or "<template>", "exec")
        return jinja2.Template.from_code(
            environment, code, {} if globals is None else globals, is_current
        )


class _NameCollector(CodeGenerator):
    """Generates the code of a template, and notes what names it takes from outside."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 - handed on as they are
        super().__init__(*arguments, **settings)
        self.names: set[str] = set()

    def enter_frame(self, frame: Frame) -> None:
        super().enter_frame(frame)
        for action, name in frame.symbols.loads.values():
            if action == VAR_LOAD_RESOLVE and name not in self.environment.globals:
                self.names.add(name)


class Sandbox(ImmutableSandboxedEnvironment):
    """An environment; `source` gives the text of a prompt that another one names, or None."""

    intercepted_binops = frozenset({"**", "*"})

    def __init__(self, source: Callable[[str], str | None]) -> None:
        super().__init__(
            loader=_ParsedLoader(source),
            undefined=jinja2.StrictUndefined,
            autoescape=False,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
            newline_sequence="\n",
            keep_trailing_newline=False,
        )
        kept = {name: self.filters[name] for name in _FILTERS}
        self.filters = {**kept, "fence": _apply_fence, "tojson": _dump_json}
        self.globals = {name: self.globals[name] for name in _GLOBALS}
        self.generated: dict[str, str] = {}
        """The Python source of prompts by name, made to look at them and not compiled yet."""

    def find_undeclared(self, name: str, tree: nodes.Template) -> set[str]:
        """Return the names that a prompt takes from outside, as `jinja2.meta` does.

        Both find them by generating the code, which is kept here. Raises TemplateSyntaxError for
        what only shows then.
        """
        source = StringIO()
        generator = _NameCollector(self, name, None, source, optimized=self.optimized)
        generator.visit(tree)
        self.generated[name] = source.getvalue()
        return generator.names

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401 - Jinja's own signature
        """Refuse products that would not fit in memory; constants are computed at reading."""
        sizes = [abs(side) if isinstance(side, int) else 0 for side in (left, right)]
        if operator == "**" and max(sizes) > 1000:
            raise SecurityError("the power is too large")
        if operator == "*" and max(sizes) > _MAX_REPETITION and not _are_numbers(left, right):
            raise SecurityError("the repetition is too long")
        return super().call_binop(context, operator, left, right)


def _are_numbers(*values: object) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _apply_fence(value: object, tag: str = "text") -> str:
    return fence_text(value if isinstance(value, str) else _dump_json(value), tag)


def _dump_json(value: Any, indent: int | None = None) -> str:  # noqa: ANN401 - whatever a prompt holds
    # Jinja's own filter escapes for HTML, which models need not read.
    return json.dumps(value, ensure_ascii=False, indent=indent)


def fence_text(text: str, tag: str = "text") -> str:
    """Return the text between `<tag MARK>` and `</tag MARK>`, each on a line of its own.

    The mark is taken from the hash of the text alone: an edit elsewhere changes nothing, and no
    two texts share one. It is taken again until it does not occur in the text, so that a text
    cannot be made that closes its own fence. Blank lines around the text are dropped. Raises
    ValueError for a tag that is not a word.
    """
    if not _FENCE_TAG.fullmatch(tag):
        raise ValueError(f"a fence is named by a word, not {tag!r}")
    text = text.strip("\r\n")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass"))
    while (mark := digest.hexdigest()[:_FENCE_DIGITS]) in text:
        digest.update(b"\0")
    return f"<{tag} {mark}>\n{text}\n</{tag} {mark}>"
