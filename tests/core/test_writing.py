from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core import writing
from consistent_s3.core.archive import Archive
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import (
    AnswerLostError,
    ConflictError,
    OutcomeUnknownError,
    StoreError,
    UnreachableError,
    UploadTooSlowError,
)
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.core.writing import BodyUpload, pieces, spool
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import Fault, Faulty, fails, lost_after, lost_before, meanwhile

PART = 10


def begin(archive: Archive, name: str = "a.iso", **details: Any) -> BodyUpload:
    return archive.upload(
        name,
        details=Details(**details),
        attributes=Attributes(content_type="x/iso", metadata={"colour": "red"}),
        threshold=PART,
        part_size=PART,
    )


# Spools


def test_spool_takes_bytes_and_text_with_length_and_checksum() -> None:
    with closing(spool([b"one ", "zwei ü"])) as body:
        assert body.file.read() == "one zwei ü".encode()
        assert body.size == 11
        assert body.checksum == hashlib.sha256("one zwei ü".encode()).hexdigest()


def test_spool_moves_to_a_file_in_the_directory_it_was_given(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(spool([b"x" * 1024**2] * 9, directory=str(tmp_path))) as body:
        assert body.size == 9 * 1024**2
        assert b"".join(pieces(body.file)) == b"x" * 9 * 1024**2
    with pytest.raises(FileNotFoundError):
        spool([b"x" * 9 * 1024**2], directory=str(tmp_path / "missing"))


def test_source_that_fails_leaves_no_file_behind() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise OSError("The disk is gone.")

    with pytest.raises(OSError, match=r"^The disk is gone\.$"):
        spool(chunks())


def test_pieces_begin_where_the_file_stands() -> None:
    file = io.BytesIO(b"abcdef")
    file.seek(1)

    assert list(pieces(file, 2)) == [b"bc", b"de", b"f"]


# Small bodies


def test_short_body_becomes_one_put(memory: MemoryObjectStore, clock: ManualClock) -> None:
    store = Faulty(memory)
    archive = make_archive(store, clock)
    upload = begin(archive, author="ann")
    upload.write(b"short")

    version = archive.publish("a.iso", upload.finish())

    assert [kind for kind, _ in store.sent] == ["list", "put"]
    assert (read(archive, "a.iso"), version.author) == (b"short", "ann")
    assert version.checksum == hashlib.sha256(b"short").hexdigest()


def test_body_of_nothing_is_an_empty_file(archive: Archive) -> None:
    version = archive.publish("a.iso", begin(archive).finish())

    assert (version.size, version.tombstone, read(archive, "a.iso")) == (0, False, b"")


def test_known_length_within_one_put_is_one_put_and_beyond_it_a_pointer(memory: MemoryObjectStore) -> None:
    archive = make_archive(memory, single_put=5)

    fits = write(archive, "a.iso", b"12345")
    beyond = write(archive, "b.iso", b"1" * 9_000_000)

    assert (fits.body_key, memory.head(fits.key).info.size) == (fits.key, 5)
    assert (memory.head(beyond.key).info.size, memory.head(beyond.body_key).info.size) == (0, 9_000_000)
    assert read(archive, "b.iso") == b"1" * 9_000_000
    assert memory.uploads == 0


# Large bodies


def test_long_body_is_parts_and_a_pointer(memory: MemoryObjectStore, clock: ManualClock) -> None:
    store = Faulty(memory)
    archive = make_archive(store, clock)
    upload = begin(archive, author="ann", original_name="Disk.iso")
    for piece in (b"0123456789", b"abcdefghij", b"rest"):
        upload.write(piece)

    version = archive.publish("a.iso", upload.finish())

    kinds = ["begin_upload", "put_part", "put_part", "put_part", "complete_upload", "list", "put"]
    assert [kind for kind, _ in store.sent] == kinds
    assert (version.size, upload.size, version.author, version.original_name) == (24, 24, "ann", "Disk.iso")
    assert version.checksum == hashlib.sha256(b"0123456789abcdefghijrest").hexdigest()
    assert version.body_key == upload.key
    assert memory.head(version.key).metadata["colour"] == memory.head(upload.key).metadata["colour"] == "red"
    assert memory.head(upload.key).content_type == "x/iso"
    assert read(archive, "a.iso") == b"0123456789abcdefghijrest"


def test_pointer_found_in_a_listing_tells_the_bodys_size_and_key(archive: Archive) -> None:
    upload = begin(archive)
    upload.write(b"0123456789")
    version = archive.publish("a.iso", upload.finish())

    [listed] = archive.history("a.iso")

    assert (listed.size, listed.body_key, listed.tombstone) == (10, version.body_key, False)


def test_nothing_is_visible_before_the_pointer_is_published(archive: Archive) -> None:
    upload = begin(archive, "dir/a.iso")
    upload.write(b"0123456789")
    draft = upload.finish()

    seen = (archive.current("dir/a.iso"), archive.listdir("dir"), archive.listdir(""))

    assert seen == (None, ([], []), (["dir"], []))
    archive.publish("dir/a.iso", draft)
    assert archive.listdir("dir") == ([], ["a.iso"])


def test_aborted_upload_leaves_nothing(archive: Archive, memory: MemoryObjectStore) -> None:
    upload = begin(archive)
    upload.write(b"0123456789")

    upload.abort()

    assert (memory.uploads, memory.keys) == (0, [])


def test_abort_of_what_was_never_sent_makes_no_request(memory: MemoryObjectStore) -> None:
    store = Faulty(memory)
    upload = begin(make_archive(store))
    upload.write(b"short")

    upload.abort()

    assert store.sent == []


def test_abort_that_fails_is_left_to_the_store(memory: MemoryObjectStore) -> None:
    store = Faulty(memory, abort_upload=[fails(UnreachableError("No answer."))])
    upload = begin(make_archive(store))
    upload.write(b"0123456789")

    upload.abort()

    assert store.count("abort_upload") == 1


def test_completed_body_is_never_aborted(memory: MemoryObjectStore) -> None:
    store = Faulty(memory)
    upload = begin(make_archive(store))
    upload.write(b"0123456789")
    upload.finish()

    upload.abort()

    assert store.count("abort_upload") == 0
    assert memory.keys == [upload.key]


@pytest.mark.parametrize("kind", ["begin_upload", "put_part"])
def test_part_that_fails_publishes_nothing_and_is_aborted(memory: MemoryObjectStore, kind: str) -> None:
    store = Faulty(memory, **{kind: [fails(UnreachableError("No answer."))]})
    archive = make_archive(store, single_put=2)

    with pytest.raises(UnreachableError):
        write(archive, "a.iso", b"x" * 9_000_000)

    assert (memory.uploads, memory.keys) == (0, [])


def test_conflict_after_the_body_was_sent_leaves_the_body_to_the_collector(
    archive: Archive, clock: ManualClock, memory: MemoryObjectStore
) -> None:
    upload = begin(archive)
    upload.write(b"0123456789")
    write(archive, "a.iso", "theirs")

    with pytest.raises(ConflictError):
        archive.publish("a.iso", upload.finish(), expected=0)

    clock.advance(timedelta(days=2))
    Collector(archive=archive, policy=RetentionPolicy(keep_last=1)).run(dry_run=False)
    assert memory.keys == [archive.layout.version_key("a.iso", 1)]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [("put", lost_after), ("put", lost_before), ("complete_upload", lost_after)],
    ids=["pointer-applied", "pointer-lost", "completion-applied"],
)
def test_large_body_survives_a_lost_answer(memory: MemoryObjectStore, kind: str, answer: Fault) -> None:
    archive = make_archive(Faulty(memory, **{kind: [answer]}))
    upload = begin(archive)
    upload.write(b"0123456789")

    archive.publish("a.iso", upload.finish())

    assert read(archive, "a.iso") == b"0123456789"
    assert numbers(archive, "a.iso") == [1]


