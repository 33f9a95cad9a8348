"""What a process does that is killed half-way: one run, its result in a file."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["fold"]

# Imported here so that a fork server has it all in memory and a child starts at once.
import aiohttp  # noqa: F401
import orjson  # noqa: F401
import toktok  # noqa: F401

import octavo
import octavo.api
import octavo.backends.openai
import octavo.chunkers.structure


def fold(pipeline: str, text: str, url: str, journal: str, output: str, jobs: int) -> None:
    """Fold a text and write the result, all or nothing."""
    os.environ.update(
        OCTAVO_JOURNAL=journal, OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-not-a-real-key"
    )
    document = octavo.Document(text, "book.txt")
    result = octavo.run(pipeline, document, model="openai:mock", jobs=jobs)
    partial = Path(output + ".part")
    partial.write_text(result.text, "utf-8")
    partial.rename(output)
