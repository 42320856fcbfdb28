"""Each kind of file is compared in its way, whatever it is called."""

from __future__ import annotations

import json
import random

import pytest

from consistent_s3.comparing.comparison import DOCUMENT, LIMIT, compare
from consistent_s3.comparing.sides import Side
from tests.comparing.sides import Counted, side, version
from tests.comparing.test_documents import CORE, PARAGRAPH, WORD, office, pdf, picture


def refuse() -> Counted:
    raise AssertionError("nothing is to be read")


def test_versions_with_one_checksum_are_the_same_and_nothing_is_read():
    old, new = (Side(version=version(b"x", number=number), open=refuse) for number in (1, 2))

    assert compare(old, new).same


def test_a_version_is_the_same_as_itself():
    one = Side(version=version(b"x", checksum=False), open=refuse)

    assert compare(one, one).same


def test_versions_without_checksums_are_compared_by_their_bytes():
    assert compare(side(b"x", checksum=False), side(b"x", number=2, checksum=False)).same
    assert not compare(side(b"x", checksum=False), side(b"y", number=2, checksum=False)).same


def test_equal_beginnings_are_not_the_same_file():
    begin = b"x\n" * LIMIT

    found = compare(side(begin + b"1", checksum=False), side(begin + b"2", number=2, checksum=False))

    assert (found.same, found.cut) == (False, True)
    assert found.text.rows == ()


def test_text_is_compared_by_lines():
    found = compare(side(b"one\n"), side(b"two\n", number=2))

    assert (found.text.added, found.cut, found.opaque) == (1, False, False)


def test_a_long_text_says_that_it_was_cut():
    assert compare(side(b"one\n" * LIMIT), side(b"two\n", number=2)).cut


@pytest.mark.parametrize(("name", "kind"), [("a.json", "values"), ("a.JSON", "values"), ("a.txt", "text")])
def test_json_is_compared_by_keys(name, kind):
    found = compare(side(b'{"a": 1}', name=name), side(b'{"a": 2}', number=2, name=name))

    assert getattr(found, kind) is not None
    assert sum(one is not None for one in (found.text, found.values, found.table)) == 1


def test_json_that_says_the_same_otherwise_is_compared_as_text():
    found = compare(side(b'{"a": 1}', name="a.json"), side(b'{"a":1}', number=2, name="a.json"))

    assert found.values is None
    assert found.text.added == 1


def test_json_that_was_cut_is_compared_as_text():
    long = json.dumps(["x"] * LIMIT).encode()

    found = compare(side(long, name="a.json"), side(b"[]", number=2, name="a.json"))

    assert (found.values, found.cut) == (None, True)
    assert found.text is not None


def test_tables_are_compared_by_rows():
    found = compare(side(b"id,name\n1,a\n", name="a.csv"), side(b"id,name\n1,b\n", number=2, name="a.csv"))

    assert len(found.table.rows) == 1
    assert found.text is None


def test_tables_that_say_the_same_otherwise_are_compared_as_text():
    found = compare(side(b"id,name\n1,a\n", name="a.csv"), side(b'id,name\n1,"a"\n', number=2, name="a.csv"))

    assert found.table is None
    assert found.text.added == 1


def test_pictures_are_known_by_their_bytes_and_measured():
    found = compare(side(picture("PNG"), name="a.bin"), side(picture("JPEG", (5, 6)), number=2, name="b.html"))

    assert (found.pictures, found.old_size, found.new_size) == (True, (30, 20), (5, 6))


def test_what_only_calls_itself_a_picture_is_text():
    claim = {"name": "a.png", "media_type": "image/png"}

    found = compare(side(b"<script>1</script>", **claim), side(b"<script>2</script>", number=2, **claim))

    assert not found.pictures
    assert found.text is not None


def test_documents_are_compared_by_what_they_say_and_their_text():
    old = office(core=CORE % "Lease", word=WORD % (PARAGRAPH % "Rent: 900"))
    new = office(core=CORE % "Lease 2", word=WORD % (PARAGRAPH % "Rent: 950"))

    found = compare(side(old), side(new, number=2))

    assert found.facts == (("title", "Lease", "Lease 2"), ("creator", "ann", "ann"))
    assert (found.text_is_extracted, found.text.added, found.opaque) == (True, 1, False)


def test_pdf_files_are_compared_by_pages_and_title():
    found = compare(side(pdf(1, Title="Lease")), side(pdf(2), number=2))

    assert found.facts == (("pages", "1", "2"), ("title", "Lease", ""))


def padded(length: int, seed: int = 1) -> bytes:
    """Return a document with so many bytes that nobody reads."""
    return office(
        core=CORE % "Lease", word=WORD % (PARAGRAPH % f"Rent: {seed}"), pad=random.Random(seed).randbytes(length)
    )


def test_a_document_of_many_megabytes_is_compared():
    found = compare(side(padded(LIMIT, 1)), side(padded(DOCUMENT - LIMIT, 2), number=2))

    assert (found.text.added, found.cut, found.facts[0]) == (1, False, ("title", "Lease", "Lease"))


def test_large_documents_without_checksums_are_compared_by_all_their_bytes():
    one, end = padded(LIMIT), b"\0"

    assert compare(side(one, checksum=False), side(one, number=2, checksum=False)).same
    assert not compare(side(one, checksum=False), side(one + end, number=2, checksum=False)).same


@pytest.mark.parametrize("turned", [False, True])
def test_a_document_too_large_to_be_read_whole_is_compared_by_size_only(turned):
    sides = [side(padded(DOCUMENT)), side(pdf(1), number=2)]

    found = compare(*(reversed(sides) if turned else sides))

    assert (found.cut, found.limit, found.facts, found.opaque, found.untold) == (True, DOCUMENT, (), True, False)


def test_documents_without_text_say_so():
    for old, new in ((pdf(1), pdf(2)), (office(core=CORE % "a"), office(core=CORE % "b")), (pdf(1), b"\0\1")):
        found = compare(side(old), side(new, number=2))

        assert (found.untold, found.opaque, found.text) == (True, False, None)


def test_a_document_with_more_text_than_is_taken_and_none_that_is_says_so():
    many = {"xl/workbook.xml": "<broken"}

    found = compare(side(office(**many)), side(office(**many, a="b"), number=2))

    assert (found.untold, found.opaque, found.cut) == (True, False, True)


def test_archives_that_are_no_documents_are_opaque():
    found = compare(side(office(a="1")), side(office(a="2"), number=2))

    assert (found.untold, found.opaque, found.cut) == (False, True, False)


def test_no_file_of_another_kind_is_said_to_be_compared_if_it_were_smaller():
    found = compare(side(b"\0" * 2 * LIMIT), side(b"\0", number=2))

    assert (found.opaque, found.cut) == (True, False)


def test_of_other_bytes_nothing_can_be_said():
    found = compare(side(b"\0\1"), side(b"\0\2", number=2))

    assert found.opaque
    assert not found.cut


def test_a_text_that_became_binary_is_opaque():
    assert compare(side(b"text"), side(b"\0\2", number=2)).opaque
