"""Documents of every kind, made by hand: the smallest that programs open."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

__all__ = ["docx", "eml", "epub", "odt", "pdf", "pptx", "xlsx"]

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDE = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"

Sections = Sequence[tuple[str, str]]
"""Pairs of a heading and the paragraph under it."""


def _zipped(files: Mapping[str, str], first: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if first:
            archive.writestr(first[0], first[1], zipfile.ZIP_STORED)
        for name, text in files.items():
            archive.writestr(name, text)
    return buffer.getvalue()


def _package(main: str, kind: str, parts: Mapping[str, str], files: Mapping[str, str]) -> bytes:
    """Return an Office Open XML package: its main part, and the content types of its parts."""
    types = "".join(
        f'<Override PartName="/{name}" ContentType="{content}"/>' for name, content in parts.items()
    )
    content = (
        f'<?xml version="1.0"?><Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels"'
        ' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{types}</Types>'
    )
    root = (
        f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="r1" Type="{_OFFICE}/relationships/{kind}" Target="{main}"/>'
        "</Relationships>"
    )
    return _zipped({"[Content_Types].xml": content, "_rels/.rels": root, **files})


def docx(sections: Sections) -> bytes:
    """Return a text document with headings."""
    body = "".join(
        f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>{escape(title)}</w:t></w:r>'
        f"</w:p><w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>"
        for title, text in sections
    )
    document = (
        f'<?xml version="1.0"?><w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {"word/document.xml": kind}
    return _package("word/document.xml", "officeDocument", parts, {"word/document.xml": document})


def xlsx(sheets: Mapping[str, Sequence[Sequence[str]]]) -> bytes:
    """Return a workbook: rows of texts by the name of their sheet."""
    files, parts, names, links = {}, {}, "", ""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    parts["xl/workbook.xml"] = f"{kind}.sheet.main+xml"
    for number, (name, rows) in enumerate(sheets.items(), 1):
        path = f"xl/worksheets/sheet{number}.xml"
        parts[path] = f"{kind}.worksheet+xml"
        cells = "".join(
            f'<row r="{r}">'
            + "".join(
                f'<c r="{chr(65 + c)}{r}" t="inlineStr"><is><t>{escape(value)}</t></is></c>'
                for c, value in enumerate(row)
            )
            + "</row>"
            for r, row in enumerate(rows, 1)
        )
        files[path] = (
            f'<?xml version="1.0"?><worksheet xmlns="{_SHEET}"><sheetData>{cells}</sheetData>'
            "</worksheet>"
        )
        names += f'<sheet name="{escape(name)}" sheetId="{number}" r:id="r{number}"/>'
        links += (
            f'<Relationship Id="r{number}" Type="{_OFFICE}/relationships/worksheet"'
            f' Target="worksheets/sheet{number}.xml"/>'
        )
    files["xl/workbook.xml"] = (
        f'<?xml version="1.0"?><workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}/relationships">'
        f"<sheets>{names}</sheets></workbook>"
    )
    files["xl/_rels/workbook.xml.rels"] = (
        f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}/relationships">{links}'
        "</Relationships>"
    )
    return _package("xl/workbook.xml", "officeDocument", parts, files)


def pptx(slides: Sections) -> bytes:
    """Return slides with a title and a text each."""
    files, ids, links = {}, "", ""
    kind = "application/vnd.openxmlformats-officedocument.presentationml"
    parts = {"ppt/presentation.xml": f"{kind}.presentation.main+xml"}
    for number, (title, text) in enumerate(slides, 1):
        path = f"ppt/slides/slide{number}.xml"
        parts[path] = f"{kind}.slide+xml"
        shapes = "".join(
            f'<p:sp><p:nvSpPr><p:cNvPr id="{at}" name="s{at}"/><p:cNvSpPr/><p:nvPr>'
            f'<p:ph type="{role}"/></p:nvPr></p:nvSpPr><p:spPr/><p:txBody><a:bodyPr/><a:p><a:r>'
            f"<a:t>{escape(value)}</a:t></a:r></a:p></p:txBody></p:sp>"
            for at, (role, value) in enumerate((("title", title), ("body", text)), 2)
        )
        files[path] = (
            f'<?xml version="1.0"?><p:sld xmlns:p="{_SLIDE}" xmlns:a="{_DRAWING}"><p:cSld>'
            f"<p:spTree>{shapes}</p:spTree></p:cSld></p:sld>"
        )
        ids += f'<p:sldId id="{255 + number}" r:id="r{number}"/>'
        links += (
            f'<Relationship Id="r{number}" Type="{_OFFICE}/relationships/slide"'
            f' Target="slides/slide{number}.xml"/>'
        )
    files["ppt/presentation.xml"] = (
        f'<?xml version="1.0"?><p:presentation xmlns:p="{_SLIDE}"'
        f' xmlns:r="{_OFFICE}/relationships"><p:sldIdLst>{ids}</p:sldIdLst></p:presentation>'
    )
    files["ppt/_rels/presentation.xml.rels"] = (
        f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}/relationships">{links}'
        "</Relationships>"
    )
    return _package("ppt/presentation.xml", "officeDocument", parts, files)


def odt(sections: Sections) -> bytes:
    """Return an OpenDocument text with headings."""
    space = "urn:oasis:names:tc:opendocument:xmlns"
    body = "".join(
        f'<text:h text:outline-level="1">{escape(title)}</text:h><text:p>{escape(text)}</text:p>'
        for title, text in sections
    )
    content = (
        f'<?xml version="1.0"?><office:document-content xmlns:office="{space}:office:1.0"'
        f' xmlns:text="{space}:text:1.0" office:version="1.2"><office:body><office:text>{body}'
        "</office:text></office:body></office:document-content>"
    )
    kind = "application/vnd.oasis.opendocument.text"
    manifest = (
        f'<?xml version="1.0"?><manifest:manifest xmlns:manifest="{space}:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/>'
        "</manifest:manifest>"
    )
    files = {"content.xml": content, "META-INF/manifest.xml": manifest}
    return _zipped(files, ("mimetype", kind))


def epub(chapters: Sections) -> bytes:
    """Return a book with one file a chapter."""
    files = {
        "META-INF/container.xml": (
            '<?xml version="1.0"?><container version="1.0"'
            ' xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="book.opf" media-type="application/oebps-package+xml"/>'
            "</rootfiles></container>"
        )
    }
    items, spine = "", ""
    for number, (title, text) in enumerate(chapters, 1):
        files[f"c{number}.xhtml"] = (
            '<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><head><title>'
            f"{escape(title)}</title></head><body><h1>{escape(title)}</h1><p>{escape(text)}</p>"
            "</body></html>"
        )
        items += f'<item id="c{number}" href="c{number}.xhtml" media-type="application/xhtml+xml"/>'
        spine += f'<itemref idref="c{number}"/>'
    files["book.opf"] = (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"'
        ' unique-identifier="id"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        "<dc:title>A Book</dc:title><dc:identifier id='id'>1</dc:identifier>"
        f"<dc:language>en</dc:language></metadata><manifest>{items}</manifest><spine>{spine}"
        "</spine></package>"
    )
    return _zipped(files, ("mimetype", "application/epub+zip"))


def pdf(pages: Sequence[Sequence[str]], *, encrypted: bool = False) -> bytes:
    """Return a PDF: for each page its lines, the first in a larger type; ASCII only.

    An `encrypted` one names a password that nobody knows.
    """
    count = len(pages)
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        shown = ["BT"]
        for at, line in enumerate(lines):
            size, height = (20, 760) if at == 0 else (11, 740 - 14 * at)
            marked = line.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            shown.append(f"/F1 {size} Tf 1 0 0 1 60 {height} Tm ({marked}) Tj")
        stream = "\n".join([*shown, "ET"])
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842]"
            f" /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    trailer = f"/Size {len(objects) + 1} /Root 1 0 R"
    if encrypted:
        objects.append(f"<< /Filter /Standard /V 1 /R 2 /O <{'ab' * 32}> /U <{'cd' * 32}> /P -4 >>")
        trailer = f"/Size {len(objects) + 1} /Root 1 0 R /Encrypt {len(objects)} 0 R"
        trailer += f" /ID [<{'00' * 16}> <{'00' * 16}>]"
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    out += (
        f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n<< {trailer} >>\n"
        f"startxref\n{len(out)}\n%%EOF\n"
    )
    return out.encode("ascii")


def eml(subject: str, text: str) -> bytes:
    """Return a mail."""
    return (
        f"From: one@example.org\r\nTo: two@example.org\r\nSubject: {subject}\r\n"
        "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()
