"""Prompts: found by name or written in the pipeline, checked once, rendered many times."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

from octavo.diagnostics import Source, make_spec_error, suggest
from octavo.errors import Position, SpecError
from octavo.pipeline.lookup import FoundFile, Lookup
from octavo.protocols.calls import Message
from octavo.protocols.options import PromptText

if TYPE_CHECKING:
    import jinja2
    from jinja2.runtime import Context

    from octavo.pipeline.jinja_dialect import Sandbox
    from octavo.pipeline.prompt_templates import PromptTemplate

__all__ = ["Prompt", "Prompts", "is_prompt_text"]


Role = Literal["system", "user"]


def is_prompt_text(reference: str) -> bool:
    """Tell whether a string in a pipeline is a prompt's text rather than its name."""
    return any(mark in reference for mark in ("\n", " ", "{{"))


class Prompts:
    """The prompts of one pipeline.

    `places` gives a text that is written in the pipeline its place there, for errors.
    """

    def __init__(self, lookup: Lookup, places: Mapping[str, Source] | None = None) -> None:
        self._lookup = lookup
        self._places = places or {}
        self._sources: dict[str, Source] = {}
        self._prompts: dict[str | PromptText, Prompt] = {}
        self._sandbox: Sandbox | None = None
        self.found: dict[str, FoundFile] = {}
        """All prompts looked up so far, by the name written: parents and included ones too."""

    def get(self, reference: str | PromptText) -> Prompt:
        """Return the prompt that a pipeline names or holds.

        Raises SpecError for a prompt that does not exist or is not well formed.
        """
        if reference not in self._prompts:
            self._prompts[reference] = self._make(reference)
        return self._prompts[reference]

    def _make(self, reference: str | PromptText) -> Prompt:
        if isinstance(reference, PromptText):
            texts: dict[Role, str] = {"user": reference.user}
            if reference.system is not None:
                texts["system"] = reference.system
            parts = [
                self._build_part(*self._add_inline(text), role) for role, text in texts.items()
            ]
            mixed = next((part.template.source for part in parts if part.template.blocks), None)
            if mixed is not None:
                message = "the text of one message has a block of its own"
                hint = "write the text without {% block %}"
                raise make_spec_error(mixed, "prompt-syntax", message, 1, word="block", hint=hint)
            return Prompt("(inline)", parts)
        if is_prompt_text(reference):
            return Prompt("(inline)", [self._build_part(*self._add_inline(reference), "user")])
        if (source := self._find_source(reference)) is None:
            raise SpecError(
                f"there is no prompt {reference!r}",
                code="unknown-prompt",
                position=Position(reference, 1, 1),
                hint=suggest(reference, self._lookup.list_names(".j2")),
            )
        return Prompt(reference, [self._build_part(reference, source, "user")])

    def _build_part(self, name: str, source: Source, role: Role) -> _CompiledPart:
        from octavo.pipeline.prompt_templates import analyse_prompt  # noqa: PLC0415 - imports Jinja

        sandbox = self._open_sandbox()
        template = analyse_prompt(name, source, sandbox, self._find_source)
        try:
            compiled = sandbox.get_template(name)
        except (SyntaxError, RecursionError) as error:
            message = f"the prompt cannot be compiled: {error}"
            raise make_spec_error(
                source, "prompt-syntax", message, 1, hint="make it simpler"
            ) from error
        return _CompiledPart(template, compiled, role, self._sources)

    def _open_sandbox(self) -> Sandbox:
        if self._sandbox is None:
            from octavo.pipeline.jinja_dialect import Sandbox  # noqa: PLC0415 - imports Jinja

            self._sandbox = Sandbox(self._load_text)
        return self._sandbox

    def _load_text(self, name: str) -> str | None:
        source = self._find_source(name)
        return None if source is None else source.text

    def _find_source(self, name: str) -> Source | None:
        if name not in self._sources and (found := self._lookup.find_prompt(name)) is not None:
            self.found[name] = found
            self._sources[name] = found.source
        return self._sources.get(name)

    def _add_inline(self, text: str) -> tuple[str, Source]:
        name = f"text {hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
        self._sources[name] = self._places.get(text) or Source("(inline prompt)", text)
        return name, self._sources[name]


