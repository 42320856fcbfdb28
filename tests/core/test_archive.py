from __future__ import annotations

import io
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.erasing import Erasure
from consistent_s3.core.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidNameError,
    KeyMissingError,
    VersionNotFoundError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.seams import Attributes, DeleteFailure, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.indexes import MemoryPointers
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import Faulty, fails, meanwhile

DAY = timedelta(days=1)
LARGE = random.Random(5).randbytes(9_000_000)


def bytes_left(memory: MemoryObjectStore) -> int:
    return sum(memory.head(key).info.size for key in memory.keys)


# Reading


def test_name_never_written_has_nothing(archive: Archive) -> None:
    assert archive.newest("a.txt") is None
    assert archive.current("a.txt") is None
    assert list(archive.history("a.txt")) == []


def test_deleted_name_has_no_current_version_but_a_newest(archive: Archive) -> None:
    write(archive, "a.txt", "one")
    tombstone = archive.delete("a.txt", author="ann", comment="old")

    assert archive.current("a.txt") is None
    assert archive.newest("a.txt") == tombstone
    assert tombstone is not None
    assert (tombstone.number, tombstone.tombstone, tombstone.author, tombstone.comment) == (2, True, "ann", "old")


def test_empty_file_is_no_tombstone(archive: Archive) -> None:
    write(archive, "a.txt", b"")

    current = archive.current("a.txt")

    assert current is not None
    assert (current.size, current.tombstone) == (0, False)


@pytest.mark.parametrize(
    ("steps", "number", "message"),
    [
        ("", None, "'a.txt' does not exist."),
        ("wd", None, "'a.txt' was deleted by version 2. Its history still has it: undelete it to read."),
        ("w", 2, "'a.txt' has no version 2: it was never written, or it was collected. See its history."),
        ("w", 0, "'a.txt' has no version 0: it was never written, or it was collected. See its history."),
        ("w", 2**63, f"'a.txt' has no version {2**63}: it was never written, or it was collected. See its history."),
        ("wd", 2, "Version 2 of 'a.txt' is a deletion and has no bytes."),
    ],
)
def test_version_that_cannot_be_read_is_not_found(
    archive: Archive, steps: str, number: int | None, message: str
) -> None:
    for step in steps:
        write(archive, "a.txt", "one") if step == "w" else archive.delete("a.txt")

    with pytest.raises(VersionNotFoundError) as missing:
        archive.require("a.txt", number)

    assert str(missing.value) == message
    assert isinstance(missing.value, FileNotFoundError)


def test_earlier_version_is_read_by_its_number(archive: Archive) -> None:
    for text in ("one", "two", "three"):
        write(archive, "a.txt", text)

    assert [read(archive, "a.txt", number) for number in (1, 2, 3)] == [b"one", b"two", b"three"]
    assert archive.require("a.txt").number == 3


@pytest.mark.parametrize(
    ("before", "limit", "expected"),
    [
        (None, None, [5, 4, 3, 2, 1]),
        (None, 2, [5, 4]),
        (4, None, [3, 2, 1]),
        (4, 2, [3, 2]),
        (100, 1, [5]),
        (2**63 + 5, 1, [5]),
        (1, None, []),
        (0, None, []),
        (-3, None, []),
        (None, 0, []),
    ],
)
def test_history_begins_below_a_number_and_ends_at_a_limit(
    archive: Archive, before: int | None, limit: int | None, expected: list[int]
) -> None:
    for _ in range(4):
        write(archive, "a.txt", "x")
    archive.delete("a.txt")

    assert [version.number for version in archive.history("a.txt", before=before, limit=limit)] == expected


def test_history_of_one_name_shows_no_other(archive: Archive) -> None:
    names = ["key", "key2", "key/a", "key.1", "Key", "key.-"]
    for name in names:
        write(archive, name, name)

    assert all(numbers(archive, name) == [1] and read(archive, name) == name.encode() for name in names)


@pytest.mark.parametrize("use", ["newest", "current", "history", "require", "delete", "undelete", "erase"])
def test_invalid_name_is_refused_before_any_request(memory: MemoryObjectStore, use: str) -> None:
    store = Faulty(memory)

    with pytest.raises(InvalidNameError):
        getattr(make_archive(store), use)("a.-v")

    assert store.sent == []


