"""How byte-level tokenizers cut a text into words before they merge bytes inside each word.

A GGUF file names its way of cutting under `tokenizer.ggml.pre`; the ways below are those that
were compared with llama.cpp. Each is one expression over the whole text whose matches join to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["WordPattern", "find_word_pattern"]


_SUFFIX: Final = r"'s|'t|'re|'ve|'m|'ll|'d"
_ANY_CASE_SUFFIX: Final = r"'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD]"
_SPACES: Final = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_MARKS: Final = r" ?[^\s\p{L}\p{N}]+[\r\n]*"
_MARKS_OR_SLASHES: Final = r" ?[^\s\p{L}\p{N}]+[\r\n/]*"

# A letter that is not lower-case ASCII, and one that is not upper-case ASCII: what llama.cpp makes
# of the letter classes that these two tokenizers were trained with.
_HIGH: Final = r"(?:(?=\p{L})[^a-z])"
_LOW: Final = r"(?:(?=\p{L})[^A-Z])"


@dataclass(frozen=True, slots=True)
class WordPattern:
    """An expression that cuts, and whether a word that is a token is taken without merging."""

    pattern: str
    whole: bool = False


def _build_gpt2() -> str:
    return rf"{_SUFFIX}| ?\p{{L}}+| ?\p{{N}}+| ?[^\s\p{{L}}\p{{N}}]+|\s+(?!\S)|\s+"


def _build_single_digits() -> str:
    # GPT-2's way between digits that were cut out before: white space before one ends a part.
    return rf"{_SUFFIX}| ?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+|\s+(?![^\s\p{{N}}])|\s+"


def _build_llama3(digits: str) -> str:
    letters = r"[^\r\n\p{L}\p{N}]?\p{L}+"
    return rf"{_ANY_CASE_SUFFIX}|{letters}|{digits}|{_MARKS}|{_SPACES}"


def _build_cased(suffix: str, digits: str) -> str:
    before = r"[^\r\n\p{L}\p{N}]?"
    letters = rf"{before}{_HIGH}*{_LOW}+{suffix}|{before}{_HIGH}+{_LOW}*{suffix}"
    return rf"{letters}|{digits}|{_MARKS_OR_SLASHES}|{_SPACES}"


_GPT2: Final = WordPattern(_build_gpt2())
_SINGLE_DIGITS: Final = WordPattern(_build_single_digits())
_LLAMA3: Final = WordPattern(_build_llama3(r"\p{N}{1,3}"), whole=True)
_QWEN2: Final = WordPattern(_build_llama3(r"\p{N}"))
_QWEN35: Final = WordPattern(
    rf"{_ANY_CASE_SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}"
    rf"| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_GLM4: Final = WordPattern(_build_llama3(r"\p{N}{1,3}"))
_TEKKEN: Final = WordPattern(_build_cased("", r"\p{N}"), whole=True)
_GPT4O: Final = WordPattern(_build_cased(rf"(?:{_ANY_CASE_SUFFIX})?", r"\p{N}{1,3}"))

_BY_NAME: Final = {
    "chatglm-bpe": _GLM4,
    "command-r": _SINGLE_DIGITS,
    "dbrx": _GLM4,
    "deepseek-r1-qwen": _QWEN2,
    "exaone": _SINGLE_DIGITS,
    "exaone4": _GPT2,
    "falcon3": _LLAMA3,
    "glm4": _GLM4,
    "gpt-2": _GPT2,
    "gpt-4o": _GPT4O,
    "lfm2": _LLAMA3,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
    "llama4": _GPT4O,
    "mpt": _GPT2,
    "olmo": _GPT2,
    "phi-2": _GPT2,
    "pixtral": _LLAMA3,
    "qwen2": _QWEN2,
    "qwen35": _QWEN35,
    "refact": _SINGLE_DIGITS,
    "smaug-bpe": _GLM4,
    "smollm": _SINGLE_DIGITS,
    "stablelm2": _QWEN2,
    "starcoder": _SINGLE_DIGITS,
    "tekken": _TEKKEN,
}


def find_word_pattern(name: str) -> WordPattern | None:
    """Return the way of cutting that a GGUF file names, or None when it is not known here."""
    return _BY_NAME.get(name)
