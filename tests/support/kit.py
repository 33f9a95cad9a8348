"""A pipeline in a string, a text, a function that answers, and what comes of them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.protocols import Capabilities

__all__ = ["Kit", "fenced", "paragraphs"]

_FENCED = re.compile(r"<(\w+) ([0-9a-f]+)>\n(.*?)\n</\1 \2>", re.DOTALL)


def fenced(request):
    """Return the fenced texts of a request, in order."""
    text = "\n".join(message.content for message in request.messages)
    return [match[3] for match in _FENCED.finditer(text)]


def paragraphs(count, words=60):
    """Return a text of numbered paragraphs of about the same length."""
    return "\n\n".join(
        " ".join([f"Paragraph {number}."] + [f"word{(number * 7 + i) % 97}" for i in range(words)])
        + "."
        for number in range(count)
    )


@dataclass
class Kit:
    """`run(text)` folds a text; `requests` are what the last run sent."""

    pipeline: str
    handler: object
    directory: object
    window: int | None = None
    logprobs: bool = True
    embeddings: bool = True
    prompt_logprobs: bool = False

    def __post_init__(self):
        self.path = self.directory / "p.yaml"
        self.path.write_text(self.pipeline)
        self.backend = self._backend()

    def _backend(self):
        return ScriptedBackend(
            self.handler,
            identity="scripted:kit",
            known=Capabilities(
                window=self.window,
                logprobs=self.logprobs,
                embeddings=self.embeddings,
                prompt_logprobs=self.prompt_logprobs,
            ),
        )

    def run(self, *texts, **options):
        self.backend = self._backend()
        documents = [octavo.Document(text, f"{n}.txt") for n, text in enumerate(texts)]
        return octavo.run(self.path, *documents, model=self.backend, **options)

    def plan(self, *texts, **options):
        documents = [octavo.Document(text, f"{n}.txt") for n, text in enumerate(texts)]
        return octavo.plan(self.path, *documents, model=self._backend(), **options)

    @property
    def requests(self):
        return self.backend.requests
