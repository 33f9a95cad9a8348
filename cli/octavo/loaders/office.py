"""PDF, EPUB, office files and mail, as Markdown with headings and pages.

The extraction runs in a process of its own, which is ended when it takes too long or too much
memory: what is damaged costs its own document and nothing else. Scans are not recognized: a file
without text is an error that says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Final

from octavo.errors import InputError
from octavo.loaders.extraction import EXTRACTION, Extracted
from octavo.loaders.signature import kind_of
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document
from octavo.text.outline import markdown_headings

__all__ = ["LOADER"]

_OPEN_XML: Final = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument"
_TYPES: Final = {
    ".pdf": "application/pdf",
    ".epub": "application/epub+zip",
    ".docx": f"{_OPEN_XML}.wordprocessingml.document",
    ".pptx": f"{_OPEN_XML}.presentationml.presentation",
    ".xlsx": f"{_OPEN_XML}.spreadsheetml.sheet",
    ".odt": f"{_OPEN_DOCUMENT}.text",
    ".eml": "message/rfc822",
    ".msg": "application/vnd.ms-outlook",
}
_STARTS: Final = {".pdf": b"%PDF-", ".msg": b"\xd0\xcf\x11\xe0"} | dict.fromkeys(
    (".docx", ".epub", ".odt", ".pptx", ".xlsx"), b"PK\x03\x04"
)
_PAGED: Final = frozenset({".pdf", ".pptx"})
"""Formats whose pages are fixed; those of the others are the reader's choice."""
_LARGEST: Final = 256 << 20


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    del encoding  # these formats say it themselves
    suffix = PurePosixPath(source).suffix.lower()
    if find_spec("xberg") is None:
        raise InputError(
            f"reading {suffix} files needs the package xberg, which is not installed",
            source=source,
            hint="pip install 'octavo[docs]', or leave them out with --exclude",
        )
    if not data:
        raise InputError("the file is empty", source=source)
    try:
        found = EXTRACTION.extract(data, _TYPES[suffix], source, paged=suffix in _PAGED)
    except InputError as error:
        kind = kind_of(data)
        if kind is None or kind == kind_of(_STARTS.get(suffix, b"")):
            raise
        raise InputError(f"this is {kind}, and its name ends in {suffix}", source=source) from error
    text, pages = _joined(found)
    if not text.strip():
        raise _without_text(found, source)
    return Document(
        text,
        source,
        outline=markdown_headings(text, 0),
        metadata={"title": found.title} if found.title else {},
        pages=pages,
        page_unit=found.unit,
        verbatim=False,
    )


def _joined(found: Extracted) -> tuple[str, tuple[int, ...]]:
    """Return the text and where its pages start; a sentence may go on over a page's end."""
    if not found.pages:
        return found.text, ()
    text = ""
    starts: list[int] = []
    parts: list[str] = []
    length = 0
    for page in found.pages:
        body = page.replace("\r\n", "\n").strip("\n")
        gap = "" if not text else "\n" if _goes_on(text, body) else "\n\n"
        parts.append(gap + body)
        starts.append(length + len(gap))
        length += len(gap) + len(body)
        text = body or text
    return "".join(parts) + "\n", tuple(starts)


def _goes_on(before: str, after: str) -> bool:
    return before[-1:].isalnum() and after[:1].islower()


def _without_text(found: Extracted, source: str) -> InputError:
    if found.pages:
        return InputError(
            f"no text in {len(found.pages):,} {found.unit}s: they are empty or scanned images",
            source=source,
            hint="make the text readable first, for example with ocrmypdf",
        )
    return InputError("there is no text in it", source=source)


LOADER = LoaderType(name="office", suffixes=frozenset(_TYPES), load=_load, limit=_LARGEST)
