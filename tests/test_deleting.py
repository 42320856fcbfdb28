"""One version deleted for good: what may go, what stays and why, and what it costs, on each index."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connection
from django.test.utils import CaptureQueriesContext

from consistent_s3.core.errors import ConflictError, PolicyError, VersionNotFoundError
from consistent_s3.core.retention import Reason
from consistent_s3.core.seams import every_object
from consistent_s3.errors import VersionKeptError
from consistent_s3.models import StoredObject, StoredVersion
from consistent_s3.policies import circumstances
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from consistent_s3.testing.aging import age
from tests.archive.models import Contract
from tests.redis_server import RedisServer

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
NAME = "dir/a.txt"
KINDS = ["listing", "database", pytest.param("redis", marks=pytest.mark.service)]


@pytest.fixture(params=KINDS)
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Make the default storage one on each index."""
    from django.core.files.storage import storages

    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        backend = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": server.url}}
    options = {**storage_options, "index": request.param}
    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
    return storages["default"]


on = {kind: pytest.mark.parametrize("storage", [kind], indirect=True) for kind in ("listing", "database")}


def write(storage: ConsistentS3Storage, data: bytes = b"x", name: str = NAME) -> int:
    return storage.write(name, ContentFile(data)).number


def numbers(storage: ConsistentS3Storage, name: str = NAME) -> list[int]:
    return [version.number for version in storage.history(name)]


def objects(storage: ConsistentS3Storage) -> list[str]:
    return [info.key for info in every_object(storage.archive.store, "")]


