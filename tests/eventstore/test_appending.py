"""Each rule of `eventstore.appending`, with every answer lost and every process stalled where it hurts."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from decimal import InvalidOperation
from typing import Any
from uuid import UUID

import pytest

from consistent_s3.core.errors import (
    AccessDeniedError,
    ConflictError,
    DeadlinePassedError,
    NotYetVisibleError,
    OutcomeUnknownError,
    PolicyError,
    PreconditionsIgnoredError,
    PreconditionTrippedError,
    UnreachableError,
)
from consistent_s3.core.protocol import Timing
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import PutMode
from consistent_s3.eventstore import (
    ANY,
    EXISTS,
    NONE_YET,
    DamagedStreamError,
    EventStore,
    InvalidEventError,
    NewEvent,
    Snapshot,
    StreamTombstonedError,
)
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.faults import Faulty, afterwards, fails, lands_late, lost_after, lost_before, meanwhile
from tests.eventstore.building import append, grow, make_events, new_events, positions, requests

TRIPPED = PreconditionTrippedError("The precondition did not hold: PreconditionFailed.")
DAY = timedelta(days=1)


@pytest.fixture
def rival(memory: MemoryObjectStore, clock: ManualClock) -> EventStore:
    """Return somebody else's event store over the same prefix."""
    return make_events(memory, clock, chance=random.Random(2))


def faulty(memory: MemoryObjectStore, clock: ManualClock, **faults: Any) -> tuple[Faulty, EventStore]:
    store = Faulty(memory, **faults)
    return store, make_events(store, clock)


# What is asked


def test_first_append_lists_and_puts_and_the_next_only_puts(memory, clock):
    store, events = faulty(memory, clock)

    append(events, 3, NONE_YET)
    first = requests(store)
    append(events, 2, 3)
    append(events, 1, ANY)
    append(events, 1, EXISTS)

    assert first == {"list": 1, "put": 1}
    assert requests(store) == {"put": 3}
    assert positions(events) == [1, 2, 3, 4, 5, 6, 7]


def test_version_is_asked_again_after_the_write_deadline(memory, clock):
    store, events = faulty(memory, clock)
    append(events, 1, 0)
    requests(store)

    clock.advance(timedelta(seconds=61))
    append(events, 1, 1)

    assert requests(store) == {"list": 1, "put": 1}


def test_version_that_was_read_from_the_listing_saves_the_next_listing(memory, clock, rival):
    append(rival, 2, 0)
    store, events = faulty(memory, clock)

    version = events.version("order", "7")
    append(events, 1, version)

    assert requests(store) == {"list": 1, "put": 1}


def test_conflict_lists_and_looks_whose_events_these_are(memory, clock, rival):
    append(rival, 1, 0)
    store, events = faulty(memory, clock)

    with pytest.raises(ConflictError):
        append(events, 1, 0)

    assert requests(store) == {"list": 1, "get": 1}


def test_first_write_to_a_place_asks_what_the_store_honours_and_how_it_tells_sizes(memory, clock, rival):
    append(rival, 1, 0)
    store = Faulty(memory)
    events = EventStore(store, "events", clock=clock, place="a place of this test")  # type: ignore[arg-type]

    append(events, 1, 1)
    first = requests(store)
    append(events, 1, 2)
    truthful.discard("a place of this test")

    assert first == {"list": 1, "get": 1, "put": 3}
    assert requests(store) == {"put": 1}


# What is expected


@pytest.mark.parametrize(
    ("sizes", "expected", "error"),
    [
        pytest.param(
            [2],
            0,
            "Stream 'order/7' is at version 2, but 0 was expected. Read what is new and decide again.",
            id="behind",
        ),
        pytest.param(
            [3, 2],
            2,
            "Stream 'order/7' is at version 5, but 2 was expected. Read what is new and decide again.",
            id="inside",
        ),
        pytest.param(
            [2],
            5,
            "Stream 'order/7' is at version 2, but 5 was expected, which it never had. Read it and decide again.",
            id="beyond",
        ),
        pytest.param(
            [2],
            NONE_YET,
            "Stream 'order/7' has 2 events, but none yet was expected. Read them and decide again, or choose another "
            "id.",
            id="none yet",
        ),
        pytest.param(
            [],
            EXISTS,
            "Stream 'order/7' has no event, but was expected to exist. Append with NONE_YET, or look for the right id.",
            id="exists",
        ),
    ],
)
@pytest.mark.parametrize("seen", [False, True])
def test_other_version_than_expected_is_a_conflict(memory, clock, rival, sizes, expected, error, seen):
    """Also where this process saw the version a moment ago: a gap or an overlap must never be written."""
    grow(rival, sizes)
    events = make_events(memory, clock)
    if seen:
        events.version("order", "7")
    before = list(memory.keys)

    with pytest.raises(ConflictError) as caught:
        append(events, 1, expected)

    assert str(caught.value) == error
    assert (caught.value.name, caught.value.actual) == ("order/7", sum(sizes))
    assert memory.keys == before


