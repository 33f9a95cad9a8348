"""When two values count as equal: the comparison that votes and counts use."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, cast

__all__ = ["Equality", "to_canonical_form", "to_sort_key"]


class Equality(StrEnum):
    """How far texts may differ and still be the same.

    EXACT: not at all. UNICODE: in how their characters are composed and in white space. CASE: in
    upper and lower case and compatible forms too, such as full-width letters.
    """

    EXACT = "exact"
    UNICODE = "unicode"
    CASE = "case"


def to_canonical_form(value: object, alike: Equality) -> str:
    """Return a text that is equal for equal values and different for all others.

    It is JSON in one form: keys are sorted, and a number is written the same however it was.
    """
    return json.dumps(
        _canonicalize(value, alike), ensure_ascii=False, sort_keys=True, separators=(",", ":")
    )


def to_sort_key(value: object) -> tuple[int, Any]:
    """Return a key that sorts values of all kinds: null, false, true, numbers, texts, others."""
    match value:
        case None:
            return 0, 0
        case bool():
            return 1, value
        case int():
            return 2, value
        case float() if value - value == 0:  # neither infinite nor no number
            return 2, value
        case str():
            return 3, value
        case _:
            return 4, to_canonical_form(value, Equality.EXACT)


def _canonicalize(value: object, alike: Equality) -> object:
    match value:
        case str():
            return _canonicalize_text(value, alike)
        case float() if value.is_integer():
            return int(value)
        case Mapping():
            members = cast("Mapping[str, object]", value)
            return {name: _canonicalize(each, alike) for name, each in members.items()}
        case list() | tuple():
            return [_canonicalize(each, alike) for each in cast("Sequence[object]", value)]
        case _:
            return value


def _canonicalize_text(text: str, alike: Equality) -> str:
    match alike:
        case Equality.EXACT:
            return text
        case Equality.UNICODE:
            return " ".join(unicodedata.normalize("NFC", text).split())
        case Equality.CASE:
            folded = unicodedata.normalize("NFKC", text).casefold()
            return " ".join(unicodedata.normalize("NFKC", folded).split())
