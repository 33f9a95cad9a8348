"""Answering calls by a file of rules."""

from __future__ import annotations

import hashlib
import json
from collections import Counter

from octavo.backends.handlers import Scripted, join_messages, sentences
from octavo.backends.rules import FaultName, Rule, Rules
from octavo.errors import AuthError, ContextError, ModelError, OctavoError, QuotaError, RequestError
from octavo.protocols.backends import Transient
from octavo.protocols.calls import Finish, Reply, Request

__all__ = ["RuleHandler"]

_FAULT_ERRORS: dict[FaultName, type[OctavoError]] = {
    "auth": AuthError,
    "quota": QuotaError,
    "model": ModelError,
    "context": ContextError,
    "request": RequestError,
}


class RuleHandler:
    """A handler that answers by rules; `path` names them in errors.

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
