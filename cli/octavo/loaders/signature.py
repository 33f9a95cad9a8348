"""What a file is by its bytes, whatever its name says."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import dataclass
from typing import Final

from octavo.loaders.parts import UNREADABLE

__all__ = ["ZIP", "Kind", "disguised", "kind_of"]


@dataclass(frozen=True, slots=True)
class Kind:
    """What bytes seem to be, with its article, and the suffixes that such files may have."""

    name: str
    suffixes: tuple[str, ...] = ()

    @property
    def suffix(self) -> str | None:
        """The suffix, where there is no doubt."""
        return self.suffixes[0] if len(self.suffixes) == 1 else None


_RTF: Final = b"{\\rtf1"
_OLE: Final = Kind("an old or an encrypted office document", (".msg", ".doc", ".xls", ".ppt"))
ZIP: Final = b"PK\x03\x04"
# Formats that people hand over by mistake, by their first bytes; they explain a failure only,
# since a text may begin with the same letters.
_FORMATS: Final = (
    (b"%PDF-", Kind("a PDF document", (".pdf",))),
    (b"\x1f\x8b", Kind("gzip-compressed data")),
    (b"\x89PNG", Kind("an image")),
    (b"\xff\xd8\xff", Kind("an image")),
    (b"GIF8", Kind("an image")),
    (
        b"\xd0\xcf\x11\xe0",
        Kind("an old or an encrypted office document", (".msg", ".doc", ".xls", ".ppt")),
    ),
    (_RTF, Kind("an RTF document")),
    (b"\x7fELF", Kind("a program")),
    (b"SQLite format 3", Kind("a database")),
    (b"GGUF", Kind("a model file")),
)
# Formats that are ZIP archives, by a file that only they have.
_ARCHIVES: Final = {
    "META-INF/container.xml": Kind("an EPUB book", (".epub",)),
    "word/document.xml": Kind("a Word document", (".docx",)),
    "ppt/presentation.xml": Kind("a PowerPoint presentation", (".pptx",)),
    "xl/workbook.xml": Kind("an Excel workbook", (".xlsx",)),
    "META-INF/manifest.xml": Kind("an OpenDocument file", (".odt",)),
}
_ARCHIVED: Final = tuple(kind.suffixes[0] for kind in _ARCHIVES.values())
_DISGUISED: Final = re.compile(rb"\{\\rtf1|%PDF-\d\.\d")


def kind_of(data: bytes) -> Kind | None:
    """Return what bytes that are no text seem to be, or None."""
    if data.startswith(ZIP):
        return _archive(data)
    return next((kind for start, kind in _FORMATS if data.startswith(start)), None)


def disguised(data: bytes) -> bool:
    """Tell whether bytes are of a format that may decode as text, and is none."""
    return _DISGUISED.match(data) is not None


def _archive(data: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except UNREADABLE:
        return Kind("a ZIP archive or an office document", _ARCHIVED)  # too damaged to tell
    other = Kind("a ZIP archive", _ARCHIVED)  # or an office document that lacks its main part
    return next((kind for name, kind in _ARCHIVES.items() if name in names), other)
