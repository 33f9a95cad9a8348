"""The scripted backend: replies come from a function or a file of rules.

It costs nothing and needs no network, so that tests, examples and users' own pipelines can be
tried before anything is paid for:

    backend = ScriptedBackend(lambda request: "A summary.")
    backend = ScriptedBackend(sentences(1), version="1")
    octavo run summarize -m scripted:rules.yaml book.txt
"""

from __future__ import annotations

import inspect
import json
import re
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from octavo.backends.scripted.handlers import Handler, Scripted, echo, sentences
from octavo.backends.scripted.rule_file import read_rules
from octavo.backends.scripted.rules import RuleHandler
from octavo.errors import UsageError
from octavo.protocols.backends import BackendType, Capabilities, Profile
from octavo.protocols.calls import Embedded, Reply, Request, TokenLogprob, Usage
from octavo.text.vectors import to_spelling_vector

__all__ = ["BACKEND", "Handler", "Scripted", "ScriptedBackend", "echo", "sentences"]


class ScriptedBackend:
    """Answers calls by a handler, and keeps the requests it saw in `requests`, in order.

    Texts are embedded by their spelling: the more words two texts share, the nearer they are. Each
    request for that is kept in `embedded`. How likely a text is goes by its words, too: those that
    stood before are.

    The handler gives a text, a record or a Reply, at once or as an awaitable. Replies without
    usage get one that counts each word as a token. With `version`, replies are kept in the
    journal under the handler's module, qualified name and that version (or under `identity`), so
    the handler must be a function of the request alone; without, no other instance finds them.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        version: str | None = None,
        identity: str | None = None,
        known: Capabilities | None = None,
        keep_requests: bool = True,
    ) -> None:
        self._handler = handler
        self._known = known or Capabilities(structured=True, embeddings=True, prompt_logprobs=True)
        self._keep_requests = keep_requests
        self.requests: list[Request] = []
        self.embedded: list[tuple[str, ...]] = []
        if identity is not None:
            self._identity = identity
        elif version is not None:
            kind = handler if hasattr(handler, "__qualname__") else type(handler)
            self._identity = f"scripted:{kind.__module__}.{kind.__qualname__}:{version}"
        else:
            self._identity = f"scripted:{uuid.uuid4()}"

    @property
    def identity(self) -> str:
        """What stands for the handler or the rules in keys."""
        return self._identity

    @property
    def model(self) -> str:
        """Always `scripted`: the identity tells all."""
        return "scripted"

    @property
    def known(self) -> Capabilities:
        """What the constructor or the rules say."""
        return self._known

    async def contact(self) -> Capabilities:
        """Return what is known."""
        return self._known

    async def send(self, request: Request, started: Callable[[], None]) -> Reply:
        """Return what the handler gives, or raise what it raises.

        Raises UsageError when it gives something else than a text, a record or a Reply.
        """
        if self._keep_requests:
            self.requests.append(request)
        if request.scores:
            started()
            prefix, text = (message.content for message in request.messages)
            return Reply("", logprobs=_score_words(text, prefix))
        answer = self._handler(request)
        if inspect.isawaitable(answer):
            answer = await answer
        started()
        reply = _build_reply(answer, request)
        if request.draft is not None:
            request.draft(reply.text)
        return reply

    @property
    def embedder(self) -> str:
        """A constant: the vectors depend on the texts alone."""
        return "scripted spelling 1"

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return a vector for each text; a word counts as a token."""
        if self._keep_requests:
            self.embedded.append(tuple(texts))
        words = sum(len(text.split()) for text in texts)
        return Embedded(tuple(to_spelling_vector(text) for text in texts), Usage(prompt=words))

    async def close(self) -> None:
        """Do nothing: there is nothing to release."""


def _score_words(text: str, prefix: str) -> tuple[TokenLogprob, ...]:
    """Return log probabilities of a text's words by what stands before: known words are likely."""
    seen = Counter(re.findall(r"\w+", prefix.casefold()))
    tokens: list[TokenLogprob] = []
    for token in re.findall(r"\s*\w+|\s*[^\w\s]|\s+$", text):
        word = token.strip().casefold()
        tokens.append(TokenLogprob(token, -1.0 if not word[:1].isalnum() or seen[word] else -6.0))
        seen[word] += 1
    return tuple(tokens)


def _build_reply(answer: object, request: Request) -> Reply:
    """Return a handler's value as a reply with usage."""
    if isinstance(answer, str):
        answer = Reply(answer)
    elif isinstance(answer, Mapping):
        answer = Reply(json.dumps(answer, ensure_ascii=False))
    elif not isinstance(answer, Reply):
        kind = type(answer).__name__
        raise UsageError(f"a handler gave {kind}, not a text, a mapping or a Reply")
    if answer.usage != Usage():
        return answer
    prompt = sum(len(message.content.split()) for message in request.messages)
    return replace(answer, usage=Usage(prompt=prompt, completion=len(answer.text.split())))


def _open(name: str, profile: Profile) -> ScriptedBackend:
    """Open `scripted:NAME`, a path of a file of rules; the profile's word goes before the file's.

    Raises UsageError when the file cannot be read, SpecErrors with its problems.
    """
    if not name:
        raise UsageError("`scripted:` needs a file of rules", hint="write -m scripted:rules.yaml")
    rules, digest = read_rules(Path(name))
    known = replace(
        rules.known,
        window=profile.window or rules.window,
        tokenizer=profile.tokenizer or rules.tokenizer,
        parallel=profile.parallel or rules.parallel,
    )
    book = RuleHandler(rules, name)
    return ScriptedBackend(book, identity=f"scripted:{digest}", known=known, keep_requests=False)


BACKEND = BackendType(
    name="scripted",
    about="replies from a YAML file of rules, for tests and examples",
    open=_open,
)
"""The backend of `-m scripted:rules.yaml`."""
