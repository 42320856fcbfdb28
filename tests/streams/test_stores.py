"""The event store of a storage: where it is, what it takes, and where it is refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages

from consistent_s3.assembly import place_of
from consistent_s3.clients import shared_client
from consistent_s3.core.errors import ConflictError, PreconditionsIgnoredError
from consistent_s3.core.seams import every_object
from consistent_s3.core.selftest import honouring
from consistent_s3.streams import NONE_YET, NewEvent, event_store, storage_event_store
from consistent_s3.testing import assert_requests
from tests.streams.conftest import Configure, fill

PAID = NewEvent(type="Paid", data={"amount": 5})


def test_events_lie_below_the_location_where_no_name_can_be(events, storage):
    events.append("order", "7", [PAID], expected_version=NONE_YET)

    keys = [info.key for info in every_object(storage.make_object_store(), "")]
    assert keys == ["files/.-v-streams/order/7/9999999999999999998.999999999"]
    assert [event.data for event in events.read("order", "7")] == [{"amount": 5}]


def test_alias_has_one_event_store_so_that_a_second_append_needs_no_list(storage):
    with assert_requests(storage, LIST=1, PUT=1):
        event_store().append("order", "7", [PAID], expected_version=NONE_YET)

    with assert_requests(storage, PUT=1):
        event_store().append("order", "7", [NewEvent(type="Paid")], expected_version=1)

    assert storage_event_store(storages["default"]) is event_store()


def test_two_locations_have_streams_of_their_own(configure: Configure):
    configure()
    configure("other", location="other")

    fill(event_store(), "7", 5)

    assert (event_store().version("order", "7"), event_store("other").version("order", "7")) == (1, 0)


def test_location_that_moves_takes_its_streams_along(storage_options):
    from consistent_s3.storage import ConsistentS3Storage

    class Tenants(ConsistentS3Storage):
        tenant = "one"

        @property
        def location(self) -> str:
            return self.tenant

        @location.setter
        def location(self, value: str) -> None:
            pass

    storage = Tenants(**storage_options)
    fill(storage_event_store(storage), "7", 5)

    storage.tenant = "two"

    assert storage_event_store(storage).version("order", "7") == 0


def test_storage_with_an_event_store_can_still_be_pickled(storage, events):
    assert pickle.loads(pickle.dumps(storage)).bucket_name == storage.bucket_name


def test_events_are_put_as_the_files_of_the_storage_are(configure: Configure):
    storage = configure(object_parameters={"StorageClass": "STANDARD_IA"})

    fill(event_store(), "7", 5)

    [listed] = shared_client(storage).list_objects_v2(Bucket=storage.bucket_name)["Contents"]
    assert listed["StorageClass"] == "STANDARD_IA"


@pytest.mark.django_db
@pytest.mark.parametrize("index", ["listing", "database"])
def test_conflict_is_told_whatever_the_index(configure: Configure, index: str):
    configure(index=index)
    fill(event_store(), "7", 5)

    with pytest.raises(ConflictError) as caught:
        event_store().append("order", "7", [PAID], expected_version=0)

    assert (caught.value.expected, caught.value.actual) == (0, 1)


REFUSED = {
    "clock": (
        {"index": "listing", "numbering": "clock"},
        (
            "ConsistentS3Storage for bucket {bucket!r} has numbering='clock' with index='listing', which is for "
            "stores that do not honour `If-None-Match: *`, and streams of events rest on that: of two appends one "
            "would be lost. Keep them in another store, or leave numbering out if this one honours it: see "
            "`manage.py consistent_s3 probe`."
        ),
    ),
    "weak listing": (
        {"index": "redis", "strong_listing": False},
        (
            "ConsistentS3Storage for bucket {bucket!r} has strong_listing=False, and streams of events rest on "
            "listings: an event that was appended might not be seen. Keep them in another store, and see `manage.py "
            "consistent_s3 probe`."
        ),
    ),
    "not readable": (
        {"object_parameters": {"StorageClass": "DEEP_ARCHIVE"}},
        (
            "ConsistentS3Storage for bucket {bucket!r} puts objects into storage class 'DEEP_ARCHIVE', which cannot be "
            "read at once, and streams of events are read from their beginning. Choose another class, for example "
            "'GLACIER_IR'."
        ),
    ),
    "long location": (
        {"location": "x" * 600},
        (
            "ConsistentS3Storage for bucket {bucket!r} has a location that leaves no room for streams of events: The "
            f"prefix '{'x' * 80}...' of an event store has 612 bytes, and 572 is the most. Shorten it."
        ),
    ),
}


@pytest.mark.parametrize(("options", "said"), REFUSED.values(), ids=REFUSED)
def test_storage_that_is_known_to_be_unfit_is_refused(configure: Configure, storage_options, options, said):
    configure(**options)

    with pytest.raises(ImproperlyConfigured) as caught:
        event_store()

    assert str(caught.value) == said.format(bucket=storage_options["bucket_name"])


def test_store_that_ignores_conditions_is_refused_before_the_first_event(configure: Configure, storage_options):
    storage = configure()
    honouring.discard(place_of(storage))

    def unconditional(*, request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    hooks = shared_client(storage).meta.events
    hooks.register("before-sign.s3.PutObject", unconditional)
    try:
        with pytest.raises(PreconditionsIgnoredError):
            event_store().append("order", "7", [PAID], expected_version=NONE_YET)
    finally:
        hooks.unregister("before-sign.s3.PutObject", unconditional)

    assert event_store().version("order", "7") == 0


def test_alias_that_is_none_is_told(storage):
    with pytest.raises(ImproperlyConfigured, match=r"STORAGES has no 'archive'\. It has 'default', 'staticfiles'\."):
        event_store("archive")


def test_storage_of_another_kind_is_told(storage):
    said = (
        r"STORAGES\['staticfiles'\] is a StaticFilesStorage, which has no event store\. Use "
        r"consistent_s3\.storage\.ConsistentS3Storage, or the alias of one\."
    )
    with pytest.raises(ImproperlyConfigured, match=said):
        event_store("staticfiles")


def test_storage_in_memory_has_streams_too(settings):
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": "consistent_s3.testing.storage.InMemoryConsistentStorage"},
    }

    fill(event_store(), "7", 5, 6)

    assert [event.position for event in event_store().read("order", "7")] == [1, 2]
