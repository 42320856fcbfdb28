from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.eventstore.names import Stream, from_segment, to_segment

REFUSED = [
    pytest.param("", "The id of a stream is empty. Give it at least one character.", id="empty"),
    pytest.param(7, "The id of a stream is 7, of type int. Give a string.", id="no text"),
    pytest.param(
        "..", "The id of a stream is '..', which servers take for a directory. Choose another.", id="a directory"
    ),
    pytest.param(
        "a/b",
        "The id of a stream 'a/b' contains '/', but is one segment of a key. Replace it, for example by '-'.",
        id="two segments",
    ),
    pytest.param(
        "a\\b",
        "The id of a stream 'a\\\\b' contains '\\\\', but is one segment of a key. Replace it, for example by '-'.",
        id="a backslash",
    ),
    pytest.param(
        "a\x00",
        "The id of a stream 'a\\x00' contains a control character (U+0000). Remove it.",
        id="a control character",
    ),
    pytest.param(
        "\ud800",
        "The id of a stream '\\ud800' contains half of a surrogate pair (U+D800). Remove it.",
        id="a surrogate",
    ),
    pytest.param(" a", "The id of a stream ' a' begins or ends with white space. Remove it.", id="white space"),
    pytest.param(
        "a.-v",
        "The id of a stream 'a.-v' contains '.-v', which sets versions of files apart from names. Choose another.",
        id="what marks versions",
    ),
    pytest.param(
        "ü" * 34,
        f"The id of a stream {'ü' * 34!r} takes 204 bytes in a key, and 200 is the most. Shorten it.",
        id="too long",
    ),
]


@pytest.mark.parametrize(("stream_id", "error"), REFUSED)
def test_id_that_cannot_be_kept_is_refused(stream_id, error):
    with pytest.raises(InvalidNameError) as caught:
        Stream("order", stream_id)

    assert str(caught.value) == error


def test_type_that_cannot_be_kept_is_refused():
    with pytest.raises(InvalidNameError, match=r"The type of a stream is empty\."):
        Stream("", "7")


def test_longest_id_is_kept():
    assert Stream("order", "x" * 200).id == "x" * 200


@pytest.mark.parametrize(
    ("text", "segment"), [("A-z_0.9", "A-z_0.9"), ("Müller", "M~c3~bcller"), ("a b~", "a~20b~7e"), ("%", "~25")]
)
def test_text_is_written_with_plain_signs_only(text, segment):
    assert to_segment(text) == segment
    assert from_segment(segment) == text


@pytest.mark.parametrize("segment", ["", "~", "~2", "~C3~BC", "~41", "a b", "~ff", "~2f", "ü", "a.-v"])
def test_segment_that_was_never_written_is_none(segment):
    assert from_segment(segment) is None


@settings(deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_any_text_comes_back(text):
    segment = to_segment(text)

    assert segment.isascii()
    assert not set(segment) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
    try:
        Stream("order", text)
    except InvalidNameError:
        assert from_segment(segment) is None
    else:
        assert from_segment(segment) == text
