"""What is held stays, and who placed and released it is on record."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db import OperationalError, connection, transaction
from django.utils import timezone
from moto.s3.models import s3_backends

from consistent_s3 import attribution, runs
from consistent_s3.core.erasing import HeldVersion
from consistent_s3.core.errors import VersionNotFoundError
from consistent_s3.core.s3 import S3ObjectStore
from consistent_s3.errors import BeingCollectedError
from consistent_s3.models import Hold
from consistent_s3.policies import circumstances
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.aging import age
from tests.seeding import ACCOUNT

pytestmark = pytest.mark.django_db

NAME = "dir/a.txt"


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, make_storage: Any) -> ConsistentS3Storage:
    """Return a storage whose `NAME` has three versions, with either index."""
    made = make_storage(index=request.param)
    for number in (1, 2, 3):
        made.write(NAME, ContentFile(b"version %d" % number))
    return made


def held(storage: ConsistentS3Storage, name: str = NAME) -> tuple[frozenset[int], bool]:
    """Return what the collector is told is held."""
    known = circumstances(storage)([name])[name]
    return known.held, known.held_whole


def numbers(storage: ConsistentS3Storage, name: str = NAME) -> list[int]:
    return [version.number for version in storage.history(name)]


def ends(hold: Hold) -> None:
    """Let the time of a hold be over."""
    Hold.objects.filter(pk=hold.pk).update(until=timezone.now() - timedelta(seconds=1))


# Placing


def test_hold_on_a_version_covers_that_version(storage):
    hold = storage.hold(NAME, 2, reason=" lawsuit ", author="ann")

    assert held(storage) == (frozenset({2}), False)
    assert (hold.name, hold.number, hold.reason, hold.author, hold.until) == (NAME, 2, "lawsuit", "ann", None)
    assert hold.place == f"{storage.bucket_name}/"
    assert hold.in_force
    assert str(hold) == "dir/a.txt 2"
    assert storage.holds(NAME) == [hold]
    assert storage.holds("dir/b.txt") == []


def test_hold_on_a_name_covers_all_versions_there_are_and_come(storage):
    hold = storage.hold(NAME, reason="lawsuit")

    assert held(storage) == (frozenset(), True)
    assert str(hold) == NAME


def test_holds_on_one_name_add_up(storage):
    for number in (1, 3):
        storage.hold(NAME, number, reason="lawsuit")
    storage.hold(NAME, 3, reason="audit")

    assert held(storage) == (frozenset({1, 3}), False)
    assert [hold.reason for hold in storage.holds(NAME)] == ["audit", "lawsuit", "lawsuit"]


def test_hold_covers_no_other_name(storage):
    storage.hold(NAME, reason="lawsuit")

    for other in ("dir/a.tx", "dir/a.txt2", "dir/A.txt", "dir/a.txt/b"):
        assert held(storage, other) == (frozenset(), False)


def test_hold_is_attributed_to_who_acts(storage):
    with attribution(author="ann"):
        hold = storage.hold(NAME, reason="lawsuit")
    with attribution(author="bob"):
        released = storage.release(hold, reason="settled")

    assert (hold.author, released.released_by, released.release_reason) == ("ann", "bob", "settled")


def test_hold_with_an_end_is_in_force_until_then(storage):
    end = timezone.now() + timedelta(days=30)
    hold = storage.hold(NAME, 1, reason="audit", until=end)
    before = held(storage)

    ends(hold)

    hold.refresh_from_db()
    assert before == (frozenset({1}), False)
    assert held(storage) == (frozenset(), False)
    assert storage.holds(NAME) == []
    assert not hold.in_force
    assert Hold.objects.count() == 1


def test_deleted_name_may_be_held(storage):
    storage.delete(NAME)

    storage.hold(NAME, reason="lawsuit")

    assert held(storage) == (frozenset(), True)


def test_deleting_stays_possible(storage):
    storage.hold(NAME, reason="lawsuit")

    storage.delete(NAME)

    assert not storage.exists(NAME)
    assert storage.undelete(NAME).number == 5


def test_hold_of_a_transaction_that_is_rolled_back_is_none(storage):
    with transaction.atomic():
        storage.hold(NAME, reason="lawsuit")
        transaction.set_rollback(True)

    assert held(storage) == (frozenset(), False)


def test_hold_counts_for_a_storage_whose_location_lies_above_or_below(make_storage):
    inner, outer = make_storage(location="media/inner"), make_storage(location="media")
    for storage in (inner, outer):
        storage.write("a.txt", ContentFile(b"x"))

    inner.hold("a.txt", 1, reason="lawsuit")
    outer.hold("a.txt", reason="audit")

    assert held(outer, "inner/a.txt") == (frozenset({1}), False)
    assert held(make_storage(), "media/inner/a.txt") == (frozenset({1}), False)
    assert held(make_storage(), "media/a.txt") == (frozenset(), True)
    assert held(inner, "a.txt") == (frozenset({1}), False)


def test_hold_counts_in_its_bucket_only(make_storage):
    here, there = make_storage(), make_storage(bucket_name="another")
    here.write("a.txt", ContentFile(b"x"))

    here.hold("a.txt", reason="lawsuit")

    assert held(here, "a.txt") == (frozenset(), True)
    assert held(there, "a.txt") == (frozenset(), False)


def test_moment_without_a_zone_is_local_time_without_time_zones(make_storage, settings):
    settings.USE_TZ = False
    storage = make_storage()
    storage.write("a.txt", ContentFile(b"x"))

    hold = storage.hold("a.txt", reason="lawsuit", until=datetime(2999, 1, 1, 13))  # noqa: DTZ001 - that is the test

    assert hold.in_force
    assert storage.holds("a.txt") == [hold]
    aware = storage.hold("a.txt", reason="audit", until=datetime(2999, 1, 1, 12, tzinfo=UTC))
    assert aware.until == hold.until
    assert "(until " in storage.holding("a.txt").why(1)


# What makes no sense


@pytest.mark.parametrize("number", [0, -1, 4, 2**63, True * 9, "1", 1.0])
def test_version_that_is_not_there_cannot_be_held(storage, number):
    with pytest.raises(VersionNotFoundError) as refused:
        storage.hold(NAME, number, reason="lawsuit")

    assert str(refused.value) == (
        f"'dir/a.txt' has no version {number!r} to hold: it was never written, or it was collected. See its history."
    )
    assert Hold.objects.count() == 0


def test_name_that_has_no_versions_cannot_be_held(storage):
    with pytest.raises(VersionNotFoundError) as refused:
        storage.hold("dir/b.txt", reason="lawsuit")

    assert str(refused.value) == ("'dir/b.txt' has no versions to hold. Look for a misspelling, or write it first.")
    assert Hold.objects.count() == 0


@pytest.mark.parametrize("reason", ["", " \n"])
def test_hold_needs_a_reason(storage, reason):
    with pytest.raises(
        ValueError, match=r"^Nobody could ever say whether the hold on 'dir/a.txt' may be released. Give"
    ):
        storage.hold(NAME, reason=reason)

    assert Hold.objects.count() == 0


def test_end_that_is_over_is_refused(storage):
    end = timezone.now() - timedelta(seconds=1)

    with pytest.raises(
        ValueError, match=r"^The hold would have ended at .*, so it would keep nothing\. Give an end in"
    ):
        storage.hold(NAME, reason="lawsuit", until=end)


def test_end_without_a_zone_is_refused(storage):
    with pytest.raises(ValueError, match=r"has no time zone\. Use an aware datetime"):
        storage.hold(NAME, reason="lawsuit", until=datetime(2999, 1, 1))  # noqa: DTZ001 - that is the test


def test_end_that_is_a_date_is_refused(storage):
    with pytest.raises(TypeError, match=r"^until is datetime.date\(2999, 1, 1\). Use an aware datetime"):
        storage.hold(NAME, reason="lawsuit", until=date(2999, 1, 1))


def test_version_that_goes_while_it_is_put_on_hold_is_not_held(make_storage):
    """The row is there before the version is looked for, so what is found is not collected any more."""
    storage = make_storage(index="database")
    storage.write(NAME, ContentFile(b"one"))
    storage.write(NAME, ContentFile(b"two"))
    seen = []

    class Racing(type(storage.archive.index)):
        def at(self, name: str, number: int) -> Any:
            seen.append(Hold.objects.count())
            self.forget([version for version in self.history(name) if version.number == number])
            return super().at(name, number)

    index = storage.archive.index
    object.__setattr__(storage.archive, "index", Racing(place=index.place, database=index.database))
    with pytest.raises(VersionNotFoundError):
        storage.hold(NAME, 1, reason="lawsuit")

    assert seen == [1]
    assert Hold.objects.count() == 0


@pytest.mark.parametrize("number", [1, None], ids=["a version", "the name"])
@pytest.mark.parametrize("index", ["listing", "database"])
def test_version_that_a_collection_is_deleting_cannot_be_held(make_storage, monkeypatch, index, number):
    """Once the collector has asked for holds and found none, nobody is told that one is in force."""
    storage = make_storage(index=index, retention={"keep_last": 1, "max_delete_ratio": 1})
    for data in (b"one", b"two"):
        storage.write(NAME, ContentFile(data))
    age(storage, timedelta(days=9))
    delete = S3ObjectStore.delete
    refused: list[bool] = []

    def hold_meanwhile(store: S3ObjectStore, keys: Any) -> Any:
        with pytest.raises(BeingCollectedError, match="is being collected at this moment"):
            storage.hold(NAME, number, reason="lawsuit")
        storage.hold(NAME, 2, reason="what stays can be held")
        refused.append(True)
        return delete(store, keys)

    monkeypatch.setattr(S3ObjectStore, "delete", hold_meanwhile)
    run = runs.begin("default", storage, runs.Order())
    runs.work(runs.claim(run), storage)

    assert refused == [True]
    assert numbers(storage) == [2]
    assert [hold.number for hold in Hold.objects.all()] == [2]
    storage.hold(NAME, reason="afterwards")


def test_without_this_app_nothing_can_be_held_and_nothing_is(make_storage, settings):
    storage = make_storage()
    storage.write(NAME, ContentFile(b"one"))
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "consistent_s3"]

    for ask in (
        lambda: storage.hold(NAME, reason="lawsuit"),
        lambda: storage.release(1),
        lambda: storage.holds(NAME),
    ):
        with pytest.raises(ImproperlyConfigured) as refused:
            ask()
        assert str(refused.value) == (
            "Holds are kept in a table of this app. Add 'consistent_s3' to INSTALLED_APPS and migrate."
        )
    assert storage.erase(NAME).versions == 1
    assert held(storage) == (frozenset(), False)


# Releasing


@pytest.mark.parametrize("by", ["row", "id"])
def test_released_hold_keeps_nothing_and_stays_on_record(storage, by):
    hold = storage.hold(NAME, 2, reason="lawsuit", author="ann")

    released = storage.release(hold if by == "row" else hold.pk, reason="settled", author="bob")

    assert held(storage) == (frozenset(), False)
    assert storage.holds(NAME) == []
    assert (released.pk, released.released_by, released.release_reason) == (hold.pk, "bob", "settled")
    assert timezone.now() - released.released_at < timedelta(minutes=1)
    assert not released.in_force
    assert (released.reason, released.author, released.created) == ("lawsuit", "ann", hold.created)


def test_other_holds_stay_in_force(storage):
    first = storage.hold(NAME, 2, reason="lawsuit")
    second = storage.hold(NAME, 2, reason="audit")

    storage.release(first)

    assert storage.holds(NAME) == [second]
    assert held(storage) == (frozenset({2}), False)


def test_hold_is_released_once(storage):
    hold = storage.hold(NAME, reason="lawsuit")
    storage.release(hold, author="bob")

    with pytest.raises(ValueError, match=rf"^Hold {hold.pk} on 'dir/a.txt' was released before, at .* by bob\.$"):
        storage.release(hold, author="eve")

    hold.refresh_from_db()
    assert hold.released_by == "bob"


def test_hold_that_never_was_cannot_be_released(storage):
    with pytest.raises(ValueError, match=r"^There is no hold 77\. See storage\.holds\(name\), or the admin\.$"):
        storage.release(77)


def test_hold_of_another_place_is_released_there(storage, make_storage):
    hold = storage.hold(NAME, reason="lawsuit")
    other = make_storage(location="other")

    with pytest.raises(ValueError, match="Release it with") as refused:
        other.release(hold)

    assert str(refused.value) == (
        f"Hold {hold.pk} is on 'dir/a.txt' in '{storage.bucket_name}/', not in '{storage.bucket_name}/other'. "
        "Release it with the storage that has this place."
    )
    assert storage.holds(NAME) == [hold]


# When nobody can say


def test_database_without_an_answer_lets_nothing_go(storage):
    def down(execute, sql, *rest):
        if "consistent_s3_hold" in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, *rest)

    for ask in (lambda: held(storage), lambda: storage.erase(NAME)):
        with pytest.raises(OperationalError), connection.execute_wrapper(down):
            ask()

    assert storage.exists(NAME)
    assert numbers(storage) == [3, 2, 1]


# Erasing


def test_erasing_leaves_the_held_version_and_says_why(storage):
    storage.hold(NAME, 2, reason="lawsuit")
    storage.hold(NAME, 2, reason="audit")

    receipt = storage.erase(NAME)

    assert receipt.versions == 2
    assert receipt.held == (HeldVersion(number=2, reason="audit; lawsuit"),)
    assert numbers(storage) == [4, 2]
    assert storage.open(NAME, version=2).read() == b"version 2"
    assert storage.restore(NAME, 2).number == 5


def test_erasing_a_name_that_is_held_takes_nothing(storage):
    storage.hold(NAME, reason="lawsuit")

    receipt = storage.erase(NAME)

    assert (receipt.versions, receipt.size, receipt.tombstone) == (0, 0, 4)
    assert receipt.held == tuple(HeldVersion(number=number, reason="lawsuit") for number in (3, 2, 1))
    assert numbers(storage) == [4, 3, 2, 1]


def test_receipt_says_until_when_a_version_is_held(storage):
    end = datetime(2999, 1, 1, 12, tzinfo=UTC)
    storage.hold(NAME, 1, reason="audit", until=end)

    assert storage.erase(NAME).held == (HeldVersion(number=1, reason="audit (until 2999-01-01 13:00)"),)


def test_erasing_again_takes_what_was_released(storage):
    hold = storage.hold(NAME, 2, reason="lawsuit")
    storage.erase(NAME)
    storage.release(hold)

    receipt = storage.erase(NAME)

    assert (receipt.versions, receipt.held, receipt.tombstone) == (1, (), 4)
    assert numbers(storage) == [4]


def test_large_body_of_a_held_version_stays(storage):
    for content in (b"a", b"b"):
        with storage.open("big.bin", "wb") as file:
            file.write(content * 9 * 1024**2)
    storage.hold("big.bin", 1, reason="lawsuit")

    receipt = storage.erase("big.bin")

    assert (receipt.versions, receipt.size) == (1, 9 * 1024**2)
    assert storage.open("big.bin", version=1).read() == b"a" * 9 * 1024**2


def test_old_body_of_a_held_version_is_no_orphan(storage):
    with storage.open("big.bin", "wb") as file:
        file.write(b"a" * 9 * 1024**2)
    storage.hold("big.bin", 1, reason="lawsuit")
    keys = s3_backends[ACCOUNT]["aws"].buckets[storage.bucket_name].keys
    for key in keys.values():
        key.last_modified = datetime.now(UTC) - timedelta(days=900)

    storage.erase("big.bin")

    assert storage.open("big.bin", version=1).read() == b"a" * 9 * 1024**2
