"""What each operation asks of a real server: every HTTP request that boto3 sends is counted."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.assembly import place_of
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.eventstore import ANY, NONE_YET, EventStore, NewEvent
from consistent_s3.eventstore.measuring import truthful
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import S3Server, assert_requests


@pytest.fixture
def open_events(storage: ConsistentS3Storage) -> Any:
    truthful.add(place_of(storage))
    return lambda: EventStore(storage.make_object_store(), "events", place=place_of(storage))


def some(count: int) -> list[NewEvent]:
    return [NewEvent(type="Added", data=1) for _ in range(count)]


def total(state: int, event: Any) -> int:
    return state + int(event.data)


def test_requests_are_what_is_promised(storage, storage_options, s3_server: S3Server, open_events):
    events = open_events()
    with assert_requests(storage, LIST=1, PUT=1):
        events.append("order", "7", some(5), expected_version=NONE_YET)
    with assert_requests(storage, PUT=9):
        for number in range(1, 10):
            events.append("order", "7", some(5), expected_version=5 * number)
    with assert_requests(storage, PUT=1):
        events.append("order", "7", some(1), expected_version=ANY)
    with assert_requests(storage, LIST=1, PUT=1):
        open_events().append("order", "7", some(1), expected_version=51)
    with assert_requests(storage, LIST=1, GET=12):
        assert len(list(events.read("order", "7"))) == 52
    with assert_requests(storage, LIST=1, GET=1):
        assert len(list(events.read("order", "7", backwards=True, limit=1))) == 1
    with assert_requests(storage, LIST=2, GET=12, PUT=1):
        assert events.state("order", "7", total, 0, schema_version=1, snapshot_every=50).state == 52
    with assert_requests(storage, LIST=1, GET=1):
        assert open_events().state("order", "7", total, 0, schema_version=1).state == 52
    with assert_requests(storage, LIST=1):
        assert events.exists("order", "7")
    with assert_requests(storage, LIST=1):
        assert list(events.streams("order")) == ["7"]
    with assert_requests(storage, LIST=1, GET=11, PUT=1):
        assert events.compact("order", "7").covered == 11
    with assert_requests(storage, LIST=1, GET=2):
        assert [event.position for event in events.read("order", "7")] == list(range(1, 53))
    s3_server.age(storage_options["bucket_name"], timedelta(days=2))
    with assert_requests(storage, LIST=2, GET=14, DELETE=1):
        assert events.collector(policy=RetentionPolicy()).run(dry_run=False).deleted == 12
    with assert_requests(storage, LIST=1, GET=2):
        assert [event.position for event in events.read("order", "7")] == list(range(1, 53))
    with assert_requests(storage, LIST=1, PUT=1):
        open_events().tombstone("order", "7")
    with assert_requests(storage, LIST=1):
        assert not open_events().exists("order", "7")


def test_covering_chunk_is_in_the_storage_class_it_was_told(storage, open_events):
    events = open_events()
    for number in range(3):
        events.append("order", "7", some(1), expected_version=number)

    done = events.compact("order", "7", storage_class="STANDARD_IA")

    head = storage.connection.meta.client.head_object(Bucket=storage.bucket_name, Key=done.written[0])
    assert head["StorageClass"] == "STANDARD_IA"
    assert [event.position for event in events.read("order", "7")] == [1, 2, 3]