def test_invalid_name_is_not_written_uploaded_or_read_by_number(memory: MemoryObjectStore) -> None:
    store = Faulty(memory)
    archive = make_archive(store)
    uses: list[Callable[[], Any]] = [
        lambda: write(archive, "../a", "x"),
        lambda: archive.upload("../a", details=Details(), attributes=Attributes()),
        lambda: archive.require("../a", 1),
        lambda: archive.restore("../a", 1),
        lambda: archive.listdir("../a"),
    ]

    for use in uses:
        with pytest.raises(InvalidNameError):
            use()

    assert store.sent == []


def test_comment_too_long_is_refused_before_any_request(memory: MemoryObjectStore) -> None:
    store = Faulty(memory)

    with pytest.raises(ValueError, match="comment takes 1001 bytes"):
        write(make_archive(store), "a.txt", "x", details=Details(comment="c" * 1001))

    assert store.sent == []


# As of a moment


def at(hour: int) -> datetime:
    return datetime(2026, 1, 1, hour, tzinfo=UTC)


@pytest.fixture
def hourly(archive: Archive, clock: ManualClock) -> Archive:
    """Return an archive with one, two, a deletion and four, written at 0, 1, 2 and 3 o'clock."""
    for text in ("one", "two", "", "four"):
        write(archive, "a.txt", text) if text else archive.delete("a.txt")
        clock.time = clock.time.replace(hour=clock.time.hour + 1, minute=0, second=0, microsecond=0)
    return archive


@pytest.mark.parametrize(("hour", "number"), [(0, 1), (1, 2), (3, 4), (9, 4)])
def test_as_of_a_moment_is_what_was_current_then(hourly: Archive, hour: int, number: int) -> None:
    assert hourly.as_of("a.txt", at(hour)).number == number


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (
            datetime(2025, 12, 31, tzinfo=UTC),
            "No version of 'a.txt' is left from 2025-12-31 00:00:00 UTC or before.",
        ),
        (at(2), "'a.txt' was deleted at 2026-01-01 02:00:00 UTC, by version 3."),
    ],
)
def test_as_of_a_moment_without_a_version_says_why(hourly: Archive, moment: datetime, message: str) -> None:
    with pytest.raises(VersionNotFoundError) as missing:
        hourly.as_of("a.txt", moment)

    assert str(missing.value) == message


def test_as_of_never_answers_with_a_version_older_than_the_one_that_was_collected(
    hourly: Archive, memory: MemoryObjectStore
) -> None:
    memory.delete([memory.keys[position] for position, key in enumerate(memory.keys) if key.endswith("97.txt")])
    assert numbers(hourly, "a.txt") == [4, 3, 1]

    with pytest.raises(VersionNotFoundError) as missing:
        hourly.as_of("a.txt", at(1))

    assert str(missing.value) == (
        "What 'a.txt' was at 2026-01-01 01:00:00 UTC cannot be said any more: of the versions between 1 and 3 some are "
        "collected. See its history."
    )


def test_as_of_is_sure_of_what_has_no_gap_with_clock_numbering_too(
    memory: MemoryObjectStore, clock: ManualClock
) -> None:
    archive = make_archive(memory, clock, numbering=Numbering.CLOCK)
    first = write(archive, "a.txt", "one")
    clock.advance(timedelta(hours=1))
    write(archive, "a.txt", "two")

    assert archive.as_of("a.txt", at(0)) == first


def test_as_of_tells_when_the_version_that_knew_is_gone(hourly: Archive, memory: MemoryObjectStore) -> None:
    write(hourly, "a.txt", "five")
    memory.delete([key for key in memory.keys if key.endswith("95.txt")])
    store = Faulty(memory, head=[None, fails(KeyMissingError("Gone."))])

    with pytest.raises(VersionNotFoundError) as missing:
        make_archive(store).as_of("a.txt", at(4) - timedelta(minutes=30))

    assert str(missing.value) == "Version 5 of 'a.txt' is gone: it was collected or erased meanwhile."


# Deleting and undeleting


@pytest.mark.parametrize("steps", ["", "wd"], ids=["absent", "deleted"])
def test_deleting_what_is_not_there_writes_nothing(archive: Archive, memory: MemoryObjectStore, steps: str) -> None:
    for step in steps:
        write(archive, "a.txt", "one") if step == "w" else archive.delete("a.txt")
    before = memory.keys

    assert archive.delete("a.txt") is None
    assert memory.keys == before


