"""The counter for a GGUF file's tokenizer, which counts as llama.cpp counts.

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
from octavo.text.encoding import replace_surrogates
from octavo.tokens.estimate import Estimate
from octavo.tokens.gguf.byte_level import ByteLevel
from octavo.tokens.gguf.metadata import GgufMetadata, read_metadata
from octavo.tokens.gguf.sentencepiece import SentencePiece
from octavo.tokens.gguf.word_patterns import find_word_pattern

__all__ = ["get_word_tokenizer", "open_gguf_counter"]


_USER_DEFINED: Final = 4
_NAME_DIGITS: Final = 16


def open_gguf_counter(path: Path) -> Counter:
    """Return the counter for a GGUF file's tokenizer; the vocabulary is read at the first count.

    Its name is `gguf:` and a hash of the tokenizer's part of the metadata, so that it is the same
    for all quantizations of a model. Raises UsageError when the file is not GGUF.
    """
    metadata = read_metadata(path)
    kind = metadata.scalars.get("tokenizer.ggml.model")
    words = find_word_pattern(str(metadata.scalars.get("tokenizer.ggml.pre", "")))
    if kind == "gpt2" and words:
        return _GgufCounter(metadata, ByteLevel(metadata, words))
    if kind == "llama":
        return _GgufCounter(metadata, SentencePiece(metadata))
    return Estimate()


def get_word_tokenizer(
    path: Path,
) -> Callable[[str], Iterable[tuple[str, list[int] | None]]] | None:
    """Return a function that splits a text into words with their token numbers.

    See ByteLevel.tokenize_words. None for a tokenizer of another kind.
    Raises UsageError when the file is not GGUF.
    """
    metadata = read_metadata(path)
    words = find_word_pattern(str(metadata.scalars.get("tokenizer.ggml.pre", "")))
    if metadata.scalars.get("tokenizer.ggml.model") != "gpt2" or not words:
        return None
    return ByteLevel(metadata, words).tokenize_words


class _Vocabulary(Protocol):
    def count(self, text: str) -> int: ...


class _GgufCounter:
    exact = True

    def __init__(self, metadata: GgufMetadata, vocabulary: _Vocabulary) -> None:
        self.name = f"gguf:{metadata.compute_digest('tokenizer.ggml.')[:_NAME_DIGITS]}"
        self._metadata = metadata
        self._vocabulary = vocabulary

    @cached_property
    def _user_defined_tokens(self) -> tuple[str, ...]:
        """The tokens that llama.cpp takes out of any text before it cuts words, longest first."""
        kinds = self._metadata.read_numbers("tokenizer.ggml.token_type")
        if _USER_DEFINED not in kinds:
            return ()
        tokens = self._metadata.read_strings("tokenizer.ggml.tokens")
        pairs = zip(tokens, kinds, strict=False)
        defined = [token for token, kind in pairs if kind == _USER_DEFINED and token]
        return tuple(sorted(defined, key=lambda token: len(token.encode()), reverse=True))

    def count(self, text: str) -> int:
        text = replace_surrogates(text)
        parts, count = [text], 0
        for token in [token for token in self._user_defined_tokens if token in text]:
            pieces = [part.split(token) for part in parts]
            count += sum(len(piece) - 1 for piece in pieces)
            parts = [part for piece in pieces for part in piece if part]
        return count + sum(map(self._vocabulary.count, parts))

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]
