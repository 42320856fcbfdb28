"""Each rule of `consistent_s3.core.protocol`, with every answer lost and every process stalled where it hurts."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.claiming import STALLS
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    AccessDeniedError,
    AlreadyExistsError,
    ConflictError,
    DeadlinePassedError,
    KeyMissingError,
    OutcomeUnknownError,
    PolicyError,
    PreconditionTrippedError,
    StoreError,
    UnreachableError,
    UnsupportedByStoreError,
    UploadTooSlowError,
)
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import Draft, Timing
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import (
    Fault,
    Faulty,
    afterwards,
    fails,
    lands_late,
    lost_after,
    lost_before,
    meanwhile,
    stalls,
)

TRIPPED = PreconditionTrippedError("The precondition did not hold: PreconditionFailed.")
DAY = timedelta(days=1)


@pytest.fixture
def rival(memory: MemoryObjectStore, clock: ManualClock) -> Archive:
    """Return somebody else's archive on the same bucket."""
    return make_archive(memory, clock, chance=random.Random(2))


@pytest.fixture
def faulty(memory: MemoryObjectStore, clock: ManualClock) -> Callable[..., Archive]:
    """Return a function that makes an archive whose requests meet faults."""

    def make(*, options: dict[str, Any] | None = None, **faults: list[Fault | None]) -> Archive:
        return make_archive(Faulty(memory, **faults), clock, **(options or {}))

    return make


def log_of(archive: Archive) -> Faulty:
    assert isinstance(archive.store, Faulty)
    return archive.store


# Rules 1 and 2: learn, then create


def test_first_version_gets_number_one_for_one_list_and_one_put(faulty: Callable[..., Archive]) -> None:
    archive = faulty()

    version = write(archive, "a.txt", "one")

    assert version.number == 1
    assert [kind for kind, _ in log_of(archive).sent] == ["list", "put"]


def test_next_version_tells_its_predecessor(archive: Archive) -> None:
    first = write(archive, "a.txt", "one")

    second = write(archive, "a.txt", "two")

    assert (second.number, second.details.predecessor, second.details.predecessor_etag) == (2, 1, first.etag)
    assert archive.newest("a.txt") == second
    assert read(archive, "a.txt") == b"two"


def test_returned_version_is_what_the_history_tells(archive: Archive) -> None:
    version = write(archive, "a.txt", "one", details=Details(author="ann"), attributes=Attributes(content_type="x/y"))

    [listed] = archive.history("a.txt")

    assert (listed, listed.size, listed.etag, listed.modified) == (
        version,
        version.size,
        version.etag,
        version.modified.replace(microsecond=0),
    )
    assert listed.details == version.details


def test_refusal_of_the_only_attempt_is_raised_as_it_is(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[fails(AccessDeniedError("Refused."))])

    with pytest.raises(AccessDeniedError, match=r"^Refused\.$"):
        write(archive, "a.txt", "one")

    assert log_of(archive).count("head") == 0


# Rule 4: what the object itself tells


@pytest.mark.parametrize("numbering", Numbering)
def test_write_whose_answer_was_lost_after_it_was_applied_is_not_doubled(
    faulty: Callable[..., Archive], rival: Archive, numbering: Numbering
) -> None:
    archive = faulty(put=[lost_after], options={"numbering": numbering})

    version = write(archive, "a.txt", "one")

    assert list(rival.history("a.txt")) == [version]
    assert rival.newest("a.txt").details.write_id == version.details.write_id  # type: ignore[union-attr]


def test_write_that_was_lost_on_its_way_is_sent_again_under_the_same_key(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[lost_before, lost_before])

    version = write(archive, "a.txt", "one")

    assert log_of(archive).keys("put") == [version.key] * 3
    assert read(archive, "a.txt") == b"one"


