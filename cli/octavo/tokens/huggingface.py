"""The tokenizer in a `tokenizer.json` file, counted by Hugging Face's library (an extra)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from octavo.errors import UsageError
from octavo.text.encoding import replace_surrogates

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["HuggingFace"]


class HuggingFace:
    """Counts as a `tokenizer.json` says, without the tokens that a model adds around a text.

    Special tokens in a text are plain text. Raises UsageError when the library is missing or the
    file cannot be read, and at the first count when it holds no tokenizer.
    """

    exact = True

    def __init__(self, path: Path) -> None:
        if find_spec("tokenizers") is None:
            raise UsageError(
                f"counting with {path} needs the package tokenizers",
                hint="pip install 'octavo[tokenizers]'",
            )
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"tokenizer {path} cannot be read: {error.strerror or error}",
                hint="--tokenizer takes an encoding's name, or a tokenizer.json or .gguf file",
            ) from error
        self._path = path
        # The same wherever the file lies.
        self.name = f"file:{hashlib.sha256(self._data).hexdigest()[:16]}"

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        from tokenizers import Tokenizer  # noqa: PLC0415 - a cached run loads no vocabulary

        try:
            found = Tokenizer.from_buffer(self._data)
        except Exception as error:  # the library raises no narrower class
            raise UsageError(
                f"{self._path} holds no tokenizer: {error}",
                hint="name the model's tokenizer.json",
            ) from error
        # Such files often carry the settings of their training, which would cut the counts.
        found.no_truncation()
        found.no_padding()
        found.encode_special_tokens = True
        return found

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return self.count_batch([text])[0]

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text, on all cores."""
        prepared = [replace_surrogates(text) for text in texts]
        encoded = self._tokenizer.encode_batch_fast(prepared, add_special_tokens=False)
        return [len(encoding) for encoding in encoded]
