"""Listing mode asks its bucket, before the first write of a process, whether it honours preconditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.files.base import ContentFile

from consistent_s3.assembly import place_of
from consistent_s3.clients import shared_client
from consistent_s3.core.errors import AccessDeniedError, PreconditionsIgnoredError
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.core.seams import every_object
from consistent_s3.core.selftest import honouring
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests.answers import answering
from tests.seeding import seed

NAME = "dir/a.txt"
MakeStorage = Callable[..., ConsistentS3Storage]


@pytest.fixture
def forget(storage_options: dict[str, Any]) -> Callable[[], None]:
    """Return what makes this process one that has not asked the bucket yet."""
    place = place_of(ConsistentS3Storage(**storage_options))
    return lambda: honouring.discard(place)


@pytest.fixture
def unasked(make_storage: MakeStorage, forget: Callable[[], None]) -> ConsistentS3Storage:
    forget()
    return make_storage(location="media")


@pytest.fixture
def ignoring(unasked: ConsistentS3Storage) -> Iterator[ConsistentS3Storage]:
    """Return a storage whose requests lose their condition on the way, as behind a proxy that drops it."""

    def drop(*, request: Any, **_: Any) -> None:
        del request.headers["If-None-Match"]

    events = shared_client(unasked).meta.events
    events.register("before-sign.s3.PutObject", drop)
    yield unasked
    events.unregister("before-sign.s3.PutObject", drop)


def keys(storage: ConsistentS3Storage) -> list[str]:
    return [info.key for info in every_object(storage.make_object_store(), "")]


def test_the_first_write_ever_costs_two_puts_more(unasked: ConsistentS3Storage) -> None:
    with assert_requests(unasked, LIST=1, PUT=3):
        version = unasked.write(NAME, ContentFile(b"one"))
    with assert_requests(unasked, LIST=1, PUT=1):
        unasked.write(NAME, ContentFile(b"two"))

    assert keys(unasked)[:1] == ["media/.-v-selftest"]
    assert version.number == 1


def test_the_first_write_of_each_later_process_costs_one_put_more(
    unasked: ConsistentS3Storage, forget: Callable[[], None]
) -> None:
    unasked.write(NAME, ContentFile(b"one"))
    forget()

    with assert_requests(unasked, LIST=1, PUT=2):
        unasked.write(NAME, ContentFile(b"two"))
    with assert_requests(unasked, LIST=1, PUT=1):
        unasked.write(NAME, ContentFile(b"three"))


def test_the_question_is_asked_below_the_location_where_alone_a_policy_may_allow_writes(
    unasked: ConsistentS3Storage,
) -> None:
    unasked.write(NAME, ContentFile(b"one"))

    assert [key for key in keys(unasked) if not key.startswith("media/")] == []


def test_another_location_of_the_bucket_is_not_asked_again(
    unasked: ConsistentS3Storage, make_storage: MakeStorage
) -> None:
    unasked.write(NAME, ContentFile(b"one"))
    other = make_storage(location="other")

    with assert_requests(other, LIST=1, PUT=1):
        other.write(NAME, ContentFile(b"one"))


@pytest.mark.django_db  # erasing asks what is held
@pytest.mark.parametrize(
    "act",
    [
        pytest.param(lambda storage: storage.write(NAME, ContentFile(b"two")), id="write"),
        pytest.param(lambda storage: storage.save(NAME, ContentFile(b"two")), id="save"),
        pytest.param(lambda storage: storage.delete(NAME), id="delete"),
        pytest.param(lambda storage: storage.restore(NAME, 1), id="restore"),
        pytest.param(lambda storage: storage.erase(NAME), id="erase"),
    ],
)
def test_a_store_that_ignores_preconditions_is_told_before_anything_changes(
    ignoring: ConsistentS3Storage, act: Callable[[ConsistentS3Storage], object]
) -> None:
    seed(ignoring, NAME, [1], data=b"one")

    with pytest.raises(PreconditionsIgnoredError) as refused:
        act(ignoring)

    assert str(refused.value) == (
        "Nothing was written: the store ignores preconditions. It created 'media/.-v-selftest' twice, so of two "
        "writers one would overwrite the other in silence. Set index to 'database', or numbering to 'clock', and see "
        "`manage.py consistent_s3 probe`."
    )
    assert [version.number for version in ignoring.history(NAME)] == [1]
    assert ignoring.open(NAME).read() == b"one"


def test_a_store_that_ignores_preconditions_is_read_all_the_same(ignoring: ConsistentS3Storage) -> None:
    seed(ignoring, NAME, [1], data=b"one")

    with assert_requests(ignoring, LIST=1, GET=1):
        assert ignoring.open(NAME).read() == b"one"


@pytest.mark.django_db
@pytest.mark.parametrize("options", [{"numbering": "clock"}, {"index": "database"}], ids=["clock", "database"])
def test_who_rests_on_no_precondition_asks_nothing(
    ignoring: ConsistentS3Storage, make_storage: MakeStorage, options: dict[str, Any]
) -> None:
    storage = make_storage(**options)

    with assert_requests(storage, PUT=1, LIST=0 if "index" in options else 1):
        storage.write(NAME, ContentFile(b"one"))

    assert isinstance(storage.archive.store, S3ObjectStore) == ("index" in options)


def test_a_bucket_that_denies_the_question_denies_the_write(unasked: ConsistentS3Storage) -> None:
    with answering(unasked, 403, "AccessDenied", "PutObject"), pytest.raises(AccessDeniedError):
        unasked.write(NAME, ContentFile(b"one"))

    unasked.write(NAME, ContentFile(b"one"))
    assert unasked.open(NAME).read() == b"one"


def test_the_key_that_is_asked_for_is_no_file(unasked: ConsistentS3Storage, make_storage: MakeStorage) -> None:
    unasked.write("a.txt", ContentFile(b"one"))
    whole = make_storage()
    assert unasked.listdir("") == ([], ["a.txt"])
    assert whole.listdir("") == (["media"], [])
    assert whole.listdir("media") == ([], ["a.txt"])
