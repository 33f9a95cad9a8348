"""PDF, EPUB, office files and mail, as Markdown with headings and pages.

The extraction runs in a process of its own, which is ended when it takes too long or too much
memory: a damaged file costs its own document and nothing else. Scans are not recognized: a file
without text is an error that says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from octavo.errors import InputError
from octavo.loaders._support.file_format import ZIP_MAGIC, detect_format, find_damaged_part
from octavo.protocols.sources import LoaderType
from octavo.text.document import Document
from octavo.text.outline import markdown_headings

if TYPE_CHECKING:
    from octavo.loaders.office.extraction import ExtractedText

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
_PAGED: Final = frozenset({".pdf", ".pptx"})
"""Formats whose pages are fixed; those of the others are the reader's choice."""

_PDF_END: Final = b"startxref"
_PDF_TAIL: Final = 4096
"""Bytes at a PDF's end in which its last mark stands; by the standard 1,024, with some room."""

_MAX_BYTES: Final = 256 << 20


def _load(data: bytes, source: str, encoding: str | None) -> Document:
    from octavo.loaders.office.extraction import (  # noqa: PLC0415 - only for such files
        DAMAGED_HINT,
        EXTRACTION,
    )

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
        raise _build_suffix_error(data, suffix, source) or error from error
    if suffix == ".pdf" and _PDF_END not in data[-_PDF_TAIL:]:
        # The library reads on as far as it can, and would leave out the rest without a word.
        raise InputError("it is cut off: the end is missing", source=source, hint=DAMAGED_HINT)
    if data.startswith(ZIP_MAGIC) and (part := find_damaged_part(data)) is not None:
        raise InputError(f"cannot be read: {part} is damaged", source=source, hint=DAMAGED_HINT)
    text, pages = _join_pages(found)
    if not text.strip():
        raise _build_suffix_error(data, suffix, source) or _build_empty_error(found, source)
    return Document(
        text,
        source,
        outline=markdown_headings(text, 0),
        metadata={"title": found.title} if found.title else {},
        pages=pages,
        page_unit=found.unit,
        verbatim=False,
    )


def _join_pages(found: ExtractedText) -> tuple[str, tuple[int, ...]]:
    """Return the text and where its pages start; a sentence may go on over a page's end."""
    if not found.pages:
        return found.text, ()
    text = ""
    starts: list[int] = []
    parts: list[str] = []
    length = 0
    for page in found.pages:
        body = page.replace("\r\n", "\n").strip("\n")
        gap = "" if not text else "\n" if _is_continued(text, body) else "\n\n"
        parts.append(gap + body)
        starts.append(length + len(gap))
        length += len(gap) + len(body)
        text = body or text
    return "".join(parts) + "\n", tuple(starts)


def _is_continued(before: str, after: str) -> bool:
    return before[-1:].isalnum() and after[:1].islower()


def _build_suffix_error(data: bytes, suffix: str, source: str) -> InputError | None:
    """Return the error of a file that is of another format than its name says."""
    kind = detect_format(data)
    if kind is None or suffix in kind.suffixes:
        return None
    return InputError(
        f"this is {kind.name}, and its name ends in {suffix}",
        source=source,
        hint=f"rename it to end in {kind.suffix}" if kind.suffix else None,
    )


def _build_empty_error(found: ExtractedText, source: str) -> InputError:
    if found.pages:
        count = len(found.pages)
        what = (
            f"1 {found.unit}: it is empty or a scanned image"
            if count == 1
            else f"{count:,} {found.unit}s: they are empty or scanned images"
        )
        return InputError(
            f"no text in {what}",
            source=source,
            hint="make the text readable first, for example with ocrmypdf",
        )
    return InputError("there is no text in it", source=source)


LOADER = LoaderType(name="office", suffixes=frozenset(_TYPES), load=_load, limit=_MAX_BYTES)
