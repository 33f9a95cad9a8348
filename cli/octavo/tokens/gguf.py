"""The tokenizer inside a GGUF file, counted as llama.cpp counts.

Byte-level tokenizers (SmolLM2, Llama 3, Qwen 2 and 3, ...) and SentencePiece's (Llama 2, Mistral
7B, Gemma, ...) are rebuilt from the file's metadata; the weights are not read. For any other
tokenizer the estimate counts, and `name` and `exact` say so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Final, Protocol

from octavo.protocols.tokens import Counter
from octavo.tokens.bytelevel import ByteLevel
from octavo.tokens.estimate import Estimate
from octavo.tokens.metadata import Metadata, read_metadata
from octavo.tokens.sendable import sendable
from octavo.tokens.sentencepiece import SentencePiece
from octavo.tokens.words import words_named

__all__ = ["gguf", "words_of"]

_USER_DEFINED: Final = 4
_DIGITS: Final = 16


def gguf(path: Path) -> Counter:
    """Return the counter for a GGUF file's tokenizer; the vocabulary is read at the first count.

    Its name is `gguf:` and a hash of the tokenizer's part of the metadata, so that it is the same
    for all quantizations of a model. Raises UsageError when the file is not GGUF.
    """
    metadata = read_metadata(path)
    kind = metadata.scalars.get("tokenizer.ggml.model")
    words = words_named(str(metadata.scalars.get("tokenizer.ggml.pre", "")))
    if kind == "gpt2" and words:
        return _Gguf(metadata, ByteLevel(metadata, words))
    if kind == "llama":
        return _Gguf(metadata, SentencePiece(metadata))
    return Estimate()


def words_of(path: Path) -> Callable[[str], Iterable[tuple[str, list[int] | None]]] | None:
    """Return what gives a text's words and the numbers of their tokens; see ByteLevel.words.

    None for a tokenizer of another kind. Raises UsageError when the file is not GGUF.
    """
    metadata = read_metadata(path)
    words = words_named(str(metadata.scalars.get("tokenizer.ggml.pre", "")))
    if metadata.scalars.get("tokenizer.ggml.model") != "gpt2" or not words:
        return None
    return ByteLevel(metadata, words).words


class _Vocabulary(Protocol):
    def count(self, text: str) -> int: ...


class _Gguf:
    exact = True

    def __init__(self, metadata: Metadata, vocabulary: _Vocabulary) -> None:
        self.name = f"gguf:{metadata.digest('tokenizer.ggml.')[:_DIGITS]}"
        self._metadata = metadata
        self._vocabulary = vocabulary

    @cached_property
    def _defined(self) -> tuple[str, ...]:
        """The tokens that llama.cpp takes out of any text before it cuts words, longest first."""
        kinds = self._metadata.numbers("tokenizer.ggml.token_type")
        if _USER_DEFINED not in kinds:
            return ()
        tokens = self._metadata.strings("tokenizer.ggml.tokens")
        pairs = zip(tokens, kinds, strict=False)
        defined = [token for token, kind in pairs if kind == _USER_DEFINED and token]
        return tuple(sorted(defined, key=lambda token: len(token.encode()), reverse=True))

    def count(self, text: str) -> int:
        text = sendable(text)
        parts, count = [text], 0
        for token in [token for token in self._defined if token in text]:
            pieces = [part.split(token) for part in parts]
            count += sum(len(piece) - 1 for piece in pieces)
            parts = [part for piece in pieces for part in piece if part]
        return count + sum(map(self._vocabulary.count, parts))

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]
