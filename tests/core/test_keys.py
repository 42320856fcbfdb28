from __future__ import annotations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.keys import STREAMS, Entry, Layout, ParsedKey, body_beside, entry, extension
from consistent_s3.core.names import validate_name
from consistent_s3.core.numbers import MAX_NUMBER

WRITE_ID = "0a1b2c3d4e5f60718293a4b5"
LAYOUT = Layout(location="media")


def is_valid(name: str) -> bool:
    try:
        Layout().validate(name)
    except InvalidNameError:
        return False
    return True


SEGMENTS = st.one_of(
    st.text(alphabet="ab.-v/0129de", min_size=1, max_size=12),
    st.text(min_size=1, max_size=12),
    st.sampled_from(["key", "key2", "key.1", "Key", ".-", "-v", ".", "v/", "-deleted", "-body", "b-", "0"]),
)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("".join).filter(is_valid)
NUMBERS = st.integers(min_value=1, max_value=MAX_NUMBER)
WRITE_IDS = st.one_of(st.just(""), st.integers(0, 2**96 - 1).map(lambda bits: f"{bits:024x}"))
LOCATIONS = st.sampled_from(["", "media", "a/b", "a.-v"])


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        pytest.param(
            LAYOUT.version_key("invoices/7/report.pdf", 2),
            "media/invoices/7/report.pdf.-v/9999999999999999997.pdf",
            id="sequence",
        ),
        pytest.param(
            LAYOUT.version_key("invoices/7/report.pdf", 1_767_268_800_000_000, write_id=WRITE_ID),
            "media/invoices/7/report.pdf.-v/9998232731199999999-0a1b2c3d4e5f60718293a4b5.pdf",
            id="clock",
        ),
        pytest.param(Layout().version_key("README", 1), "README.-v/9999999999999999998", id="no-location-no-extension"),
        pytest.param(LAYOUT.versions_prefix("a.txt"), "media/a.txt.-v/", id="versions"),
        pytest.param(LAYOUT.number_prefix("a.txt", 3), "media/a.txt.-v/9999999999999999996", id="number"),
        pytest.param(LAYOUT.body_key("a.iso", WRITE_ID), f"media/a.iso.-v-body/{WRITE_ID}.iso", id="body"),
        pytest.param(LAYOUT.hint_key("a.txt", WRITE_ID), f"media/a.txt.-v-deleted/{WRITE_ID}", id="hint"),
        pytest.param(LAYOUT.plain_key("a.txt"), "media/a.txt", id="plain"),
        pytest.param(LAYOUT.selftest_key, "media/.-v-selftest", id="self-test"),
        pytest.param(LAYOUT.directory_prefix("a/b/"), "media/a/b/", id="directory"),
        pytest.param(LAYOUT.directory_prefix(""), "media/", id="location"),
        pytest.param(Layout().directory_prefix(""), "", id="root"),
    ],
)
def test_keys_are_the_public_layout(key: str, expected: str) -> None:
    assert key == expected


@given(NAMES, NUMBERS, WRITE_IDS, LOCATIONS)
def test_version_key_parses_to_what_it_was_made_of(name: str, number: int, write_id: str, location: str) -> None:
    layout = Layout(location=location)

    parsed = layout.parse(layout.version_key(name, number, write_id=write_id))

    assert parsed == ParsedKey(name=name, number=number, write_id=write_id)


@given(NAMES, LOCATIONS)
def test_body_and_hint_parse_to_what_they_were_made_of(name: str, location: str) -> None:
    layout = Layout(location=location)

    body = layout.parse(layout.body_key(name, WRITE_ID))
    hint = layout.parse(layout.hint_key(name, WRITE_ID))

    assert body == ParsedKey(name=name, body=True, write_id=WRITE_ID)
    assert hint == ParsedKey(name=name, hint=True, write_id=WRITE_ID)


@given(NAMES, NUMBERS, NUMBERS, WRITE_IDS, WRITE_IDS)
def test_newer_version_comes_first_in_byte_order(name: str, one: int, other: int, first: str, second: str) -> None:
    assume(one != other)
    older, newer = sorted([one, other])

    older_key = LAYOUT.version_key(name, older, write_id=first).encode()
    newer_key = LAYOUT.version_key(name, newer, write_id=second).encode()

    assert newer_key < older_key