def test_completion_that_was_lost_is_unknown_and_publishes_nothing(memory: MemoryObjectStore) -> None:
    archive = make_archive(Faulty(memory, complete_upload=[lost_before]))
    upload = begin(archive)
    upload.write(b"0123456789")

    with pytest.raises(OutcomeUnknownError) as unknown:
        upload.finish()

    assert (unknown.value.name, unknown.value.write_id) == ("a.iso", upload.write_id)
    assert str(unknown.value) == (
        "Nobody can say whether the body of 'a.iso' was completed. Nothing was published. Write it again."
    )
    assert numbers(archive, "a.iso") == []


def test_completion_whose_fate_cannot_be_asked_is_unknown(memory: MemoryObjectStore) -> None:
    archive = make_archive(Faulty(memory, complete_upload=[lost_after], head=[fails(UnreachableError("No answer."))]))
    upload = begin(archive)
    upload.write(b"0123456789")

    with pytest.raises(OutcomeUnknownError):
        upload.finish()

    assert memory.keys == [upload.key]


def test_object_of_another_write_under_the_bodys_key_is_not_taken_for_ours(memory: MemoryObjectStore) -> None:
    archive = make_archive(Faulty(memory, complete_upload=[lost_before]))
    upload = begin(archive)
    upload.write(b"0123456789")
    attributes = Attributes(metadata={"v-id": "f" * 24})
    memory.put(upload.key, io.BytesIO(b"theirs"), mode=PutMode.CREATE, attributes=attributes)

    with pytest.raises(OutcomeUnknownError):
        upload.finish()