class Prompt:
    """A prompt that can be rendered to messages.

    `digest` covers the text of all prompts that it extends or includes, and nothing else.
    """

    def __init__(self, name: str, parts: list[_CompiledPart]) -> None:
        self.name = name
        self._parts = parts
        digest = hashlib.sha256(b"messages 1")
        for part in parts:
            digest.update(f"{part.role}:{part.template.digest};".encode())
        self.digest = digest.hexdigest()

    def __repr__(self) -> str:
        return f"Prompt({self.name!r})"

    def locate_variables(self) -> Mapping[str, Position]:
        """Return the names that the prompt takes from outside, each with its first position."""
        places: dict[str, Position] = {}
        for part in self._parts:
            places = {**part.template.variables, **places}
        return places

    def render(self, variables: Mapping[str, object]) -> tuple[Message, ...]:
        """Return the system message, if it has any text, and the user message.

        Blank lines around a message are dropped. Raises SpecError, at the prompt's line, for a
        variable that is missing and for whatever else goes wrong in the prompt.
        """
        texts: dict[Role, str] = {}
        for part in self._parts:
            texts.update(part.render(variables))
        messages = [Message("user", _trim(texts.get("user", "")))]
        if system := _trim(texts.get("system", "")):
            messages.insert(0, Message("system", system))
        return tuple(messages)


class _MessageMark(str):
    """An empty string that begins or ends a message among the pieces that a template yields."""

    __slots__ = ("role",)
    role: Role | None


class _CompiledPart:
    """A compiled template, and the message that it is when it has no blocks."""

    def __init__(
        self,
        template: PromptTemplate,
        compiled: jinja2.Template,
        role: Role,
        sources: Mapping[str, Source],
    ) -> None:
        self.template = template
        self.role: Role = role
        self._compiled = compiled
        self._sources = sources

    def render(self, variables: Mapping[str, object]) -> dict[Role, str]:
        compiled = self._compiled
        context = compiled.new_context(dict(variables))
        try:
            if not self.template.blocks:
                return {self.role: "".join(compiled.root_render_func(context))}
            roles: tuple[Role, ...] = ("system", "user")
            for role in roles:
                context.blocks[role] = [_mark_message(role), *context.blocks.get(role, ())]
            return _split_messages(compiled.root_render_func(context))
        except Exception as error:
            raise self._build_error(error, variables) from error

    def _build_error(self, error: Exception, variables: Mapping[str, object]) -> SpecError:
        source, line = self.template.source, 1
        trace = error.__traceback__
        while trace is not None:
            template = trace.tb_frame.f_globals.get("__jinja_template__")
            if template is not None:
                source = self._sources.get(template.name, source)
                line = template.get_corresponding_lineno(trace.tb_lineno)
            trace = trace.tb_next
        return make_spec_error(
            source,
            "prompt",
            f"the prompt cannot be rendered: {str(error).rstrip('.') or type(error).__name__}",
            line,
            hint=f"it has these variables: {', '.join(sorted(variables)) or 'none'}",
        )


def _mark_message(role: Role) -> Callable[[Context], Iterator[str]]:
    # Stands first among the blocks of this name; the prompt's own and its parents' follow, so that
    # `super()` finds them as it always does.
    def render_block(context: Context) -> Iterator[str]:
        for at in (role, None):
            mark = _MessageMark()
            mark.role = at
            yield mark
            if at is not None:
                yield "".join(context.blocks[role][1](context))

    return render_block


def _split_messages(pieces: Iterator[str]) -> dict[Role, str]:
    texts: dict[Role, list[str]] = {}
    role: Role | None = None
    for piece in pieces:
        if isinstance(piece, _MessageMark):
            role = piece.role
        elif role is not None:
            texts.setdefault(role, []).append(piece)
    return {role: "".join(texts[role]) for role in texts}


def _trim(text: str) -> str:
    text = text.rstrip()
    indent = len(text) - len(text.lstrip())
    return text[text.rfind("\n", 0, indent) + 1 :]