def test_write_that_lands_before_its_repetition_is_not_doubled(
    faulty: Callable[..., Archive], memory: MemoryObjectStore
) -> None:
    archive = faulty(put=[lands_late, meanwhile(lambda: log_of(archive).land())])

    version = write(archive, "a.txt", "one")

    assert memory.keys == [version.key]


def test_write_that_lands_after_its_repetition_is_not_doubled(
    faulty: Callable[..., Archive], memory: MemoryObjectStore
) -> None:
    archive = faulty(put=[lands_late])

    version = write(archive, "a.txt", "one")

    with pytest.raises(PreconditionTrippedError):
        log_of(archive).land()
    assert memory.keys == [version.key]


def test_writer_that_lost_to_another_takes_the_next_number(faulty: Callable[..., Archive], rival: Archive) -> None:
    archive = faulty(put=[meanwhile(lambda: write(rival, "a.txt", "theirs"))])

    version = write(archive, "a.txt", "ours")

    assert version.number == 2
    assert [read(rival, "a.txt", number) for number in (1, 2)] == [b"theirs", b"ours"]


def test_lost_write_whose_number_another_took_takes_the_next(faulty: Callable[..., Archive], rival: Archive) -> None:
    archive = faulty(put=[lands_late], head=[meanwhile(lambda: write(rival, "a.txt", "theirs"))])

    version = write(archive, "a.txt", "ours")

    with pytest.raises(PreconditionTrippedError):
        log_of(archive).land()
    assert version.number == 2
    assert numbers(rival, "a.txt") == [2, 1]
    assert read(rival, "a.txt", 1) == b"theirs"


def test_our_own_object_behind_a_tripped_precondition_counts_as_committed(
    faulty: Callable[..., Archive], rival: Archive
) -> None:
    def applied_and_tripped(store: Faulty, request: Callable[[], object]) -> None:
        request()
        raise PreconditionTrippedError("Tripped.", sent_before=True)

    archive = faulty(put=[applied_and_tripped])

    version = write(archive, "a.txt", "one", expected=0)

    assert list(rival.history("a.txt")) == [version]


def test_tripped_precondition_with_nothing_there_is_no_conflict(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[fails(TRIPPED), fails(TRIPPED)])

    version = write(archive, "a.txt", "one", expected=0)

    assert version.number == 1
    assert log_of(archive).keys("put") == [version.key] * 3


def test_conflict_answered_to_the_loser_leaves_only_the_winner(faulty: Callable[..., Archive], rival: Archive) -> None:
    archive = faulty(put=[meanwhile(lambda: write(rival, "a.txt", "theirs"), then=fails(TRIPPED))])

    with pytest.raises(AlreadyExistsError) as refused:
        write(archive, "a.txt", "ours", expected=0)

    assert str(refused.value) == (
        "Version 1 of 'a.txt' is current, but none was expected. Choose another name, or read it and decide again."
    )
    assert [read(rival, "a.txt", number) for number in numbers(rival, "a.txt")] == [b"theirs"]


@pytest.mark.parametrize(
    "answer",
    [lost_after, lost_before, lands_late, fails(TRIPPED)],
    ids=["lost-after", "lost-before", "lands-late", "tripped"],
)
@pytest.mark.parametrize("error", [UnreachableError("No answer."), AccessDeniedError("Refused.")], ids=["out", "403"])
def test_no_answer_to_the_question_whose_it_is_makes_the_outcome_unknown(
    faulty: Callable[..., Archive], memory: MemoryObjectStore, answer: Fault, error: StoreError
) -> None:
    archive = faulty(put=[answer], head=[fails(error)])

    with pytest.raises(OutcomeUnknownError) as unknown:
        write(archive, "a.txt", "one")

    write_id = unknown.value.write_id
    assert str(unknown.value) == (
        "Nobody can say whether version 1 of 'a.txt' was written: it was sent, and no answer came. "
        f"Look in the history for the write id {write_id} before writing again."
    )
    assert (unknown.value.name, unknown.value.number) == ("a.txt", 1)
    assert log_of(archive).count("delete") == 0
    assert [v.details.write_id for v in make_archive(memory).history("a.txt")] == [write_id] * len(memory.keys)


