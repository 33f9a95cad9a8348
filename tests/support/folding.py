"""What a process does that is killed half-way: one run, its result in a file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["PIPELINE", "book", "fold"]

# Imported here so that a fork server has it all in memory and a child starts at once.
import aiohttp  # noqa: F401
import orjson  # noqa: F401
import toktok  # noqa: F401

import octavo
import octavo.api
import octavo.backends.openai.client
import octavo.chunkers.structure
from octavo.engine.journal import store as journals
from octavo.engine.journal.database import connect
from octavo.errors import JournalError

PIPELINE = """
octavo: 1
steps:
  - split: {tokens: 250}
  - map: {prompt: "Sum up: {{ text | fence }}", tokens: 60}
  - merge: {prompt: "Merge: {% for note in notes %}{{ note | fence }}{% endfor %}", tokens: 60}
"""


def book(sentences: int, order) -> str:
    """Return a text of paragraphs that are all different; 900 sentences split into 58 parts."""
    names = ["harbour", "lantern", "gull", "rope", "captain", "storm", "letter", "island"]
    said = [" ".join(order.choices(names, k=12)).capitalize() + "." for _ in range(sentences)]
    return "\n\n".join(" ".join(said[n : n + 6]) for n in range(0, sentences, 6))


def fold(
    pipeline: str,
    text: str,
    url: str,
    journal: str,
    output: str,
    jobs: int,
    pages: int | None = None,
) -> None:
    """Fold a text and write the result, all or nothing.

    With `pages`, the journal's disk is full when it has so many pages of 16 KiB; the process then
    ends with the code of that error.
    """
    os.environ.update(
        OCTAVO_JOURNAL=journal, OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-not-a-real-key"
    )
    if pages is not None:
        journals.connect = _bounded(pages)
    document = octavo.Document(text, "book.txt")
    try:
        result = octavo.run(pipeline, document, model="openai:mock", jobs=jobs)
    except JournalError as error:
        if pages is None:
            raise
        os._exit(100 + error.exit_code)
    partial = Path(output + ".part")
    partial.write_text(result.text, "utf-8")
    partial.rename(output)


def _bounded(pages):
    def connect_bounded(path, *, durable=False):
        connection = connect(path, durable=durable)
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    return connect_bounded
