"""Plain scalars as YAML 1.2 reads them.

PyYAML reads them as YAML 1.1 does, where `no` is false, `010` is eight and `1e3` is text.
"""

from __future__ import annotations

import re

__all__ = ["parse_scalar"]

_SCALAR_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
_OTHER_BASE = re.compile(r"0(?:o[0-7]{1,300}|x[0-9a-fA-F]{1,300})")
_NUMBER = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def parse_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of a scalar written without quotes, by the core schema of YAML 1.2."""
    if text in _SCALAR_WORDS:
        return _SCALAR_WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _OTHER_BASE.fullmatch(text):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return float(text) if _NUMBER.fullmatch(text) else text
