"""Of each version at most a megabyte is read unless all is asked for, and it is text only if it is."""

from __future__ import annotations

import pytest

from consistent_s3.comparing.sides import DOCUMENT, LIMIT, Side
from tests.comparing.sides import Counted, side, version


@pytest.mark.parametrize(("length", "cut"), [(0, False), (LIMIT, False), (LIMIT + 1, True), (3 * LIMIT, True)])
def test_no_more_than_the_limit_is_read(length, cut):
    Counted.asked = 0
    one = side(b"x" * length)

    assert (len(one.data), one.is_cut) == (min(length, LIMIT), cut)
    assert Counted.asked <= LIMIT + 1


@pytest.mark.parametrize("length", [0, LIMIT, LIMIT + 1, LIMIT + 2, DOCUMENT])
def test_the_whole_is_read_up_to_its_limit(length):
    data = bytes(index % 251 for index in range(1_000)) * (length // 1_000 + 1)

    assert side(data[:length]).whole() == data[:length]


def test_of_more_than_the_limit_nothing_is_read():
    one = side(bytes(DOCUMENT + 1))
    one.head  # noqa: B018
    one.open = lambda: pytest.fail("nothing more is to be read")

    assert one.whole() is None


def test_what_unpacks_to_more_than_the_limit_is_given_up():
    unpacked = Counted(bytes(3 * DOCUMENT))
    Counted.asked = 0

    assert Side(version=version(b"packed"), open=lambda: Counted(unpacked.getbuffer())).whole() is None
    assert Counted.asked <= LIMIT + 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        ("naïve €".encode(), "naïve €"),
        ("naïve €".encode("utf-8-sig"), "naïve €"),
        ("naïve €".encode("utf-16"), "naïve €"),
        (b"\xfe\xff" + "naïve €".encode("utf-16-be"), "naïve €"),
        ("naïve €".encode("cp1252"), "naïve €"),
        (b"\x1b[1mbold\x1b[0m\f", "\x1b[1mbold\x1b[0m\f"),
    ],
    ids=["empty", "utf-8", "utf-8 with mark", "utf-16", "utf-16 big-endian", "windows", "terminal colours"],
)
def test_text_is_read_in_its_encoding(data, text):
    assert side(data).text() == text


@pytest.mark.parametrize(
    "data",
    [b"a\0b", b"\x7fELF\x02\x01\x01\0", bytes(range(256)), b"\xff\xfe\x00\xd8", "a\0b".encode("utf-16"), b"a\x81b"],
    ids=["nul", "program", "all bytes", "half a pair", "nul in utf-16", "no character of windows"],
)
def test_what_is_no_text_is_none(data):
    assert side(data).text() is None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_cut_text_ends_with_its_last_whole_line(encoding):
    text = side(("zeile mit €\n" * LIMIT).encode(encoding)).text()

    assert text.endswith("zeile mit €\n")
    assert set(text.split("\n")) == {"zeile mit €", ""}
    assert len(text.encode(encoding)) > LIMIT - 64


@pytest.mark.parametrize(("encoding", "characters"), [("utf-8", LIMIT // 3), ("utf-16", LIMIT // 2 - 1)])
def test_a_cut_in_the_middle_of_a_character_is_no_other_encoding(encoding, characters):
    assert side(("€" * LIMIT).encode(encoding)).text() == "€" * characters


def test_a_text_that_is_not_cut_but_ends_in_half_a_character_is_no_utf_8():
    assert side("€".encode()[:2]).text() == "â‚"


def test_names_and_types_are_those_that_were_given():
    one = side(b"", name="Prices.CSV", media_type="Text/CSV; charset=utf-8")

    assert (one.name, one.extension, one.media_type) == ("Prices.CSV", ".csv", "text/csv")
