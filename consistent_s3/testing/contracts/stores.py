"""What every `ObjectStore` must do."""

# ruff: noqa: S101 - a contract asserts

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from consistent_s3.core.errors import (
    AnswerLostError,
    DeadlinePassedError,
    KeyMissingError,
    PreconditionTrippedError,
    StoreError,
)
from consistent_s3.core.seams import (
    Attributes,
    Download,
    ListPage,
    ObjectStore,
    PutMode,
    PutReceipt,
    every_object,
)

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
