from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core import collector as module
from consistent_s3.core.archive import Archive
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import KeyMissingError, StoreError, UnreachableError
from consistent_s3.core.fates import MAX_ERRORS, Fate, Summary
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.core.seams import Attributes, DeleteFailure, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import Fault, Faulty, fails, lost_after, meanwhile

DAY = timedelta(days=1)
LAST = RetentionPolicy(keep_last=1)
FORGETTING = RetentionPolicy(keep_last=1, tombstone_for=timedelta(0))


def collect(archive: Archive, policy: RetentionPolicy = LAST, *, dry_run: bool = False, **options: Any) -> Summary:
    return Collector(archive=archive, policy=policy, **options).run(dry_run=dry_run)


def fates(archive: Archive, policy: RetentionPolicy = LAST, **options: Any) -> dict[str, tuple[bool, Reason]]:
    told: list[Fate] = []
    Collector(archive=archive, policy=policy, **options).run(dry_run=True, tell=told.append)
    return {fate.key: (fate.goes, fate.reason) for fate in told}


def put(memory: MemoryObjectStore, key: str, data: bytes = b"x") -> None:
    memory.put(key, io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def upload(archive: Archive, name: str, data: bytes = b"0123456789") -> Any:
    begun = archive.upload(name, details=Details(), attributes=Attributes(), threshold=5)
    begun.write(data)
    return begun.finish()


@pytest.fixture
def grown(archive: Archive, clock: ManualClock) -> Archive:
    """Return an archive with several names, ten days old, and some of today."""
    for text in ("one", "two", "three"):
        write(archive, "a.txt", text)
        write(archive, "dir/b.txt", text)
    write(archive, "gone.txt", "gone")
    archive.delete("gone.txt")
    write(archive, "back.txt", "back")
    archive.delete("back.txt")
    archive.undelete("back.txt")
    upload(archive, "large.iso")
    archive.publish("large.iso", upload(archive, "large.iso"))
    clock.advance(10 * DAY)
    write(archive, "a.txt", "four")
    return archive


def test_collection_removes_what_the_plan_says_and_nothing_else(grown: Archive) -> None:
    summary = collect(grown)

    assert summary.as_dict() == {
        "dry_run": False,
        "names": 5,
        "scanned": 17,
        "kept": 8,
        "deleted": 9,
        "bytes_freed": 3 + 3 + 3 + 3 + 4 + 4 + 10,
        "archived": 0,
        "uploads_aborted": 0,
        "reasons": {
            "a hint that no tombstone needs": 1,
            "a version that stays points to this body": 1,
            "current": 4,
            "deleted, and no rule keeps it": 1,
            "grace": 1,
            "no version points to this body": 1,
            "superseded, and no rule keeps it": 6,
            "the name is, or lately was, deleted": 1,
            "versions under the tombstone are left": 1,
        },
        "error_count": 0,
        "errors": [],
    }
    assert (numbers(grown, "a.txt"), numbers(grown, "dir/b.txt"), numbers(grown, "gone.txt")) == ([4, 3], [3], [2])
    assert read(grown, "large.iso") == b"0123456789"
    assert read(grown, "back.txt") == b"back"


def test_dry_run_says_what_the_real_run_does(grown: Archive, memory: MemoryObjectStore) -> None:
    before = memory.keys
    said: list[Fate] = []
    done: list[Fate] = []

    dry = Collector(archive=grown, policy=LAST).run(dry_run=True, tell=said.append)
    after_dry = memory.keys
    real = Collector(archive=grown, policy=LAST).run(dry_run=False, tell=done.append)

    assert (said, {**dry.as_dict(), "dry_run": False}) == (done, real.as_dict())
    assert after_dry == before
    assert [key for key in before if key not in memory.keys] == sorted(
        (fate.key for fate in done if fate.goes), key=str.encode
    )


def test_summary_is_plain_enough_for_json(grown: Archive) -> None:
    assert json.loads(json.dumps(collect(grown).as_dict()))["dry_run"] is False


def test_collection_comes_to_rest(grown: Archive, memory: MemoryObjectStore) -> None:
    collect(grown)
    after_first = memory.keys

    again = collect(grown)

    assert (again.deleted, memory.keys) == (0, after_first)


def test_deleting_goes_a_thousand_keys_a_request(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock)
    for number in range(1, 2502):
        put(memory, archive.layout.version_key("a.txt", number))
    clock.advance(2 * DAY)
    store = Faulty(memory)

    summary = collect(make_archive(store, clock))

    assert (store.count("list"), store.count("delete"), store.count("head")) == (3, 3, 0)
    assert (summary.scanned, summary.deleted, numbers(archive, "a.txt")) == (2501, 2500, [2501])


def test_memory_holds_no_more_than_a_batch_whatever_the_number_of_keys(
    memory: MemoryObjectStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many objects as wait for a decision are decided on together, and full batches leave at once."""
    monkeypatch.setattr(module, "OBJECTS", 50)
    monkeypatch.setattr(module, "DELETE_BATCH", 20)
    archive = make_archive(memory, clock)
    for name in range(100):
        for number in range(1, 9):
            put(memory, archive.layout.version_key(f"{name}.txt", number))
    clock.advance(2 * DAY)
    asked: list[int] = []
    sizes: list[int] = []

    def note(store: Faulty, request: Callable[[], Any]) -> Any:
        sizes.append(len(store.sent[-1][1]))
        return request()

    def references(names: Sequence[str]) -> dict[str, Circumstances]:
        asked.append(len(names))
        return {}

    collect(make_archive(Faulty(memory, delete=[note] * 1000), clock), circumstances=references)

    assert (max(asked), sum(asked)) == (7, 230)
    assert (max(sizes), sum(sizes)) == (20, 700)


def test_references_are_asked_for_in_groups_of_names(
    memory: MemoryObjectStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMES", 2)
    archive = make_archive(memory, clock)
    for name in "abcde":
        write(archive, name, "one")
        write(archive, name, "two")
    clock.advance(2 * DAY)
    asked: list[Sequence[str]] = []

    def references(names: Sequence[str]) -> dict[str, Circumstances]:
        asked.append(list(names))
        return {name: Circumstances(policy=LAST, referenced=frozenset({1})) for name in names if name in "bd"}

    collect(archive, circumstances=references)

    # Once to decide, and once more about what is to go, right before it goes.
    assert asked == [["a", "b"], ["c", "d"], ["e"], ["a", "c", "e"]]
    assert {name: numbers(archive, name) for name in "abcde"} == {
        "a": [2],
        "b": [2, 1],
        "c": [2],
        "d": [2, 1],
        "e": [2],
    }


def test_empty_bucket_asks_for_no_references(archive: Archive) -> None:
    def references(names: Sequence[str]) -> dict[str, Circumstances]:
        raise AssertionError("Asked for the references of nothing.")

    assert collect(archive, circumstances=references) == Summary(dry_run=False, reasons=Counter())


def test_only_keys_under_the_location_are_looked_at(memory: MemoryObjectStore, clock: ManualClock) -> None:
    other = make_archive(memory, clock, location="other")
    mine = make_archive(memory, clock, location="mine")
    for archive in (other, mine):
        write(archive, "a.txt", "one")
        write(archive, "a.txt", "two")
    clock.advance(2 * DAY)

    collect(mine)

    assert (numbers(other, "a.txt"), numbers(mine, "a.txt")) == ([2, 1], [2])


def test_objects_of_other_software_are_counted_and_left_alone(grown: Archive, memory: MemoryObjectStore) -> None:
    foreign = [
        "a.txt",
        "a.txt.-v/",
        "a.txt.-v/notes",
        "a.txt.-v-body/notes",
        "z/zebra",
        "a.-v/b.-v/9999999999999999998",
    ]
    for key in foreign:
        put(memory, key)

    summary = collect(grown)

    assert summary.scanned == 17 + len(foreign)
    assert set(foreign) <= set(memory.keys)


# Errors


def test_key_that_the_store_keeps_is_told_and_stops_nothing_else(grown: Archive, memory: MemoryObjectStore) -> None:
    stubborn = grown.layout.version_key("a.txt", 1)

    def keeps_one(store: Faulty, request: Callable[[], Any]) -> list[DeleteFailure]:
        memory.delete([key for key in store.sent[-1][1] if key != stubborn])
        return [DeleteFailure(key=stubborn, code="InternalError", message="Try again.")]

    archive = make_archive(Faulty(memory, delete=[keeps_one]), grown.clock)  # type: ignore[arg-type]

    summary = collect(archive)

    assert (summary.error_count, summary.deleted, summary.kept) == (1, 8, 9)
    assert summary.errors == [{"key": stubborn, "code": "InternalError", "message": "Try again."}]
    assert collect(archive).deleted == 1


def test_errors_are_told_up_to_a_number_and_counted_beyond(memory: MemoryObjectStore, clock: ManualClock) -> None:
    for number in range(1, 302):
        put(memory, make_archive().layout.version_key("a.txt", number))
    clock.advance(2 * DAY)

    def keeps_all(store: Faulty, request: Callable[[], Any]) -> list[DeleteFailure]:
        return [DeleteFailure(key=key, code="AccessDenied", message="No.") for key in store.sent[-1][1]]

    summary = collect(make_archive(Faulty(memory, delete=[keeps_all]), clock))

    assert (len(summary.errors), summary.error_count) == (MAX_ERRORS, 300)
    assert (summary.deleted, summary.bytes_freed, summary.kept) == (0, 0, 301)


@pytest.mark.parametrize("position", range(5))
@pytest.mark.parametrize("fault", [fails(UnreachableError("No answer.")), lost_after], ids=["refused", "answer-lost"])
def test_run_after_one_that_was_killed_between_batches_ends_in_the_same_state(
    grown: Archive, memory: MemoryObjectStore, monkeypatch: pytest.MonkeyPatch, fault: Fault, position: int
) -> None:
    monkeypatch.setattr(module, "DELETE_BATCH", 2)
    expected = {key for key, (goes, _) in fates(grown).items() if not goes}
    killed = make_archive(Faulty(memory, delete=[None] * position + [fault]), grown.clock)  # type: ignore[arg-type]

    with pytest.raises(StoreError, match="answer"):
        collect(killed)
    collect(grown)

    assert set(memory.keys) == expected


# Bodies


def test_body_that_no_version_points_to_goes_after_grace(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    draft = upload(archive, "a.iso")
    clock.advance(DAY - timedelta(seconds=1))
    assert fates(archive) == {draft.details.body_key: (False, Reason.GRACE)}

    clock.advance(timedelta(seconds=1))

    assert fates(archive) == {draft.details.body_key: (True, Reason.UNREFERENCED_BODY)}
    collect(archive)
    assert memory.keys == []


def test_body_goes_with_its_version_and_stays_with_it(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    first = archive.publish("a.iso", upload(archive, "a.iso"))
    second = archive.publish("a.iso", upload(archive, "a.iso", b"abcdefghij"))
    clock.advance(2 * DAY)

    collect(archive)

    assert set(memory.keys) == {second.key, second.body_key}
    assert first.body_key not in memory.keys


def test_body_of_a_version_that_is_not_visible_stays(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    archive.publish("a.iso", upload(archive, "a.iso"))
    clock.advance(2 * DAY)
    hidden = make_archive(Faulty(memory, head=[fails(KeyMissingError("Not yet."))]), clock)

    collect(hidden)

    assert read(archive, "a.iso") == b"0123456789"


def test_bodies_cost_a_head_only_where_there_are_any(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock)
    for name in ("empty.txt", "b.txt"):
        write(archive, name, b"")
        write(archive, name, b"")
    store = Faulty(memory)

    collect(make_archive(store, clock))

    assert store.count("head") == 0


# Deletions


def test_deleted_name_is_collected_to_its_tombstone(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    write(archive, "a.txt", "one")
    tombstone = archive.delete("a.txt")
    clock.advance(10 * DAY)

    for _ in range(3):
        collect(archive)

    [hint] = [key for key in memory.keys if "deleted" in key]
    assert tombstone is not None
    assert memory.keys == [hint, tombstone.key]
    assert write(archive, "a.txt", "again").number == 3
    assert archive.listdir("") == ([], ["a.txt"])


def test_forgotten_name_goes_version_then_tombstone_then_hint(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    """In that order over three runs: no kept key and no kill in between leaves a tombstone without its hint."""
    first = write(archive, "a.txt", "one")
    tombstone = archive.delete("a.txt")
    clock.advance(10 * DAY)
    [hint] = [key for key in memory.keys if "deleted" in key]
    assert tombstone is not None
    left: list[list[str]] = []

    for _ in range(3):
        collect(archive, FORGETTING)
        left.append(memory.keys)  # type: ignore[arg-type]

    assert first.key not in left[0]
    assert left == [[hint, tombstone.key], [hint], []]


def test_clock_numbered_name_is_forgotten_without_being_asked(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock, numbering=Numbering.CLOCK)
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    clock.advance(10 * DAY)

    for _ in range(3):
        collect(archive)

    assert memory.keys == []


@pytest.mark.parametrize("policy", [LAST, FORGETTING], ids=["last", "forgetting"])
def test_newest_key_is_never_removed_before_all_under_it(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore, policy: RetentionPolicy
) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    clock.advance(10 * DAY)

    told = fates(archive, policy)

    assert told[archive.layout.version_key("a.txt", 2)] == (False, Reason.UNDER_TOMBSTONE)
    assert told[archive.layout.version_key("a.txt", 1)] == (True, Reason.DELETED)


def test_hint_of_a_name_that_is_not_deleted_goes_after_grace(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    archive.undelete("a.txt")
    [hint] = [key for key in memory.keys if "deleted" in key]
    clock.advance(DAY - timedelta(seconds=1))
    assert fates(archive)[hint] == (False, Reason.HINT)

    clock.advance(timedelta(seconds=1))

    assert fates(archive)[hint] == (True, Reason.STALE_HINT)


def test_hint_without_any_version_goes_after_grace(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    put(memory, archive.layout.hint_key("a.txt", "0" * 24), b"")
    assert fates(archive) == {memory.keys[0]: (False, Reason.HINT)}
    clock.advance(DAY)

    collect(archive)

    assert memory.keys == []


def test_hint_of_an_empty_file_does_not_make_it_deleted(archive: Archive, clock: ManualClock) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    write(archive, "a.txt", b"")
    clock.advance(10 * DAY)

    collect(archive, RetentionPolicy(keep_last=3))

    assert numbers(archive, "a.txt") == [3, 2, 1]


def test_tombstone_that_vanished_under_the_collector_decides_nothing(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt")
    clock.advance(10 * DAY)
    hidden = make_archive(Faulty(memory, head=[fails(KeyMissingError("Gone."))]), clock)

    collect(hidden, RetentionPolicy(keep_last=2))

    assert numbers(archive, "a.txt") == [2, 1]


# Races


def test_deletion_beside_the_removal_of_an_old_hint_keeps_its_own(
    memory: MemoryObjectStore, clock: ManualClock
) -> None:
    """Between the listing and the batch a name with a stale hint is deleted again: `listdir` must not show it."""
    rival = make_archive(memory, clock, chance=random.Random(2))
    write(rival, "a.txt", "one")
    rival.delete("a.txt")
    rival.undelete("a.txt")
    clock.advance(10 * DAY)
    store = Faulty(memory, delete=[meanwhile(lambda: rival.delete("a.txt"))])

    summary = collect(make_archive(store, clock), RetentionPolicy(keep_last=10))

    assert summary.reasons[Reason.STALE_HINT] == 1
    assert rival.current("a.txt") is None
    assert rival.listdir("") == ([], [])


@pytest.mark.parametrize("kind", ["list", "head", "delete"])
def test_writer_between_the_plan_and_the_removal_of_a_tombstone_loses_nothing(
    memory: MemoryObjectStore, clock: ManualClock, kind: str
) -> None:
    rival = make_archive(memory, clock, chance=random.Random(2))
    write(rival, "a.txt", "one")
    rival.delete("a.txt")
    clock.advance(10 * DAY)
    collect(rival, FORGETTING)
    store = Faulty(memory, **{kind: [meanwhile(lambda: write(rival, "a.txt", "theirs"))]})

    collect(make_archive(store, clock), FORGETTING)

    assert read(rival, "a.txt") == b"theirs"
    assert rival.listdir("") == ([], ["a.txt"])


def test_tombstone_that_is_no_longer_newest_is_looked_up_again_and_stays(
    memory: MemoryObjectStore, clock: ManualClock
) -> None:
    rival = make_archive(memory, clock, chance=random.Random(2))
    write(rival, "a.txt", "one")
    rival.delete("a.txt")
    clock.advance(10 * DAY)
    collect(rival, FORGETTING)
    store = Faulty(memory, head=[meanwhile(lambda: write(rival, "a.txt", "theirs"))])

    summary = collect(make_archive(store, clock), FORGETTING)

    assert summary.deleted == 0
    assert numbers(rival, "a.txt") == [3, 2]


def test_tombstone_that_another_collector_removed_is_left_out(memory: MemoryObjectStore, clock: ManualClock) -> None:
    rival = make_archive(memory, clock, chance=random.Random(2))
    write(rival, "a.txt", "one")
    rival.delete("a.txt")
    clock.advance(10 * DAY)
    collect(rival, FORGETTING)
    store = Faulty(memory, list=[None, meanwhile(lambda: collect(rival, FORGETTING))])

    assert collect(make_archive(store, clock), FORGETTING).deleted == 0


def test_two_collectors_at_once_end_in_the_same_state(grown: Archive, memory: MemoryObjectStore) -> None:
    expected = {fate for fate, (goes, _) in fates(grown).items() if not goes}
    store = Faulty(memory, delete=[meanwhile(lambda: collect(grown))])

    collect(make_archive(store, grown.clock))  # type: ignore[arg-type]

    assert set(memory.keys) == expected


def test_age_counts_to_a_moment_before_the_listing(memory: MemoryObjectStore, clock: ManualClock) -> None:
    """A collector that stalls after its listing must not take what was young when it was listed."""
    archive = make_archive(memory, clock)
    write(archive, "a.txt", "one")
    write(archive, "a.txt", "two")

    def stall(store: Faulty, request: Callable[[], Any]) -> Any:
        answer = request()
        clock.advance(10 * DAY)
        return answer

    summary = collect(make_archive(Faulty(memory, list=[stall]), clock))

    assert summary.deleted == 0