def test_nothing_is_cleaned_up_after_an_unknown_outcome_of_a_large_body(
    faulty: Callable[..., Archive], memory: MemoryObjectStore
) -> None:
    archive = faulty(put=[lost_after], head=[fails(UnreachableError("No answer."))], options={"single_put": 2})

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "long" * 3_000_000)

    assert read(make_archive(memory), "a.txt") == b"long" * 3_000_000


def test_write_that_is_refused_after_a_lost_answer_is_unknown(faulty: Callable[..., Archive], rival: Archive) -> None:
    archive = faulty(put=[lands_late, fails(AccessDeniedError("The token expired."))])

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "one")

    log_of(archive).land()
    assert numbers(rival, "a.txt") == [1]


def test_refusal_after_a_lost_answer_counts_as_committed_if_it_landed(
    faulty: Callable[..., Archive], rival: Archive
) -> None:
    def land_and_refuse(store: Faulty, request: object) -> None:
        store.land()
        raise AccessDeniedError("The token expired.")

    archive = faulty(put=[lands_late, land_and_refuse])

    version = write(archive, "a.txt", "one")

    assert list(rival.history("a.txt")) == [version]


def test_writer_without_an_answer_until_the_deadline_says_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    archive = faulty(put=[lands_late, *[lost_before] * 1000])

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "one")

    assert timedelta(seconds=clock.monotonic()) >= archive.timing.write_deadline
    log_of(archive).land()
    assert numbers(rival, "a.txt") == [1]


def test_store_that_trips_for_ever_over_nothing_is_not_believed(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[fails(TRIPPED)] * 10_000)

    with pytest.raises(DeadlinePassedError):
        write(archive, "a.txt", "one")

    assert numbers(make_archive(log_of(archive).store), "a.txt") == []


def test_attempt_hidden_inside_a_tripped_request_is_not_forgotten_at_the_deadline(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    """botocore repeats by itself: its first attempt may land after the second was answered with 409."""
    late: list[Callable[..., object]] = []

    def repeated(store: Faulty, request: Callable[..., object]) -> None:
        late.append(lambda: request(deadline=None))
        raise PreconditionTrippedError("Conflict.", sent_before=True)

    archive = faulty(put=[repeated, stalls(clock, DAY)])

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "one")

    late[0]()
    assert numbers(rival, "a.txt") == [1]


# Rule 2: the deadline


@pytest.mark.parametrize("numbering", Numbering)
def test_number_too_old_before_the_first_send_is_learned_anew(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, numbering: Numbering
) -> None:
    archive = faulty(
        put=[meanwhile(lambda: write(rival, "a.txt", "theirs"), then=stalls(clock, timedelta(seconds=61)))],
        options={"numbering": numbering},
    )

    version = write(archive, "a.txt", "ours")

    assert log_of(archive).count("list") == 2
    assert version.details.predecessor == 1
    assert read(rival, "a.txt") == b"ours"


def test_number_within_the_deadline_is_used(faulty: Callable[..., Archive], clock: ManualClock) -> None:
    archive = faulty(put=[stalls(clock, timedelta(seconds=60))])

    write(archive, "a.txt", "one")

    assert log_of(archive).count("list") == 1


def test_time_the_listing_took_counts_against_the_deadline(faulty: Callable[..., Archive], clock: ManualClock) -> None:
    archive = faulty(list=[stalls(clock, timedelta(seconds=61))])

    write(archive, "a.txt", "one")

    assert log_of(archive).count("list") == 2