def test_completion_that_is_refused_is_raised_as_it_is(memory: MemoryObjectStore) -> None:
    archive = make_archive(Faulty(memory, complete_upload=[fails(StoreError("InvalidPart"))]))
    upload = begin(archive)
    upload.write(b"0123456789")

    with pytest.raises(StoreError, match=r"^InvalidPart$"):
        upload.finish()


# The time a body has


@pytest.mark.parametrize("stall_in", ["put_part", "complete_upload", "list"])
def test_upload_that_took_nearly_grace_is_refused_and_publishes_nothing(
    memory: MemoryObjectStore, clock: ManualClock, stall_in: str
) -> None:
    """23 h 45 min after the beginning a pointer could still land within 15 minutes, but no later."""
    late = timedelta(hours=23, minutes=45, seconds=1)
    archive = make_archive(Faulty(memory, **{stall_in: [meanwhile(lambda: clock.advance(late))]}), clock)
    upload = begin(archive)
    upload.write(b"0123456789")

    with pytest.raises(UploadTooSlowError) as refused:
        archive.publish("a.iso", upload.finish())

    assert str(refused.value) == (
        "Publishing 'a.iso' took longer after its upload began than 23:45:00, which is what grace leaves of itself for "
        "a request on its way: its bytes may soon count as garbage. Nothing was published. Raise grace, or send the "
        "file faster."
    )
    assert numbers(archive, "a.iso") == []


def test_upload_within_its_time_is_published(memory: MemoryObjectStore, clock: ManualClock) -> None:
    archive = make_archive(memory, clock)
    upload = begin(archive)
    upload.write(b"0123456789")
    clock.advance(timedelta(hours=23, minutes=45))

    archive.publish("a.iso", upload.finish())

    assert read(archive, "a.iso") == b"0123456789"


@pytest.mark.parametrize("stall", [timedelta(hours=1), timedelta(hours=23, minutes=45), timedelta(days=3)])
def test_published_pointer_never_points_to_a_collected_body(
    memory: MemoryObjectStore, clock: ManualClock, stall: timedelta
) -> None:
    """The collector runs after every stall, wherever the writer stood still."""

    def stall_and_collect() -> None:
        clock.advance(stall)
        Collector(archive=make_archive(memory, clock), policy=RetentionPolicy(keep_last=1)).run(dry_run=False)

    for kind in ("put_part", "complete_upload", "list", "put", "head"):
        archive = make_archive(Faulty(memory, **{kind: [meanwhile(stall_and_collect)]}), clock)
        name = f"{kind}.iso"
        try:
            upload = begin(archive, name)
            upload.write(b"0123456789")
            archive.publish(name, upload.finish())
        except (UploadTooSlowError, AnswerLostError):
            assert numbers(archive, name) == []
        else:
            assert read(archive, name) == b"0123456789"


# The size of parts


def test_part_size_doubles_every_2000_parts(archive: Archive) -> None:
    class Counting:
        """A store that keeps only the sizes of the parts."""

        sizes: list[int] = []

        def begin_upload(self, key: str, **_: Any) -> str:
            return "upload"

        def put_part(self, key: str, upload_id: str, number: int, data: bytes) -> str:
            assert number == len(self.sizes) + 1
            self.sizes.append(len(data))
            return "etag"

    store = Counting()
    upload = begin(make_archive(store))
    while len(store.sizes) < 6001:
        upload.write(b"0123456789")

    assert {size: store.sizes.count(size) for size in set(store.sizes)} == {10: 2000, 20: 2000, 40: 2000, 80: 1}


def test_ten_thousand_parts_reach_more_than_200_gib() -> None:
    assert sum(writing.PART * 2 ** (number // 2000) for number in range(10_000)) > 200 * 1024**3
