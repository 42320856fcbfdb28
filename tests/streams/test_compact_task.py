"""The task that compacts streams: what travels, what comes back, and how it goes on."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import django
import pytest
from celery import Celery, current_app
from celery.signals import before_task_publish
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

from consistent_s3.clients import shared_client
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.errors import CompactionFailedError
from consistent_s3.streams import EventStore, event_store, turns
from consistent_s3.tasks import compact_streams
from tests.streams.conftest import Configure, fill


@pytest.fixture
def orders(events: EventStore) -> EventStore:
    """Return an event store with three streams of twelve chunks each."""
    for stream_id in "789":
        fill(events, stream_id, *range(12))
    return events


def chunks(events: EventStore) -> list[int]:
    return [len(list(events.chunks("order", stream_id))) for stream_id in "789"]


def amounts(events: EventStore) -> list[list[int]]:
    return [[event.data["amount"] for event in events.read("order", stream_id)] for stream_id in "789"]


@pytest.fixture
def eager() -> Iterator[None]:
    """Have tasks carried out where they are sent."""
    conf = current_app.conf
    before = conf.task_always_eager
    conf.task_always_eager = True
    yield
    conf.task_always_eager = before


def test_task_has_a_name_of_its_own():
    assert compact_streams.name == "consistent_s3.compact_streams"


def test_streams_are_compacted_and_counted(orders):
    counted = compact_streams.apply(args=["default"]).get()

    assert json.loads(json.dumps(counted)) == {
        "dry_run": False,
        "streams": 3,
        "compacted": 3,
        "covered": 33,
        "written": 3,
        "failures": {},
        "rest": "",
    }
    assert (chunks(orders), amounts(orders)) == ([13, 13, 13], [list(range(12))] * 3)


def test_delivered_twice_it_does_nothing_more(orders):
    compact_streams()

    assert compact_streams()["covered"] == 0


def test_only_streams_of_a_type_are_compacted(orders):
    fill(orders, "1", *range(12), stream_type="invoice")

    assert compact_streams("default", "invoice")["compacted"] == 1
    assert chunks(orders) == [12, 12, 12]


def test_when_its_turn_is_over_another_task_goes_on(orders, eager, monkeypatch):
    monkeypatch.setattr(turns, "TURN", 0.0)

    first = compact_streams()

    assert (first["streams"], first["rest"]) == (1, "files/.-v-streams/order/7/~")
    assert chunks(orders) == [13, 13, 13]


def test_message_carries_an_alias_and_a_place_and_nothing_else(orders, monkeypatch):
    monkeypatch.setattr(turns, "TURN", 0.0)
    sent: list[Any] = []

    def note(body: Any, **_: Any) -> None:
        sent.append(body[:2])

    before = current_app._get_current_object()
    before_task_publish.connect(note)
    try:
        with Celery("sender", broker="memory://"):
            compact_streams("default", "order", storage_class="STANDARD_IA")
    finally:
        before_task_publish.disconnect(note)
        before.set_current()

    assert json.loads(json.dumps(sent)) == [
        [["default", "order"], {"after": "files/.-v-streams/order/7/~", "storage_class": "STANDARD_IA"}]
    ]


def test_stream_that_is_damaged_stops_no_other_and_is_told(orders, storage):
    oldest = list(orders.chunks("order", "7"))[-1]
    storage.make_object_store().put(
        oldest.key, io.BytesIO(b"x" * 1025), mode=PutMode.OVERWRITE, attributes=Attributes()
    )

    with pytest.raises(CompactionFailedError) as caught:
        compact_streams()

    assert str(caught.value).startswith("1 streams of 'default' could not be compacted. order/7: ")
    assert str(caught.value).endswith(" See `manage.py consistent_s3 events verify`.")
    assert chunks(orders) == [12, 13, 13]


def test_storage_that_is_none_is_told(storage):
    with pytest.raises(ImproperlyConfigured, match="STORAGES has no 'lost'"):
        compact_streams("lost")


def test_covering_chunks_may_be_colder(orders):
    compact_streams(storage_class="STANDARD_IA")

    storage = storages["default"]
    listed = shared_client(storage).list_objects_v2(Bucket=storage.bucket_name)["Contents"]
    assert sum(found["StorageClass"] == "STANDARD_IA" for found in listed) == 3


if django.VERSION >= (6, 0):

    def test_queue_of_django_compacts_too(orders, monkeypatch):
        from consistent_s3.django_tasks import compact_streams as task

        monkeypatch.setattr(turns, "TURN", 0.0)

        result = task.enqueue("default")

        assert (result.errors, result.return_value["streams"]) == ([], 1)
        assert chunks(orders) == [13, 13, 13]


def test_storage_of_its_own_is_compacted(configure: Configure, orders):
    configure("other", location="other")
    fill(event_store("other"), "1", *range(12))

    assert compact_streams("other")["streams"] == 1
    assert chunks(orders) == [12, 12, 12]