def test_version_this_process_saw_is_not_believed_when_another_was_first(memory, clock, rival):
    store, events = faulty(memory, clock)
    append(events, 1, 0)
    append(rival, 1, 1)
    requests(store)

    with pytest.raises(ConflictError, match="is at version 2, but 1 was expected"):
        append(events, 1, 1)

    assert requests(store) == {"put": 1, "head": 1, "list": 1, "get": 1}


def test_version_this_process_saw_does_not_stand_against_a_newer_one(memory, clock, rival):
    """The writer learned the newer one elsewhere: from a read, or from another process."""
    store, events = faulty(memory, clock)
    append(events, 1, 0)
    append(rival, 1, 1)
    requests(store)

    assert append(events, 1, 2).version == 3

    assert requests(store) == {"list": 1, "put": 1}


def test_who_expects_nothing_goes_on_after_whoever_was_first(memory, clock, rival):
    _, events = faulty(memory, clock, put=[meanwhile(lambda: append(rival, 2, ANY))] * 3)

    appended = append(events, 1, ANY)

    assert appended.version == 7
    assert positions(events) == [1, 2, 3, 4, 5, 6, 7]


def test_who_is_beaten_for_all_its_patience_is_told(memory, clock, rival):
    def beat() -> None:
        append(rival, 1, ANY)
        clock.advance(timedelta(seconds=11))

    _, events = faulty(memory, clock, put=[meanwhile(beat)] * 10)

    with pytest.raises(ConflictError) as caught:
        append(events, 1, ANY)

    assert str(caught.value) == (
        "Other writers were first at every attempt to append to stream 'order/7' for 0:00:30. Try again later, or "
        "append more events at a time."
    )


@pytest.mark.parametrize("expected", [-1, True, None, "any", 1.0])
def test_expected_version_that_is_none_is_refused(memory, clock, expected):
    store, events = faulty(memory, clock)

    with pytest.raises(PolicyError) as caught:
        append(events, 1, expected)

    assert str(caught.value) == (
        f"expected_version is {expected!r}. Give the position of the stream's last event, 0 or NONE_YET for none yet, "
        "EXISTS or ANY."
    )
    assert requests(store) == {}


# Once, or not at all


@pytest.mark.parametrize("expected", [0, NONE_YET, ANY])
@pytest.mark.parametrize(
    "fault", [lost_after, lost_before, fails(TRIPPED), afterwards(lambda: None)], ids=["after", "before", "409", "none"]
)
def test_append_after_lost_answer_is_not_doubled(memory, clock, expected, fault):
    _, events = faulty(memory, clock, put=[fault])

    appended = append(events, 3, expected)

    assert (appended.version, appended.repeated) == (3, False)
    assert list(events.read("order", "7")) == list(appended.events)


def test_append_that_meets_its_own_first_attempt_is_appended(memory, clock):
    def meets_itself(store: Faulty, request: Any) -> Any:
        request()
        raise TRIPPED

    _, events = faulty(memory, clock, put=[meets_itself])

    assert append(events, 2, 0).version == 2
    assert positions(events) == [1, 2]


@pytest.mark.parametrize("head", [fails(UnreachableError("No answer."))])
def test_append_of_which_nobody_can_say_is_unknown_and_may_be_sent_again(memory, clock, rival, head):
    _, events = faulty(memory, clock, put=[lost_after], head=[head])
    same = new_events(3)

    with pytest.raises(OutcomeUnknownError) as caught:
        events.append("order", "7", same, expected_version=0)
    again = events.append("order", "7", same, expected_version=0)

    assert str(caught.value) == (
        "Nobody can say whether event 1 of stream 'order/7' was appended: it was sent, and no answer came. Append "
        "again with the same event ids and the same expected version: that succeeds once."
    )
    assert (again.version, again.repeated) == (3, True)
    assert [event.id for event in rival.read("order", "7")] == [event.id for event in same]


