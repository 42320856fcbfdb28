"""Streams and files share a bucket, and leave each other alone."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.base import ContentFile

from consistent_s3 import leftovers
from consistent_s3.assembly import place_of
from consistent_s3.checks import check_known_to_rows
from consistent_s3.collection import collect_garbage
from consistent_s3.core.seams import Attributes, PutMode, every_object
from consistent_s3.core.selftest import honouring
from consistent_s3.core.span import Span
from consistent_s3.core.survey import ListingSurvey
from consistent_s3.probe import probe_of
from consistent_s3.reindexing import Reindexer
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import event_store
from consistent_s3.testing.aging import age
from consistent_s3.testing.storage import InMemoryConsistentStorage
from tests.streams.conftest import Configure, fill

MONTH = timedelta(days=30)


def stream_keys(storage: ConsistentS3Storage) -> list[str]:
    listed = every_object(storage.make_object_store(), "")
    return [info.key for info in listed if "/order/" in info.key]


@pytest.mark.parametrize("location", ["", "files", "files/inner"])
def test_streams_are_in_no_directory(configure: Configure, location: str):
    storage = configure(location=location)
    storage.write("a.txt", ContentFile(b"x"))
    storage.write("b/c.txt", ContentFile(b"x"))
    fill(event_store(), "7", 5)

    assert storage.listdir("") == (["b"], ["a.txt"])
    assert len(stream_keys(storage)) == 1


def test_streams_of_a_location_inside_are_in_no_directory_either(configure: Configure):
    outer, inner = configure(location="files"), configure("inner", location="files/inner")
    inner.write("a.txt", ContentFile(b"x"))
    fill(event_store("inner"), "7", 5)

    assert (outer.listdir(""), outer.listdir("inner")) == ((["inner"], []), ([], ["a.txt"]))


@pytest.mark.parametrize("name", [".-v-streams/order/7/a.txt", ".-v-streams", "a/.-v-streams/b.txt"])
def test_no_file_can_be_saved_among_streams(storage, name: str):
    with pytest.raises(SuspiciousFileOperation):
        storage.write(name, ContentFile(b"x"))
    with pytest.raises(SuspiciousFileOperation):
        storage.listdir(name)


@pytest.mark.django_db
@pytest.mark.parametrize("index", ["listing", "database"])
def test_collection_takes_old_versions_and_no_event(configure: Configure, index: str):
    storage = configure(index=index, retention={"keep_last": 1})
    for _ in range(3):
        storage.write("a.txt", ContentFile(b"x"))
    fill(event_store(), "7", 5, 6, 7)
    age(storage, MONTH)

    summary = collect_garbage("default", order=Order(lists_bucket=True))

    assert (summary.deleted, summary.names) == (2, 2)
    assert len(stream_keys(storage)) == 3
    assert [event.data["amount"] for event in event_store().read("order", "7")] == [5, 6, 7]


def test_survey_of_files_jumps_over_any_number_of_events():
    storage = InMemoryConsistentStorage(location="files")
    honouring.add(place_of(storage))  # else the first write leaves an object of its own
    for name in ("!first.txt", "a.txt"):
        storage.write(name, ContentFile(b"x"))
    store, prefix = storage.make_object_store(), storage.archive.layout.streams_prefix
    for number in range(3500):
        store.put(f"{prefix}/order/{number}/x", BytesIO(), mode=PutMode.CREATE, attributes=Attributes())
    pages: list[None] = []
    survey = ListingSurvey(archive=storage.archive, alive=lambda: pages.append(None))

    found = list(survey.groups(Span()))

    assert [(group.name, group.foreign) for group in found] == [("!first.txt", 0), ("a.txt", 0)]
    assert len(pages) == 2
    rest = Span(after=found[0].end, until="files/a.txt.-v/~")
    assert [group.name for group in survey.groups(rest)] == ["a.txt"]


@pytest.mark.django_db
def test_collection_of_a_storage_around_takes_no_event(configure: Configure):
    outer, inner = configure(location="files"), configure("inner", location="files/inner")
    fill(event_store("inner"), "7", 5, 6)
    event_store("inner").tombstone("order", "7")
    age(inner, MONTH)

    summary = collect_garbage("default", order=Order(max_delete_ratio=1))

    assert (summary.deleted, len(stream_keys(outer))) == (0, 3)


@pytest.mark.django_db
def test_reindex_passes_over_streams_in_silence(configure: Configure):
    storage = configure(index="database")
    storage.write("a.txt", ContentFile(b"x"))
    fill(event_store(), "7", 5, 6)

    summary = Reindexer(archive=storage.archive, index=storage.archive.index).run()

    assert (summary.adopted, summary.problems) == (0, {})


@pytest.mark.django_db
def test_rows_that_were_lost_are_noticed_behind_any_number_of_events(configure: Configure, settings: Any):
    storage = configure(index="listing")
    storage.write("a.txt", ContentFile(b"x"))
    fill(event_store(), "7", *[1] * 101)
    configure(index="database")

    assert [message.id for message in check_known_to_rows()] == ["consistent_s3.W013"]


def test_uploads_are_aborted_and_no_event_is_touched(storage, events):
    fill(events, "7", 5)
    age(storage, MONTH)

    assert leftovers.abort_uploads(storage) == 0
    assert len(stream_keys(storage)) == 1


@pytest.mark.slow
def test_probe_leaves_streams_alone(storage, events):
    fill(events, "7", 5)

    probe_of("default", rounds=1).run()

    assert len(stream_keys(storage)) == 1


@pytest.mark.django_db
def test_erasing_and_deleting_files_touches_no_event(storage, events):
    storage.write("order/7.txt", ContentFile(b"x"))
    fill(events, "7", 5)
    storage.delete("order/7.txt")

    storage.erase("order/7.txt")

    assert len([key for key in stream_keys(storage) if ".-v-streams" in key]) == 1
