"""The parts of formats that are ZIP archives: whether each is what was put in."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from typing import Final

__all__ = ["ARCHIVE_ERRORS", "find_damaged_part"]

ARCHIVE_ERRORS: Final = (
    *(zipfile.BadZipFile, zlib.error, struct.error),
    *(EOFError, NotImplementedError, OSError, RuntimeError, ValueError),
)
"""What the archive module raises for damaged, encrypted or strange archives."""
_MEDIA: Final = (
    *(".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".emf", ".wmf"),
    *(".mp3", ".mp4", ".m4a", ".mov", ".wav", ".ttf", ".otf", ".woff", ".woff2"),
)
"""What has no text; a flaw in it costs nobody a document."""
_BLOCK: Final = 1 << 16


def find_damaged_part(data: bytes) -> str | None:
    """Return the name of the first part whose header or checksum does not hold, or None.

    Extraction leaves a part that it cannot read out without a word; a slide would be missing.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for part in archive.infolist():
                if not _is_intact(archive, part):
                    return part.filename
    except ARCHIVE_ERRORS:
        return "its list of parts"
    return None


def _is_intact(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bool:
    try:
        with archive.open(part) as opened:  # compares the two names that a part has
            while not part.filename.lower().endswith(_MEDIA) and opened.read(_BLOCK):
                pass
    except ARCHIVE_ERRORS:
        return False
    return True
