"""What a file is by its first bytes, whatever its name says."""

from __future__ import annotations

from typing import Final

__all__ = ["RTF", "kind_of"]

RTF: Final = b"{\\rtf1"  # decodes as text, and is none
# Formats that people hand over by mistake, by their first bytes; they explain a failure only,
# since a text may begin with the same letters.
_FORMATS: Final = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"\x89PNG", "an image"),
    (b"\xff\xd8\xff", "an image"),
    (b"GIF8", "an image"),
    (b"\xd0\xcf\x11\xe0", "an old or an encrypted office document"),
    (RTF, "an RTF document"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
    (b"GGUF", "a model file"),
)


def kind_of(data: bytes) -> str | None:
    """Return what bytes that are no text seem to be, with its article, or None."""
    return next((kind for start, kind in _FORMATS if data.startswith(start)), None)