@pytest.mark.parametrize("landed", [lost_after, lost_before])
@pytest.mark.parametrize("expected", [ANY, EXISTS])
def test_append_without_a_version_of_which_nobody_can_say_is_told_the_version_to_name(
    memory, clock, rival, expected, landed
):
    append(rival, 2, 0)
    no_answer = fails(UnreachableError("No answer."))
    _, events = faulty(memory, clock, put=[landed], head=[no_answer])
    same = new_events(3)

    with pytest.raises(OutcomeUnknownError) as caught:
        events.append("order", "7", same, expected_version=expected)
    events.append("order", "7", same, expected_version=caught.value.number - 1)

    assert str(caught.value) == (
        "Nobody can say whether event 3 of stream 'order/7' was appended: it was sent, and no answer came. Append "
        "with expected_version=2 and the same event ids: that succeeds once. To name no version again might append "
        "twice."
    )
    assert [event.id for event in rival.read("order", "7", after=2)] == [event.id for event in same]


def test_end_of_which_nobody_can_say_is_told_apart_and_may_be_sent_again(memory, clock, rival):
    append(rival, 2, 0)
    _, events = faulty(memory, clock, put=[lost_after], head=[fails(UnreachableError("No answer."))])

    with pytest.raises(OutcomeUnknownError) as caught:
        events.tombstone("order", "7")
    events.tombstone("order", "7")

    assert str(caught.value) == (
        "Nobody can say whether stream 'order/7' was ended after event 2: it was sent, and no answer came. End it "
        "again: if it was, that changes nothing."
    )
    assert not rival.exists("order", "7")


def test_append_that_lands_late_counts_once(memory, clock, rival):
    store, events = faulty(memory, clock, put=[lands_late], head=[fails(UnreachableError("No answer."))])
    same = new_events(2)
    with pytest.raises(OutcomeUnknownError):
        events.append("order", "7", same, expected_version=0)

    again = rival.append("order", "7", same, expected_version=0)
    with pytest.raises(PreconditionTrippedError):
        store.land()

    assert again.repeated is False
    assert positions(events) == [1, 2]


def test_repeated_append_is_found_after_its_chunk_was_covered_and_collected(memory, clock, rival):
    same = new_events(2)
    grow(rival, [1, 1])
    first = rival.append("order", "7", same, expected_version=2)
    append(rival, 1, 4)
    rival.compact("order", "7")
    clock.advance(2 * DAY)
    assert rival.collector(policy=RetentionPolicy()).run(dry_run=False).deleted == 3

    again = make_events(memory, clock).append("order", "7", same, expected_version=2)

    assert (again.repeated, again.events, again.version) == (True, first.events, 4)
    with pytest.raises(ConflictError):
        rival.append("order", "7", [same[0], *new_events(1)], expected_version=2)
    assert positions(rival) == [1, 2, 3, 4, 5]


def test_events_that_two_appends_brought_are_there_for_one_of_both(memory, clock):
    """After compaction nobody could tell, so it is so before."""
    events = make_events(memory, clock)
    both = new_events(2)
    events.append("order", "7", both[:1], expected_version=0)
    events.append("order", "7", both[1:], expected_version=1)

    assert events.append("order", "7", both, expected_version=0).repeated
    assert events.append("order", "7", both[:1], expected_version=0).version == 1


def test_refusal_is_raised_as_it_is_and_nothing_is_there(memory, clock):
    _, events = faulty(memory, clock, put=[fails(AccessDeniedError("No."))])

    with pytest.raises(AccessDeniedError):
        append(events, 1, 0)

    assert memory.keys == []