@pytest.mark.parametrize("numbering", Numbering)
def test_writer_that_always_stalls_says_so_and_has_sent_nothing(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, numbering: Numbering
) -> None:
    archive = faulty(put=[stalls(clock, DAY)] * STALLS, options={"numbering": numbering})

    with pytest.raises(DeadlinePassedError) as late:
        write(archive, "a.txt", "one")

    assert str(late.value) == (
        "'a.txt' was not written: 5 times more than 0:01:00 passed between learning its newest number and sending the "
        "next. Find what holds this process up."
    )
    assert numbers(rival, "a.txt") == []


@pytest.mark.parametrize("stalled", ["put", "head", "hint", "list"])
@pytest.mark.parametrize("first", [None, lost_before, lost_after, lands_late], ids=["ok", "lost", "applied", "late"])
def test_stalled_writer_does_not_recreate_a_number_that_was_collected(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, stalled: str, first: Fault | None
) -> None:
    """Others write, delete, and collect while the writer stands still for days, at each of its requests in turn."""
    write(rival, "a.txt", "one")

    def days_pass() -> None:
        for number in range(5):
            write(rival, "a.txt", f"theirs {number}")
            clock.advance(DAY)
        collect(rival)

    faults: dict[str, list[Fault | None]] = {"put": [first]}
    faults[stalled] = [*(faults["put"] if stalled == "put" and first else []), meanwhile(days_pass)]
    archive = faulty(**faults)
    before = None

    try:
        deleted = archive.delete("a.txt")
    except OutcomeUnknownError as unknown:
        deleted, before = None, unknown.number

    history = numbers(rival, "a.txt")
    assert deleted is None or deleted.number == max(history)
    assert before is None or before not in history or before == max(history)
    assert 2 not in history or history == [2, 1]


def test_writer_that_met_itself_and_stalled_until_its_version_was_collected_is_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    """Something between us and the store repeated the PUT: the 412 is for our own object, which is gone by the HEAD."""

    def applied_and_tripped(store: Faulty, request: Callable[[], object]) -> None:
        request()
        raise PreconditionTrippedError("Tripped.")

    def superseded_and_collected() -> None:
        write(rival, "a.txt", "theirs")
        clock.advance(2 * DAY)
        collect(rival)

    archive = faulty(put=[applied_and_tripped], head=[meanwhile(superseded_and_collected)])

    with pytest.raises(OutcomeUnknownError) as unknown:
        write(archive, "a.txt", "ours")

    assert unknown.value.number == 1
    assert numbers(rival, "a.txt") == [2]


def collect(archive: Archive) -> None:
    Collector(archive=archive, policy=RetentionPolicy(keep_last=1)).run(dry_run=False)


@pytest.mark.parametrize("beyond", [timedelta(0), timedelta(seconds=1)])
def test_put_that_took_as_long_as_grace_and_was_overtaken_is_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, beyond: timedelta
) -> None:
    """One slow PUT creates a number that others used, superseded and lost to the collector while it travelled."""
    write(rival, "a.txt", "one")

    def overtaken() -> None:
        write(rival, "a.txt", "two")
        write(rival, "a.txt", "three")
        clock.advance(DAY + beyond)
        collect(rival)
        assert numbers(rival, "a.txt") == [3]

    def travels(store: Faulty, request: Callable[..., object]) -> object:
        overtaken()
        return request(deadline=None)

    archive = faulty(put=[travels])

    with pytest.raises(OutcomeUnknownError) as unknown:
        write(archive, "a.txt", "ours")

    assert unknown.value.number == 2
    assert read(rival, "a.txt") == b"three"


def test_index_that_cannot_be_asked_after_a_slow_put_makes_the_outcome_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    archive = faulty(
        put=[afterwards(lambda: clock.advance(2 * DAY))], list=[None, fails(UnreachableError("No answer."))]
    )

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "one")

    assert numbers(rival, "a.txt") == [1]


def test_put_that_took_as_long_as_grace_is_acknowledged_if_nobody_was_faster(
    faulty: Callable[..., Archive], clock: ManualClock
) -> None:
    archive = faulty(put=[afterwards(lambda: clock.advance(2 * DAY))])

    version = write(archive, "a.txt", "one")

    assert version == archive.newest("a.txt")


