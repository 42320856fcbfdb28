"""What a file is, its bytes say; and no bytes raise anything or unpack without bound."""

from __future__ import annotations

import io
import os
import random
import struct
import sys
import tracemalloc
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import DictionaryObject, EncodedStreamObject, NameObject

from consistent_s3.comparing import pdf as pdfs
from consistent_s3.comparing.documents import RASTER, look_into, picture_size, picture_type
from consistent_s3.comparing.office import MEMBER
from consistent_s3.comparing.pdf import PAGES, read
from consistent_s3.comparing.sides import DOCUMENT


def picture(form: str, size: tuple[int, int] = (30, 20)) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", size).save(written, form)
    return written.getvalue()


def pdf(pages: int = 2, **said: str) -> bytes:
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    writer.add_metadata({f"/{word}": value for word, value in said.items()})
    written = io.BytesIO()
    writer.write(written)
    return written.getvalue()


WORD = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>%s</w:body></w:document>'
PARAGRAPH = "<w:p><w:r><w:t>%s</w:t></w:r></w:p>"
CORE = (
    '<c:coreProperties xmlns:c="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" '
    'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>%s</dc:title><dc:creator>ann</dc:creator></c:coreProperties>'
)


def office(**members: str | bytes) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr({"core": "docProps/core.xml", "word": "word/document.xml"}.get(name, name), content)
    return written.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
def test_pictures_are_known_by_their_bytes_and_measured(form):
    data = picture(form)

    assert picture_type(data) == f"image/{form.lower()}"
    assert picture_type(data) in RASTER
    assert picture_size(data) == (30, 20)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"BMW cars\nare listed here, one a line",
        b"RIFF\0\0\0\0WAVE",
        b"II*\0",
        b" \x89PNG\r\n\x1a\n",
        b"%!PS-Adobe-3.0 EPSF-3.0",
    ],
    ids=["empty", "svg", "html", "text", "wave", "tiff", "a blank before", "postscript"],
)
def test_anything_else_is_no_picture(data):
    assert picture_type(data) == ""
    assert picture_size(data) is None


def test_a_picture_that_would_unpack_to_gigabytes_is_not_unpacked():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    pixels = zlib.compress(bytes(1024**2))
    body = struct.pack(">I", len(pixels)) + b"IDAT" + pixels + struct.pack(">I", zlib.crc32(b"IDAT" + pixels))

    assert picture_size(b"\x89PNG\r\n\x1a\n" + chunk + body) is None


@given(st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP"]), st.binary(max_size=40), st.integers(4, 60))
def test_broken_pictures_raise_nothing(form, junk, at):
    data = picture(form)

    for broken in (data[:at], data[:at] + junk, data[:at] + junk + data[at + len(junk) :]):
        size = picture_size(broken)
        assert size is None or len(size) == 2


def test_a_pdf_tells_its_pages_title_and_author():
    found = look_into(pdf(3, Title="Lease", Author="ann"))

    assert found.facts == {"pages": "3", "title": "Lease", "creator": "ann"}
    assert not found.cut


def test_a_pdf_with_more_pages_than_are_read_says_so():
    assert look_into(pdf(PAGES + 1)).cut


def test_an_office_file_tells_its_title_and_text():
    found = look_into(office(core=CORE % "Lease", word=WORD % (PARAGRAPH % "One" + PARAGRAPH % "Two")))

    assert found.facts == {"title": "Lease", "creator": "ann"}
    assert found.text == "One\nTwo"


def test_a_plain_archive_says_nothing():
    found = look_into(office(**{"a.txt": "hello"}))

    assert (found.facts, found.text, found.cut) == ({}, "", False)


def test_a_zip_bomb_is_unpacked_to_a_megabyte_at_most():
    bomb = office(core=CORE % "Bomb", word=WORD % (" " * 300 * 1024**2))
    tracemalloc.start()

    found = look_into(bomb)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MEMBER
    assert (found.facts["title"], found.text, found.cut) == ("Bomb", "", True)


ENTITIES = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
BOMB = f'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">{ENTITIES}]>'
FOREIGN = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]>'


@pytest.mark.parametrize("begin", [BOMB, FOREIGN], ids=["bomb", "foreign file"])
def test_entities_of_xml_are_refused(begin):
    text = WORD % (PARAGRAPH % "&a;")

    found = look_into(office(core=begin + CORE % "&a;", word=begin + text))

    assert (found.facts, found.text) == ({}, "")


def test_deep_xml_raises_nothing():
    look_into(office(word=WORD % ("<w:p>" * 100_000 + "</w:p>" * 100_000)))


