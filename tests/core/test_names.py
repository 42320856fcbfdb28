from __future__ import annotations

import pytest

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.names import shorten, validate_directory, validate_name


@pytest.mark.parametrize(
    "name",
    ["a", "invoices/7/report.pdf", ".bashrc", "a b", "über/straße.txt", "日本/漢字", "a.-", "-v", "v", ".-w", "..."],
)
def test_name_that_can_be_kept_is_returned_unchanged(name: str) -> None:
    assert validate_name(name) == name


def test_two_normal_forms_of_a_text_are_two_names() -> None:
    composed, decomposed = "\u00e9", "e\u0301"

    kept = {validate_name(composed), validate_name(decomposed)}

    assert kept == {composed, decomposed}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("", "The name is empty. Give the file a name.", id="empty"),
        pytest.param(
            "/a",
            "'/a' has the segment ''. Use a relative path without empty, '.' or '..' segments.",
            id="absolute",
        ),
        pytest.param(
            "a/", "'a/' has the segment ''. Use a relative path without empty, '.' or '..' segments.", id="directory"
        ),
        pytest.param(
            "a//b",
            "'a//b' has the segment ''. Use a relative path without empty, '.' or '..' segments.",
            id="empty-segment",
        ),
        pytest.param(
            "a/./b",
            "'a/./b' has the segment '.'. Use a relative path without empty, '.' or '..' segments.",
            id="dot",
        ),
        pytest.param(
            "a/../b",
            "'a/../b' has the segment '..'. Use a relative path without empty, '.' or '..' segments.",
            id="dot-dot",
        ),
        pytest.param(
            "a.-v",
            "'a.-v' contains '.-v', which sets versions apart from names. Choose another name.",
            id="marker",
        ),
        pytest.param(
            "a.-version/b",
            "'a.-version/b' contains '.-v', which sets versions apart from names. Choose another name.",
            id="marker-in-directory",
        ),
        pytest.param("a\\b", "'a\\\\b' contains a backslash. Separate directories with '/'.", id="backslash"),
        pytest.param("a\nb", "'a\\nb' contains a control character (U+000A). Remove it.", id="newline"),
        pytest.param("a\x00b", "'a\\x00b' contains a control character (U+0000). Remove it.", id="nul"),
        pytest.param("a\x85b", "'a\\x85b' contains a control character (U+0085). Remove it.", id="c1-control"),
        pytest.param("a\ud800", "'a\\ud800' contains half of a surrogate pair (U+D800). Remove it.", id="surrogate"),
    ],
)
def test_name_that_cannot_be_kept_is_refused_with_the_rule(name: str, message: str) -> None:
    with pytest.raises(InvalidNameError) as refused:
        validate_name(name)

    assert str(refused.value) == message


@pytest.mark.parametrize(("path", "expected"), [("", ""), ("/", ""), ("a", "a"), ("a/", "a"), ("a/b//", "a/b")])
def test_directory_loses_its_last_slash(path: str, expected: str) -> None:
    assert validate_directory(path) == expected


@pytest.mark.parametrize("path", ["/a", "a//b", "..", "a/.-v", "a\\"])
def test_directory_that_cannot_hold_a_name_is_refused(path: str) -> None:
    with pytest.raises(InvalidNameError):
        validate_directory(path)


def test_long_name_is_shortened_for_a_message() -> None:
    assert shorten("a" * 81) == "a" * 80 + "..."
    assert shorten("a" * 80) == "a" * 80


@pytest.mark.parametrize("character", ["\ufffe", "\uffff"], ids=["FFFE", "FFFF"])
def test_a_character_that_xml_cannot_carry_is_refused(character):
    with pytest.raises(InvalidNameError) as refusal:
        validate_name(f"a{character}b.txt")

    assert str(refusal.value).endswith(
        f"contains U+{ord(character):04X}, which XML cannot carry, and S3 answers in XML. Remove it."
    )