def test_name_whose_whole_history_is_gone_after_a_slow_put_is_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, memory: MemoryObjectStore
) -> None:
    def gone() -> None:
        clock.advance(2 * DAY)
        memory.delete(memory.keys)

    archive = faulty(put=[afterwards(gone)])

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "one")


# Rule 5: contention and expectation


def test_contention_ends_with_patience(faulty: Callable[..., Archive], clock: ManualClock, rival: Archive) -> None:
    archive = faulty(put=[meanwhile(lambda: write(rival, "a.txt", "theirs"))] * 100_000)

    with pytest.raises(ConflictError) as refused:
        write(archive, "a.txt", "ours")

    assert str(refused.value) == (
        "Other writers were first at every attempt to write 'a.txt' for 0:00:30. Try again later, or write less often."
    )
    assert (refused.value.name, refused.value.expected) == ("a.txt", None)
    assert refused.value.actual == len(numbers(rival, "a.txt")) - 1
    assert clock.monotonic() == pytest.approx(30, abs=1)


def test_writer_that_stalled_has_its_full_patience_against_others(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    archive = faulty(put=[stalls(clock, DAY), meanwhile(lambda: write(rival, "a.txt", "theirs"))])

    version = write(archive, "a.txt", "ours")

    assert version.number == 2


def test_expected_number_that_is_newest_is_replaced(archive: Archive) -> None:
    write(archive, "a.txt", "one", expected=0)

    version = write(archive, "a.txt", "two", expected=1)

    assert version.number == 2


def test_none_expected_after_a_deletion_is_satisfied_by_the_tombstone(archive: Archive) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")

    version = write(archive, "a.txt", "two", expected=0)

    assert version.number == 3


def test_tombstone_may_be_expected_by_its_number(archive: Archive) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")

    version = write(archive, "a.txt", "two", expected=2)

    assert version.number == 3


@pytest.mark.parametrize(
    ("steps", "expected", "kind", "message", "actual"),
    [
        pytest.param(
            "ww",
            0,
            AlreadyExistsError,
            "Version 2 of 'a.txt' is current, but none was expected. Choose another name, or read it and decide again.",
            2,
            id="exists",
        ),
        pytest.param(
            "ww",
            1,
            ConflictError,
            "Version 2 of 'a.txt' is current, but 1 was expected. Read version 2 and decide again.",
            2,
            id="newer",
        ),
        pytest.param(
            "ww",
            3,
            ConflictError,
            "Version 2 of 'a.txt' is current, but 3 was expected. Read version 2 and decide again.",
            2,
            id="never-written",
        ),
        pytest.param(
            "wd",
            1,
            ConflictError,
            "'a.txt' was deleted by version 2, but 1 was expected. Undelete it, or write with expected=0.",
            0,
            id="deleted",
        ),
        pytest.param(
            "",
            1,
            ConflictError,
            "'a.txt' has no version, but 1 was expected. Write with expected=0.",
            0,
            id="absent",
        ),
    ],
)
def test_wrong_expectation_is_told_with_both_numbers(
    archive: Archive, steps: str, expected: int, kind: type[ConflictError], message: str, actual: int
) -> None:
    for step in steps:
        write(archive, "a.txt", "theirs") if step == "w" else archive.delete("a.txt")
    before = numbers(archive, "a.txt")

    with pytest.raises(ConflictError) as refused:
        write(archive, "a.txt", "ours", expected=expected)

    assert type(refused.value) is kind
    assert str(refused.value) == message
    assert (refused.value.name, refused.value.expected, refused.value.actual) == ("a.txt", expected, actual)
    assert numbers(archive, "a.txt") == before


def test_expecting_writer_that_loses_the_race_is_told_and_writes_nothing(
    faulty: Callable[..., Archive], rival: Archive
) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(put=[meanwhile(lambda: write(rival, "a.txt", "theirs", expected=1))])

    with pytest.raises(ConflictError) as refused:
        write(archive, "a.txt", "ours", expected=1)

    assert str(refused.value) == "Version 2 of 'a.txt' is current, but 1 was expected. Read version 2 and decide again."
    assert [read(rival, "a.txt", number) for number in numbers(rival, "a.txt")] == [b"theirs", b"one"]


def test_expecting_writer_whose_own_answer_was_lost_is_not_told_of_a_conflict(
    faulty: Callable[..., Archive], rival: Archive
) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(put=[lost_after])

    version = write(archive, "a.txt", "two", expected=1)

    assert version.number == 2
    assert numbers(rival, "a.txt") == [2, 1]


def test_expectation_is_refused_where_nobody_can_be_told(archive: Archive, memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, numbering=Numbering.CLOCK)

    with pytest.raises(PolicyError) as refused:
        write(archive, "a.txt", "one", expected=0)

    assert str(refused.value) == (
        "expected= needs numbering 'sequence', which needs a store with conditional writes. "
        "With numbering 'clock' nobody can be told that another writer was first."
    )
    assert memory.keys == []


# Rule 6: a pointer has its time


def draft_until(archive: Archive, seconds: float) -> Draft:
    return Draft(file=io.BytesIO(b"pointer"), size=7, usable_until=archive.clock.monotonic() + seconds)


TOO_SLOW = (
    "Publishing 'a.txt' took longer after its upload began than 23:45:00, which is what grace leaves of itself for a "
    "request on its way: its bytes may soon count as garbage. Nothing was published. Raise grace, or send the file "
    "faster."
)


def test_draft_past_its_time_is_refused_before_anything_is_sent(
    faulty: Callable[..., Archive], clock: ManualClock
) -> None:
    archive = faulty()
    draft = draft_until(archive, 100)
    clock.advance(timedelta(seconds=101))

    with pytest.raises(UploadTooSlowError) as refused:
        archive.publish("a.txt", draft)

    assert str(refused.value) == TOO_SLOW
    assert log_of(archive).count("put") == 0


@pytest.mark.parametrize("numbering", Numbering)
def test_draft_whose_time_ends_while_its_writer_stalls_is_not_sent(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, numbering: Numbering
) -> None:
    archive = faulty(put=[stalls(clock, timedelta(seconds=31))], options={"numbering": numbering})

    with pytest.raises(UploadTooSlowError):
        archive.publish("a.txt", draft_until(archive, 30))

    assert numbers(rival, "a.txt") == []


def test_draft_whose_time_ends_after_a_lost_answer_is_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive
) -> None:
    archive = faulty(put=[lost_before, stalls(clock, timedelta(seconds=31))])

    with pytest.raises(OutcomeUnknownError):
        archive.publish("a.txt", draft_until(archive, 30))


