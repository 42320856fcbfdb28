"""Where the index decides which version is the newest, and the key only says where its bytes are."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.claiming import STALLS
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    ConflictError,
    DeadlinePassedError,
    NotYetVisibleError,
    OutcomeUnknownError,
    PreconditionTrippedError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.core.fates import Fate
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.retention import Reason, RetentionPolicy
from consistent_s3.core.seams import Attributes, DeleteFailure, PutMode
from consistent_s3.core.versions import Details, Version
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.indexes import MemoryIndex
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import Fault, Faulty, afterwards, fails, lost_after, lost_before, meanwhile, stalls

DAY = timedelta(days=1)
LAST = RetentionPolicy(keep_last=1)
_seeds = itertools.count(10)


@pytest.fixture
def index() -> MemoryIndex:
    return MemoryIndex()


@pytest.fixture
def indexed(memory: MemoryObjectStore, clock: ManualClock, index: MemoryIndex) -> Archive:
    """Return an archive whose index decides."""
    return make_archive(memory, clock, index=index, chance=random.Random(2))


def beside(indexed: Archive, *, index: MemoryIndex | None = None, **faults: list[Fault | None]) -> Archive:
    """Return another client's archive on the same store and index."""
    chance = random.Random(next(_seeds))
    store = Faulty(indexed.store, **faults)  # type: ignore[arg-type]
    return make_archive(store, indexed.clock, index=index or indexed.index, chance=chance)  # type: ignore[arg-type]


def collect(archive: Archive, policy: RetentionPolicy = LAST) -> dict[str, Reason]:
    told: list[Fate] = []
    Collector(archive=archive, policy=policy).run(dry_run=False, tell=told.append)
    return {fate.key: fate.reason for fate in told}


def upload(archive: Archive, name: str) -> Any:
    begun = archive.upload(name, details=Details(), attributes=Attributes(), threshold=5)
    begun.write(b"0123456789")
    return begun.finish()


# Writing


def test_save_is_one_put_and_a_read_one_get(indexed: Archive) -> None:
    archive = beside(indexed)

    version = write(archive, "a.txt", "one")

    assert read(archive, "a.txt") == b"one"
    assert [kind for kind, _ in archive.store.sent] == ["put", "get"]  # type: ignore[attr-defined]
    assert version.key.endswith(f"-{version.details.write_id}.txt")


def test_deletion_needs_no_hint_where_names_are_not_listed(indexed: Archive, memory: MemoryObjectStore) -> None:
    write(indexed, "a.txt", "one")

    indexed.delete("a.txt")

    assert indexed.current("a.txt") is None
    assert not any("deleted" in key for key in memory.keys)


def test_deletion_has_its_hint_where_names_are_listed(indexed: Archive, memory: MemoryObjectStore) -> None:
    archive = beside(indexed, index=MemoryIndex(lists_names=True))
    write(archive, "a.txt", "one")

    archive.delete("a.txt")

    assert any("deleted" in key for key in memory.keys)


@pytest.mark.parametrize("numbering", Numbering)
def test_writer_that_lost_writes_again_under_another_key(
    indexed: Archive, memory: MemoryObjectStore, numbering: Numbering
) -> None:
    archive = beside(indexed, put=[afterwards(lambda: write(indexed, "a.txt", "theirs"))])

    version = write(archive, "a.txt", "ours")

    assert (version.number, numbers(indexed, "a.txt")) == (2, [2, 1])
    assert [read(indexed, "a.txt", number) for number in (1, 2)] == [b"theirs", b"ours"]
    assert len(memory.keys) == 3


def test_refused_object_is_deleted_at_once_where_a_listing_would_show_it(
    indexed: Archive, memory: MemoryObjectStore
) -> None:
    index = MemoryIndex(lists_names=True)
    rival = beside(indexed, index=index)
    archive = beside(indexed, index=index, put=[afterwards(lambda: write(rival, "a.txt", "theirs"))])

    version = write(archive, "a.txt", "ours")

    assert version.number == 2
    assert len(memory.keys) == 2


@pytest.mark.parametrize(
    "fault",
    [
        fails(UnreachableError("No answer.")),
        lambda store, request: [DeleteFailure(key="k", code="InternalError", message="Try again.")],
    ],
    ids=["unreachable", "kept"],
)
def test_refused_object_that_cannot_be_deleted_makes_the_outcome_unknown(indexed: Archive, fault: Fault) -> None:
    index = MemoryIndex(lists_names=True)
    rival = beside(indexed, index=index)
    theirs = afterwards(lambda: write(rival, "a.txt", "theirs"))
    archive = beside(indexed, index=index, put=[theirs], delete=[fault])

    with pytest.raises(OutcomeUnknownError):
        write(archive, "a.txt", "ours")


