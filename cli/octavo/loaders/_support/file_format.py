"""Detect the format of a file by its bytes, whatever its name says.

Of formats that are ZIP archives, `find_damaged_part` checks that each part is intact.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass
from typing import Final

__all__ = [
    "ARCHIVE_ERRORS",
    "ZIP_MAGIC",
    "FileFormat",
    "detect_format",
    "find_damaged_part",
    "is_disguised",
]


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What bytes seem to be, with its article, and the suffixes that such files may have."""

    name: str
    suffixes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str | None:
        """The suffix, where there is no doubt."""
        return self.suffixes[0] if len(self.suffixes) == 1 else None


ZIP_MAGIC: Final = b"PK\x03\x04"
_RTF: Final = b"{\\rtf1"

# Formats that people hand over by mistake, by their first bytes; they explain a failure only,
# since a text may begin with the same letters.
_FORMATS: Final = (
    (b"%PDF-", FileFormat("a PDF document", (".pdf",))),
    (b"\x1f\x8b", FileFormat("gzip-compressed data")),
    (b"\x89PNG", FileFormat("an image")),
    (b"\xff\xd8\xff", FileFormat("an image")),
    (b"GIF8", FileFormat("an image")),
    (
        b"\xd0\xcf\x11\xe0",
        FileFormat("an old or an encrypted office document", (".msg", ".doc", ".xls", ".ppt")),
    ),
    (_RTF, FileFormat("an RTF document")),
    (b"\x7fELF", FileFormat("a program")),
    (b"SQLite format 3", FileFormat("a database")),
    (b"GGUF", FileFormat("a model file")),
)

# Formats that are ZIP archives, by a file that only they have.
_ARCHIVES: Final = {
    "META-INF/container.xml": FileFormat("an EPUB book", (".epub",)),
    "word/document.xml": FileFormat("a Word document", (".docx",)),
    "ppt/presentation.xml": FileFormat("a PowerPoint presentation", (".pptx",)),
    "xl/workbook.xml": FileFormat("an Excel workbook", (".xlsx",)),
    "META-INF/manifest.xml": FileFormat("an OpenDocument file", (".odt",)),
}
_ARCHIVED: Final = tuple(kind.suffixes[0] for kind in _ARCHIVES.values())
_DISGUISED: Final = re.compile(rb"\{\\rtf1|%PDF-\d\.\d")

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


def detect_format(data: bytes) -> FileFormat | None:
    """Return the format that non-text bytes seem to have, or None."""
    if data.startswith(ZIP_MAGIC):
        return _detect_archive(data)
    return next((kind for start, kind in _FORMATS if data.startswith(start)), None)


def is_disguised(data: bytes) -> bool:
    """Return whether bytes are of a format that may decode as text without being text."""
    return _DISGUISED.match(data) is not None


def _detect_archive(data: bytes) -> FileFormat:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except ARCHIVE_ERRORS:
        return FileFormat("a ZIP archive or an office document", _ARCHIVED)  # too damaged to tell
    other = FileFormat("a ZIP archive", _ARCHIVED)  # or an office document that lacks its main part
    return next((kind for name, kind in _ARCHIVES.items() if name in names), other)


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
