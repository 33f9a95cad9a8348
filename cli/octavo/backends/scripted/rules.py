r"""Rules that answer calls: what a file of rules may say, what it means, and the handler for it.

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

import hashlib
import json
import re
import string
from collections import Counter
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

from octavo.backends.scripted.handlers import Scripted, join_messages, sentences
from octavo.errors import AuthError, ContextError, ModelError, OctavoError, QuotaError, RequestError
from octavo.protocols.backends import Capabilities, Transient
from octavo.protocols.calls import Finish, Reply, Request

__all__ = ["FaultName", "Rule", "RuleHandler", "Rules"]


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

    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, defer_build=True
    )

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


_FAULT_ERRORS: dict[FaultName, type[OctavoError]] = {
    "auth": AuthError,
    "quota": QuotaError,
    "model": ModelError,
    "context": ContextError,
    "request": RequestError,
}


class RuleHandler:
    """A handler that answers by rules; `path` names the file in errors.

    A fault with `times` counts the tries of each call apart, re-asks included, so that what a
    call meets does not depend on the calls beside it.
    """

    def __init__(self, rules: Rules, path: str) -> None:
        self._rules = rules.rules if rules.default is None else (*rules.rules, rules.default)
        self._path = path
        self._tries: Counter[tuple[int, str]] = Counter()

    def __call__(self, request: Request) -> Scripted:
        """Return the answer of the first rule that applies; raises what a fault says.

        Raises RequestError when no rule applies.
        """
        return self._answer(request, join_messages(request), 0)

    def _answer(self, request: Request, prompt: str, first: int) -> Reply:
        for index, rule in enumerate(self._rules[first:], first):
            found = rule.find_match(prompt)
            if found is None or (rule.times is not None and self._count_try(index, rule, request)):
                continue
            if rule.sentences is not None:
                return Reply(sentences(rule.sentences)(request))
            if rule.fail == "length":
                return _truncate(self._answer(request, prompt, index + 1))
            if rule.fail is not None:
                return _simulate_fault(rule.fail, rule)
            return Reply(rule.render_reply(found), rule.finish)
        last = request.messages[-1].content.strip() if request.messages else ""
        raise RequestError(
            f"no rule of {self._path} matches the prompt that ends with {last[-60:]!r}",
            hint="add `default: TEXT` to the rules",
        )

    def _count_try(self, index: int, rule: Rule, request: Request) -> bool:
        """Count a try of a rule that fails for a while; tell whether that while is over."""
        messages = [(message.role, message.content) for message in request.messages]
        plain = json.dumps([messages, request.schema, request.sample], sort_keys=True)
        key = (index, hashlib.sha256(plain.encode()).hexdigest())
        tried = max(self._tries[key], request.attempt)
        self._tries[key] = tried + 1
        return tried >= (rule.times or 0)


def _truncate(whole: Reply) -> Reply:
    """Return the first half of a reply, in words, as one that its token limit ended."""
    words = whole.text.split()
    return Reply(" ".join(words[: len(words) // 2]), Finish.LENGTH)


def _simulate_fault(name: FaultName, rule: Rule) -> Reply:
    """Return or raise what a server would."""
    if name == "refusal":
        return Reply("I cannot help with that.", Finish.REFUSAL)
    if name == "empty":
        return Reply("")
    if name in _FAULT_ERRORS:
        raise _FAULT_ERRORS[name](f"the rules say: {name}")
    raise Transient(f"the rules say: {name}", kind=name, retry_after=rule.retry_after)
