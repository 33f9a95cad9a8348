"""How a server wants requests written, and which fields it has refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from octavo.config.endpoint import require_allowed_options
from octavo.protocols.backends import Profile
from octavo.protocols.calls import JsonSchema, Message, Request

__all__ = ["Dialect", "build_dialect"]


_OPTIONAL_FIELDS = {
    "temperature",
    "seed",
    "n",
    "stream",
    "stream_options",
    "response_format",
    "priority",
}
"""Fields without which a call is still the same question."""

_LENGTH_KEYWORDS = {"minLength", "maxLength"}
_KEYWORDS_WITH_NAMES = {"properties", "$defs", "definitions"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """The names and roles a server takes, best first, and those it refused.

    A role of `user` puts the system message in front of the user's. `lengths` tells whether strict
    schemas may bound texts. `says_whole` tells that the server streams unless it is told not to.
    Values of `options` stand in every body; None removes a field.
    """

    max_tokens_fields: tuple[str, ...] = ("max_tokens", "max_completion_tokens")
    system_roles: tuple[str, ...] = ("system", "developer", "user")
    refused: frozenset[str] = frozenset()
    stream: bool = False
    structured: bool = False
    priority: bool = False
    text_lengths: bool = True
    says_whole: bool = False
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def build_body(self, model: str, request: Request) -> dict[str, Any]:
        """Return a request as the JSON body of a chat completion."""
        role, limit = self._system_role, self._max_tokens_field
        body: dict[str, Any] = {"model": model, "messages": _build_messages(request.messages, role)}
        if not self.options.keys() & set(self.max_tokens_fields):
            body[limit] = request.max_tokens
        if request.temperature is not None:
            body["temperature"] = request.temperature
        body["seed"] = request.sample + 1000 * request.attempt
        if request.schema is not None and self.structured:
            body["response_format"] = _build_response_format(
                request.schema, lengths=self.text_lengths
            )
        if request.logprobs:
            body |= {"logprobs": True, "top_logprobs": request.logprobs}
        if self.priority and request.priority:
            body["priority"] = request.priority
        body |= self._build_stream_fields(request)
        for name in self.refused & body.keys() & _OPTIONAL_FIELDS:
            del body[name]
        if not body.get("stream"):
            body.pop("stream_options", None)
        if self.options:
            body |= self.options
            body = {name: value for name, value in body.items() if value is not None}
        return body

    def _build_stream_fields(self, request: Request) -> dict[str, Any]:
        if self.stream or request.draft is not None:
            return {"stream": True, "stream_options": {"include_usage": True}}
        return {"stream": False} if self.says_whole else {}

    def build_samples_body(self, model: str, request: Request, number: int) -> dict[str, Any]:
        """Return the body that asks for so many samples, or for one, where the server refuses that.

        It has no seed, from which some servers would make all of them the same.
        """
        body = self.build_body(model, request)
        if "n" in self.refused:
            return body
        left_out = {"seed", "stream_options"} - self.options.keys()
        if body.get("stream"):
            left_out.add("stream")
        return {name: each for name, each in body.items() if name not in left_out} | {"n": number}

    def drop_field(self, name: str) -> Dialect | None:
        """Return the dialect without a refused field, or None when no alternative is left.

        What the user's options say is not given up; `system` stands for the role of that name.
        """
        if name == "system":
            refused, left = self._system_role, self.system_roles
        elif name in self.max_tokens_fields:
            refused, left = name, self.max_tokens_fields
        elif name in _OPTIONAL_FIELDS:
            refused, left = name, ("another",)
        else:
            return None
        if name in self.options or set(left) <= self.refused | {refused}:
            return None
        return replace(self, refused=self.refused | {refused})

    @property
    def _max_tokens_field(self) -> str:
        return next(name for name in self.max_tokens_fields if name not in self.refused)

    @property
    def _system_role(self) -> str:
        return next(role for role in self.system_roles if role not in self.refused)


def build_dialect(profile: Profile, *, official: bool) -> Dialect:
    """Return what a profile says of its server; `official` is OpenAI's own.

    Raises UsageError for options that would take the request apart.
    """
    require_allowed_options(profile)
    limits = ("max_completion_tokens", "max_tokens") if official else Dialect().max_tokens_fields
    if profile.max_tokens_field != "auto":
        limits = (profile.max_tokens_field,)
    roles = Dialect().system_roles if profile.system_role == "auto" else (profile.system_role,)
    structured = official if profile.structured is None else profile.structured
    return Dialect(
        limits,
        roles,
        stream=profile.stream,
        structured=structured,
        priority=profile.priority,
        text_lengths=not official,
        options=profile.options,
    )


def _build_messages(messages: tuple[Message, ...], role: str) -> list[dict[str, str]]:
    if role != "user":
        return [
            {"role": role if each.role == "system" else each.role, "content": each.content}
            for each in messages
        ]
    head = [each.content for each in messages if each.role == "system"]
    rest = [{"role": each.role, "content": each.content} for each in messages
            if each.role != "system"]  # fmt: skip
    if rest and rest[0]["role"] == "user":
        head.append(rest.pop(0)["content"])
    return [{"role": "user", "content": "\n\n".join(head)}, *rest]


def _build_response_format(schema: JsonSchema, *, lengths: bool) -> dict[str, Any]:
    title = str(schema.get("title", ""))
    name = "".join(character for character in title if character.isalnum())[:64]
    strict = _is_strict(schema)
    sent = dict(schema) if lengths or not strict else _remove_text_lengths(schema)
    json_schema = {"name": name or "record", "schema": sent, "strict": strict}
    return {"type": "json_schema", "json_schema": json_schema}


def _remove_text_lengths(schema: object, *, names: bool = False) -> Any:  # noqa: ANN401 - a JSON value
    """Return a schema without the lengths of texts, which the strict subset does not promise.

    The prompt states them too, and replies are checked against them. `names` tells that the keys
    are names of fields.
    """
    if isinstance(schema, list):
        return [_remove_text_lengths(each) for each in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _remove_text_lengths(each, names=not names and key in _KEYWORDS_WITH_NAMES)
        for key, each in cast("dict[str, object]", schema).items()
        if names or key not in _LENGTH_KEYWORDS
    }


def _is_strict(schema: object) -> bool:
    """Return whether a schema is in the strict subset: closed objects, every field required."""
    if isinstance(schema, list):
        return all(_is_strict(each) for each in cast("list[object]", schema))
    if not isinstance(schema, dict):
        return True
    node = cast("dict[str, Any]", schema)
    if node.get("type") == "object" or "properties" in node:
        fields = node.get("properties", {})
        if node.get("additionalProperties") is not False:
            return False
        if set(node.get("required", ())) != set(fields):
            return False
    return all(_is_strict(each) for each in node.values())