@given(NAMES, NAMES, NUMBERS, WRITE_IDS)
@example("key", "key2", 1, "")
@example("key", "key/a", 1, "")
@example("key", "key.1", 1, "")
@example("key", "Key", 1, "")
@example("key", "key.-", 1, "")
@example("key", "key.", 1, "")
@example("a", "a.txt", 1, "")
def test_no_key_of_a_name_starts_with_anothers_prefix(name: str, other: str, number: int, write_id: str) -> None:
    assume(name != other)
    marker = f"{LAYOUT.plain_key(name)}.-v"

    keys = [
        LAYOUT.version_key(other, number, write_id=write_id),
        LAYOUT.body_key(other, WRITE_ID),
        LAYOUT.hint_key(other, WRITE_ID),
    ]

    assert not any(key.startswith(marker) for key in keys)


@given(NAMES, NUMBERS, WRITE_IDS)
def test_folded_listing_names_what_is_folded(name: str, number: int, write_id: str) -> None:
    directory, _, segment = name.rpartition("/")
    prefix = LAYOUT.directory_prefix(directory)

    def fold(key: str) -> str:
        return prefix + key.removeprefix(prefix).partition("/")[0] + "/"

    assert entry(fold(LAYOUT.version_key(name, number, write_id=write_id))) == (segment, Entry.FILE)
    assert entry(fold(LAYOUT.body_key(name, WRITE_ID))) == (segment, Entry.BODIES)
    assert entry(fold(LAYOUT.hint_key(name, WRITE_ID))) == (segment, Entry.HINTS)


@given(NAMES)
def test_folded_directory_is_no_file(name: str) -> None:
    assert entry(f"media/{name}/") == (name.rpartition("/")[2], Entry.DIRECTORY)


@pytest.mark.parametrize("folded", [".-v/", "a/.-v/", ".-v-body/", "a/.-v-deleted/"])
def test_folder_that_is_nothing_but_a_marker_is_a_directory(folded: str) -> None:
    assert entry(folded) == (folded[:-1].rpartition("/")[2], Entry.DIRECTORY)


@pytest.mark.parametrize("layout", [LAYOUT, Layout(), Layout(location="med")], ids=["its own", "around", "beside"])
def test_key_of_the_self_test_belongs_to_no_name(layout: Layout) -> None:
    """So neither the collector nor an erasure takes it, and no reindex or listing shows it."""
    assert layout.parse(LAYOUT.selftest_key) is None
    assert layout.parse(layout.selftest_key) is None
    assert layout.is_selftest(layout.selftest_key)
    assert layout.is_selftest(LAYOUT.selftest_key) == (layout.root in {"", LAYOUT.root})
    assert not layout.is_selftest(layout.version_key("a.txt", 1))
    assert not layout.is_selftest(layout.selftest_key + "/a.txt")


@pytest.mark.parametrize("layout", [LAYOUT, Layout(), Layout(location="med")], ids=["its own", "around", "beside"])
def test_keys_of_streams_belong_to_no_name(layout: Layout) -> None:
    """So neither the collector of versions nor an erasure takes them, and no reindex or listing shows them."""
    key = f"{LAYOUT.streams_prefix}/order/7/9999999999999999998.999999999"

    assert layout.parse(key) is None
    assert layout.is_of_streams(key) == (layout.root in {"", LAYOUT.root})
    assert entry(f"{LAYOUT.streams_prefix}/") == (".-v-streams", Entry.STREAMS)
    with pytest.raises(InvalidNameError):
        layout.validate(".-v-streams/order/7/a.txt")
    with pytest.raises(InvalidNameError):
        layout.directory_prefix(".-v-streams")


