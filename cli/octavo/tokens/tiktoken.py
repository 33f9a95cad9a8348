"""tiktoken, for the encodings and platforms that toktok-rs lacks.

It carries no vocabularies: it reads them from its cache directory and fetches them when they are
not there. Without a network the estimate counts, and `name` and `exact` are those of the estimate;
they are known only after the vocabulary was looked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from octavo.protocols.tokens import Counter
from octavo.text.encoding import replace_surrogates
from octavo.tokens.estimate import Estimate

if TYPE_CHECKING:
    import tiktoken

__all__ = ["Tiktoken"]


_LOAD_TIMEOUT: Final = 60.0
"""Seconds after which a vocabulary that does not arrive counts as out of reach."""


class Tiktoken:
    """Counts as one of tiktoken's encodings does, or by the estimate if it is not available.

    `notice` is told, in one line each, that a vocabulary may be fetched and that it was not.
    Special tokens in a text are plain text.
    """

    def __init__(self, name: str, notice: Callable[[str], None]) -> None:
        self._wanted = name
        self._notice = notice
        self._lock = Lock()
        self._found: Counter | None = None

    @property
    def name(self) -> str:
        """The encoding's name, or the estimate's."""
        return self._counter.name

    @property
    def exact(self) -> bool:
        """Whether the encoding could be had."""
        return self._counter.exact

    def count(self, text: str) -> int:
        """Return the number of tokens of a text."""
        return self._counter.count(text)

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        """Return the number of tokens of each text."""
        return self._counter.count_batch(texts)

    @property
    def _counter(self) -> Counter:
        with self._lock:
            if self._found is None:
                self._found = self._load()
            return self._found

    def _load(self) -> Counter:
        found: list[_TiktokenEncoding] = []
        faults: list[Exception] = []

        def load() -> None:
            import tiktoken  # noqa: PLC0415 - needed for a few encodings only

            try:
                found.append(_TiktokenEncoding(tiktoken.get_encoding(self._wanted)))
            except Exception as fault:  # noqa: BLE001 - whatever its HTTP client raises
                faults.append(fault)

        self._notice(f"tokenizer {self._wanted}: tiktoken reads its vocabulary, or fetches it")
        # It fetches without a time limit of its own, hence the thread.
        thread = Thread(target=load, daemon=True)
        thread.start()
        thread.join(_LOAD_TIMEOUT)
        if found:
            return found[0]
        estimate = Estimate()
        reason = type(faults[0]).__name__ if faults else f"no answer within {_LOAD_TIMEOUT:.0f} s"
        self._notice(
            f"tokenizer {self._wanted} cannot be had ({reason}): counting by {estimate.name}"
        )
        return estimate


class _TiktokenEncoding:
    exact = True

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self.name = encoding.name
        self._encode = encoding.encode_ordinary

    def count(self, text: str) -> int:
        return len(self._encode(replace_surrogates(text)))

    def count_batch(self, texts: Sequence[str]) -> list[int]:
        return [self.count(text) for text in texts]
