from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.core.errors import InvalidNameError
from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import ObjectInfo
from consistent_s3.eventstore.keys import MAX_APPEND, MODULUS, Chunk, StreamLayout, pad
from consistent_s3.eventstore.names import Stream

ORDER = Stream("order", "7")
LAYOUT = StreamLayout("events")
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)


def info(key: str, size: int = 0) -> ObjectInfo:
    return ObjectInfo(key=key, size=size, etag="", modified=WRITTEN)


def parsed(key: str, size: int = 0) -> Chunk:
    found = LAYOUT.parse(info(key, size))
    assert found is not None
    assert found[0] == ORDER
    return found[1]


def test_keys_look_as_documented():
    assert LAYOUT.chunk_key(ORDER, 6) == "events/order/7/9999999999999999993.999999999"
    assert LAYOUT.chunk_key(ORDER, 1, version=1, count=5) == "events/order/7/9999999999999999998.999999998-5"


@settings(deadline=None)
@given(
    first=st.integers(1, 10**15), count=st.integers(0, MAX_APPEND), size=st.integers(0, 6_000_000), padded=st.just(1)
)
def test_size_of_an_appended_chunk_tells_its_events(first, count, size, padded):
    data = pad(bytes(size % 3000), count)

    chunk = parsed(LAYOUT.chunk_key(ORDER, first), len(data))

    assert (chunk.first, chunk.count, chunk.version) == (first, count, 0)
    assert (chunk.last, chunk.tombstone) == (first + count - 1, count == 0)
    assert len(data) - size % 3000 < MODULUS


@settings(deadline=None)
@given(first=st.integers(1, 10**15), count=st.integers(1, 10**9), version=st.integers(1, 10**9 - 1))
def test_key_of_a_rewritten_chunk_tells_its_events_whatever_its_size(first, count, version):
    chunk = parsed(LAYOUT.chunk_key(ORDER, first, version=version, count=count), 17)

    assert (chunk.first, chunk.count, chunk.version) == (first, count, version)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 5)), min_size=2, max_size=2, unique=True))
def test_newer_chunks_sort_first(pair):
    (first, version), (other, other_version) = pair

    keys = [LAYOUT.chunk_key(ORDER, at, version=cv, count=3) for at, cv in pair]

    assert (keys[0].encode() < keys[1].encode()) == ((first, version) > (other, other_version))


@pytest.mark.parametrize(
    "key",
    [
        "events/order/7/999999999999999999.999999999",
        "events/order/7/9999999999999999993.999999999-5",
        "events/order/7/9999999999999999993.999999998",
        "events/order/7/9999999999999999993.999999998-05",
        "events/order/7/9999999999999999999.999999999",
        "events/order/7/9999999999999999993.999999999.bak",
        "events/order/9999999999999999993.999999999",
        "events/order/7/x/9999999999999999993.999999999",
        "events/ord er/7/9999999999999999993.999999999",
        "event/order/7/9999999999999999993.999999999",
        "events/.-v-selftest",
    ],
)
def test_key_of_other_software_is_no_chunk(key):
    assert LAYOUT.parse(info(key)) is None


def test_chunks_that_begin_at_a_position_or_before_are_listed_below_its_place():
    below = LAYOUT.below(ORDER, 5)

    assert LAYOUT.chunk_key(ORDER, 6, version=9, count=1) < below
    assert LAYOUT.chunk_key(ORDER, 6) < below < LAYOUT.chunk_key(ORDER, 5, version=9, count=3)
    assert LAYOUT.below(ORDER, 2**63) == ""


def test_place_after_a_stream_is_before_every_other():
    after = LAYOUT.after_stream(ORDER)

    assert LAYOUT.chunk_key(ORDER, 1) < after < LAYOUT.chunk_key(Stream("order", "70"), 10**15)


@pytest.mark.parametrize("location", ["", "events", "media"])
def test_no_chunk_is_taken_for_a_version_of_a_file(location):
    layout = StreamLayout("media/.-v-streams" if location == "media" else "events")

    for key in (layout.chunk_key(ORDER, 6), layout.chunk_key(ORDER, 6, version=1, count=3), layout.selftest_key):
        assert Layout(location=location).parse(key) is None


@pytest.mark.parametrize("prefix", ["/events", "events/", "a//b", "a\nb", 7])
def test_prefix_that_is_no_path_is_refused(prefix):
    with pytest.raises(InvalidNameError) as caught:
        StreamLayout(prefix)

    assert str(caught.value) == (
        f"The prefix of an event store is {prefix!r}. Give a path without slashes at its ends, for example 'events'."
    )


def test_prefix_leaves_room_for_the_longest_key():
    layout = StreamLayout("x" * 572)
    longest = Stream("t" * 200, "i" * 200)

    assert len(layout.chunk_key(longest, 1, version=1, count=10**18)) == 1024
    with pytest.raises(InvalidNameError, match=r"has 573 bytes, and 572 is the most\. Shorten it\."):
        StreamLayout("x" * 573)


def test_whole_bucket_can_be_an_event_store():
    assert StreamLayout("").chunk_key(ORDER, 6) == "order/7/9999999999999999993.999999999"
