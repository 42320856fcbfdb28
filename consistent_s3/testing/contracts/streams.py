"""What an `EventStore` must do on every store: the numbered guarantees of its docstring."""

# ruff: noqa: S101 - a contract asserts

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from consistent_s3.core.errors import AlreadyExistsError, ConflictError, InvalidNameError
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import ObjectStore
from consistent_s3.eventstore import (
    ANY,
    EXISTS,
    NONE_YET,
    Event,
    EventStore,
    InvalidEventError,
    NewEvent,
    StreamTombstonedError,
)
from consistent_s3.testing.contracts.racing import in_threads


class EventStoreContract:
    """Inherit, and give a fixture `store` that returns an `ObjectStore` on which event stores are right."""

    racers: int = 16
    """Threads that append to one stream at once."""
    appends: int = 5
    """How often each of them appends."""

    @pytest.fixture
    def open_events(self, store: ObjectStore) -> Callable[[], EventStore]:
        """Return a function that makes event stores over one empty prefix, as several processes would."""
        prefix = f"contract-streams-{uuid.uuid4().hex}"
        return lambda: EventStore(store, prefix)

    @pytest.fixture
    def events(self, open_events: Callable[[], EventStore]) -> EventStore:
        """Return one of them."""
        return open_events()

    # Appending

    def test_appended_events_are_read_as_they_were_written(self, events: EventStore) -> None:
        """Guarantees 1 and 2."""
        data: dict[str, Any] = {"text": "Grüße \U0001f600", "list": [1, 2.5, None, True, {"a": []}]}
        written = [
            NewEvent(type="Placed", data=data, metadata={"by": "ann"}),
            NewEvent(type="Paid"),
        ]

        appended = events.append("order", "7", written, expected_version=NONE_YET)

        read = list(events.read("order", "7"))
        assert read == list(appended.events)
        assert [(event.position, event.id, event.type, event.data) for event in read] == [
            (1, written[0].id, "Placed", data),
            (2, written[1].id, "Paid", None),
        ]
        assert (dict(read[0].metadata), dict(read[1].metadata)) == ({"by": "ann"}, {})
        assert all(event.time.utcoffset() is not None for event in read)
        assert (appended.version, appended.repeated, events.version("order", "7")) == (2, False, 2)

    def test_positions_go_on_without_gap(self, events: EventStore) -> None:
        """Guarantee 1."""
        versions = [append(events, size, expected).version for size, expected in ((3, 0), (1, 3), (2, 4))]

        assert versions == [3, 4, 6]
        assert [event.position for event in events.read("order", "7")] == [1, 2, 3, 4, 5, 6]

    def test_a_thousand_events_are_one_append_and_more_are_refused(self, events: EventStore) -> None:
        """Guarantee 1."""
        append(events, 1000, 0)

        with pytest.raises(InvalidEventError, match="1001 events are too many"):
            append(events, 1001, 1000)

        assert [event.position for event in events.read("order", "7")] == list(range(1, 1001))

    @pytest.mark.parametrize(("expected", "actual"), [(0, 2), (1, 2), (3, 2), (NONE_YET, 2), (EXISTS, 0), (1, 0)])
    def test_unexpected_version_is_a_conflict_and_changes_nothing(
        self, events: EventStore, open_events: Callable[[], EventStore], expected: Any, actual: int
    ) -> None:
        """Guarantee 3."""
        if actual:
            append(events, actual, 0)

        for store in (events, open_events()):
            with pytest.raises(ConflictError) as caught:
                append(store, 1, expected)

            assert caught.value.actual == actual
        assert len(list(events.read("order", "7"))) == actual

    def test_first_append_to_a_stream_that_exists_says_so(self, events: EventStore) -> None:
        """Guarantee 3."""
        append(events, 2, NONE_YET)

        with pytest.raises(AlreadyExistsError):
            append(events, 1, NONE_YET)

    def test_who_expects_nothing_comes_after_whatever_is_there(self, events: EventStore) -> None:
        """Guarantee 3."""
        versions = [append(events, 1, expected).version for expected in (ANY, EXISTS, ANY, 3)]

        assert versions == [1, 2, 3, 4]

    def test_repeated_append_succeeds_once(self, events: EventStore, open_events: Callable[[], EventStore]) -> None:
        """Guarantee 4."""
        append(events, 1, 0)
        same = new_events(3)
        first = events.append("order", "7", same, expected_version=1)
        append(events, 1, 4)

        again = open_events().append("order", "7", same, expected_version=1)
        here = events.append("order", "7", same, expected_version=1)

        assert (again.repeated, here.repeated, again.events, here.events) == (True, True, first.events, first.events)
        assert events.version("order", "7") == 5

    def test_other_events_at_a_version_that_is_past_are_a_conflict(self, events: EventStore) -> None:
        """Guarantees 3 and 4."""
        same = new_events(2)
        events.append("order", "7", same, expected_version=0)

        for wrong in (new_events(2), [same[0], *new_events(1)], [same[1], same[0]], [*same, *new_events(1)]):
            with pytest.raises(ConflictError):
                events.append("order", "7", wrong, expected_version=0)

        assert events.version("order", "7") == 2

    def test_racing_writers_who_expect_a_version_have_one_winner_each_time(
        self, events: EventStore, open_events: Callable[[], EventStore]
    ) -> None:
        """Guarantees 1 to 3."""
        won: list[Event] = []
        lost: list[ConflictError] = []

        def work(version: int) -> None:
            try:
                won.extend(append(open_events(), 2, version).events)
            except ConflictError as error:
                lost.append(error)

        for turn in range(self.appends):
            in_threads(self.racers, partial(work, 2 * turn))

        assert [event.position for event in won] == list(range(1, 2 * self.appends + 1))
        assert list(events.read("order", "7")) == won
        assert len(lost) == self.appends * (self.racers - 1)

    def test_racing_writers_who_expect_nothing_all_get_through(
        self, events: EventStore, open_events: Callable[[], EventStore]
    ) -> None:
        """Guarantees 1 and 2: none lost, none doubled, each append in one piece."""
        acknowledged: list[tuple[Event, ...]] = []

        def work() -> None:
            store = open_events()
            acknowledged.extend(append(store, 2, ANY).events for _ in range(self.appends))

        in_threads(self.racers, work)

        read = list(events.read("order", "7"))
        assert [event.position for event in read] == list(range(1, 2 * self.racers * self.appends + 1))
        assert sorted((event.position, event.id) for events in acknowledged for event in events) == [
            (event.position, event.id) for event in read
        ]

    # Reading

    @pytest.mark.parametrize(("after", "until"), [(0, None), (3, None), (0, 4), (2, 5), (4, 5), (5, 5), (9, 99)])
    def test_range_is_read_as_asked(self, events: EventStore, after: int, until: int | None) -> None:
        """Guarantee 5."""
        for size, version in ((2, 0), (1, 2), (3, 3), (1, 6)):
            append(events, size, version)
        wanted = [position for position in range(1, 8) if after < position <= (until or 7)]

        for limit, backwards in itertools.product((None, 0, 1, 3, 100), (False, True)):
            read = events.read("order", "7", after=after, until=until, limit=limit, backwards=backwards)

            assert [event.position for event in read] == (wanted[::-1] if backwards else wanted)[:limit]

    def test_stream_that_does_not_exist_has_no_events(self, events: EventStore) -> None:
        """Guarantee 5."""
        append(events, 1, 0)

        assert list(events.read("order", "77")) == []
        assert (events.version("order", "77"), events.exists("order", "77"), events.exists("order", "7")) == (
            0,
            False,
            True,
        )

    def test_reading_ends_where_the_stream_ended_when_it_began(self, events: EventStore) -> None:
        """Guarantee 5."""
        append(events, 1, 0)
        append(events, 1, 1)
        reading = events.read("order", "7")
        first = next(reading)

        append(events, 1, 2)

        assert [first.position, *(event.position for event in reading)] == [1, 2]

    def test_streams_of_a_type_are_listed_in_order_and_can_be_gone_on_with(self, events: EventStore) -> None:
        """Each once, however many chunks."""
        for stream_type, stream_id in (
            ("order", "8"),
            ("order", "7"),
            ("order", "77"),
            ("orders", "1"),
            ("order", "ü 1"),
        ):
            events.append(stream_type, stream_id, new_events(1), expected_version=0)
        append(events, 1, 1)

        assert list(events.streams("order")) == ["7", "77", "8", "ü 1"]
        assert list(events.streams("order", after="7")) == ["77", "8", "ü 1"]
        assert list(events.streams("nothing")) == []
        assert list(events.types()) == ["order", "orders"]

    # Folding, compacting, collecting

    def test_state_is_the_fold_of_all_events_whatever_is_kept_of_it(
        self, events: EventStore, open_events: Callable[[], EventStore]
    ) -> None:
        """With snapshots, of two schemas, and after a compaction."""
        for version in range(8):
            append(events, 1, version)

        for _ in range(2):
            for schema_version, every in ((1, 3), (2, 5), (1, None)):
                folded = open_events().state(
                    "order",
                    "7",
                    lambda seen, event: [*seen, event.position],
                    list[int](),
                    schema_version=schema_version,
                    snapshot_every=every,
                )
                assert (folded.state, folded.version) == (list(range(1, 9)), 8)
            events.compact("order", "7", most=4)

    def test_compacted_stream_is_read_as_it_was_appended(
        self, events: EventStore, open_events: Callable[[], EventStore]
    ) -> None:
        """Guarantees 2, 4 and 5; what is covered stays for `grace`."""
        appended = [append(events, 2, 2 * number) for number in range(5)]

        done = events.compact("order", "7")
        again = open_events().compact("order", "7")
        summary = events.collector(policy=RetentionPolicy()).run(dry_run=False)

        assert (done.covered, done.events, again.covered) == (4, 8, 0)
        assert (summary.deleted, summary.kept) == (0, 6)
        assert list(open_events().read("order", "7")) == [event for one in appended for event in one.events]
        assert append(open_events(), 1, 10).version == 11

    # Ending

    def test_ended_stream_is_neither_read_nor_written(
        self, events: EventStore, open_events: Callable[[], EventStore]
    ) -> None:
        """For good, and for everybody."""
        append(events, 2, 0)
        reading = events.read("order", "7")

        events.tombstone("order", "7", expected_version=2)
        events.tombstone("order", "7", expected_version=2)
        open_events().tombstone("order", "7")

        attempts: list[Callable[[EventStore], object]] = [
            lambda store: append(store, 1, ANY),
            lambda store: append(store, 1, 2),
            lambda store: list(store.read("order", "7")),
            lambda store: store.version("order", "7"),
            lambda store: store.tombstone("order", "7", expected_version=1),
        ]
        for store, attempt in itertools.product((events, open_events()), attempts):
            with pytest.raises(StreamTombstonedError) as caught:
                attempt(store)
            assert caught.value.version == 2
        with pytest.raises(StreamTombstonedError):
            next(reading)
        assert not events.exists("order", "7")
        assert list(events.streams("order")) == ["7"]

    def test_stream_at_another_version_is_not_ended(self, events: EventStore) -> None:
        """Guarantee 3."""
        append(events, 2, 0)

        with pytest.raises(ConflictError):
            events.tombstone("order", "7", expected_version=1)

        assert events.version("order", "7") == 2

    # Names

    def test_id_in_any_language_comes_back_as_it_was(self, events: EventStore) -> None:
        """And is no other stream's."""
        ids = ["ü", "a b", "~41", "%2F", "漢字", "\U0001f600", "A_b-c.d", "+&=?#"]
        for stream_id in ids:
            events.append("órder", stream_id, new_events(1), expected_version=0)

        assert sorted(events.streams("órder")) == sorted(ids)
        assert all(len(list(events.read("órder", stream_id))) == 1 for stream_id in ids)

    def test_strange_id_is_refused(self, events: EventStore) -> None:
        """Before any request."""
        for stream_id in ("", ".", "..", "a/b", "a\\b", "a\nb", " a", "a ", "x" * 201, "a.-v", "\ud800"):
            with pytest.raises(InvalidNameError):
                events.append("order", stream_id, new_events(1), expected_version=0)


def new_events(count: int) -> list[NewEvent]:
    """Return events with ids of their own."""
    return [NewEvent(type="Happened", data={"number": number}) for number in range(count)]


def append(events: EventStore, count: int, expected: Any) -> Any:
    """Append some events to a stream `order/7`."""
    return events.append("order", "7", new_events(count), expected_version=expected)
