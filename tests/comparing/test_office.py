"""Of office files of each kind the text is taken, in order, and never more than is asked for."""

from __future__ import annotations

import time
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from consistent_s3.comparing.documents import TEXT, look_into
from consistent_s3.comparing.office import CELL, CELLS, MEMBER, MEMBERS, PARTS, look_into_office
from consistent_s3.comparing.pdf import Document
from tests.comparing.office_files import OPEN, SLIDE, excel, excel_members, packed, powerpoint
from tests.comparing.test_documents import CORE, PARAGRAPH, WORD, office

STRINGS = (
    "<si><t>Name</t></si>"
    "<si><r><t>Re</t></r><r><rPr/><t>nt</t></r><rPh><t>READ ALOUD</t></rPh></si>"
    "<si><t>two&#10;lines</t></si>"
)
ROWS = (
    '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
    '<row r="2"><c t="s"><v>2</v></c><c s="1"/><c t="b"><v>1</v></c><c t="b"><v>0</v></c></row>'
    '<row r="3"><c s="1"/></row>'
    '<row r="4"><c><f>1+1</f><v>2</v></c><c t="inlineStr"><is><r><t>in</t></r><r><t>line</t></r></is></c></row>'
)


@pytest.mark.parametrize("namespace", ["http://schemas.openxmlformats.org/spreadsheetml/2006/main", "strict", ""])
def test_excel_tells_its_sheets_in_order_row_by_row(namespace):
    found = look_into(excel('<row><c t="str"><v>last</v></c></row>', ROWS, strings=STRINGS, namespace=namespace))

    assert found.text.split("\n") == [
        "[Sheet 2]",
        "Name | Rent",
        "two lines | TRUE | FALSE",
        "2 | inline",
        "[Sheet 1]",
        "last",
    ]
    assert not found.cut


def test_powerpoint_tells_its_slides_by_number():
    found = look_into(powerpoint(*(f"Slide {n}" for n in range(1, 13))))

    assert found.text.split("\n") == [f"Slide {n}" for n in range(1, 13)]
    assert not found.cut


def test_a_presentation_without_text_has_none():
    assert look_into(powerpoint("", "")) == Document()


def test_what_stands_in_a_box_within_a_paragraph_of_word_is_told_once():
    box = f"<w:p><w:r><w:t>Around</w:t>{PARAGRAPH % 'Box'}</w:r></w:p>"

    assert look_into(office(word=WORD % box)).text == "Box\nAround"


SPREADSHEET = OPEN % (
    '<office:spreadsheet><table:table table:name="Rents">'
    "<table:table-row><table:table-cell><text:p>Name</text:p></table:table-cell>"
    "<table:table-cell><text:p>a<text:s/>b</text:p><text:p>c</text:p></table:table-cell></table:table-row>"
    '<table:table-row table:number-rows-repeated="1048576">'
    '<table:table-cell table:number-columns-repeated="16384"><text:p>x</text:p></table:table-cell></table:table-row>'
    '<table:table-row><table:table-cell table:number-columns-repeated="16384"/></table:table-row>'
    '</table:table><table:table table:name="Empty"/></office:spreadsheet>'
)
TEXT_DOCUMENT = OPEN % (
    "<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:h>Lease</text:h>"
    "<text:p>Rent:<text:tab/><text:span>900</text:span> a month</text:p>"
    '<table:table table:name="T"><table:table-row><table:table-cell><text:p>in a cell</text:p></table:table-cell>'
    "</table:table-row></table:table><text:p>End</text:p></office:text>"
)
META = (
    '<office:document-meta xmlns:office="o" xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
    "<dc:date>2026-03-01</dc:date><dc:title>Lease</dc:title><dc:creator>ann</dc:creator>"
    "</office:meta></office:document-meta>"
)


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (SPREADSHEET, ["[Rents]", "Name | a b c", "x", "[Empty]"]),
        (TEXT_DOCUMENT, ["Lease", "Rent: 900 a month", "[T]", "in a cell", "End"]),
    ],
    ids=["spreadsheet", "text"],
)
def test_open_document_tells_its_paragraphs_and_tables(content, lines):
    found = look_into(packed({"content.xml": content, "meta.xml": META}))

    assert found.text.split("\n") == lines
    assert list(found.facts.items()) == [("title", "Lease"), ("creator", "ann"), ("modified", "2026-03-01")]
    assert not found.cut


def test_facts_that_cannot_be_read_keep_no_text_away():
    found = look_into(office(core="<broken", word=WORD % (PARAGRAPH % "One")))

    assert (found.facts, found.text, found.cut) == ({}, "One", False)


# What is broken


def test_text_ends_before_the_first_sheet_that_is_missing():
    members = excel_members("", "", "<row><c><v>1</v></c></row>")
    del members["xl/worksheets/sheet2.xml"]

    found = look_into(packed(members))

    assert (found.text, found.cut) == ("[Sheet 3]\n1\n[Sheet 2]", True)


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "<broken",
        "<Relationships/>",
        '<Relationships><Relationship Id="rId1"/></Relationships>',
        '<R><Relationship Id="rId1" Target="../../../etc/passwd"/></R>',
        '<R><Relationship Id="rId1" TargetMode="External" Target="file:///etc/passwd"/></R>',
    ],
)
def test_broken_relations_raise_nothing(content):
    members = excel_members(ROWS, strings=STRINGS)
    if content is None:
        del members["xl/_rels/workbook.xml.rels"]
    else:
        members["xl/_rels/workbook.xml.rels"] = content

    found = look_into(packed(members))

    assert (found.text in {"", "[Sheet 1]"}, found.cut) == (True, True)