def test_write_deadline_holds_for_a_draft_that_has_longer(faulty: Callable[..., Archive], clock: ManualClock) -> None:
    archive = faulty(put=[stalls(clock, timedelta(seconds=61))])

    archive.publish("a.txt", draft_until(archive, 100))

    assert log_of(archive).count("list") == 2


# Clock numbering


def test_two_writers_in_one_microsecond_keep_both(faulty: Callable[..., Archive], memory: MemoryObjectStore) -> None:
    clock_numbered = {"numbering": Numbering.CLOCK}
    other = make_archive(memory, chance=random.Random(2), **clock_numbered)  # type: ignore[arg-type]
    archive = faulty(put=[meanwhile(lambda: write(other, "a.txt", "theirs"))], options=clock_numbered)

    version = write(archive, "a.txt", "ours")

    both = list(archive.history("a.txt"))
    assert [found.number for found in both] == [version.number] * 2
    assert sorted(memory.get(found.key).read(10) for found in both) == [b"ours", b"theirs"]


def test_slow_clock_still_gets_a_number_above_the_newest(memory: MemoryObjectStore) -> None:
    ahead, behind = ManualClock(), ManualClock()
    ahead.advance(timedelta(hours=1))
    newest = write(make_archive(memory, ahead, numbering=Numbering.CLOCK), "a.txt", "ahead")

    version = write(make_archive(memory, behind, numbering=Numbering.CLOCK), "a.txt", "behind")

    assert version.number == newest.number + 1
    assert read(make_archive(memory), "a.txt") == b"behind"