def test_expecting_writer_that_loses_is_told_with_any_numbering(indexed: Archive) -> None:
    write(indexed, "a.txt", "one")
    archive = beside(indexed, put=[afterwards(lambda: write(indexed, "a.txt", "theirs", expected=1))])

    with pytest.raises(ConflictError) as refused:
        write(archive, "a.txt", "ours", expected=1)

    assert str(refused.value) == "Version 2 of 'a.txt' is current, but 1 was expected. Read version 2 and decide again."
    assert read(indexed, "a.txt") == b"theirs"


@pytest.mark.parametrize("fault", [lost_after, lost_before], ids=["applied", "lost"])
def test_lost_answer_of_a_put_is_repeated_under_its_own_key(indexed: Archive, fault: Fault) -> None:
    archive = beside(indexed, put=[fault])

    version = write(archive, "a.txt", "one")

    assert list(indexed.history("a.txt")) == [version]
    assert set(archive.store.keys("put")) == {version.key}  # type: ignore[attr-defined]


def test_condition_is_neither_needed_nor_sent(indexed: Archive) -> None:
    class Unconditional:
        """A store that knows no conditional put."""

        def put(self, key: str, body: Any, *, mode: PutMode, **options: Any) -> Any:
            if mode is PutMode.CREATE:
                raise PreconditionTrippedError("No.")
            return indexed.store.put(key, body, mode=mode, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(indexed.store, name)

    archive = make_archive(Unconditional(), indexed.clock, index=indexed.index)  # type: ignore[arg-type]

    assert write(archive, "a.txt", "one", expected=0).number == 1


@pytest.mark.parametrize(
    ("stall", "puts"),
    [(timedelta(hours=23, minutes=44), 1), (timedelta(hours=23, minutes=46), 2)],
    ids=["as a large file takes it", "until it could be collected"],
)
def test_writer_commits_what_it_put_until_it_could_be_collected(
    indexed: Archive, clock: ManualClock, stall: timedelta, puts: int
) -> None:
    """Sending 5 GiB may take long; but what nobody committed goes after grace, also from under its writer."""
    archive = beside(indexed, put=[afterwards(lambda: clock.advance(stall))])

    version = write(archive, "a.txt", "one")

    assert len(archive.store.keys("put")) == puts  # type: ignore[attr-defined]
    assert list(indexed.history("a.txt")) == [version]


def test_writer_that_always_stalls_says_so_and_commits_nothing(indexed: Archive, clock: ManualClock) -> None:
    archive = beside(indexed, put=[stalls(clock, DAY)] * STALLS)

    with pytest.raises(DeadlinePassedError):
        write(archive, "a.txt", "one")

    assert numbers(indexed, "a.txt") == []


# Erasing


def test_erasure_takes_what_the_index_tells_and_all_bytes(indexed: Archive, memory: MemoryObjectStore) -> None:
    write(indexed, "a.iso", "one", details=Details(author="ann", comment="secret"))
    indexed.publish("a.iso", upload(indexed, "a.iso"))

    receipt = indexed.erase("a.iso")

    assert [(version.number, version.tombstone, version.author) for version in indexed.history("a.iso")] == [
        (3, True, "")
    ]
    assert (receipt.versions, receipt.size, receipt.tombstone) == (2, 13, 3)
    assert len(memory.keys) == 1


def test_erasure_takes_what_no_listing_shows_yet(indexed: Archive, memory: MemoryObjectStore) -> None:
    write(indexed, "a.iso", "one")
    indexed.publish("a.iso", upload(indexed, "a.iso"))

    class Blind:
        """A store whose listings are behind."""

        def list(self, prefix: str, **_: Any) -> Any:
            return memory.list("nothing/")

        def __getattr__(self, name: str) -> Any:
            return getattr(memory, name)

    receipt = make_archive(Blind(), indexed.clock, index=indexed.index).erase("a.iso")  # type: ignore[arg-type]

    assert (receipt.versions, receipt.size) == (2, 13)
    assert len(memory.keys) == 1


def test_erasure_keeps_what_is_committed_after_its_tombstone(indexed: Archive) -> None:
    write(indexed, "a.txt", "one")
    archive = beside(indexed, list=[meanwhile(lambda: write(indexed, "a.txt", "theirs"))])

    archive.erase("a.txt")

    assert read(indexed, "a.txt") == b"theirs"
    assert numbers(indexed, "a.txt") == [3, 2]


# Collecting


def test_collection_takes_the_versions_from_the_index(indexed: Archive, clock: ManualClock) -> None:
    for text in ("one", "two", "three"):
        write(indexed, "a.txt", text)
    clock.advance(2 * DAY)

    reasons = collect(indexed)

    assert numbers(indexed, "a.txt") == [3]
    assert sorted(reasons.values()) == [Reason.CURRENT, Reason.SUPERSEDED, Reason.SUPERSEDED]


def test_object_that_the_index_does_not_know_goes_after_grace(
    indexed: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    version = write(indexed, "a.txt", "one")
    stray = indexed.layout.version_key("a.txt", 2, write_id="f" * 24)
    memory.put(stray, io.BytesIO(b"rolled back"), mode=PutMode.CREATE, attributes=Attributes())
    assert collect(indexed)[stray] is Reason.GRACE
    clock.advance(DAY)

    reasons = collect(indexed)

    assert reasons == {stray: Reason.UNCOMMITTED, version.key: Reason.CURRENT}
    assert memory.keys == [version.key]


def test_deleted_name_is_known_from_the_index_without_a_hint(indexed: Archive, clock: ManualClock) -> None:
    write(indexed, "a.txt", "one")
    indexed.delete("a.txt")
    clock.advance(2 * DAY)

    collect(indexed)

    assert [(version.number, version.tombstone) for version in indexed.history("a.txt")] == [(2, True)]


def test_body_stays_with_its_committed_version_and_goes_with_a_superseded_one(
    indexed: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    indexed.publish("a.iso", upload(indexed, "a.iso"))
    second = indexed.publish("a.iso", upload(indexed, "a.iso"))
    clock.advance(2 * DAY)

    reasons = collect(indexed)

    assert reasons[second.body_key] is Reason.POINTED_TO
    assert set(memory.keys) == {second.key, second.body_key}


def test_body_of_a_transaction_that_is_still_open_stays(
    indexed: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    """The pointer was put in time, the row commits late: meanwhile the body grows older than grace."""

    class Open(MemoryIndex):
        """An index whose commit waits."""

        waiting: list[Version] = []

        def advance(self, version: Version, *, after: int) -> None:
            self.waiting.append(version)

    index = Open()
    archive = make_archive(memory, clock, index=index)
    draft = upload(archive, "a.iso")
    clock.advance(DAY - timedelta(minutes=20))
    version = archive.publish("a.iso", draft)
    clock.advance(timedelta(minutes=30))

    reasons = collect(archive)
    MemoryIndex.advance(index, version, after=0)

    assert reasons[version.body_key] is Reason.POINTED_TO
    assert read(archive, "a.iso") == b"0123456789"


def test_version_stays_known_until_its_object_is_gone(indexed: Archive, clock: ManualClock) -> None:
    """What the store refuses to delete must not be forgotten."""
    write(indexed, "a.txt", "one")
    write(indexed, "a.txt", "two")
    clock.advance(2 * DAY)

    with pytest.raises(UnreachableError):
        collect(beside(indexed, delete=[fails(UnreachableError("No answer."))]))
    between = numbers(indexed, "a.txt")
    collect(indexed)

    assert (between, numbers(indexed, "a.txt")) == ([2, 1], [2])


def test_dry_run_lets_the_index_forget_nothing(indexed: Archive, clock: ManualClock) -> None:
    write(indexed, "a.txt", "one")
    write(indexed, "a.txt", "two")
    clock.advance(2 * DAY)

    summary = Collector(archive=indexed, policy=LAST).run(dry_run=True)

    assert (summary.deleted, numbers(indexed, "a.txt")) == (1, [2, 1])


def test_index_is_asked_once_for_many_names(indexed: Archive) -> None:
    asked: list[Sequence[str]] = []

    class Counting(MemoryIndex):
        def committed(self, names: Sequence[str]) -> dict[str, list[Version]]:
            asked.append(list(names))
            return super().committed(names)

    archive = beside(indexed, index=Counting())
    for name in ("a", "b", "c"):
        write(archive, name, "x")

    collect(archive)

    assert asked == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("number", "age", "error"),
    [(1, DAY, VersionNotFoundError), (1, DAY / 2, NotYetVisibleError), (2, 9 * DAY, NotYetVisibleError)],
    ids=["superseded and old", "superseded and young", "the newest"],
)
def test_row_whose_object_a_dead_collector_took_reads_as_gone(
    indexed: Archive, memory: MemoryObjectStore, clock: ManualClock, number: int, age: timedelta, error: type[Exception]
) -> None:
    """The object goes before its row. What is young may just not be visible yet; little else is waited for."""
    write(indexed, "a.txt", "one")
    write(indexed, "a.txt", "two")
    version = indexed.require("a.txt", number)
    memory.delete([version.key])
    clock.advance(age)
    before = clock.monotonic()

    with pytest.raises(error):
        indexed.reader(version).readall()

    waited = clock.monotonic() - before
    assert waited == (0 if error is VersionNotFoundError else pytest.approx(33 if age < DAY else 2.5, rel=0.3))