@pytest.mark.parametrize("number", ["3", "-1", "x", "9" * 10_000])
def test_a_cell_that_refers_to_no_text_ends_the_text(number):
    row = f'<row><c><v>1</v></c></row><row><c t="s"><v>{number}</v></c></row>'

    found = look_into(excel(row, strings=STRINGS))

    assert (found.text, found.cut) == ("[Sheet 1]\n1", True)


def test_a_sheet_without_an_address_raises_nothing():
    members = excel_members("") | {"xl/workbook.xml": '<workbook><sheet name="a"/></workbook>'}

    found = look_into(packed(members))

    assert (found.text, found.cut) == ("", True)


# What is too much


def peak(action: Callable[[], Document]) -> tuple[Document, int]:
    tracemalloc.start()
    try:
        return action(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_long_text_that_many_cells_refer_to_is_never_put_together():
    rows = "<row>" + '<c t="s"><v>0</v></c>' * 5_000 + "</row>"
    long = f"<si><t>{'x' * (MEMBER - 1_000)}</t></si>"

    found, most = peak(lambda: look_into(excel(rows, rows, strings=long)))

    assert most < 32 * MEMBER
    assert len(found.text) <= TEXT
    assert found.text.split("\n")[1] == " | ".join(["x" * CELL] * CELLS)[:TEXT]
    assert found.cut


def test_rows_that_are_together_too_long_end_with_the_last_character_that_is_taken():
    rows = '<row><c t="s"><v>0</v></c></row>' * 30_000

    found, most = peak(lambda: look_into_office(excel(rows, strings=f"<si><t>{'x' * CELL}</t></si>"), 100_000))

    assert most < 32 * MEMBER
    assert (len(found.text), found.cut) == (100_000, True)


@pytest.mark.parametrize(("length", "cut"), [(CELL, False), (CELL + 1, True)])
@pytest.mark.parametrize("inline", [False, True])
def test_a_long_cell_is_cut_and_says_so(inline, length, cut):
    text = f"<t>{'x' * length}</t>"
    cell = f'<c t="inlineStr"><is>{text}</is></c>' if inline else '<c t="s"><v>0</v></c>'

    found = look_into(excel(f"<row>{cell}</row>", strings=f"<si>{text}</si>"))

    assert (found.text, found.cut) == (f"[Sheet 1]\n{'x' * CELL}", cut)


def test_shared_texts_that_are_too_many_leave_no_text():
    found = look_into(excel(ROWS, strings=STRINGS + "<si/>" * (MEMBER // 5)))

    assert (found.text, found.cut) == ("", True)


def test_of_a_sheet_that_is_too_large_the_beginning_is_taken():
    found = look_into(excel("<row><c><v>1</v></c></row>" + "<row><c><v>2</v></c></row>" * 100_000, ""))

    assert found.text.startswith("[Sheet 2]\n[Sheet 1]\n1\n2\n")
    assert 20_000 < found.text.count("2") < MEMBER // 20
    assert found.cut


@pytest.mark.parametrize(
    "make",
    [
        lambda count: excel(*[""] * count),
        lambda count: powerpoint(*["x"] * count),
        lambda count: packed({"content.xml": OPEN % ('<table:table table:name="x"/>' * count)}),
    ],
    ids=["sheets", "slides", "tables"],
)
def test_only_so_many_parts_are_looked_into(make):
    for count, cut in ((PARTS, False), (PARTS + 1, True)):
        found = look_into(make(count))

        assert (len(found.text.split("\n")), found.cut) == (PARTS, cut)


def test_many_parts_are_together_unpacked_to_some_megabytes_only():
    blank = SLIDE % (" " * MEMBER)
    slides = {f"ppt/slides/slide{n}.xml": blank[: MEMBER - 200] + "</p:txBody></p:sld>" for n in range(1, 12)}
    last = {"ppt/slides/slide12.xml": SLIDE % "<a:p><a:t>last</a:t></a:p>", "ppt/presentation.xml": ""}

    found, most = peak(lambda: look_into(packed({**slides, **last})))

    assert most < 32 * MEMBER
    assert (found.text, found.cut) == ("", True)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_is_packed_as_no_office_file_is_is_not_unpacked(method):
    bomb = packed({"word/document.xml": bytes(64 * MEMBER), "docProps/core.xml": CORE % "Bomb"}, method)

    found, most = peak(lambda: look_into(bomb))

    assert most < 8 * MEMBER
    assert (found.facts, found.text, found.cut) == ({}, "", True)


def test_an_archive_of_very_many_members_is_not_opened():
    content = {"word/document.xml": WORD % (PARAGRAPH % "One")}

    few = look_into(packed({**content, **{str(n): "" for n in range(MEMBERS - 1)}}))
    many = look_into(packed({**content, **{str(n): "" for n in range(MEMBERS)}}))

    assert (few.text, many) == ("One", Document())


@pytest.mark.parametrize("tag", ["w:p", "w:r", "w:t"])
def test_deep_word_is_read_in_linear_time(tag):
    depth = MEMBER // 12
    begin = time.process_time()

    found = look_into(office(word=WORD % (f"<{tag}>" * depth + f"</{tag}>" * depth)))

    assert time.process_time() - begin < 60, "some minutes if each looked through all within it"
    assert found.text == ""