def test_stalled_writer_lists_again_and_finds_the_other(memory, clock, rival):
    """It must not create a key that was covered and collected meanwhile."""
    grow(rival, [1])

    def days_pass() -> None:
        append(rival, 1, 1)
        append(rival, 1, 2)
        rival.compact("order", "7")
        clock.advance(2 * DAY)
        rival.collector(policy=RetentionPolicy()).run(dry_run=False)

    _, events = faulty(memory, clock, list=[afterwards(days_pass)])

    with pytest.raises(ConflictError, match="is at version 3, but 1 was expected"):
        append(events, 1, 1)

    assert positions(events) == [1, 2, 3]


def test_version_that_was_seen_before_a_stall_is_not_used(memory, clock, rival):
    events = make_events(memory, clock)
    append(events, 1, 0)
    append(rival, 1, 1)
    append(rival, 1, 2)
    rival.compact("order", "7")
    clock.advance(2 * DAY)
    rival.collector(policy=RetentionPolicy()).run(dry_run=False)

    with pytest.raises(ConflictError, match="is at version 3, but 1 was expected"):
        append(events, 1, 1)


def test_process_that_stalls_at_every_attempt_is_told(memory, clock):
    _, events = faulty(memory, clock, list=[afterwards(lambda: clock.advance(DAY))] * 9)

    with pytest.raises(DeadlinePassedError, match="'order/7' was not written: 5 times more than 0:01:00 passed"):
        append(events, 1, 0)


def test_put_that_took_longer_than_grace_is_looked_for(memory, clock, rival):
    _, events = faulty(memory, clock, put=[afterwards(lambda: clock.advance(2 * DAY))])

    assert append(events, 2, 0).version == 2


def test_put_that_took_longer_than_grace_and_is_not_found_is_unknown(memory, clock):
    def vanish() -> None:
        clock.advance(2 * DAY)
        memory.delete(memory.keys)

    _, events = faulty(memory, clock, put=[afterwards(vanish)])

    with pytest.raises(OutcomeUnknownError):
        append(events, 2, ANY)


def test_put_that_took_longer_than_grace_and_cannot_be_looked_for_is_unknown(memory, clock):
    slow, no_answer = afterwards(lambda: clock.advance(2 * DAY)), fails(UnreachableError("No answer."))
    _, events = faulty(memory, clock, put=[slow], get=[no_answer] * 5)

    with pytest.raises(OutcomeUnknownError):
        append(events, 2, 0)


# Ending


def test_ending_costs_what_an_append_costs(memory, clock):
    store, events = faulty(memory, clock)
    append(events, 2, 0)
    requests(store)

    events.tombstone("order", "7", expected_version=2)
    ended = requests(store)
    events.tombstone("order", "7")

    assert ended == {"put": 1}
    assert requests(store) == {"list": 1}


def test_of_an_append_and_a_tombstone_at_one_version_one_wins(memory, clock, rival):
    append(rival, 2, 0)
    _, events = faulty(memory, clock, put=[meanwhile(lambda: rival.tombstone("order", "7"))])

    with pytest.raises(StreamTombstonedError) as caught:
        append(events, 1, 2)

    assert str(caught.value) == (
        "Stream 'order/7' was ended by a tombstone after event 2. Use another id: this one is never used again."
    )
    assert (caught.value.name, caught.value.version) == ("order/7", 2)


def test_tombstone_whose_answer_was_lost_ends_once(memory, clock):
    _, events = faulty(memory, clock, put=[None, lost_after])
    append(events, 2, 0)

    events.tombstone("order", "7")

    assert not events.exists("order", "7")
    assert len([key for key in memory.keys if "order" in key]) == 2


def test_slow_tombstone_is_looked_for(memory, clock):
    _, events = faulty(memory, clock, put=[None, afterwards(lambda: clock.advance(2 * DAY))])
    append(events, 2, 0)

    events.tombstone("order", "7", expected_version=2)

    assert not events.exists("order", "7")


def test_id_that_was_never_used_can_be_ended(memory, clock):
    events = make_events(memory, clock)

    events.tombstone("order", "7", expected_version=NONE_YET)

    with pytest.raises(StreamTombstonedError, match="after event 0"):
        append(events, 1, NONE_YET)


# Stores that are not fit