def test_bucket_moves_from_sequence_to_clock_and_back(memory: MemoryObjectStore, clock: ManualClock) -> None:
    sequence = make_archive(memory, clock)
    by_clock = make_archive(memory, clock, numbering=Numbering.CLOCK)

    first = write(sequence, "a.txt", "one")
    second = write(by_clock, "a.txt", "two")
    third = write(sequence, "a.txt", "three", expected=second.number)

    assert (first.number, third.number) == (1, second.number + 1)
    assert second.number == 1_767_225_600_000_000
    assert list(by_clock.history("a.txt")) == [third, second, first]


def test_clock_numbered_write_needs_no_condition_and_asks_for_no_head(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[lost_before], options={"numbering": Numbering.CLOCK})

    version = write(archive, "a.txt", "one")

    assert [kind for kind, _ in log_of(archive).sent] == ["list", "put", "put"]
    assert version.key.endswith(f"-{version.details.write_id}.txt")


@pytest.mark.parametrize(
    "then",
    [fails(AccessDeniedError("The token expired.")), None],
    ids=["refused", "late"],
)
def test_clock_numbered_write_without_an_answer_is_unknown(
    faulty: Callable[..., Archive], clock: ManualClock, rival: Archive, then: Fault | None
) -> None:
    archive = faulty(put=[lands_late, then or stalls(clock, DAY)], options={"numbering": Numbering.CLOCK})

    with pytest.raises(OutcomeUnknownError) as unknown:
        write(archive, "a.txt", "one")

    log_of(archive).land()
    assert numbers(rival, "a.txt") == [unknown.value.number]


def test_clock_numbered_write_that_is_refused_is_raised_as_it_is(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[fails(UnsupportedByStoreError("No."))], options={"numbering": Numbering.CLOCK})

    with pytest.raises(UnsupportedByStoreError, match=r"^No\.$"):
        write(archive, "a.txt", "one")


# Deleting: the same rules, and a hint before the tombstone


def test_hint_is_written_before_the_tombstone_and_anew_at_each_attempt(
    faulty: Callable[..., Archive], rival: Archive
) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(put=[meanwhile(lambda: write(rival, "a.txt", "two"))])

    archive.delete("a.txt")

    log = log_of(archive)
    assert [kind for kind, _ in log.sent] == ["list", "hint", "put", "head", "list", "hint", "put"]
    assert len(set(log.keys("hint"))) == 2


@pytest.mark.parametrize("lost", [lost_before, lost_after, lands_late], ids=["before", "after", "late"])
def test_hint_without_an_answer_is_written_again_under_its_key(
    faulty: Callable[..., Archive], rival: Archive, lost: Fault
) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(hint=[lost] * 3)

    tombstone = archive.delete("a.txt")
    log_of(archive).land()

    assert tombstone is not None
    assert log_of(archive).count("hint") == 4
    assert len(set(log_of(archive).keys("hint"))) == 1
    assert (numbers(rival, "a.txt"), rival.listdir("")) == ([2, 1], ([], []))


@pytest.mark.parametrize("lost", [lost_before, lost_after], ids=["before", "after"])
def test_hint_that_never_has_an_answer_stops_the_deletion_and_says_that_nothing_is_deleted(
    faulty: Callable[..., Archive], rival: Archive, lost: Fault
) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(hint=[lost] * 4)

    with pytest.raises(UnreachableError) as stopped:
        archive.delete("a.txt")

    assert str(stopped.value) == (
        "The store gave no answer to the hint that 'a.txt' may be deleted, 4 times. Nothing else was sent, and nothing "
        "is deleted. Try again."
    )
    assert (read(rival, "a.txt"), rival.listdir("")) == (b"one", ([], ["a.txt"]))
    archive.delete("a.txt")
    assert rival.current("a.txt") is None


