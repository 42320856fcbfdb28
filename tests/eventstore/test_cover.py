"""Any mix of chunks gives each position once, or says where the gap is."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from consistent_s3.eventstore.cover import cover
from consistent_s3.eventstore.keys import Chunk


def chunk(first: int, count: int, version: int = 0) -> Chunk:
    return Chunk(key=f"{first}.{version}-{count}", first=first, count=count, version=version)


CHUNKS = st.lists(
    st.builds(chunk, st.integers(1, 30), st.integers(0, 12), st.integers(0, 3)), max_size=20, unique_by=lambda c: c.key
)


@settings(deadline=None)
@given(CHUNKS, st.integers(1, 30), st.integers(0, 35))
def test_every_position_is_shown_once_as_far_as_the_first_gap(chunks, first, last):
    found = cover(chunks, first=first, last=last)

    shown = [position for piece in found.pieces for position in range(piece.first, piece.last + 1)]
    there = {position for one in chunks for position in range(one.first, one.last + 1)}
    missing = [position for position in range(first, last + 1) if position not in there]
    assert found.gap == (missing[0] if missing else 0)
    assert shown == list(range(first, (found.gap or last + 1)))
    assert all(piece.chunk.first <= piece.first <= piece.last <= piece.chunk.last for piece in found.pieces)


@settings(deadline=None)
@given(CHUNKS, st.integers(1, 30), st.integers(1, 35))
def test_no_chunk_is_used_that_another_makes_needless(chunks, first, last):
    """The fewest: each begins right after the furthest reach of the one before."""
    found = cover(chunks, first=first, last=last)

    for piece in found.pieces:
        reaching = [one for one in chunks if one.count and one.first <= piece.first]
        assert piece.chunk.last == max(one.last for one in reaching)


def test_covering_chunk_wins_over_what_it_covers():
    found = cover([chunk(1, 1), chunk(2, 1), chunk(3, 1), chunk(1, 2, 1)], first=1, last=3)

    assert [piece.chunk.key for piece in found.pieces] == ["1.1-2", "3.0-1"]


def test_of_equal_reach_the_highest_chunk_version_wins():
    found = cover([chunk(1, 3), chunk(1, 3, 2), chunk(1, 3, 1)], first=1, last=3)

    assert [piece.chunk.key for piece in found.pieces] == ["1.2-3"]


def test_of_two_that_overlap_each_event_comes_from_one():
    found = cover([chunk(1, 10, 1), chunk(5, 16, 1)], first=1, last=20)

    assert [(piece.first, piece.last) for piece in found.pieces] == [(1, 10), (11, 20)]


def test_tombstone_shows_nothing():
    assert cover([chunk(1, 2), chunk(3, 0)], first=1, last=3).gap == 3
