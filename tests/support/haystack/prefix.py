"""What a server with a prefix cache must compute to read a document in order, against the ideal.

The ideal is the document once, the beginning that all prompts share once, what each call says after
its own part of the document, and the replies. The tokens computed are those of the prompts in the
journal that are not in blocks of 16 with which an earlier prompt began; a reply counts where a
later prompt shows it. The model is a function that notes some words of each part.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from tests.support.haystack.cache import PrefixCache

import octavo
from octavo.backends.scripted.backend import ScriptedBackend
from octavo.engine.journal.store import Journal
from octavo.protocols import Capabilities, Message, Request
from octavo.tokens.choose import get_counter
from octavo.tokens.toktok import Toktok

__all__ = ["Figure", "cut", "figure"]

_COUNTER = get_counter("o200k_base")
_LAST = re.compile(r"<(segment|text) ([0-9a-f]{8})>\n(.*?)\n</\1 \2>", re.DOTALL)
_QUESTION = "What does the story say of the sea?"


@dataclass(frozen=True)
class Figure:
    """Tokens of all prompts, those computed, and the ideal; and how many calls there were."""

    calls: int
    prompt: int
    computed: int
    ideal: int

    @property
    def ratio(self) -> float:
        """How many times the ideal is computed; 1 is the least."""
        return self.computed / self.ideal


def figure(name: str, text: str, change: Sequence[str] = ()) -> Figure:
    """Run a built-in pipeline over a text and count what its prompts cost."""
    root = Path(__file__).parents[3] / "pipelines"
    pipeline = (root / f"{name}.yaml").read_text("utf-8")
    if change:
        assert change[0] in pipeline
        pipeline = pipeline.replace(*change)
    backend = ScriptedBackend(
        _reply,
        identity="scripted:notes",
        known=Capabilities(window=4 * _COUNTER.count(text) + 20_000, tokenizer="o200k_base"),
    )
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "pipeline.yaml")
        path.write_text(pipeline, "utf-8")
        journal = Path(directory, "journal.sqlite")
        document = octavo.Document(text, "book.txt")
        with patch.dict(os.environ, {"OCTAVO_JOURNAL": str(journal)}):
            octavo.run(path, document, model=backend, params={"question": _QUESTION})
        with Journal(journal) as opened:
            prompts = [
                (opened.read_messages(call), opened.read_text(1, call))
                for (call,) in opened.query("SELECT id FROM calls ORDER BY id")
            ]
    cache = PrefixCache()
    cache.read(map(_tokens, (messages for messages, _ in prompts)))
    count = _COUNTER.count
    ideal = count(text) + max(count(messages[0].content) for messages, _ in prompts)
    ideal += sum(count(_own(messages)) + count(reply) for messages, reply in prompts)
    return Figure(len(prompts), cache.prompt, cache.computed, ideal)


def cut(text: str, tokens: int) -> str:
    """Return the beginning of a text, of about so many tokens, in whole paragraphs."""
    share = int(len(text) * min(1, tokens / _COUNTER.count(text)))
    return text[: text.rfind("\n\n", 0, share) + 1] or text[:share]


def _tokens(messages: Sequence[Message]) -> Sequence[int]:
    assert isinstance(_COUNTER, Toktok)
    text = "\n".join(f"{message.role}:\n{message.content}" for message in messages)
    return _COUNTER._encoding.encode_ordinary(text)


def _own(messages: Sequence[Message]) -> str:
    """Return what a call alone says: its part's marks, and all behind its part.

    The call for an answer of its own, which shows no part, is its instruction, less the memory.
    """
    user = messages[-1].content
    parts = list(_LAST.finditer(user))
    if not parts:
        return messages[0].content + re.sub(r"<(log|memory)>.*</\1>", "", user, flags=re.DOTALL)
    last = parts[-1]
    behind = re.sub(r"<note.*</note \w+>", "", user[last.end() :], flags=re.DOTALL)
    return f"<{last[1]} {last[2]}>\n</{last[1]} {last[2]}>\n{behind}"


def _reply(request: Request) -> str | Mapping[str, object]:
    """Note some words of the last part; answer in a sentence."""
    parts = _LAST.findall(request.messages[-1].content)
    words = parts[-1][2].split()[:40] if parts else []
    if request.schema is not None:
        return {
            "revisions": [
                {"path": ["facts", words[0]], "op": "add", "value": [" ".join(words[:20])]},
                {"path": ["values", "last"], "op": "update", "value": " ".join(words[20:30])},
            ]
        }
    if "Task: note what" in request.messages[-1].content:
        return "YES: " + " ".join(words)
    return "It is told of the sea."
