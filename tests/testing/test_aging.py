"""Time that passes for what is stored is enough to test retention."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from consistent_s3.collection import collect_garbage
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import S3Server
from consistent_s3.testing.aging import age

WEEK = timedelta(days=7)
MEMORY = "consistent_s3.testing.storage.InMemoryConsistentStorage"
REAL = "consistent_s3.storage.ConsistentS3Storage"


@pytest.fixture(params=[MEMORY, REAL], ids=["memory", "server"])
def make_default(
    request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]
) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes Django's default storage one in memory, or on a server of this process."""

    def make(**options: Any) -> ConsistentS3Storage:
        options = {**storage_options, "retention": {"keep_last": 1}, **options}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": request.param, "OPTIONS": options}}
        return storages["default"]  # type: ignore[return-value]

    return make


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("index", ["listing", "database"])
def test_what_is_old_enough_is_collected(make_default: Callable[..., ConsistentS3Storage], index: str) -> None:
    storage = make_default(index=index)
    storage.write("a.txt", ContentFile(b"one"))
    written = storage.write("a.txt", ContentFile(b"two")).modified
    collect_garbage("default")
    assert len(list(storage.history("a.txt"))) == 2

    age(storage, WEEK)
    collect_garbage("default")

    assert [version.number for version in storage.history("a.txt")] == [2]
    assert storage.get_modified_time("a.txt") - written < timedelta(minutes=1) - WEEK


@pytest.mark.django_db
def test_only_the_rows_of_its_own_place_grow_old(make_default: Callable[..., ConsistentS3Storage]) -> None:
    old, other = make_default(index="database"), make_default(index="database", location="other")
    before = {storage: storage.write("a.txt", ContentFile(b"one")).modified for storage in (old, other)}

    age(old, WEEK)

    assert before[old] - old.get_modified_time("a.txt") == WEEK
    assert before[other] == other.get_modified_time("a.txt")


def test_a_bucket_elsewhere_cannot_be_made_older(settings: Any) -> None:
    with pytest.raises(ValueError, match=r"^No S3Server of this process has a bucket 'default', so its objects cannot"):
        age(storages["default"], WEEK)  # type: ignore[arg-type]


def test_a_server_makes_the_objects_of_one_bucket_older(s3_server: S3Server, storage: ConsistentS3Storage) -> None:
    storage.write("a.txt", ContentFile(b"one"))
    before = storage.get_modified_time("a.txt")

    s3_server.age(storage.bucket_name, WEEK)

    assert before - storage.get_modified_time("a.txt") == WEEK
