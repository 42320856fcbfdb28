"""What `MemoryObjectStore` does beyond the contract."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest

from consistent_s3.core.errors import StoreError
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.testing import ManualClock, MemoryObjectStore


def put(store: MemoryObjectStore, key: str) -> None:
    store.put(key, io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes())


def test_more_than_a_thousand_keys_at_once_are_refused() -> None:
    store = MemoryObjectStore()
    put(store, "0")

    with pytest.raises(StoreError) as refused:
        store.delete([str(number) for number in range(1001)])

    assert str(refused.value) == "1001 keys are too many for one request. Send at most 1000."
    assert store.keys == ["0"]


def test_objects_are_dated_by_the_clock_to_the_second() -> None:
    clock = ManualClock()
    store = MemoryObjectStore(clock=clock)
    clock.advance(timedelta(seconds=1.9))

    put(store, "a")

    assert store.head("a").info.modified == clock.now().replace(second=1, microsecond=0)


def test_object_of_parts_is_dated_from_the_beginning_of_its_upload() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html"""
    clock = ManualClock()
    store = MemoryObjectStore(clock=clock)
    began = clock.now()
    upload_id = store.begin_upload("a", attributes=Attributes())
    etag = store.put_part("a", upload_id, 1, b"x")
    clock.advance(timedelta(days=1))

    receipt = store.complete_upload("a", upload_id, [etag])

    assert (receipt.modified, store.head("a").info.modified) == (began, began)


def test_uploads_in_progress_are_counted() -> None:
    store = MemoryObjectStore()
    first = store.begin_upload("a", attributes=Attributes())
    store.begin_upload("a", attributes=Attributes())
    assert store.uploads == 2

    store.abort_upload("a", first)

    assert store.uploads == 1


def test_part_of_an_upload_that_is_gone_is_refused() -> None:
    with pytest.raises(StoreError) as refused:
        MemoryObjectStore().put_part("a", "upload-9", 1, b"x")

    assert str(refused.value) == "There is no upload 'upload-9' of 'a'."


def test_listing_after_a_key_within_a_folded_prefix_folds_the_rest() -> None:
    store = MemoryObjectStore()
    for key in ("a/1", "a/2", "b"):
        put(store, key)

    page = store.list("", delimiter="/", start_after="a/1")

    assert (page.prefixes, [info.key for info in page.objects]) == (("a/",), ["b"])


def test_repr_shows_no_contents() -> None:
    store = MemoryObjectStore(clock=ManualClock())
    put(store, "secret")

    assert "secret" not in repr(store)