def test_store_that_ignores_preconditions_is_refused_before_anything_is_written(memory, clock):
    class Ignoring(Faulty):
        def put(self, key: str, body: Any, *, mode: PutMode, **options: Any) -> Any:
            return super().put(key, body, mode=PutMode.OVERWRITE, **options)

    events = EventStore(Ignoring(memory), "events", clock=clock)  # type: ignore[arg-type]

    with pytest.raises(PreconditionsIgnoredError) as caught:
        append(events, 1, 0)

    assert str(caught.value).endswith(
        "Streams cannot be kept there: use a store that honours `If-None-Match: *`, as S3 does."
    )
    assert memory.keys == ["events/.-v-selftest"]


class Encrypting:
    """Lists eight bytes more than were written, as a gateway that encrypts does."""

    def __init__(self, inner: MemoryObjectStore) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def list(self, *arguments: Any, **options: Any) -> Any:
        from dataclasses import replace

        page = self.inner.list(*arguments, **options)
        return replace(page, objects=tuple(replace(info, size=info.size + 8) for info in page.objects))


@pytest.mark.parametrize(
    "attempt",
    [
        lambda events: append(events, 1, 3),
        lambda events: append(events, 1, ANY),
        lambda events: events.version("order", "7"),
        lambda events: events.exists("order", "7"),
        lambda events: list(events.read("order", "7")),
        lambda events: list(events.read("order", "7", after=99)),
        lambda events: events.state("order", "7", lambda state, event: state, 0, schema_version=1),
    ],
)
def test_store_that_lists_other_sizes_is_found_out(memory, clock, rival, attempt):
    append(rival, 3, 0)
    before = list(memory.keys)
    events = EventStore(Encrypting(memory), "events", clock=clock)  # type: ignore[arg-type]

    with pytest.raises(DamagedStreamError) as caught:
        attempt(events)

    size = memory.head(before[0]).info.size
    assert str(caught.value) == (
        f"{before[0]!r} is listed with {size + 8} bytes, which means 11 events; {size} bytes with 3 events were read. "
        "Streams cannot be kept in a store that tells other sizes than were written."
    )
    assert [key for key in memory.keys if "selftest" not in key] == before


def test_chunk_that_is_listed_and_always_denied_is_an_error(memory, clock, rival):
    from consistent_s3.core.errors import KeyMissingError

    append(rival, 1, 0)
    store = Faulty(memory, get=[fails(KeyMissingError("There is none."))] * 9)
    events = EventStore(store, "events", clock=clock)  # type: ignore[arg-type]

    with pytest.raises(NotYetVisibleError, match=r"the store denied it 3 times\."):
        append(events, 1, 1)
    with pytest.raises(NotYetVisibleError, match=r"the store denied it 3 times\."):
        list(events.read("order", "7"))


# What is refused

AWARE = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))
DEEP: Any = []
for _ in range(101):
    DEEP = [DEEP]
