"""What is found in documents of every kind, and what is said of damaged ones."""

from __future__ import annotations

import io
import random
import zipfile

import pytest
from tests.support import office

from octavo.errors import InputError
from octavo.loaders.office.extraction import ExtractionProcess, _explain_failure
from octavo.loaders.office.loader import LOADER
from octavo.text.document import describe_location
from octavo.text.span import Span

SECTIONS = [
    ("First part", "It begins with *stars*, under_scores & <tags>."),
    ("Second part", "Es endet hier, 到此结束."),
]
PAGES = [["Title one", "First line of page one.", "second line"], ["Title two", "Last page (end)."]]
KINDS = {
    "book.epub": office.epub(SECTIONS),
    "letter.docx": office.docx(SECTIONS),
    "letter.odt": office.odt(SECTIONS),
    "mail.eml": office.eml("Hello", "The text.\r\n\r\nOn two lines."),
    "paper.pdf": office.pdf(PAGES),
    "sheet.xlsx": office.xlsx({"Staff": [["name", "age"], ["Ann", "33"]], "Rooms": [["no"]]}),
    "talk.pptx": office.pptx(SECTIONS),
}
DAMAGED = 100


def load(name, data=None):
    return LOADER.load(KINDS[name] if data is None else data, name, None)


def places(document):
    return [describe_location(document, Span(at, at + 1)) for at in (0, len(document.text) - 2)]


@pytest.mark.parametrize("name", ["book.epub", "letter.docx", "letter.odt", "talk.pptx"])
def test_every_word_and_every_heading_is_found(name):
    document = load(name)
    assert [heading.title for heading in document.outline] == ["First part", "Second part"]
    words = document.text.replace("\\", "")
    for _, text in SECTIONS:
        assert text in words


def test_a_pdf_tells_its_pages():
    document = load("paper.pdf")
    assert document.pages[0] == 0
    assert document.text[document.pages[1] :].startswith("# Title two")
    assert places(document) == ["page 1", "page 2"]
    for line in (line for page in PAGES for line in page):
        assert line in document.text


def test_a_sentence_goes_on_over_the_end_of_a_page():
    document = load("paper.pdf", office.pdf([["one", "It goes"], ["on here", "end."]]))
    assert "goes\non" in document.text.replace("# ", "")


def test_slides_and_sheets_are_places_too():
    assert places(load("talk.pptx")) == ["slide 1", "slide 2"]
    assert places(load("sheet.xlsx")) == ["Staff", "Rooms"]
    assert "| Ann | 33 |" in load("sheet.xlsx").text


def test_a_chapter_is_a_place_and_the_title_is_kept():
    document = load("book.epub")
    assert places(document) == ["First part", "Second part"]
    assert document.metadata == {"title": "A Book"}


def test_a_mail_has_its_subject_and_sender():
    text = load("mail.eml").text
    assert "Hello" in text
    assert "one@example.org" in text
    assert "On two lines." in text


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.pdf", office.pdf([["x"]], encrypted=True), "encrypted"),
        ("a.pdf", office.pdf([[], []]), "2 pages: they are empty or scanned images"),
        ("a.pdf", office.pdf(PAGES)[:-60], "it is cut off: the end is missing"),
        ("a.pdf", b"", "the file is empty"),
        ("a.docx", office.docx([]), "there is no text in it"),
        ("a.pdf", office.pdf([[]]), "no text in 1 page: it is empty or a scanned image"),
        ("a.pdf", office.docx(SECTIONS), "this is a Word document, and its name ends in .pdf"),
        ("a.docx", office.pdf(PAGES), "this is a PDF document"),
        ("a.docx", office.epub(SECTIONS), "this is an EPUB book, and its name ends in .docx"),
        ("a.epub", office.pptx(SECTIONS), "this is a PowerPoint presentation"),
        ("a.pptx", office.xlsx({"A": [["x"]]}), "this is an Excel workbook"),
        ("a.eml", office.odt(SECTIONS), "this is an OpenDocument file"),
        ("a.docx", office.docx(SECTIONS)[:300], "cannot be read: invalid Zip archive"),
        (
            "a.docx",
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
            "an encrypted office document",
        ),
    ],
)
def test_what_cannot_be_read_says_why_and_names_the_file(name, data, said):
    with pytest.raises(InputError, match=said) as caught:
        load(name, data)
    assert str(caught.value).startswith(name)