def test_deletion_of_the_expected_version_only(archive: Archive) -> None:
    write(archive, "a.txt", "one")
    write(archive, "a.txt", "two")

    with pytest.raises(ConflictError) as refused:
        archive.delete("a.txt", expected=1)

    assert str(refused.value) == "Version 2 of 'a.txt' is current, but 1 was expected. Read version 2 and decide again."
    assert archive.delete("a.txt", expected=2) is not None


def test_arguments_of_a_put_travel_with_tombstone_and_hint(memory: MemoryObjectStore) -> None:
    """A bucket may refuse what is not encrypted, and a HEAD with a customer's key needs an object that has it."""

    class Extras:
        def __init__(self) -> None:
            self.seen: list[object] = []

        def put(self, key: str, body: Any, *, attributes: Attributes, **options: Any) -> Any:
            self.seen.append(attributes.extra)
            return memory.put(key, body, attributes=attributes, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(memory, name)

    write(make_archive(memory), "a.txt", "one")
    store, extra = Extras(), {"ServerSideEncryption": "aws:kms"}

    make_archive(store).delete("a.txt", extra=extra)
    make_archive(store).undelete("a.txt", extra=extra)
    make_archive(store).erase("a.txt", extra=extra)

    assert store.seen == [extra] * 5


def test_undelete_brings_back_what_the_tombstone_hid(archive: Archive) -> None:
    attributes = Attributes(content_type="text/x", content_encoding="gzip", metadata={"colour": "red"})
    write(archive, "a.txt", "one", details=Details(author="ann", original_name="A.txt"), attributes=attributes)
    archive.delete("a.txt")

    restored = archive.undelete("a.txt", author="ben", comment="needed")

    assert (restored.number, restored.author, restored.comment) == (3, "ben", "needed")
    assert (restored.details.restored_from, restored.original_name) == (1, "A.txt")
    assert (restored.content_type, restored.details.content_encoding) == ("text/x", "gzip")
    assert archive.store.head(restored.key).metadata["colour"] == "red"
    assert read(archive, "a.txt") == b"one"
    assert archive.listdir("") == ([], ["a.txt"])


def test_undelete_passes_over_several_tombstones(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")
    archive.delete("a.txt", author="ann")
    archive.erase("a.txt")
    write(archive, "a.txt", "four")
    archive.delete("a.txt")
    assert numbers(archive, "a.txt") == [5, 4, 3]

    memory.delete([archive.layout.version_key("a.txt", 4)])

    with pytest.raises(VersionNotFoundError) as missing:
        archive.undelete("a.txt")
    assert str(missing.value) == "'a.txt' is deleted, and all that was under version 5 is collected."


def test_undelete_of_what_is_not_deleted_is_refused(archive: Archive) -> None:
    write(archive, "a.txt", "one")

    with pytest.raises(AlreadyExistsError) as refused:
        archive.undelete("a.txt")

    assert str(refused.value) == "'a.txt' is not deleted: version 1 is current."
    assert refused.value.actual == 1


def test_undelete_of_what_never_was_is_not_found(archive: Archive) -> None:
    with pytest.raises(VersionNotFoundError) as missing:
        archive.undelete("a.txt")

    assert str(missing.value) == "'a.txt' does not exist, and nothing is left of it to undelete."


def test_undelete_does_not_bury_what_another_wrote_meanwhile(memory: MemoryObjectStore) -> None:
    rival = make_archive(memory, chance=random.Random(2))
    write(rival, "a.txt", "one")
    rival.delete("a.txt")
    archive = make_archive(Faulty(memory, get=[meanwhile(lambda: write(rival, "a.txt", "theirs"))]))

    with pytest.raises(ConflictError) as refused:
        archive.undelete("a.txt")

    assert str(refused.value) == "Version 3 of 'a.txt' is current, but 2 was expected. Read version 3 and decide again."
    assert read(rival, "a.txt") == b"theirs"


def test_undelete_passes_over_an_attempt_that_was_never_committed(
    memory: MemoryObjectStore, clock: ManualClock
) -> None:
    layout = Layout()
    pointers = PointerIndex(store=memory, layout=layout, kept=MemoryPointers(clock=clock))
    archive = make_archive(memory, clock, numbering=Numbering.CLOCK, index=pointers)
    hidden = write(archive, "a.txt", "hidden")
    clock.advance(timedelta(seconds=1))
    attempt = layout.version_key("a.txt", hidden.number + 1, write_id="0" * 24)
    memory.put(attempt, io.BytesIO(b"refused"), mode=PutMode.OVERWRITE, attributes=Attributes())
    archive.delete("a.txt")

    restored = archive.undelete("a.txt")

    assert restored.details.restored_from == hidden.number
    assert read(archive, "a.txt") == b"hidden"


def test_undelete_works_with_clock_numbering(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock, numbering=Numbering.CLOCK)
    write(archive, "a.txt", "one")
    archive.delete("a.txt")

    archive.undelete("a.txt")

    assert read(archive, "a.txt") == b"one"


# Restoring


def test_restore_writes_earlier_bytes_as_a_new_version(archive: Archive) -> None:
    write(archive, "a.txt", "one", details=Details(author="ann", comment="first", original_name="A.txt"))
    write(archive, "a.txt", "two")

    restored = archive.restore("a.txt", 1, expected=2, author="ben", comment="back")

    details = restored.details
    assert (restored.number, details.author, details.comment, details.restored_from) == (3, "ben", "back", 1)
    assert (details.original_name, details.predecessor) == ("A.txt", 2)
    assert [read(archive, "a.txt", number) for number in (3, 2, 1)] == [b"one", b"two", b"one"]


def test_restore_of_an_empty_file_is_an_empty_file(archive: Archive) -> None:
    write(archive, "a.txt", b"", attributes=Attributes(content_type="x/empty"))
    write(archive, "a.txt", "two")

    restored = archive.restore("a.txt", 1)

    assert (restored.size, restored.content_type, read(archive, "a.txt")) == (0, "x/empty", b"")


def test_restore_of_a_pointer_has_bytes_of_its_own(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, single_put=5)
    attributes = Attributes(content_type="x/large", metadata={"colour": "red"})
    first = write(archive, "a.iso", LARGE, attributes=attributes)
    write(archive, "a.iso", "two")

    restored = archive.restore("a.iso", 1)

    memory.delete([first.key, first.body_key])
    assert restored.body_key not in {first.body_key, restored.key}
    assert (restored.content_type, memory.head(restored.body_key).metadata["colour"]) == ("x/large", "red")
    assert read(archive, "a.iso") == LARGE


def test_restore_of_what_is_not_there_is_not_found(archive: Archive) -> None:
    with pytest.raises(VersionNotFoundError) as missing:
        archive.restore("a.txt", 3)

    assert str(missing.value) == "'a.txt' has no version 3: it was never written, or it was collected. See its history."


@pytest.mark.parametrize("data", [b"one", b""], ids=["bytes", "empty"])
def test_restore_of_what_is_collected_meanwhile_is_not_found(memory: MemoryObjectStore, data: bytes) -> None:
    first = write(make_archive(memory), "a.txt", data)
    write(make_archive(memory), "a.txt", "two")
    gone = meanwhile(lambda: memory.delete([first.key]))
    store = Faulty(memory, get=[None, gone], head=[gone if data else None, gone])

    with pytest.raises(VersionNotFoundError):
        make_archive(store).restore("a.txt", 1)

    assert numbers(make_archive(memory), "a.txt") == [2]


# Erasing


def test_erasure_leaves_a_bare_tombstone_and_a_receipt(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one", details=Details(author="ann", comment="secret"))
    write(archive, "a.txt", "four")
    archive.delete("a.txt", author="ann", comment="secret")

    receipt = archive.erase("a.txt")

    assert receipt == Erasure(name="a.txt", versions=3, size=7, failures=(), tombstone=4)
    assert [(version.number, version.tombstone) for version in archive.history("a.txt")] == [(4, True)]
    assert bytes_left(memory) == 0
    assert not any("author" in name or "comment" in name for key in memory.keys for name in memory.head(key).metadata)
    assert archive.listdir("") == ([], [])


def test_erasure_is_idempotent(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")
    archive.erase("a.txt")
    before = memory.keys

    receipt = archive.erase("a.txt")

    assert receipt == Erasure(name="a.txt", versions=0, size=0, failures=(), tombstone=2)
    assert memory.keys == before


def test_erasure_of_what_never_was_does_nothing(archive: Archive, memory: MemoryObjectStore) -> None:
    receipt = archive.erase("a.txt")

    assert receipt == Erasure(name="a.txt", versions=0, size=0, failures=(), tombstone=0)
    assert memory.keys == []


def test_erasure_touches_no_other_name(archive: Archive) -> None:
    names = ["key2", "key/a", "key.1", "Key", "key.-", "ke"]
    for name in ["key", *names]:
        write(archive, name, name)

    archive.erase("key")

    assert [read(archive, name) for name in names] == [name.encode() for name in names]


def test_erasure_of_many_versions_goes_a_thousand_keys_a_request(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory)
    for number in range(1, 2502):
        key = archive.layout.version_key("a.txt", number)
        memory.put(key, io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes())
    store = Faulty(memory)

    receipt = make_archive(store).erase("a.txt")

    assert (receipt.versions, receipt.size, store.count("delete")) == (2501, 2501, 3)
    assert numbers(archive, "a.txt") == [2502]


def test_erasure_takes_large_bodies_with_it(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, single_put=5)
    write(archive, "a.iso", LARGE)
    write(archive, "a.iso", LARGE)
    write(archive, "a.iso", b"")

    receipt = archive.erase("a.iso")

    assert (receipt.versions, receipt.size) == (3, 2 * len(LARGE))
    assert bytes_left(memory) == 0


def test_erasure_keeps_what_is_written_after_its_tombstone(memory: MemoryObjectStore) -> None:
    """Another writer's version and large body arrive while the erasure lists and deletes."""
    rival = make_archive(memory, single_put=5, chance=random.Random(2))
    write(rival, "a.iso", "old")

    def theirs() -> None:
        write(rival, "a.iso", "five!")
        write(rival, "a.iso", LARGE)

    for kind in ("put", "list", "head", "delete"):
        faults = {kind: [None] * (2 if kind == "list" else 0) + [meanwhile(theirs)]}
        make_archive(Faulty(memory, **faults)).erase("a.iso")  # type: ignore[arg-type]

        if rival.current("a.iso") is None:  # nothing of that kind was sent
            theirs()
        assert read(rival, "a.iso") == LARGE


def test_erasure_keeps_the_body_that_somebody_is_uploading(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock)
    write(archive, "a.iso", "old")
    upload = archive.upload("a.iso", details=Details(), attributes=Attributes(), threshold=5, part_size=5)
    upload.write(b"0123456789")
    draft = upload.finish()

    archive.erase("a.iso")
    archive.publish("a.iso", draft)

    assert read(archive, "a.iso") == b"0123456789"


def test_erasure_takes_old_bodies_that_no_version_points_to(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock)
    write(archive, "a.iso", "old")
    upload = archive.upload("a.iso", details=Details(), attributes=Attributes(), threshold=5)
    upload.write(b"0123456789")
    upload.finish()
    clock.advance(2 * DAY)

    archive.erase("a.iso")

    assert bytes_left(memory) == 0


def test_erasure_leaves_foreign_objects_alone(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")
    for key in ("a.txt.-v/notes", "a.txt.-v-body/notes", "a.txt"):
        memory.put(key, io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes())

    archive.erase("a.txt")

    assert {"a.txt.-v/notes", "a.txt.-v-body/notes", "a.txt"} <= set(memory.keys)


def test_erasure_beside_another_erasure_counts_only_what_is_there(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory)
    empty = write(archive, "a.txt", b"")
    write(archive, "a.txt", "two")
    store = Faulty(memory, head=[meanwhile(lambda: memory.delete([empty.key]))])

    receipt = make_archive(store).erase("a.txt")

    assert receipt.versions == 1


def test_key_that_the_store_keeps_is_in_the_receipt(memory: MemoryObjectStore) -> None:
    first = write(make_archive(memory), "a.txt", "one")
    write(make_archive(memory), "a.txt", "four")

    def keeps_one(store: Faulty, request: Callable[[], Any]) -> list[DeleteFailure]:
        memory.delete([key for key in store.keys("delete")[-1] if key != first.key])
        return [DeleteFailure(key=first.key, code="InternalError", message="Try again.")]

    archive = make_archive(Faulty(memory, delete=[keeps_one]))

    receipt = archive.erase("a.txt")
    again = archive.erase("a.txt")

    assert [failure.key for failure in receipt.failures] == [first.key]
    assert (receipt.versions, receipt.size) == (1, 4)
    assert (again.versions, again.size, again.failures) == (1, 3, ())


def test_killed_erasure_is_finished_by_the_next(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, single_put=5)
    write(archive, "a.iso", LARGE)
    write(archive, "a.iso", "two")

    def killed(store: Faulty, request: Callable[[], Any]) -> None:
        memory.delete(store.keys("delete")[-1][:1])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_archive(Faulty(memory, delete=[killed])).erase("a.iso")
    archive.erase("a.iso")

    assert bytes_left(memory) == 0
