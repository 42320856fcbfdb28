"""What every `ObjectStore` and `CommittingIndex` must do, as tests to inherit: a new one is three lines.

    class TestMyStore(ObjectStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)

The fixture returns a store on a bucket that is empty, or whose other keys do not begin with `contract-`. Each test uses
keys of its own, so a store may be shared. Needs pytest.

A store that keeps its promises one request after another may still break them under a race: one test lets many threads
create the same key, again and again (`racers`, `rounds`).
"""

# ruff: noqa: S101 - a contract asserts

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    KeyMissingError,
    NumberTakenError,
    PreconditionTrippedError,
    StoreError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import (
    Attributes,
    CommittingIndex,
    Download,
    ListPage,
    ObjectStore,
    PutMode,
    PutReceipt,
    every_object,
)
from consistent_s3.core.versions import Details, KnownDetails, Version

LEAST_PART = 5 * 1024**2
"""Bytes that S3 demands of every part but the last."""


class ObjectStoreContract:
    """The promises of `ObjectStore`, one test each.

    1. `put` with `PutMode.CREATE` succeeds once per key, also among threads, until the key is deleted.
    2. Bytes and attributes come back as they were given.
    3. `list` is in the order of UTF-8 bytes, pages without gap or repetition, and folds by a delimiter.
    4. What `put`, `complete_upload` and `delete` acknowledged is what `list`, `head` and `get` show.
    5. A missing key, a tripped precondition and a passed deadline are errors of their own.

    Not covered: lost answers, and what the store does when it is not reached.
    """

    racers = 16
    """Threads that race to create one key."""
    rounds = 10
    """How often they race."""

    @pytest.fixture
    def store(self) -> ObjectStore:
        """Return the store to be tested; override it."""
        raise NotImplementedError("Override the fixture `store` with one that returns the store to be tested.")

    @pytest.fixture
    def prefix(self) -> str:
        """Return the beginning of keys that no other test uses."""
        return f"contract-{uuid.uuid4().hex}/"

    # Writing

    def test_object_comes_back_as_it_was_written(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2."""
        attributes = Attributes(
            metadata={"v-id": "0a1b", "v-comment-1": "100%25%20%C3%BC", "colour": "red"},
            content_type="text/x-contract; charset=utf-8",
            content_encoding="gzip",
        )

        receipt = put(store, f"{prefix}a.txt", b"bytes", attributes=attributes)

        head = store.head(f"{prefix}a.txt")
        assert read(store.get(f"{prefix}a.txt")) == b"bytes"
        assert dict(head.metadata) == dict(attributes.metadata)
        assert (head.content_type, head.content_encoding) == (attributes.content_type, "gzip")
        assert (head.info.key, head.info.size) == (f"{prefix}a.txt", 5)
        assert receipt.etag == head.info.etag
        assert '"' not in receipt.etag

    def test_times_are_aware_and_agree(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        receipt = put(store, f"{prefix}a.txt", b"bytes")

        [listed] = store.list(prefix).objects

        assert store.head(f"{prefix}a.txt").info.modified.utcoffset() is not None
        assert abs((receipt.modified - listed.modified).total_seconds()) <= 2

    def test_empty_object_is_an_object(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2."""
        put(store, f"{prefix}empty", b"")

        assert store.head(f"{prefix}empty").info.size == 0
        assert read(store.get(f"{prefix}empty")) == b""

    def test_body_is_sent_from_its_beginning_wherever_it_stands(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2."""
        body = io.BytesIO(b"bytes")
        body.seek(3)

        store.put(f"{prefix}a", body, mode=PutMode.CREATE, attributes=Attributes())

        assert read(store.get(f"{prefix}a")) == b"bytes"

    def test_second_creation_is_tripped_and_changes_nothing(self, store: ObjectStore, prefix: str) -> None:
        """Promises 1 and 5."""
        put(store, f"{prefix}a", b"first", attributes=Attributes(metadata={"v-id": "1"}))

        with pytest.raises(PreconditionTrippedError):
            put(store, f"{prefix}a", b"second", attributes=Attributes(metadata={"v-id": "2"}))

        assert read(store.get(f"{prefix}a")) == b"first"
        assert dict(store.head(f"{prefix}a").metadata) == {"v-id": "1"}

    def test_overwriting_replaces_bytes_and_attributes(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        put(store, f"{prefix}a", b"first", attributes=Attributes(metadata={"v-id": "1"}, content_type="text/one"))

        put(store, f"{prefix}a", b"second", mode=PutMode.OVERWRITE, attributes=Attributes(content_type="text/two"))

        head = store.head(f"{prefix}a")
        assert (read(store.get(f"{prefix}a")), dict(head.metadata), head.content_type) == (b"second", {}, "text/two")

    def test_key_can_be_created_again_after_its_deletion(self, store: ObjectStore, prefix: str) -> None:
        """Promise 1."""
        put(store, f"{prefix}a", b"first")
        store.delete([f"{prefix}a"])

        put(store, f"{prefix}a", b"second")

        assert read(store.get(f"{prefix}a")) == b"second"

    def test_racing_creators_have_one_winner_whose_bytes_stay(self, store: ObjectStore, prefix: str) -> None:
        """Promise 1."""
        for number in range(self.rounds):
            key, barrier = f"{prefix}{number}", threading.Barrier(self.racers)

            def create(racer: int, key: str = key, barrier: threading.Barrier = barrier) -> int | None:
                barrier.wait()
                try:
                    put(store, key, b"%d" % racer)
                except PreconditionTrippedError:
                    return None
                return racer

            with ThreadPoolExecutor(self.racers) as pool:
                winners = [racer for racer in pool.map(create, range(self.racers)) if racer is not None]
            assert len(winners) == 1
            assert read(store.get(key)) == b"%d" % winners[0]

    def test_put_after_its_deadline_is_not_sent(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5."""
        with pytest.raises(DeadlinePassedError) as late:
            store.put(
                f"{prefix}a", io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes(), deadline=-1_000_000_000.0
            )

        assert not late.value.sent_before
        assert store.list(prefix).objects == ()

    def test_put_before_its_deadline_is_sent(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5."""
        store.put(f"{prefix}a", io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes(), deadline=1e15)

        assert read(store.get(f"{prefix}a")) == b"x"

    # Reading

    @pytest.mark.parametrize(("start", "end"), [(0, 3), (2, 5), (5, 10), (5, None), (0, None), (9, 10), (8, 99)])
    def test_range_is_what_was_asked_for(self, store: ObjectStore, prefix: str, start: int, end: int | None) -> None:
        """Promise 2."""
        put(store, f"{prefix}a", b"0123456789", attributes=Attributes(metadata={"v-id": "1"}))

        download = store.get(f"{prefix}a", start=start, end=end)

        assert (download.head.info.size, dict(download.head.metadata)) == (10, {"v-id": "1"})
        assert read(download) == b"0123456789"[start:end]

    def test_range_beyond_the_end_is_an_error(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5."""
        put(store, f"{prefix}a", b"0123456789")

        with pytest.raises(StoreError) as refused:
            store.get(f"{prefix}a", start=10, end=20)

        assert not isinstance(refused.value, KeyMissingError)

    def test_download_gives_no_more_than_asked_and_ends(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2."""
        put(store, f"{prefix}a", b"0123456789")

        download = store.get(f"{prefix}a")

        assert len(download.read(3)) <= 3
        read(download)
        assert download.read(1) == b""

    def test_download_may_be_closed_before_its_end(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        put(store, f"{prefix}a", b"0123456789")

        for _ in range(60):
            store.get(f"{prefix}a").close()

        assert read(store.get(f"{prefix}a")) == b"0123456789"

    def test_missing_key_is_an_error_of_its_own(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5."""
        with pytest.raises(KeyMissingError):
            store.get(f"{prefix}missing")
        with pytest.raises(KeyMissingError):
            store.head(f"{prefix}missing")

    # Listing

    def test_listing_is_in_the_order_of_utf_8_bytes(self, store: ObjectStore, prefix: str) -> None:
        """Promise 3."""
        names = [
            "a",
            "B",
            "a.-v-body/x",
            "a.-v/x",
            "a/b",
            "a0",
            "é",
            "漢",
            "\uffee",
            "😀",
            "a b",
            "a+b",
            "a%2Fb",
            "a&b",
        ]
        for name in reversed(names):
            put(store, prefix + name, b"x")

        listed = keys(store.list(prefix))

        assert listed == sorted((prefix + name for name in names), key=str.encode)

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 1000])
    def test_pages_neither_skip_nor_repeat(self, store: ObjectStore, prefix: str, limit: int) -> None:
        """Promise 3."""
        names = [f"{prefix}{number}" for number in range(7)]
        for name in names:
            put(store, name, b"x")

        pages = all_pages(store, prefix, limit=limit)

        assert [key for page in pages for key in keys(page)] == names
        assert all(len(page.objects) <= limit for page in pages)

    @pytest.mark.parametrize("limit", [1, 2, 1000])
    def test_delimiter_folds_and_pages_count_what_is_folded(self, store: ObjectStore, prefix: str, limit: int) -> None:
        """Promise 3."""
        for name in ("a.-v-body/1", "a.-v/1", "a.-v/2", "b", "c/1", "c/2/3", "d"):
            put(store, prefix + name, b"x")

        pages = all_pages(store, prefix, delimiter="/", limit=limit)

        folded = [name for page in pages for name in page.prefixes]
        assert [name.removeprefix(prefix) for name in folded] == ["a.-v-body/", "a.-v/", "c/"]
        assert [key.removeprefix(prefix) for page in pages for key in keys(page)] == ["b", "d"]
        assert all(len(page.objects) + len(page.prefixes) <= limit for page in pages)

    def test_listing_begins_after_a_key(self, store: ObjectStore, prefix: str) -> None:
        """Promise 3."""
        for name in "abcd":
            put(store, prefix + name, b"x")

        first = store.list(prefix, start_after=f"{prefix}b", limit=1)
        rest = every_object(store, prefix, start_after=f"{prefix}b")

        assert keys(first) == [f"{prefix}c"]
        assert [info.key for info in rest] == [f"{prefix}c", f"{prefix}d"]
        assert keys(store.list(prefix, start_after=f"{prefix}b~")) == [f"{prefix}c", f"{prefix}d"]
        assert keys(store.list(prefix, start_after="contract")) == [f"{prefix}{name}" for name in "abcd"]

    def test_listing_of_nothing_is_empty_and_the_last(self, store: ObjectStore, prefix: str) -> None:
        """Promise 3."""
        assert store.list(prefix) == ListPage(objects=())

    def test_listing_tells_sizes_and_etags(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        receipt = put(store, f"{prefix}a", b"bytes")

        [info] = store.list(prefix).objects

        assert (info.size, info.etag) == (5, receipt.etag)

    # Deleting

    def test_deleted_keys_are_gone_and_missing_ones_count_as_deleted(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        for name in "abc":
            put(store, prefix + name, b"x")

        failures = store.delete([f"{prefix}a", f"{prefix}c", f"{prefix}missing"])

        assert list(failures) == []
        assert keys(store.list(prefix)) == [f"{prefix}b"]
        with pytest.raises(KeyMissingError):
            store.head(f"{prefix}a")

    def test_a_thousand_keys_are_deleted_at_once(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        put(store, f"{prefix}7 & ü", b"x")

        failures = store.delete([f"{prefix}7 & ü", *(f"{prefix}{number}" for number in range(999))])

        assert list(failures) == []
        assert store.list(prefix).objects == ()

    # Uploading in parts

    def test_parts_become_one_object_when_completed(self, store: ObjectStore, prefix: str) -> None:
        """Promises 2 and 4."""
        attributes = Attributes(metadata={"v-id": "1"}, content_type="x/parts")
        upload_id = store.begin_upload(f"{prefix}a", attributes=attributes)
        etags = [
            store.put_part(f"{prefix}a", upload_id, 1, b"1" * LEAST_PART),
            store.put_part(f"{prefix}a", upload_id, 2, b"2"),
        ]
        before = store.list(prefix).objects

        store.complete_upload(f"{prefix}a", upload_id, etags)

        head = store.head(f"{prefix}a")
        assert before == ()
        assert (head.info.size, dict(head.metadata), head.content_type) == (LEAST_PART + 1, {"v-id": "1"}, "x/parts")
        assert read(store.get(f"{prefix}a", start=LEAST_PART - 1)) == b"12"

    def test_upload_that_is_completed_again_leaves_the_object(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5: S3 answers 200 again for a while, others that the upload is gone."""
        upload_id = store.begin_upload(f"{prefix}a", attributes=Attributes())
        etag = store.put_part(f"{prefix}a", upload_id, 1, b"x")
        store.complete_upload(f"{prefix}a", upload_id, [etag])

        with suppress(AnswerLostError):
            store.complete_upload(f"{prefix}a", upload_id, [etag])

        assert read(store.get(f"{prefix}a")) == b"x"

    def test_completion_of_an_upload_that_is_gone_is_no_answer(self, store: ObjectStore, prefix: str) -> None:
        """Promise 5: it may be our own earlier success."""
        upload_id = store.begin_upload(f"{prefix}a", attributes=Attributes())
        etag = store.put_part(f"{prefix}a", upload_id, 1, b"x")
        store.abort_upload(f"{prefix}a", upload_id)

        with pytest.raises(AnswerLostError):
            store.complete_upload(f"{prefix}a", upload_id, [etag])

        assert store.list(prefix).objects == ()

    def test_aborted_upload_is_gone_and_may_be_aborted_again(self, store: ObjectStore, prefix: str) -> None:
        """Promise 4."""
        upload_id = store.begin_upload(f"{prefix}a", attributes=Attributes())
        store.put_part(f"{prefix}a", upload_id, 1, b"x")

        store.abort_upload(f"{prefix}a", upload_id)
        store.abort_upload(f"{prefix}a", upload_id)

        assert store.list(prefix).objects == ()
        with pytest.raises(StoreError):
            store.put_part(f"{prefix}a", upload_id, 2, b"x")

    def test_uploads_are_told_until_they_are_completed_or_aborted(self, store: ObjectStore, prefix: str) -> None:
        """The collector throws away what nobody finishes."""
        completed = store.begin_upload(f"{prefix}a", attributes=Attributes())
        aborted = store.begin_upload(f"{prefix}b", attributes=Attributes())
        left = store.begin_upload(f"{prefix}c", attributes=Attributes())
        before = [(upload.key, upload.upload_id) for upload in store.unfinished(prefix)]

        store.complete_upload(f"{prefix}a", completed, [store.put_part(f"{prefix}a", completed, 1, b"x")])
        store.abort_upload(f"{prefix}b", aborted)

        (after,) = store.unfinished(prefix)
        assert before == [(f"{prefix}a", completed), (f"{prefix}b", aborted), (f"{prefix}c", left)]
        assert (after.key, after.upload_id) == (f"{prefix}c", left)
        assert after.begun.tzinfo is not None
        assert list(store.unfinished(f"{prefix}nobody")) == []
        store.abort_upload(f"{prefix}c", left)

    # Moving to another storage class

    def test_moved_object_keeps_its_bytes_and_its_attributes(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2: only the metadata are others."""
        attributes = Attributes(metadata={"v-id": "1"}, content_type="text/plain", content_encoding="gzip")
        put(store, f"{prefix}a", b"some bytes", attributes=attributes)

        receipt = store.move(f"{prefix}a", "STANDARD", metadata={"v-id": "1", "v-class": "STANDARD"})

        head = store.head(f"{prefix}a")
        assert read(store.get(f"{prefix}a")) == b"some bytes"
        assert dict(head.metadata) == {"v-id": "1", "v-class": "STANDARD"}
        assert (head.content_type, head.content_encoding) == ("text/plain", "gzip")
        assert head.info.etag == receipt.etag

    def test_missing_object_cannot_be_moved(self, store: ObjectStore, prefix: str) -> None:
        """Promise 2."""
        with pytest.raises(KeyMissingError):
            store.move(f"{prefix}a", "STANDARD", metadata={})


def put(
    store: ObjectStore,
    key: str,
    data: bytes,
    *,
    mode: PutMode = PutMode.CREATE,
    attributes: Attributes | None = None,
) -> PutReceipt:
    """Write bytes."""
    return store.put(key, io.BytesIO(data), mode=mode, attributes=attributes or Attributes())


def read(download: Download) -> bytes:
    """Read a download to its end and close it."""
    data = b"".join(iter(lambda: download.read(64 * 1024), b""))
    download.close()
    return data


def keys(page: ListPage) -> list[str]:
    """Return the keys of a page."""
    return [info.key for info in page.objects]


def all_pages(store: ObjectStore, prefix: str, **options: Any) -> Sequence[ListPage]:
    """List all pages."""
    pages = [store.list(prefix, **options)]
    while pages[-1].token:
        pages.append(store.list(prefix, token=pages[-1].token, **options))
    return pages


class CommittingIndexContract:
    """The promises of `CommittingIndex`, one test each.

    1. What was advanced is `newest`, `at` and first in `history`, with everything that a version tells.
    2. A version that was advanced after any other number than the newest is refused, and nothing is changed.
    3. Names are bytes: case, Unicode normal form, a trailing space, a common beginning keep them apart.
    4. `history` is in descending order, and holds tombstones; `before` and `limit` cut it.
    5. `listdir` shows what is current, and every directory that has a name below it, each sorted.
    6. `forget` drops versions for good, never a newest that is no tombstone; `committed` is what is left.

    Not covered: two writers at once, and commits without an answer.
    """

    @pytest.fixture
    def index(self) -> CommittingIndex:
        """Return an empty index; override it."""
        raise NotImplementedError("Override the fixture `index` with one that returns the index to be tested.")

    def test_name_that_was_never_written_has_nothing(self, index: CommittingIndex) -> None:
        """Promise 1."""
        assert index.newest("a.txt") is None
        assert index.relearn("a.txt") is None
        assert index.at("a.txt", 1) is None
        assert list(index.history("a.txt")) == []
        assert index.committed(["a.txt"]) == {"a.txt": []}
        assert index.listdir("") == ([], [])

    def test_version_comes_back_with_all_that_it_tells(self, index: CommittingIndex) -> None:
        """Promise 1."""
        made = a_version(
            "dir/a.txt",
            1,
            author="Ann Ü",
            comment="Why?\nSo. 😀",
            original_name="Ä b.txt",
            content_type="text/x-long; charset=" + "u" * 300,
            content_encoding="gzip",
            checksum="0f" * 32,
            predecessor=2**62,
            predecessor_etag='W/"1"',
            restored_from=3,
            body_key="dir/a.txt.-v-body/" + "0" * 24 + ".txt",
            body_size=2**40,
        )

        index.advance(made, after=0)

        for found in (index.newest("dir/a.txt"), index.relearn("dir/a.txt"), index.at("dir/a.txt", 1)):
            assert found == made
            assert (found.size, found.modified, found.etag) == (made.size, made.modified, made.etag)
            assert found.tombstone is False
            assert found.details == made.details
        assert [version.details for version in index.history("dir/a.txt")] == [made.details]

    def test_text_that_no_database_keeps_does_not_stop_a_write(self, index: CommittingIndex) -> None:
        """Promise 1."""
        index.advance(a_version("a.txt", 1, author="half \udcff", comment="a\0b"), after=0)

        newest = index.newest("a.txt")
        assert newest is not None
        assert newest.author.startswith("half ")

    def test_next_version_is_the_newest(self, index: CommittingIndex) -> None:
        """Promises 1 and 4."""
        versions = advance(index, "a.txt", 1, 2, 7, 2**63 - 1)

        assert index.newest("a.txt") == versions[-1]
        assert index.at("a.txt", 7) == versions[2]
        assert index.at("a.txt", 3) is None
        assert list(index.history("a.txt")) == versions[::-1]

    @pytest.mark.parametrize("number", [-1, 0, 2**63, 2**70], ids=["negative", "zero", "too great", "far too great"])
    def test_impossible_number_is_not_there(self, index: CommittingIndex, number: int) -> None:
        """Promise 1."""
        advance(index, "a.txt", 1)

        assert index.at("a.txt", number) is None

    @pytest.mark.parametrize(
        ("number", "after"),
        [(1, 0), (2, 1), (3, 0), (4, 3), (4, 7)],
        ids=["as the first", "as the last but one", "the same number", "a number that is free", "after what never was"],
    )
    def test_version_after_another_than_the_newest_is_refused(
        self, index: CommittingIndex, number: int, after: int
    ) -> None:
        """Promise 2."""
        versions = advance(index, "a.txt", 1, 2, 3, 5)

        with pytest.raises(NumberTakenError):
            index.advance(a_version("a.txt", number, write_id="another"), after=after)

        assert list(index.history("a.txt")) == versions[::-1]
        assert index.newest("a.txt") == versions[-1]
        assert index.relearn("a.txt") == versions[-1]

    def test_refused_first_version_leaves_no_name(self, index: CommittingIndex) -> None:
        """Promise 2."""
        with pytest.raises(NumberTakenError):
            index.advance(a_version("dir/a.txt", 2), after=1)

        assert index.newest("dir/a.txt") is None
        assert index.listdir("") == ([], [])
        index.advance(a_version("dir/a.txt", 1), after=0)
        assert index.listdir("dir") == ([], ["a.txt"])

    def test_names_that_look_alike_are_others(self, index: CommittingIndex) -> None:
        """Promises 3 and 5."""
        names = [
            "key",
            "key2",
            "KEY",
            "key ",
            " key",
            "k\u00e9y",
            "ke\u0301y",
            "key.txt",
            "k_y",
            "k%y",
            "straße",
            "strasse",
        ]
        names += [f"{name}/a" for name in names] + ["key/a/b", "key/A"]
        for name in names:
            index.advance(a_version(name, 1, comment=name), after=0)

        assert {name: index.newest(name).comment for name in names} == {name: name for name in names}  # type: ignore[union-attr]
        assert {name: len(list(index.history(name))) for name in names} == dict.fromkeys(names, 1)
        assert {name: len(found) for name, found in index.committed(names).items()} == dict.fromkeys(names, 1)
        top = sorted(name for name in names if "/" not in name)
        assert index.listdir("") == (top, top)
        assert index.listdir("key") == (["a"], ["A", "a"])
        assert index.listdir("KEY") == ([], ["a"])
        assert index.listdir("key ") == ([], ["a"])
        assert index.listdir("k_y") == ([], ["a"])
        assert index.listdir("k%y") == ([], ["a"])

    def test_long_names_that_differ_at_their_end_are_others(self, index: CommittingIndex) -> None:
        """Promise 3."""
        names = [f"{'ü' * 200}/{'x' * 498}{end}" for end in "ab"]
        for name in names:
            index.advance(a_version(name, 1, comment=name[-1]), after=0)

        assert [len(name.encode()) for name in names] == [900, 900]
        assert [index.newest(name).comment for name in names] == ["a", "b"]  # type: ignore[union-attr]
        assert index.listdir("ü" * 200)[1] == sorted(name.rpartition("/")[2] for name in names)

    def test_tombstone_is_newest_and_hides_the_name_from_its_directory(self, index: CommittingIndex) -> None:
        """Promises 4 and 5."""
        [first] = advance(index, "dir/a.txt", 1)
        tombstone = a_version("dir/a.txt", 2, tombstone=True)
        advance(index, "dir/b.txt", 1)

        index.advance(tombstone, after=1)

        newest = index.newest("dir/a.txt")
        assert newest == tombstone
        assert newest.tombstone
        assert list(index.history("dir/a.txt")) == [tombstone, first]
        assert index.listdir("dir") == ([], ["b.txt"])

    def test_name_written_again_after_its_deletion_is_shown(self, index: CommittingIndex) -> None:
        """Promise 5."""
        advance(index, "dir/a.txt", 1)
        index.advance(a_version("dir/a.txt", 2, tombstone=True), after=1)

        index.advance(a_version("dir/a.txt", 3), after=2)

        assert index.listdir("dir") == ([], ["a.txt"])

    def test_directories_are_shown_once_each_and_sorted(self, index: CommittingIndex) -> None:
        """Promise 5."""
        for name in ("b/x/1", "b/x/2", "b/y", "a/1", "c", "ba/1", "b.txt"):
            index.advance(a_version(name, 1), after=0)

        assert index.listdir("") == (["a", "b", "ba"], ["b.txt", "c"])
        assert index.listdir("b") == (["x"], ["y"])
        assert index.listdir("b/") == (["x"], ["y"])
        assert index.listdir("missing") == ([], [])

    @pytest.mark.parametrize(
        ("before", "limit", "expected"),
        [
            (None, None, [5, 3, 2, 1]),
            (3, None, [2, 1]),
            (4, None, [3, 2, 1]),
            (2**63, None, [5, 3, 2, 1]),
            (1, None, []),
            (None, 2, [5, 3]),
            (5, 2, [3, 2]),
            (None, 0, []),
        ],
    )
    def test_history_is_cut_as_asked(
        self, index: CommittingIndex, before: int | None, limit: int | None, expected: list[int]
    ) -> None:
        """Promise 4."""
        advance(index, "a.txt", 1, 2, 3, 5)
        advance(index, "a.txt2", 1, 2, 3, 4)

        numbers = [version.number for version in index.history("a.txt", before=before, limit=limit)]

        assert numbers == expected

    def test_committed_versions_are_told_for_each_name(self, index: CommittingIndex) -> None:
        """Promise 6."""
        a, b = advance(index, "a", 1, 2, 3), advance(index, "b", 1)

        assert index.committed(["b", "missing", "a"]) == {"a": a[::-1], "b": b, "missing": []}

    def test_forgotten_versions_are_gone_and_the_others_stay(self, index: CommittingIndex) -> None:
        """Promise 6."""
        versions = advance(index, "a.txt", 1, 2, 3, 4)
        others = advance(index, "b.txt", 1, 2)

        index.forget([versions[0], versions[2], others[0]])
        index.forget([versions[0]])

        assert list(index.history("a.txt")) == [versions[3], versions[1]]
        assert index.at("a.txt", 1) is None
        assert list(index.history("b.txt")) == [others[1]]
        index.advance(a_version("a.txt", 5), after=4)

    def test_what_is_current_is_not_forgotten(self, index: CommittingIndex) -> None:
        """Promise 6."""
        versions = advance(index, "a.txt", 1, 2)

        index.forget(versions)

        assert index.newest("a.txt") == versions[1]
        assert list(index.history("a.txt")) == [versions[1]]

    def test_name_whose_last_tombstone_is_forgotten_begins_again(self, index: CommittingIndex) -> None:
        """Promise 6."""
        [first] = advance(index, "dir/a.txt", 1)
        tombstone = a_version("dir/a.txt", 2, tombstone=True)
        index.advance(tombstone, after=1)

        index.forget([first, tombstone])

        assert index.newest("dir/a.txt") is None
        assert index.listdir("") == ([], [])
        with pytest.raises(NumberTakenError):
            index.advance(a_version("dir/a.txt", 3), after=2)
        index.advance(a_version("dir/a.txt", 1), after=0)


def a_version(name: str, number: int, *, write_id: str = "", tombstone: bool = False, **details: Any) -> Version:
    """Return a version as a writer makes it."""
    write_id = write_id or f"{number:024x}"
    return Version(
        name=name,
        number=number,
        key=Layout().version_key(name, number, write_id=write_id),
        size=2**41,
        modified=datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
        etag="0a" * 16,
        tombstone=tombstone,
        source=KnownDetails(Details(write_id=write_id, tombstone=tombstone, **details)),
    )


def advance(index: CommittingIndex, name: str, *numbers: int) -> list[Version]:
    """Make versions with these numbers, one after the other."""
    made, after = [], 0
    for number in numbers:
        made.append(a_version(name, number))
        index.advance(made[-1], after=after)
        after = number
    return made