@pytest.fixture
def old(storage: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return a storage with a name of four versions, superseded days ago."""
    for data in (b"one", b"two", b"three", b"four"):
        write(storage, data)
        age(storage, 3 * DAY)
    return storage


def numbered(storage: ConsistentS3Storage, position: int) -> int:
    """Return the number of the version that was written as the first, second ...; not every index counts from 1."""
    return numbers(storage)[-position]


def kept(storage: ConsistentS3Storage, number: int, name: str = NAME) -> VersionKeptError:
    """Return why a version cannot be deleted; and nothing was."""
    before = objects(storage)
    with pytest.raises(VersionKeptError) as caught:
        storage.delete_version(name, number)
    assert objects(storage) == before
    return caught.value


def test_one_noncurrent_version_goes_for_good_and_all_others_stay(old):
    number = numbered(old, 2)

    receipt = old.delete_version(NAME, number)

    assert (receipt.name, receipt.number, receipt.size, receipt.left_over) == (NAME, number, 3, "")
    assert len(numbers(old)) == 3
    assert number not in numbers(old)
    assert not any(f"{old.archive.layout.number_prefix(NAME, number)}" in key for key in objects(old))
    assert old.open(NAME).read() == b"four"


def test_deleting_again_says_that_it_is_not_there(old):
    number = numbered(old, 2)
    old.delete_version(NAME, number)

    with pytest.raises(VersionNotFoundError) as caught:
        old.delete_version(NAME, number)

    assert str(caught.value) == (
        f"'dir/a.txt' has no version {number}: it was never written, or it was collected. See its history."
    )


@pytest.mark.parametrize("number", [0, -1, 99, 2**63, 10**30])
def test_a_number_that_was_never_written_is_not_found(old, number):
    with pytest.raises(VersionNotFoundError):
        old.delete_version(NAME, number)


def test_the_current_version_stays(old):
    error = kept(old, numbered(old, 4))

    assert error.reason is Reason.CURRENT
    assert str(error) == (
        f"Version {numbered(old, 4)} of 'dir/a.txt' was not deleted: current. "
        "Write another version, or delete the name, which can be undone."
    )


def test_the_newest_stays_also_when_it_is_a_tombstone(old):
    tombstone = old.delete(NAME)
    age(old, 3 * DAY)

    with pytest.raises(VersionNotFoundError) as caught:
        old.delete_version(NAME, tombstone.number)

    assert str(caught.value) == f"Version {tombstone.number} of 'dir/a.txt' is a deletion and has no bytes to delete."
    old.delete_version(NAME, numbered(old, 4))
    assert numbers(old)[0] == tombstone.number


def test_what_a_hold_covers_stays_until_it_is_released(old):
    number = numbered(old, 2)
    hold = old.hold(NAME, number, reason="lawsuit")
    assert kept(old, number).reason is Reason.HELD
    old.hold(NAME, reason="audit")
    assert kept(old, numbered(old, 1)).reason is Reason.HELD

    old.release(hold)
    for other in old.holds(NAME):
        old.release(other)

    assert old.delete_version(NAME, number).number == number


def test_what_was_superseded_less_than_grace_ago_stays(old):
    before = numbered(old, 4)
    write(old, b"five")

    error = kept(old, before)

    assert error.reason is Reason.GRACE
    assert "It was superseded less than 1 day, 0:00:00 ago, and somebody may be reading it." in str(error)
    age(old, 2 * DAY)
    assert old.delete_version(NAME, before).size == 4


def test_what_a_row_points_to_stays(storage):
    contract = Contract(title="Lease")
    contract.file.save("lease.txt", ContentFile(b"one"))
    contract.file.save("lease.txt", ContentFile(b"two"))
    write(storage, b"three", contract.file.name)
    pinned = contract.file_version
    age(storage, 3 * DAY)

    assert kept(storage, pinned, contract.file.name).reason is Reason.REFERENCED
    assert storage.delete_version(contract.file.name, numbers(storage, contract.file.name)[-1]).size == 3
    assert Contract.objects.get().file.read() == b"two"


def test_what_is_held_between_the_decision_and_the_deletion_stays(old, monkeypatch):
    number = numbered(old, 2)
    deleter = old.deleter()
    asked = []

    def circumstances(names: Any) -> Any:
        asked.append(names)
        if len(asked) == 2:
            old.hold(NAME, number, reason="lawsuit")
        return deleter.circumstances(names)

    monkeypatch.setattr(old, "deleter", lambda: type(deleter)(archive=old.archive, circumstances=circumstances))

    assert kept(old, number).reason is Reason.HELD


def test_a_writer_that_learned_the_number_before_cannot_bring_it_back(old):
    number = numbered(old, 2)
    old.delete_version(NAME, number)

    with pytest.raises(ConflictError):
        old.write(NAME, ContentFile(b"late"), expected=numbered(old, 1))

    assert number not in numbers(old)


def test_after_a_deletion_nobody_guesses_what_was_current_in_between(old):
    moment = old.version(NAME, numbered(old, 2)).modified
    old.delete_version(NAME, numbered(old, 2))

    with pytest.raises(VersionNotFoundError, match="cannot be said any more"):
        old.as_of(NAME, moment)


def test_the_rest_can_be_collected_read_and_erased_as_before(old):
    old.delete_version(NAME, numbered(old, 3))

    assert old.open(NAME, version=numbered(old, 1)).read() == b"one"
    assert old.erase(NAME).versions == 3


def test_a_deleted_name_lets_each_version_go_and_keeps_its_tombstone(old):
    old.delete(NAME)
    age(old, 3 * DAY)

    for number in numbers(old)[1:]:
        old.delete_version(NAME, number)

    (left,) = old.history(NAME)
    assert left.tombstone


# Large bodies


@pytest.fixture
def large(old: ConsistentS3Storage) -> ConsistentS3Storage:
    """Return the storage with a version whose bytes lie under a key of their own."""
    with old.open(NAME, "wb") as file:
        for _ in range(9):
            file.write(b"x" * 1024 * 1024)
    write(old, b"after")
    age(old, 3 * DAY)
    return old


def test_a_large_body_goes_with_its_version(large):
    number = numbered(large, 5)
    body = large.version(NAME, number).body_key

    receipt = large.delete_version(NAME, number)

    assert receipt.size == 9 * 1024 * 1024
    assert body not in objects(large)


@contextmanager
def refusing(storage: ConsistentS3Storage, wanted: str) -> Iterator[None]:
    """Have the store refuse to delete keys with a word in them."""
    events = storage.make_object_store().client().meta.events

    def refuse(params: Any, **_: Any) -> None:
        doomed = params["Delete"]["Objects"]
        params["Delete"]["Objects"] = [one for one in doomed if wanted not in one["Key"]] or [{"Key": "none"}]

    def tell(parsed: Any, **_: Any) -> None:
        parsed["Errors"] = [{"Key": key, "Code": "AccessDenied", "Message": "Not yours."} for key in refused]

    refused: list[str] = []

    def note(params: Any, **_: Any) -> None:
        refused[:] = [one["Key"] for one in params["Delete"]["Objects"] if wanted in one["Key"]]

    events.register_first("before-parameter-build.s3.DeleteObjects", note)
    events.register("before-parameter-build.s3.DeleteObjects", refuse)
    events.register("after-call.s3.DeleteObjects", tell)
    try:
        yield
    finally:
        events.unregister("before-parameter-build.s3.DeleteObjects", note)
        events.unregister("before-parameter-build.s3.DeleteObjects", refuse)
        events.unregister("after-call.s3.DeleteObjects", tell)


def test_a_version_that_the_store_keeps_stays_with_its_large_body_and_its_row(large):
    number = numbered(large, 5)

    with refusing(large, ""):
        error = kept(large, number)

    assert "The store kept '" in str(error)
    assert "Not yours." in str(error)
    assert number in numbers(large)
    assert large.open(NAME, version=number).read(2) == b"xx"


def test_a_body_that_the_store_keeps_is_told_and_left_to_the_collector(large):
    number = numbered(large, 5)
    body = large.version(NAME, number).body_key

    with refusing(large, body.rpartition("/")[2]):
        receipt = large.delete_version(NAME, number)

    assert receipt.size == 0
    assert "Not yours." in receipt.left_over
    assert number not in numbers(large)
    assert body in objects(large)


# What it costs


@on["listing"]
@pytest.mark.parametrize("more", [1, 30])
def test_on_the_listing_it_costs_a_list_for_each_thousand_and_a_delete(old, more):
    for _ in range(more):
        write(old)

    with assert_requests(old, LIST=1, DELETE=1):
        old.delete_version(NAME, 2)


@on["database"]
@pytest.mark.parametrize("more", [1, 30])
def test_with_rows_it_costs_one_delete_and_as_many_queries_whatever_is_there(old, more):
    for _ in range(more):
        write(old)
    write(old, b"x", "other.txt")

    with CaptureQueriesContext(connection) as asked:
        circumstances(old)([NAME])

    with CaptureQueriesContext(connection) as log, assert_requests(old, DELETE=1):
        old.delete_version(NAME, 2)

    # All versions of the name, and what rows and holds say, twice; what is superseded, and forgetting, in transactions.
    assert len(log) == 1 + 2 * len(asked) + 3 + 5
    assert not StoredVersion.objects.filter(number=2).exists()
    assert StoredObject.objects.count() == 2


@on["database"]
@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_it_is_refused_since_a_rollback_brings_no_object_back(old):
    from django.db import transaction

    before = objects(old)

    with transaction.atomic(), pytest.raises(PolicyError):
        old.delete_version(NAME, 2)

    assert objects(old) == before
    assert numbers(old) == [4, 3, 2, 1]
