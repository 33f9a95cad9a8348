"""Where sentences end, by one of three splitters.

nupunkt (Bommarito, Katz, Bommarito, 2025, arXiv:2504.04131; after Punkt by Kiss and Strunk, 2006)
knows abbreviations; SaT (Frohmann et al., 2024, arXiv:2406.16678) is a small network that needs
wtpsplit and one of its models; rules look at punctuation alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from itertools import accumulate
from typing import Any, Final

from octavo.errors import UsageError
from octavo.text.grapheme import is_inside_grapheme
from octavo.text.sentences import find_sentence_ends

__all__ = ["find_sentence_starts"]


_SPACE: Final = re.compile(r"\s*+")
_WIDE: Final = re.compile(r"[\u3002\uff01\uff1f\uff61]")
_PACKAGES: Final = ("wtpsplit", "wtpsplit_lite")
_BLOCK_CHARACTERS: Final = 1_000_000
"""Characters given to a splitter at once, up to the next blank line, so that memory is bounded."""


def find_sentence_starts(text: str, splitter: str, model: str) -> list[int]:
    """Return where sentences begin, but for the first, in ascending order.

    White space between two sentences belongs to the second, unless it holds a line's end: then the
    second begins with its line. Raises UsageError when the splitter is not installed.
    """
    find = {"nupunkt": _split_by_nupunkt, "rules": find_sentence_ends}.get(splitter) or _load_sat(
        model
    )
    ends: set[int] = set()
    for start, end in _iter_blocks(text):
        ends.update(start + place for place in find(text[start:end]))
        ends.add(end)
    places = {_find_next_start(text, end) for end in ends}
    return sorted(
        place for place in places if 0 < place < len(text) and not is_inside_grapheme(text, place)
    )


def _find_next_start(text: str, end: int) -> int:
    """Return where the sentence after one that ends here begins."""
    while end and text[end - 1].isspace():
        end -= 1
    space = _SPACE.match(text, end)
    assert space is not None
    line = max(text.rfind("\n", end, space.end()), text.rfind("\r", end, space.end()))
    return line + 1 if line >= 0 else end


def _iter_blocks(text: str) -> Iterator[tuple[int, int]]:
    """Yield spans of a text, cut at blank lines, or anywhere when there is none for long."""
    start = 0
    while start < len(text):
        end = start + _BLOCK_CHARACTERS
        if end < len(text):
            blank = text.find("\n\n", end, end + _BLOCK_CHARACTERS)
            end = blank + 2 if blank >= 0 else end
        end = min(end, len(text))
        yield start, end
        start = end


def _split_by_nupunkt(text: str) -> Iterator[int]:
    nupunkt: Any = import_module("nupunkt")  # here: other chunkers do without
    for _, end in nupunkt.sent_spans(text):
        yield end
    if _WIDE.search(text):  # it knows no Chinese and Japanese marks
        for end in find_sentence_ends(text):
            if _WIDE.search(text, max(end - 4, 0), end):
                yield end


class _SatSplitter:
    """A SaT model of wtpsplit or wtpsplit-lite."""

    def __init__(self, model: str) -> None:
        package = next((name for name in _PACKAGES if find_spec(name)), None)
        if package is None:
            raise UsageError(
                "`splitter: sat` needs the package wtpsplit or wtpsplit-lite",
                hint="install wtpsplit-lite, or take `splitter: nupunkt`",
            )
        # A splitter sends nothing and fetches nothing: its model is installed, or refused.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        try:
            self._model: Any = import_module(package).SaT(model)
        except Exception as error:
            raise UsageError(
                f"the model {model!r} of `splitter: sat` cannot be loaded: {error}",
                hint="fetch it with wtpsplit first, or name the directory it lies in",
            ) from error

    def __call__(self, text: str) -> Iterable[int]:
        parts = list(self._model.split(text))
        ends = list(accumulate(map(len, parts)))
        if not ends or ends[-1] != len(text):
            raise UsageError("wtpsplit lost text", hint="take `splitter: nupunkt`")
        return ends


def _load_sat(model: str) -> _SatSplitter:
    return _SatSplitter(model)
