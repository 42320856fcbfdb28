"""Chunks that nobody needs are collected by the collection of their storage: planned, limited, told."""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from consistent_s3.clients import shared_client
from consistent_s3.collection import collect_garbage
from consistent_s3.models import CollectedObject, CollectionRun, CollectionSlice
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import EventStore, StreamTombstonedError, event_store
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.streams.conftest import Configure, fill

pytestmark = pytest.mark.django_db
MONTH = timedelta(days=30)


@pytest.fixture
def compacted(events: EventStore, storage: ConsistentS3Storage) -> EventStore:
    """Return an event store with a stream of ten events whose first nine were covered a month ago."""
    fill(events, "7", *range(10))
    events.compact("order", "7")
    age(storage, MONTH)
    return events


def chunks(events: EventStore) -> int:
    return len(list(events.chunks("order", "7")))


def amounts(events: EventStore) -> list[int]:
    return [event.data["amount"] for event in events.read("order", "7")]


def test_covered_chunks_go_and_all_events_stay(compacted):
    summary = collect_garbage("default")

    assert (summary.deleted, summary.kept, chunks(compacted)) == (9, 2, 2)
    assert amounts(compacted) == list(range(10))
    assert CollectionRun.objects.get().state == "done"


def test_dry_run_says_what_would_go(compacted):
    out = io.StringIO()

    call_command("consistent_s3", "collect", "--dry-run", stdout=out)

    assert "  would go  order/7  events from 9  " in out.getvalue()
    assert "9 would go" in out.getvalue()
    assert chunks(compacted) == 11
    assert {row.is_of_streams for row in CollectedObject.objects.all()} == {True}


def test_nothing_goes_within_grace_of_the_covering_chunk(events, storage):
    fill(events, "7", *range(10))
    age(storage, MONTH)
    events.compact("order", "7")

    assert collect_garbage("default").deleted == 0
    assert chunks(events) == 11


def test_streams_do_not_count_in_what_may_go_at_once(configure: Configure):
    """A compaction leaves far more than half of all objects needless, and nothing of it is lost."""
    storage = configure(retention={"keep_last": 1, "max_delete_ratio": 0.1})
    fill(event_store(), "7", *range(10))
    event_store().compact("order", "7")
    age(storage, MONTH)

    summary = collect_garbage("default")

    assert (summary.deleted, CollectionRun.objects.get().state) == (9, "done")


def test_ended_stream_goes_when_retention_says_so(configure: Configure):
    storage = configure(retention={"keep_for": MONTH})
    fill(event_store(), "7", 5, 6)
    event_store().tombstone("order", "7")
    age(storage, timedelta(days=29))
    early = collect_garbage("default").deleted
    age(storage, timedelta(days=2))

    summary = collect_garbage("default")

    assert (early, summary.deleted, chunks(event_store())) == (0, 2, 1)
    with pytest.raises(StreamTombstonedError):
        event_store().version("order", "7")


def test_limit_stops_a_run_and_the_next_one_does_the_rest(configure: Configure):
    storage = configure(retention={"max_delete_ratio": 1})
    for stream_id in ("7", "8"):
        fill(event_store(), stream_id, *range(5))
        event_store().compact("order", stream_id)
    age(storage, MONTH)

    first = collect_garbage("default", order=Order(max_objects=4))
    second = collect_garbage("default")

    assert (first.deleted, second.deleted) == (4, 4)
    assert [run.state for run in CollectionRun.objects.order_by("pk")] == ["stopped", "done"]


def test_batch_that_was_begun_when_the_worker_died_is_counted_once(compacted, storage):
    def die(**_: Any) -> None:
        raise KeyboardInterrupt

    hooks = shared_client(storage).meta.events
    hooks.register("before-send.s3.DeleteObjects", die)
    with pytest.raises(KeyboardInterrupt):
        collect_garbage("default")
    hooks.unregister("before-send.s3.DeleteObjects", die)
    [noted] = CollectionSlice.objects.filter(streams=True, sweeps=True)

    summary = collect_garbage("default")

    assert len(noted.intended) == 9
    assert (summary.deleted, summary.kept, chunks(compacted)) == (9, 2, 2)
    assert CollectionRun.objects.get().state == "done"


def test_chunk_whose_covering_chunk_is_damaged_stays(compacted, storage):
    covering = max(compacted.chunks("order", "7"), key=lambda chunk: chunk.count)
    objects_of(storage)[covering.key].value = b"x" * covering.size

    summary = collect_garbage("default")

    assert (summary.deleted, summary.error_count, chunks(compacted)) == (0, 9, 11)
    assert summary.errors[0]["code"] == "DamagedStreamError"


def objects_of(storage: ConsistentS3Storage) -> Any:
    """Return the objects of a bucket as moto has them: what is changed there keeps its date."""
    from moto.s3.models import s3_backends

    return s3_backends["123456789012"]["aws"].buckets[storage.bucket_name].keys


def test_collection_from_rows_alone_sends_no_list_for_streams(configure: Configure):
    storage = configure(index="database")
    fill(event_store(), "7", 5)

    with assert_requests(storage, ListMultipartUploads=1, GetBucketVersioning=1):
        collect_garbage("default", order=Order(lists_bucket=False))


def test_streams_are_gone_through_once_however_many_workers_settle(compacted, storage):
    from consistent_s3 import runs, slices

    run = runs.begin("default", storage, Order())
    CollectionSlice.objects.filter(run=run).update(finished=run.started)

    with assert_requests(storage, LIST=1):
        assert [slices.goes_on_with_streams(run, storage) for _ in range(3)] == [True, False, False]
    assert CollectionSlice.objects.filter(run=run, streams=True).count() == 1


def test_storage_without_streams_costs_one_list_more(storage):
    with assert_requests(storage, LIST=4, ListMultipartUploads=1, GetBucketVersioning=1):
        collect_garbage("default")  # planned, then carried out: each time the files, and whether there are streams