def test_hint_that_is_refused_stops_the_deletion(faulty: Callable[..., Archive], rival: Archive) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(hint=[fails(AccessDeniedError("Refused."))])

    with pytest.raises(AccessDeniedError):
        archive.delete("a.txt")

    assert log_of(archive).count("hint") == 1
    assert read(rival, "a.txt") == b"one"


def test_deletion_whose_answer_was_lost_is_one_tombstone(faulty: Callable[..., Archive], rival: Archive) -> None:
    write(rival, "a.txt", "one")
    archive = faulty(put=[lost_after])

    tombstone = archive.delete("a.txt", expected=1)

    assert tombstone is not None
    assert rival.newest("a.txt") == tombstone
    assert numbers(rival, "a.txt") == [2, 1]


# An index that is behind


def test_stale_index_cannot_lose_an_update(faulty: Callable[..., Archive], rival: Archive) -> None:
    class Behind:
        """An index that shows what is new only the third time."""

        def __init__(self, index: Any) -> None:
            self.index, self.asked = index, 0

        def newest(self, name: str) -> Any:
            self.asked += 1
            return None if self.asked < 3 else self.index.newest(name)

    write(rival, "a.txt", "theirs")
    archive = faulty()
    archive = faulty(options={"index": Behind(archive.index)})

    version = write(archive, "a.txt", "ours")

    assert version.number == 2
    assert read(rival, "a.txt", 1) == b"theirs"


# Timing


@pytest.mark.parametrize("name", ["write_deadline", "grace", "patience"])
@pytest.mark.parametrize("value", [timedelta(0), -timedelta(seconds=1)])
def test_time_that_is_not_positive_is_refused(name: str, value: timedelta) -> None:
    with pytest.raises(PolicyError) as refused:
        Timing(**{name: value})

    assert str(refused.value) == f"{name} is {value}. It must be greater than zero."


def test_grace_must_outlast_the_slowest_write() -> None:
    with pytest.raises(PolicyError) as refused:
        Timing(grace=timedelta(minutes=16))

    assert str(refused.value) == (
        "grace is 0:16:00, but a stalled writer can still create a number 0:16:00 after it learned it "
        "(write_deadline 0:01:00 plus 0:15:00 for which a signed request is valid). "
        "Raise grace or lower write_deadline."
    )


def test_grace_just_longer_than_the_slowest_write_is_enough() -> None:
    timing = Timing(grace=timedelta(minutes=16, seconds=1))

    assert timing.grace == timedelta(minutes=16, seconds=1)


def test_write_ids_are_24_hexadecimal_digits(archive: Archive) -> None:
    ids = {archive.committer.new_write_id() for _ in range(1000)}

    assert len(ids) == 1000
    assert all(len(write_id) == 24 and int(write_id, 16) >= 0 for write_id in ids)


def test_object_that_another_software_put_under_our_key_is_a_conflict(
    archive: Archive, memory: MemoryObjectStore
) -> None:
    """An object without our metadata has no write id, and so is not ours."""
    memory.put(
        archive.layout.version_key("a.txt", 1),
        io.BytesIO(b"theirs"),
        mode=PutMode.OVERWRITE,
        attributes=Attributes(),
    )

    version = write(archive, "a.txt", "ours")

    assert version.number == 2


def test_missing_key_is_not_taken_for_an_answer(faulty: Callable[..., Archive]) -> None:
    archive = faulty(put=[lost_after], head=[fails(KeyMissingError("Not visible yet."))])

    version = write(archive, "a.txt", "one")

    assert version.number == 1
    assert numbers(archive, "a.txt") == [1]