def test_name_that_looks_like_the_streams_prefix_is_a_file() -> None:
    assert not LAYOUT.is_of_streams(LAYOUT.version_key("streams", 1))
    assert not LAYOUT.is_of_streams(f"media/{STREAMS}")
    assert entry(f"media/{STREAMS}-of-mine/") == (f"{STREAMS}-of-mine", Entry.DIRECTORY)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("other/a.txt.-v/9999999999999999998.txt", id="other-location"),
        pytest.param("media/a.txt", id="plain-file"),
        pytest.param("media/a.txt.-v/", id="folder-of-a-console"),
        pytest.param("media/a.txt.-v", id="marker-only"),
        pytest.param("media/.-v/9999999999999999998", id="no-name"),
        pytest.param("media/a.txt.-v/9999999999999999999.txt", id="number-zero"),
        pytest.param("media/a.txt.-v/0000000000000000000.txt", id="number-too-great"),
        pytest.param("media/a.txt.-v/999999999999999999.txt", id="18-digits"),
        pytest.param("media/a.txt.-v/９999999999999999998.txt", id="foreign-digit"),
        pytest.param("media/a.txt.-v/9999999999999999998.txt/b", id="below-a-version"),
        pytest.param("media/a.txt.-v/9999999999999999998.tar.gz", id="two-extensions"),
        pytest.param("media/a.txt.-v/9999999999999999998-0a1b.txt", id="short-write-id"),
        pytest.param("media/a.txt.-v/9999999999999999998.txt\n", id="newline-at-the-end"),
        pytest.param("media/a.txt.-v-9999999999999999998.txt", id="no-slash"),
        pytest.param("media/a.txt.-v-deleted", id="bare-hint"),
        pytest.param("media/a.-v/b.-v/9999999999999999998", id="marker-in-name"),
        pytest.param("media/a.-v/b.-v-deleted/0a1b2c3d4e5f60718293a4b5", id="marker-in-name-of-hint"),
    ],
)
def test_key_that_is_not_ours_parses_to_nothing(key: str) -> None:
    assert LAYOUT.parse(key) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.pdf", ".pdf"),
        ("a.tar.gz", ".gz"),
        ("dir.d/a", ""),
        (".bashrc", ""),
        ("a.", ""),
        ("a.b c", ""),
        ("a.ü", ""),
        ("a." + "x" * 16, "." + "x" * 16),
        ("a." + "x" * 17, ""),
    ],
)
def test_extension_is_one_that_browsers_know(name: str, expected: str) -> None:
    assert extension(name) == expected


def test_body_lies_beside_the_version_that_points_to_it() -> None:
    version_key = LAYOUT.version_key("a/b.iso", 5)

    assert body_beside(version_key, f"{WRITE_ID}.iso") == LAYOUT.body_key("a/b.iso", WRITE_ID)


@pytest.mark.parametrize("character", ["a", "ü", "漢", "😀"])
def test_longest_name_makes_a_key_of_at_most_1024_bytes(character: str) -> None:
    length = (1024 - len("media/") - len(".-v/") - 19 - len("-") - 24) // len(character.encode())

    LAYOUT.validate(character * length)
    with pytest.raises(InvalidNameError):
        LAYOUT.validate(character * (length + 1))

    longest = LAYOUT.version_key(character * length, 1, write_id=WRITE_ID)
    assert 1020 < len(longest.encode()) <= 1024


def test_name_too_long_for_a_key_is_refused_with_the_excess() -> None:
    name = "é" * 500

    with pytest.raises(InvalidNameError) as refused:
        LAYOUT.validate(name)

    assert str(refused.value) == (
        f"'{'é' * 80}...' has 1000 bytes, 30 too many for a key of 1024 bytes. Choose a shorter name."
    )


@given(NAMES)
def test_every_key_of_a_valid_name_fits(name: str) -> None:
    layout = Layout()

    keys = [
        layout.version_key(layout.validate(name), 1, write_id=WRITE_ID),
        layout.body_key(name, WRITE_ID),
        layout.hint_key(name, WRITE_ID),
    ]

    assert all(len(key.encode()) <= 1024 for key in keys)


def test_directory_outside_of_the_location_is_refused() -> None:
    with pytest.raises(InvalidNameError):
        LAYOUT.directory_prefix("../secrets")


def test_valid_names_of_the_tests_are_those_of_the_rules() -> None:
    assert is_valid("key")
    assert not is_valid("a.-v")
    assert validate_name("key") == "key"