def test_a_file_of_another_kind_says_how_to_name_it():
    with pytest.raises(InputError) as caught:
        load("a.docx", office.epub(SECTIONS))
    assert caught.value.hint == "rename it to end in .epub"


@pytest.mark.parametrize(
    ("reason", "said"),
    [
        ("Security violation: Potential ZIP bomb detected: 1B -> 9B", "it unpacks to more than"),
        (
            "Parsing error: Security limit exceeded: invalid Zip archive: Invalid local header",
            "cannot be read: invalid Zip archive: Invalid local header",
        ),
        (
            "Parsing error: xberg_native_pdf: failed to load bytes: Invalid cross-reference table",
            "cannot be read: Invalid cross-reference table",
        ),
    ],
)
def test_the_library_is_quoted_without_the_names_of_its_parts(reason, said):
    error = _explain_failure(reason, "a.docx")
    assert str(error).startswith(f"a.docx: {said}")
    assert error.hint


def test_a_file_that_unpacks_to_too_much_is_refused():
    packed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(KINDS["letter.docx"])) as whole,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as bomb,
    ):
        for name in whole.namelist():
            much = b"a" * (128 << 20) if name == "word/document.xml" else b"It begins"
            bomb.writestr(name, whole.read(name).replace(b"It begins", much))
    with pytest.raises(InputError, match=r"^b\.docx: it unpacks to more than is taken"):
        load("b.docx", packed.getvalue())


def test_a_document_that_takes_too_long_costs_only_itself():
    extraction = ExtractionProcess(timeout=0.001)
    try:
        with pytest.raises(InputError, match=r"s\.pdf: cannot be read: it takes more than 0 s"):
            extraction.extract(KINDS["paper.pdf"], "application/pdf", "s.pdf", paged=True)
        assert load("paper.pdf").pages
    finally:
        extraction.close()


def test_the_library_is_found_wherever_this_process_would_find_it(tmp_path, monkeypatch):
    (tmp_path / "xberg.py").write_text("raise ImportError('it is this one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    extraction = ExtractionProcess()
    try:
        with pytest.raises(InputError, match="it is this one"):
            extraction.extract(KINDS["mail.eml"], "message/rfc822", "m.eml", paged=False)
    finally:
        extraction.close()


def test_a_process_that_dies_is_replaced():
    extraction = ExtractionProcess()
    try:
        for _ in range(2):
            found = extraction.extract(KINDS["mail.eml"], "message/rfc822", "m.eml", paged=False)
            assert "The text." in found.text
            assert extraction._process
            extraction._process.kill()
            extraction._process.wait()
    finally:
        extraction.close()


@pytest.mark.parametrize("name", [name for name, data in KINDS.items() if data[:2] == b"PK"])
def test_no_part_is_left_out_without_a_word(name):
    whole, rng = load(name).text, random.Random(name)
    for _ in range(60):
        bad = bytearray(KINDS[name])
        for _ in range(rng.randrange(1, 6)):
            bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        try:
            text = load(name, bytes(bad)).text
        except InputError:
            continue
        assert text == whole


@pytest.mark.parametrize("name", KINDS)
def test_a_damaged_document_is_text_or_an_error_that_names_it(name):
    rng = random.Random(name)
    for _ in range(DAMAGED):
        try:
            document = load(name, damaged(KINDS[name], rng))
        except InputError as error:
            said = str(error).startswith(name)
        else:
            said = document.text.strip()
        assert said


def damaged(data, rng):
    """Return bytes that are cut, flipped at some places, or with a part that stands elsewhere."""
    bad = bytearray(data)
    match rng.randrange(3):
        case 0:
            del bad[rng.randrange(len(bad)) :]
        case 1:
            for _ in range(rng.randrange(1, 40)):
                bad[rng.randrange(len(bad))] ^= 1 << rng.randrange(8)
        case _:
            start = rng.randrange(len(bad))
            part = bad[start : start + rng.randrange(200)]
            place = rng.randrange(len(bad))
            bad[place : place + len(part)] = part
    return bytes(bad)
