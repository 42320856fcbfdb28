from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.eventstore import ANY, NONE_YET
from consistent_s3.eventstore.names import Stream
from consistent_s3.eventstore.seen import Seen, SeenVersions
from tests.eventstore.building import append, make_events

ORDER = Stream("order", "7")


def test_version_is_known_since_it_was_seen():
    seen = SeenVersions()

    seen.note(ORDER, 3, at=10.0)

    assert seen.since(ORDER, 10.0) == Seen(3, 10.0)
    assert seen.since(ORDER, 10.1) is None
    assert seen.since(Stream("order", "8"), 0.0) is None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1))
def test_versions_never_go_back_in_whatever_order_threads_tell_them(told):
    seen = SeenVersions()

    for version, at in told:
        seen.note(ORDER, version, at=at)

    assert seen.since(ORDER, 0) == Seen(*max(told))


def test_stream_not_used_for_longest_is_forgotten_first():
    seen = SeenVersions(most=2)
    streams = [Stream("order", str(number)) for number in range(3)]

    seen.note(streams[0], 1, at=0)
    seen.note(streams[1], 1, at=0)
    seen.note(streams[0], 1, at=0)
    seen.note(streams[2], 1, at=0)

    assert [seen.since(stream, 0) is not None for stream in streams] == [True, False, True]


def test_forgotten_stream_is_not_known():
    seen = SeenVersions()
    seen.note(ORDER, 3, at=1)

    seen.forget(ORDER)
    seen.forget(ORDER)

    assert seen.since(ORDER, 0) is None


def test_many_threads_may_tell_at_once():
    seen = SeenVersions(most=5)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: seen.note(Stream("order", str(n % 9)), n, at=n), range(2_000)))

    known = [seen.since(Stream("order", str(n)), 0) for n in range(9)]
    assert sum(one is not None for one in known) == 5


def test_event_store_made_from_another_remembers_nothing_of_it(memory, clock):
    events = make_events(memory, clock)
    append(events, 2, NONE_YET)

    elsewhere = replace(events, prefix="elsewhere")

    assert append(elsewhere, 1, ANY).version == 1
    assert append(events, 1, ANY).version == 3
    assert [event.position for event in elsewhere.read("order", "7")] == [1]
