"""Other libraries that split texts, as far as they can be imported.

    pip install langchain-text-splitters semchunk semantic-text-splitter chonkie

Each entry makes a splitter anew, with a counter of its own, every time it is called: several of
them remember what they counted, and a second run over the same text would measure that memory.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["MISSING", "peers"]

MISSING: list[str] = []
"""The packages that `peers` looked for and did not find."""

Count = Callable[[str], int]
Splitter = Callable[[str], list[str]]


def peers(budget: int, count: Count, *, code: bool = False) -> dict[str, Splitter]:
    """Return the splitters by name, for chunks of at most `budget` tokens; `code` is Python."""
    MISSING.clear()
    found: dict[str, Splitter] = {}
    for make in (_langchain, _semchunk, _semantic, _chonkie):
        try:
            found.update(make(budget, count, code))
        except ImportError as error:
            MISSING.append(error.name or str(error))
    return found


def _fresh(count: Count) -> Count:
    """Return a counter that equals no other, so that no cache knows it."""

    def counting(text: str) -> int:
        return count(text)

    return counting


def _langchain(budget: int, count: Count, code: bool) -> dict[str, Splitter]:
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    def recursive(text: str) -> list[str]:
        options = {
            "chunk_size": budget,
            "chunk_overlap": 0,
            "length_function": _fresh(count),
            "strip_whitespace": False,
        }
        if code:
            return RecursiveCharacterTextSplitter.from_language(
                Language.PYTHON, **options
            ).split_text(text)
        return RecursiveCharacterTextSplitter(**options).split_text(text)

    return {"LangChain recursive": recursive}


def _semchunk(budget: int, count: Count, _: bool) -> dict[str, Splitter]:
    import semchunk

    def split(text: str) -> list[str]:
        return semchunk.chunkerify(_fresh(count), budget)(text)

    return {"semchunk": split}


def _semantic(budget: int, count: Count, _: bool) -> dict[str, Splitter]:
    from semantic_text_splitter import TextSplitter

    def split(text: str) -> list[str]:
        return TextSplitter.from_callback(_fresh(count), budget, trim=False).chunks(text)

    return {"semantic-text-splitter": split}


def _chonkie(budget: int, count: Count, _: bool) -> dict[str, Splitter]:
    from chonkie import RecursiveChunker

    def split(text: str) -> list[str]:
        chunker = RecursiveChunker(tokenizer=_fresh(count), chunk_size=budget)
        return [chunk.text for chunk in chunker.chunk(text)]

    return {"chonkie recursive": split}