def test_texts_can_be_sent_to_a_browser_and_facts_are_short():
    found = look_into(pdf(Title="x" * 10_000))

    assert len(found.facts["title"]) == 200


def test_an_entry_that_is_no_title_raises_nothing():
    data = pdf(Title="Lease").replace(b"/Title (Lease)", b"/Title 12345  ")

    found = look_into(data)

    assert found.facts["pages"] == "2"


@given(st.data())
def test_broken_office_files_raise_nothing(chosen):
    found = look_into(broken(office(core=CORE % "x", word=WORD % (PARAGRAPH % "y")), chosen))

    "".join([*found.facts.values(), found.text]).encode()


def broken(data: bytes, chosen: st.DataObject) -> bytes:
    at = chosen.draw(st.integers(0, len(data)))
    junk = chosen.draw(st.binary(max_size=20))
    return data[:at] + junk + data[at + len(junk) :]


# What a PDF may cost


def heavy(contents: bytes, pages: int = 1) -> bytes:
    """Return a PDF all of whose pages are one stream."""
    writer, written = PdfWriter(), io.BytesIO()
    stream = EncodedStreamObject()
    stream._data = zlib.compress(contents, 9)
    stream[NameObject("/Filter")] = NameObject("/FlateDecode")
    contents_of_all = writer._add_object(stream)
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(name): NameObject(value) for name, value in names.items()})
    fonts = DictionaryObject({NameObject("/F"): font})
    for _ in range(pages):
        page = writer.add_blank_page(9, 9)
        page[NameObject("/Contents")] = contents_of_all
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    writer.write(written)
    assert len(written.getvalue()) < MEMBER
    return written.getvalue()


def test_a_pdf_whose_streams_unpack_to_gigabytes_tells_its_pages():
    found = look_into(heavy(bytes(200 * 1024**2)))

    assert found.facts["pages"] == "1"
    assert found.text == ""


def test_a_pdf_that_takes_for_ever_is_given_up_and_what_it_told_is_kept(monkeypatch):
    monkeypatch.setattr(pdfs, "SECONDS", 2)  # ten times what the facts take, a third of what the first page takes
    monkeypatch.setattr(pdfs, "MEMORY", 8 * 1024**3)

    found = look_into(heavy(b"BT /F 9 Tf (a) Tj ET\n" * 150_000, pages=50))

    assert (found.facts["pages"], found.text, found.cut) == ("50", "", True)


def test_a_pdf_that_takes_no_processor_but_time_is_given_up(monkeypatch):
    monkeypatch.setattr(pdfs, "WAITED", 0.1)
    monkeypatch.setattr(pdfs, "__name__", "tests.comparing.waiting")

    assert look_into(pdf()).cut


def test_a_pdf_that_takes_more_memory_than_there_is_is_given_up(monkeypatch):
    monkeypatch.setattr(pdfs, "MEMORY", 100 * 1024**2)
    monkeypatch.setattr(pdfs, "SECONDS", 60)

    found = look_into(heavy(b"BT /F 9 Tf (a) Tj ET\n" * 100_000))

    assert (found.facts["pages"], found.text, found.cut) == ("1", "", True)


def test_a_pdf_of_many_megabytes_is_read_by_its_process():
    writer, written = PdfWriter(), io.BytesIO()
    writer.add_blank_page(9, 9)
    writer.add_metadata({"/Title": "Lease"})
    writer.add_attachment("scan.bin", random.Random(1).randbytes(DOCUMENT - MEMBER))
    writer.write(written)
    assert MEMBER < len(written.getvalue()) <= DOCUMENT

    found = look_into(written.getvalue())

    assert (found.facts, found.cut) == ({"pages": "1", "title": "Lease"}, False)


def test_the_process_knows_nothing_of_the_project(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(pdfs, "__name__", "tests.comparing.telling")

    assert look_into(pdf()).facts == {"environment": "PYTHONPATH"}


@pytest.mark.parametrize("program", ["", "/usr/bin/uwsgi"])
def test_a_server_that_embeds_python_finds_one(monkeypatch, program):
    monkeypatch.setattr(sys, "executable", program)

    assert look_into(pdf(3)).facts["pages"] == "3"


def test_without_any_python_nothing_is_said(monkeypatch):
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(sys, "prefix", os.devnull)

    assert look_into(pdf(3)) == pdfs.Document()


@given(st.data())
def test_whatever_a_broken_pdf_raises_ends_its_process_only(chosen):
    data = broken(pdf(Title="Lease"), chosen)
    try:
        told = list(read(data, 100))
    except Exception:  # noqa: BLE001 - a parser raises anything
        return  # where the process ends
    assert all(isinstance(each, (dict, str)) for each in told)
