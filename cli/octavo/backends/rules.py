r"""Rules that answer calls: what a file of rules may say, and what it means.

    window: 8192                       # optional; also tokenizer, structured, embeddings, parallel
    rules:                             # the first rule that matches answers
      - contains: "Chapter 3"          # this text is in the prompt
        fail: rate                     # a fault instead of an answer
        times: 2                       # only at the first two tries of each call
      - match: 'name is (?P<who>\w+)'  # or a regular expression is found in it
        reply: "Hello, $who"           # $who, $1 and $0 are its groups, $$ is a dollar sign
      - contains: "as JSON"
        record: {has_info: true}       # the reply is this value as JSON
    default: {sentences: 2}            # or a text: the answer when no rule matches

A rule sees the messages of a prompt joined by an empty line, and nothing else: a prompt has the
same answer in whatever order the calls come.
"""

from __future__ import annotations

import json
import re
import string
from functools import cached_property
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationInfo,
    field_validator,
    model_validator,
)

from octavo.protocols.backends import Capabilities
from octavo.protocols.calls import Finish

__all__ = ["FaultName", "Rule", "Rules"]

FaultName = Literal[
    "rate", "server", "timeout", "connection",
    "auth", "quota", "model",
    "context", "request",
    "refusal", "empty", "length",
]  # fmt: skip
"""What a server may do instead of answering: states that pass, ends of the run, ends of one
call, and replies that cannot be used."""

_ANSWER_FIELDS = ("reply", "record", "sentences", "fail")


class Rule(BaseModel):
    """A condition on the prompt (none: always) and one of four answers.

    `times` is how many tries of each call a fault lasts (None: all), `retry_after` the seconds
    that it asks to wait.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    match: re.Pattern[str] | None = None
    contains: str | None = None
    reply: str | None = None
    record: JsonValue = None
    sentences: int | None = Field(default=None, ge=1)
    fail: FaultName | None = None
    finish: Finish = Finish.STOP
    times: int | None = Field(default=None, ge=1)
    retry_after: float | None = Field(default=None, ge=0)

    @field_validator("match", mode="before")
    @classmethod
    def _compile(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return re.compile(value)
        except re.error as error:
            raise ValueError(f"the expression is malformed: {error}") from None

    @field_validator("reply")
    @classmethod
    def _require_groups(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Refuse a group that the expression lacks; `match` is validated before `reply`."""
        pattern: re.Pattern[str] | None = info.data.get("match")
        if value is None or pattern is None:
            return value
        template = _GroupTemplate(value)
        if not template.is_valid():
            raise ValueError("a `$` stands alone: write `$$` for a dollar sign")
        known = {str(number) for number in range(pattern.groups + 1)} | set(pattern.groupindex)
        for name in template.get_identifiers():
            if name not in known:
                raise ValueError(f"`match` has no group {name!r}: write `$$` for a dollar sign")
        return value

    @model_validator(mode="after")
    def _require_one_answer(self) -> Rule:
        given = self.model_fields_set
        if {"match", "contains"} <= given:
            raise ValueError("a rule has `match` or `contains`, not both")
        if sum(name in given for name in _ANSWER_FIELDS) != 1:
            raise ValueError("a rule has one of `reply`, `record`, `sentences` and `fail`")
        for name, needed in (("finish", "reply"), ("times", "fail"), ("retry_after", "fail")):
            if name in given and needed not in given:
                raise ValueError(f"`{name}` goes with `{needed}`")
        return self

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return self.match or re.compile(re.escape(self.contains or ""))

    def find_match(self, prompt: str) -> re.Match[str] | None:
        """Return where the rule applies to a prompt, or None."""
        return self._pattern.search(prompt)

    def render_reply(self, found: re.Match[str]) -> str:
        """Return the reply or the record, with the groups of a match; an untaken one is empty."""
        if self.reply is None:
            return json.dumps(self.record, ensure_ascii=False)
        if self.match is None:
            return self.reply
        groups = {str(number): found[number] or "" for number in range(found.re.groups + 1)}
        groups.update({name: text or "" for name, text in found.groupdict().items()})
        return _GroupTemplate(self.reply).substitute(groups)


class Rules(BaseModel):
    """A whole file: the rules in order, and what it says of the backend's capabilities."""

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    rules: tuple[Rule, ...] = ()
    default: Rule | None = None
    window: int | None = Field(default=None, ge=1)
    tokenizer: str | None = None
    structured: bool = True
    embeddings: bool = True
    parallel: int | None = Field(default=None, ge=1)

    @field_validator("default", mode="before")
    @classmethod
    def _wrap_text(cls, value: object) -> object:
        return {"reply": value} if isinstance(value, str | int | float) else value

    @model_validator(mode="after")
    def _require_rules(self) -> Rules:
        if not self.rules and self.default is None:
            raise ValueError("the file has no rules: write `default: TEXT` at least")
        if self.default and self.default.model_fields_set & {"match", "contains"}:
            raise ValueError("`default` has no condition: write it as the last rule instead")
        return self

    @property
    def known(self) -> Capabilities:
        """What the file says of the backend."""
        return Capabilities(
            self.window,
            self.tokenizer,
            self.structured,
            embeddings=self.embeddings,
            parallel=self.parallel,
        )


class _GroupTemplate(string.Template):
    flags = re.ASCII
    idpattern = r"(?:[0-9]+|[A-Za-z_][A-Za-z0-9_]*)"
