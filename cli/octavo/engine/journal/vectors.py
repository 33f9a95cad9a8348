"""Embeddings in the journal, by key."""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterable

from octavo.engine.journal.store import Journal
from octavo.text.quote import to_row_id
from octavo.text.vectors import Vector

__all__ = ["compute_vector_key", "find_vector", "keep_vectors"]


_VERSION = b"octavo vector 1\0"
_NUMBER_BYTES = 4


def compute_vector_key(embedder: str, text: str) -> bytes:
    """Return the SHA-256 that names the vector of a text by one embedder."""
    digest = hashlib.sha256(_VERSION)
    digest.update(f"{embedder}\0".encode())
    digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.digest()


def find_vector(journal: Journal, key: bytes) -> Vector | None:
    """Return the vector stored for a key, or None."""
    number = to_row_id(key)
    for data, stored, used, generation in journal.query(
        "SELECT vector, key, used, generation FROM vectors"
        " WHERE id = ? AND generation >= ? ORDER BY generation DESC",
        (number, journal.base),
    ):
        if stored != key or not isinstance(data, bytes) or len(data) % _NUMBER_BYTES:
            journal.mark_damaged(key)
            continue
        found = array("f", data)
        if not isinstance(used, int) or used < journal.today:
            journal.write("vector-used", (journal.today, number, generation))
        return _to_file_order(found)
    return None


async def keep_vectors(journal: Journal, vectors: Iterable[tuple[bytes, Vector]]) -> list[Vector]:
    """Store vectors; return the durable ones, which may be another process's.

    Raises JournalError when they cannot be written.
    """
    kept = list(vectors)
    for key, each in kept:
        journal.write(
            "vector-anew" if journal.is_damaged(key) else "vector",
            (
                to_row_id(key),
                journal.generation,
                key,
                _to_file_order(each).tobytes(),
                journal.today,
            ),
        )
    await journal.request_commit()
    return [find_vector(journal, key) or each for key, each in kept]


def _to_file_order(numbers: Vector) -> Vector:
    """Return numbers in the file's order of bytes, or from it."""
    if sys.byteorder == "little":
        return numbers
    swapped = array("f", numbers)
    swapped.byteswap()
    return swapped
