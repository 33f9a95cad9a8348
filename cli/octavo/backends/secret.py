"""A key that shows itself to nobody by accident."""

from __future__ import annotations

from typing import NoReturn

__all__ = ["Secret"]


class Secret:
    """Holds a key. Printing, formatting and pickling it give nothing away; `reveal` does."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the key, for the header that carries it."""
        return self._value

    def scrub(self, raw: bytes) -> bytes:
        """Return what a server sent with `***` where it quotes the key."""
        return raw.replace(self._value.encode(), b"***")

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key is not pickled or copied")