SAME = NewEvent(type="A", id=UUID(int=7))
REFUSED = [
    pytest.param([], "There is no event to append. Give at least one.", id="none"),
    pytest.param(
        NewEvent(type="A"), "One event was given where a list is expected. Put it into brackets: [event].", id="no list"
    ),
    pytest.param(
        [NewEvent(type="A")] * 1001,
        "1001 events are too many for one append, which is all of them or none: 1000 is the most. Append them in "
        "parts.",
        id="too many",
    ),
    pytest.param(["A"], "Event 1 is of type str. Give instances of NewEvent.", id="no event"),
    pytest.param(
        [NewEvent(type="B"), SAME, SAME],
        f"Events 2 and 3 of this append both have the id {UUID(int=7)}. Give each its own.",
        id="one id twice",
    ),
    pytest.param([NewEvent(type="A", id="7")], "The id of event 1 is '7'. Give a uuid.UUID.", id="no id"),  # type: ignore[arg-type]
    pytest.param(
        [NewEvent(type=" ")], "The type of event 1 is ' '. Give a string of 1 to 200 characters.", id="blank type"
    ),
    pytest.param(
        [NewEvent(type="x" * 201)],
        f"The type of event 1 is '{'x' * 80}'. Give a string of 1 to 200 characters.",
        id="long type",
    ),
    pytest.param(
        [NewEvent(type="a\n")], "The type of event 1, 'a\\n', has a control character. Remove it.", id="control in type"
    ),
    pytest.param(
        [NewEvent(type="A", time=datetime(2026, 1, 1))],  # noqa: DTZ001 - on purpose
        "The time of event 1 is datetime.datetime(2026, 1, 1, 0, 0). Give an aware datetime, or none at all.",
        id="naive time",
    ),
    pytest.param(
        [NewEvent(type="A", time=datetime.min.replace(tzinfo=timezone(timedelta(hours=2))))],
        "The time of event 1 is datetime.datetime(1, 1, 1, 0, 0, tzinfo=datetime.timezone(datetime.timedelta("
        "seconds=7200))), which UTC does not have. Give one of the years 1 to 9999.",
        id="a time before the year 1",
    ),
    pytest.param(
        [NewEvent(type="A", data=["\ud83d\ude00"])],
        "Event 1 (A): data[0] has half a character, a surrogate, which is no text: '\\ud83d\\ude00'. Remove it.",
        id="half characters",
    ),
    pytest.param(
        [NewEvent(type="A", metadata={"by\ud83d": 1})],
        "Event 1 (A): metadata['by\\ud83d'] has half a character, a surrogate, which is no text: "
        "'by\\ud83d'. Remove it.",
        id="half a character in a key",
    ),
    pytest.param(
        [NewEvent(type="A", data={10**5_000: 1})],
        "Event 1 (A): data has the key <int>, of type int. Keys must be strings.",
        id="a key too long to be written",
    ),
    pytest.param(
        [NewEvent(type="A"), NewEvent(type="B", data={"rows": [1, {"paid": AWARE}]})],
        "Event 2 (B): data['rows'][1]['paid'] is of type datetime, which JSON cannot hold. Use dicts, lists, strings, "
        "numbers, booleans and None, or give the event store a serializer for it.",
        id="a datetime",
    ),
    pytest.param(
        [NewEvent(type="A", data={"a": (1,)})],
        "Event 1 (A): data['a'] is of type tuple, which JSON cannot hold. Use dicts, lists, strings, numbers, "
        "booleans and None, or give the event store a serializer for it.",
        id="a tuple, which would come back a list",
    ),
    pytest.param(
        [NewEvent(type="A", data={"a": {1: 2}})],
        "Event 1 (A): data['a'] has the key 1, of type int. Keys must be strings.",
        id="a key that is no string",
    ),
    pytest.param(
        [NewEvent(type="A", data=float("nan"))],
        "Event 1 (A): data is nan, which JSON cannot hold. Write None, or a string.",
        id="no number",
    ),
    pytest.param(
        [NewEvent(type="A", data=2**63)],
        "Event 1 (A): data is a number beyond 64 bits. Write it as a string.",
        id="a huge number",
    ),
    pytest.param(
        [NewEvent(type="A", metadata={"by": {1}})],
        "Event 1 (A): metadata['by'] is of type set, which JSON cannot hold. Use dicts, lists, strings, numbers, "
        "booleans and None, or give the event store a serializer for it.",
        id="metadata",
    ),
    pytest.param(
        [NewEvent(type="A", metadata="ann")],  # type: ignore[arg-type]
        "The metadata of event 1 (A) are of type str. Give a dict.",
        id="no metadata",
    ),
    pytest.param(
        [NewEvent(type="A", data=DEEP)],
        "Event 1 (A): data[0][0][0][0][0][0][0][0][0][0] has more than 100 levels of lists and dicts inside each "
        "other. Make it flatter.",
        id="too deep",
    ),
    pytest.param(
        [NewEvent(type="A"), NewEvent(type="B", data="x" * 5_000_000)],
        "The events of this append take 5000204 bytes, and 5000000 is the most; the largest is event 2 with 5000101. "
        "Append them in parts, or keep large contents in a file and its name in the event.",
        id="too large",
    ),
]


@pytest.mark.parametrize(("events", "error"), REFUSED)
def test_events_that_cannot_be_kept_are_refused_before_any_request(memory, clock, events, error):
    store, streams = faulty(memory, clock)

    with pytest.raises(InvalidEventError) as caught:
        streams.append("order", "7", events, expected_version=0)

    assert str(caught.value) == error
    assert requests(store) == {}


def test_largest_append_is_kept(memory, clock):
    events = make_events(memory, clock)
    room = 5_000_000 - 101

    appended = events.append("order", "7", [NewEvent(type="B", data="x" * room)], expected_version=0)

    assert list(events.read("order", "7")) == list(appended.events)


@pytest.mark.parametrize("expected", [ANY, EXISTS])
def test_snapshot_of_a_version_that_nobody_knows_is_refused(memory, clock, expected):
    store, events = faulty(memory, clock)

    with pytest.raises(InvalidEventError) as caught:
        append(events, 1, expected, snapshot=Snapshot(schema_version=1, state=0))

    assert str(caught.value) == (
        f"A snapshot was given with expected_version {expected.value!r}, but nobody knows after which events these "
        "will come. Name the version exactly."
    )
    assert requests(store) == {}


@pytest.mark.parametrize(
    ("snapshot", "error"),
    [
        (Snapshot(schema_version=1, state={1}), "The state of the snapshot is of type set, which JSON cannot hold"),
        (Snapshot(schema_version=True, state=1), "The schema version of a snapshot is True. Give a whole number"),
        (
            Snapshot(schema_version=1, state="x" * 5_000_000),
            "The state of the snapshot takes 5000002 bytes, and 5000000",
        ),
    ],
)
def test_snapshot_that_cannot_be_kept_is_refused(memory, clock, snapshot, error):
    store, events = faulty(memory, clock)

    with pytest.raises(InvalidEventError) as caught:
        append(events, 1, 0, snapshot=snapshot)

    assert str(caught.value).startswith(error)
    assert requests(store) == {}


# Serializing


class Hours:
    """Turns whole hours into what JSON can hold."""

    def encode(self, value: Any) -> Any:
        if isinstance(value, timedelta):
            return {"hours": value // timedelta(hours=1)}
        if value == "refuse":
            raise TypeError("no")
        return value

    def decode(self, value: Any) -> Any:
        return timedelta(hours=value["hours"]) if isinstance(value, dict) and "hours" in value else value


def test_serializer_of_the_project_is_used_for_data_metadata_and_states(memory, clock):
    events = make_events(memory, clock, serializer=Hours())
    hours = timedelta(hours=3)

    appended = events.append(
        "order",
        "7",
        [NewEvent(type="Worked", data=hours, metadata={"by": "ann"})],
        expected_version=0,
        snapshot=Snapshot(schema_version=1, state=hours),
    )

    assert appended.events[0].data == hours
    assert [event.data for event in events.read("order", "7")] == [hours]
    assert events.state("order", "7", lambda state, event: state, None, schema_version=1).state == hours


def test_value_that_the_serializer_refuses_is_told(memory, clock):
    events = make_events(memory, clock, serializer=Hours())

    with pytest.raises(InvalidEventError) as caught:
        events.append("order", "7", [NewEvent(type="A", data="refuse")], expected_version=0)

    assert str(caught.value) == (
        "Event 1 (A): data cannot be serialized: no. Change the value, or give the event store a serializer that can."
    )


@pytest.mark.parametrize(
    "error", [ValueError("no"), KeyError("no"), AttributeError("no"), InvalidOperation("no")], ids=repr
)
def test_value_that_the_serializer_cannot_read_again_is_refused_before_any_request(memory, clock, error):
    class Forgetful:
        def encode(self, value: Any) -> Any:
            return value

        def decode(self, value: Any) -> Any:
            raise error

    store = Faulty(memory)
    events = make_events(store, clock, serializer=Forgetful())

    with pytest.raises(InvalidEventError) as caught:
        append(events, 1, 0)

    assert str(caught.value) == (
        f"Event 1 (Added): data could not be read again: {error!r}. Give the event store a serializer that decodes "
        "what it encodes."
    )
    assert requests(store) == {}


def test_time_is_kept_in_utc_and_is_the_clocks_unless_it_is_given(memory, clock):
    events = make_events(memory, clock)

    appended = events.append("order", "7", [NewEvent(type="A"), NewEvent(type="B", time=AWARE)], expected_version=0)

    assert [event.time for event in appended.events] == [clock.now(), datetime(2026, 1, 1, 10, tzinfo=UTC)]
    assert [event.time for event in events.read("order", "7")] == [event.time for event in appended.events]


def test_grace_that_a_stalled_append_outlasts_is_refused():
    with pytest.raises(PolicyError):
        Timing(grace=timedelta(minutes=16), write_deadline=timedelta(minutes=2))
