"""What is collected in a project's storages, and what never is."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from moto.s3.models import s3_backends

from consistent_s3.clients import shared_client
from consistent_s3.collection import collect_garbage, storage_aliases, versioned_storage
from consistent_s3.core.errors import AccessDeniedError, BucketMissingError
from consistent_s3.core.fates import Fate
from consistent_s3.models import CollectionRun
from consistent_s3.runs import Order
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import count_requests
from tests.archive.models import Contract, Document, Picture, Report, SignedContract
from tests.seeding import ACCOUNT, seed

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
DAY = timedelta(days=1)
GRACE = timedelta(hours=1)

Configure = Callable[..., ConsistentS3Storage]


@pytest.fixture
def configure(settings: Any, storage_options: dict[str, Any]) -> Configure:
    """Return a function that gives the default storage a retention policy, and the storage."""

    def configure(**retention: Any) -> ConsistentS3Storage:
        options = {**storage_options, "retention": retention}
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
        return storages["default"]

    return configure


def ago(by: timedelta) -> datetime:
    return datetime.now(UTC) - by


def backdate(storage: ConsistentS3Storage, key: str, moment: datetime) -> None:
    """Make an object look as if it had been written at another time."""
    s3_backends[ACCOUNT]["aws"].buckets[storage.bucket_name].keys[key].last_modified = moment


def written(storage: ConsistentS3Storage, name: str, *ages: timedelta) -> None:
    """Save one version for each age, oldest first."""
    for number, age in enumerate(ages, start=1):
        version = storage.write(name, ContentFile(b"version %d" % number))
        backdate(storage, version.key, ago(age))


def numbers(storage: ConsistentS3Storage, name: str) -> list[int]:
    return [version.number for version in storage.history(name)]


# The policy


def test_without_a_policy_everything_stays(configure):
    storage = configure()
    written(storage, "a.txt", 900 * DAY, 800 * DAY, 700 * DAY)

    summary = collect_garbage("default")

    assert (summary.kept, summary.deleted) == (3, 0)
    assert summary.reasons == {"current": 1, "no retention policy": 2}
    assert numbers(storage, "a.txt") == [3, 2, 1]


def test_the_newest_are_kept_and_the_others_go(configure):
    storage = configure(keep_last=2)
    written(storage, "a.txt", 9 * DAY, 8 * DAY, 7 * DAY, 6 * DAY)

    summary = collect_garbage("default")

    assert numbers(storage, "a.txt") == [4, 3]
    assert (summary.names, summary.scanned, summary.kept, summary.deleted) == (1, 4, 2, 2)
    assert summary.bytes_freed == 2 * len(b"version 1")
    assert summary.reasons == {"current": 1, "keep_last": 1, "superseded, and no rule keeps it": 2}


def test_time_counts_from_when_a_version_was_superseded(configure):
    storage = configure(keep_for=5 * DAY, grace=GRACE)
    written(storage, "a.txt", 900 * DAY, 6 * DAY, 4 * DAY, 3 * DAY)

    collect_garbage("default")

    assert numbers(storage, "a.txt") == [4, 3, 2]


def test_what_was_superseded_within_the_grace_stays_whatever_the_policy_says(configure):
    storage = configure(keep_last=1, keep_for=timedelta(0), grace=GRACE)
    written(storage, "a.txt", 9 * DAY, 2 * GRACE, GRACE / 2, timedelta(0))

    summary = collect_garbage("default")

    assert numbers(storage, "a.txt") == [4, 3, 2]
    assert summary.reasons == {"current": 1, "grace": 2, "superseded, and no rule keeps it": 1}


def deleted(storage: ConsistentS3Storage, name: str) -> None:
    """Save two versions of a name and delete it, all long ago."""
    written(storage, name, 9 * DAY, 8 * DAY)
    storage.delete(name)
    for info in storage.archive.store.list("").objects:
        backdate(storage, info.key, ago(7 * DAY))


def test_of_a_name_that_was_deleted_only_the_tombstone_stays(configure):
    storage = configure(keep_last=5, keep_for=DAY)
    deleted(storage, "a.txt")

    for _ in range(3):
        collect_garbage("default")

    assert numbers(storage, "a.txt") == [3]
    assert not storage.exists("a.txt")


def test_a_name_that_was_deleted_goes_altogether_when_its_tombstone_may_go(configure):
    storage = configure(keep_last=5, keep_for=DAY, tombstone_for=2 * DAY)
    deleted(storage, "a.txt")

    for _ in range(3):
        collect_garbage("default")

    assert storage.archive.store.list("").objects == ()


def test_collecting_again_changes_nothing(configure):
    storage = configure(keep_last=1)
    written(storage, "a.txt", 9 * DAY, 8 * DAY)
    collect_garbage("default")

    summary = collect_garbage("default")

    assert (summary.kept, summary.deleted) == (1, 0)
    assert numbers(storage, "a.txt") == [2]


def test_objects_of_other_software_are_counted_and_left(configure, storage_options):
    storage = configure(keep_last=1)
    shared_client(storage).put_object(Bucket=storage.bucket_name, Key="photo.jpg", Body=b"x")
    backdate(storage, "photo.jpg", ago(900 * DAY))

    summary = collect_garbage("default")

    assert (summary.names, summary.scanned, summary.kept, summary.deleted) == (0, 1, 0, 0)


def test_a_dry_run_deletes_nothing_and_tells_what_the_run_then_does(configure):
    storage = configure(keep_last=1)
    written(storage, "a.txt", 9 * DAY, 8 * DAY)
    written(storage, "b.txt", 9 * DAY, 8 * DAY)
    told: list[tuple[bool, list[Fate]]] = []

    summaries = []
    for dry_run in (True, False):
        fates: list[Fate] = []
        told.append((dry_run, fates))
        summaries.append(collect_garbage("default", dry_run=dry_run, tell=fates.append).as_dict())
        if dry_run:
            assert numbers(storage, "a.txt") == numbers(storage, "b.txt") == [2, 1]

    assert told[0][1] == told[1][1]
    assert {(fate.name, fate.number) for fate in told[0][1] if fate.goes} == {("a.txt", 1), ("b.txt", 1)}
    assert summaries[0] == {**summaries[1], "dry_run": True}
    assert numbers(storage, "a.txt") == numbers(storage, "b.txt") == [2]


# What rows point to


def pinned(model: type, storage: ConsistentS3Storage, **values: Any) -> Any:
    """Make a row that points to version 1 of 3, all of them old."""
    (field,) = [field for field in model._meta.fields if getattr(field, "version_field", None)]
    name = f"{field.upload_to}/a.txt"
    written(storage, name, 9 * DAY, 8 * DAY, 7 * DAY)
    return model._base_manager.create(**{field.name: name, field.version_field: 1, **values})


@pytest.mark.parametrize(
    ("model", "values"),
    [
        pytest.param(Contract, {}, id="a model"),
        pytest.param(SignedContract, {}, id="a child"),
        pytest.param(Report, {}, id="a child of an abstract base"),
        pytest.param(Report, {"hidden": True}, id="a row that the manager hides"),
        pytest.param(Picture, {"width": 1, "height": 1}, id="an image"),
    ],
)
def test_a_version_that_a_row_points_to_stays(configure, model, values):
    storage = configure(keep_last=1)
    row = pinned(model, storage, **values)
    name = next(str(value) for key, value in vars(row).items() if key in {"file", "image"})

    summary = collect_garbage("default")

    assert numbers(storage, name) == [3, 1]
    assert summary.reasons == {"current": 1, "a row points to it": 1, "superseded, and no rule keeps it": 1}


def test_a_version_goes_once_no_row_points_to_it_any_more(configure):
    storage = configure(keep_last=1)
    row = pinned(Contract, storage)
    collect_garbage("default")

    row.delete()
    collect_garbage("default")

    assert numbers(storage, "contracts/a.txt") == [3]


def test_each_of_many_rows_keeps_its_version(configure):
    storage = configure(keep_last=1)
    written(storage, "contracts/a.txt", *[day * DAY for day in range(9, 3, -1)])
    Contract.objects.bulk_create(Contract(file="contracts/a.txt", file_version=number) for number in (1, 3, 3))

    collect_garbage("default")

    assert numbers(storage, "contracts/a.txt") == [6, 3, 1]


def test_a_row_keeps_its_version_of_its_own_name_only(configure):
    storage = configure(keep_last=1)
    pinned(Contract, storage)
    written(storage, "contracts/b.txt", 9 * DAY, 8 * DAY)

    collect_garbage("default")

    assert numbers(storage, "contracts/b.txt") == [2]


def test_a_row_without_a_pin_keeps_only_what_is_current(configure):
    storage = configure(keep_last=1)
    written(storage, "contracts/a.txt", 9 * DAY, 8 * DAY)
    written(storage, "documents/a.txt", 9 * DAY, 8 * DAY)
    Contract.objects.create(file="contracts/a.txt")
    Document.objects.create(file="documents/a.txt")

    collect_garbage("default")

    assert numbers(storage, "contracts/a.txt") == numbers(storage, "documents/a.txt") == [2]


@pytest.mark.parametrize(
    "elsewhere",
    [pytest.param({"location": "elsewhere"}, id="location"), pytest.param({"bucket_name": "elsewhere"}, id="bucket")],
)
def test_rows_of_a_storage_keep_nothing_in_another_place(configure, settings, storage_options, elsewhere):
    configure(keep_last=1)
    options = {**storage_options, "retention": {"keep_last": 1}, **elsewhere}
    settings.STORAGES = {**settings.STORAGES, "elsewhere": {"BACKEND": BACKEND, "OPTIONS": options}}
    storage = storages["elsewhere"]
    shared_client(storage).create_bucket(Bucket=storage.bucket_name)
    written(storage, "contracts/a.txt", 9 * DAY, 8 * DAY)
    Contract.objects.create(file="contracts/a.txt", file_version=1)

    collect_garbage("elsewhere")

    assert numbers(storage, "contracts/a.txt") == [2]


@pytest.mark.parametrize(
    ("location", "other_location", "name"),
    [
        pytest.param("media/", "media", "contracts/a.txt", id="the same place, spelled differently"),
        pytest.param("media", "", "media/contracts/a.txt", id="a place around it"),
        pytest.param("", "contracts", "a.txt", id="a place inside it"),
    ],
)
def test_rows_keep_their_versions_whatever_storage_is_collected(
    settings, storage_options, location, other_location, name
):
    options = {**storage_options, "retention": {"keep_last": 1}}
    settings.STORAGES = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {**options, "location": location}},
        "other": {"BACKEND": BACKEND, "OPTIONS": {**options, "location": other_location}},
    }
    pinned(Contract, storages["default"])

    collect_garbage("other")

    assert numbers(storages["default"], "contracts/a.txt") == [3, 1]
    assert numbers(storages["other"], name) == [3, 1]


def test_rows_of_a_storage_inside_another_keep_nothing_beside_it(settings, storage_options):
    options = {**storage_options, "retention": {"keep_last": 1}}
    settings.STORAGES = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {**options, "location": "inside"}},
        "around": {"BACKEND": BACKEND, "OPTIONS": options},
    }
    written(storages["around"], "contracts/a.txt", 9 * DAY, 8 * DAY)
    Contract.objects.create(file="contracts/a.txt", file_version=1)

    collect_garbage("around")

    assert numbers(storages["around"], "contracts/a.txt") == [2]


def test_the_first_version_of_a_transaction_that_was_rolled_back_is_what_its_row_reads_after_a_collection(configure):
    storage = configure(keep_last=1)
    contract = Contract.objects.create(file=ContentFile(b"one", name="a.txt"))
    storage.write(contract.file.name, ContentFile(b"rolled back"))
    for version in storage.history(contract.file.name):
        backdate(storage, version.key, ago(9 * DAY))

    collect_garbage("default")

    assert Contract.objects.get().file.open().read() == b"one"


# Places


@pytest.mark.parametrize(
    ("outer", "inner", "inner_rules"),
    [
        pytest.param("", "archive", {}, id="no rules inside the bucket"),
        pytest.param("media", "media/archive", {"keep_last": 9}, id="others inside a directory"),
        pytest.param("media", "media/", {"keep_last": 1, "grace": 3 * DAY}, id="another grace in the same place"),
    ],
)
def test_a_storage_that_holds_another_with_other_rules_is_not_collected(
    settings, storage_options, outer, inner, inner_rules
):
    settings.STORAGES = {
        "outer": {
            "BACKEND": BACKEND,
            "OPTIONS": {**storage_options, "location": outer, "retention": {"keep_last": 1}},
        },
        "inner": {"BACKEND": BACKEND, "OPTIONS": {**storage_options, "location": inner, "retention": inner_rules}},
    }
    written(storages["inner"], "a.txt", 9 * DAY, 8 * DAY)

    with pytest.raises(ImproperlyConfigured) as caught:
        collect_garbage("outer")

    assert str(caught.value) == (
        "Collecting STORAGES['outer'] would apply its retention to the files of STORAGES['inner'], which lie in the "
        "same place and have another. Give each a location of its own, neither inside the other, or the same retention."
    )
    assert numbers(storages["inner"], "a.txt") == [2, 1]


@pytest.mark.parametrize(
    ("outer_rules", "other"),
    [
        pytest.param({}, {"location": "archive", "retention": {"keep_last": 1}}, id="no rules of its own"),
        pytest.param({"keep_last": 1}, {"location": "archive", "retention": {"keep_last": 1}}, id="the same rules"),
        pytest.param({"keep_last": 1}, {"bucket_name": "another"}, id="another bucket"),
        pytest.param({"keep_last": 1}, {"endpoint_url": "http://127.0.0.1:9"}, id="another store"),
    ],
)
def test_a_storage_that_disturbs_no_other_is_collected(configure, settings, storage_options, outer_rules, other):
    storage = configure(**outer_rules)
    settings.STORAGES = {
        **settings.STORAGES,
        "other": {"BACKEND": BACKEND, "OPTIONS": {**storage_options, **other}},
    }
    written(storage, "a.txt", 9 * DAY, 8 * DAY)

    summary = collect_garbage("default")

    assert summary.scanned == 2


def test_a_storage_inside_another_with_other_rules_is_collected_by_its_own(configure, settings, storage_options):
    configure(keep_last=1)
    inner = {**storage_options, "location": "archive", "retention": {"keep_last": 2}}
    settings.STORAGES = {**settings.STORAGES, "inner": {"BACKEND": BACKEND, "OPTIONS": inner}}
    written(storages["inner"], "a.txt", 9 * DAY, 8 * DAY, 7 * DAY)

    collect_garbage("inner")

    assert numbers(storages["inner"], "a.txt") == [3, 2]


# Many, and failing


def test_a_thousand_keys_are_listed_and_deleted_a_request(configure):
    storage = configure(keep_last=1)
    seed(storage, "a.txt", range(1, 2502), modified=ago(9 * DAY))

    with count_requests(storage) as log:
        summary = collect_garbage("default", order=Order(max_delete_ratio=1))

    assert (summary.scanned, summary.kept, summary.deleted) == (2501, 1, 2500)
    # The last LIST asks whether there are streams of events, too.
    assert log.counts == {"LIST": 3 + 1, "DELETE": 3, "ListMultipartUploads": 1, "GetBucketVersioning": 1}
    assert numbers(storage, "a.txt") == [2501]


def test_a_bucket_that_keeps_what_is_deleted_is_warned_of(configure, caplog):
    storage = configure(keep_last=1)
    seed(storage, "a.txt", [1, 2], modified=ago(9 * DAY))
    client = shared_client(storage)
    client.put_bucket_versioning(Bucket=storage.bucket_name, VersioningConfiguration={"Status": "Enabled"})

    collect_garbage("default")

    assert "has versioning of its own: what was deleted is still stored and paid for." in caplog.text
    assert CollectionRun.objects.get().message.startswith(f"Bucket '{storage.bucket_name}' has versioning of its own")


def test_a_dry_run_only_lists(configure):
    storage = configure(keep_last=1)
    seed(storage, "a.txt", range(1, 1502), modified=ago(9 * DAY))

    with count_requests(storage) as log:
        collect_garbage("default", dry_run=True)

    assert log.counts == {"LIST": 2 + 1, "ListMultipartUploads": 1}


def test_a_key_that_the_store_keeps_is_told_and_stops_nothing(configure, caplog):
    storage = configure(keep_last=1)
    written(storage, "a.txt", 9 * DAY, 8 * DAY, 7 * DAY)
    refused = next(version.key for version in storage.history("a.txt") if version.number == 1)
    events = shared_client(storage).meta.events

    def spare(params: dict[str, Any], **_: Any) -> None:
        params["Delete"]["Objects"] = [entry for entry in params["Delete"]["Objects"] if entry["Key"] != refused]

    def refuse(parsed: dict[str, Any], **_: Any) -> None:
        parsed["Errors"] = [{"Key": refused, "Code": "AccessDenied", "Message": "Locked until 2030."}]

    events.register("provide-client-params.s3.DeleteObjects", spare)
    events.register("after-call.s3.DeleteObjects", refuse)
    with caplog.at_level(logging.INFO, logger="consistent_s3.collection"):
        try:
            summary = collect_garbage("default")
        finally:
            events.unregister("provide-client-params.s3.DeleteObjects", spare)
            events.unregister("after-call.s3.DeleteObjects", refuse)

    assert numbers(storage, "a.txt") == [3, 1]
    assert (summary.deleted, summary.kept, summary.error_count) == (1, 2, 1)
    assert summary.errors == [{"key": refused, "code": "AccessDenied", "message": "Locked until 2030."}]
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "collected default: 1 of 3 keys, 9 bytes, 1 errors"),
        (
            "WARNING",
            (
                f"default {CollectionRun.objects.get().pk}: The store refused 1 objects (AccessDenied). They are left "
                "as they were, and tried again by the next run. If it refuses them again, look at the errors: for "
                "AccessDenied, allow s3:DeleteObject; for others, ask whoever runs the store."
            ),
        ),
        ("WARNING", f"kept {refused}: AccessDenied Locked until 2030."),
    ]


def test_a_dry_run_is_called_so_in_the_log(configure, caplog):
    storage = configure(keep_last=1)
    written(storage, "a.txt", 9 * DAY, 8 * DAY)

    with caplog.at_level(logging.INFO, logger="consistent_s3.collection"):
        collect_garbage("default", dry_run=True)

    assert caplog.messages == ["dry run of default: 1 of 2 keys, 9 bytes, 0 errors"]


def test_a_bucket_that_is_missing_is_an_error_of_its_own(configure, settings, storage_options):
    configure()
    settings.STORAGES["default"]["OPTIONS"]["bucket_name"] = "missing"
    settings.STORAGES = {**settings.STORAGES}

    with pytest.raises(BucketMissingError) as caught:
        collect_garbage("default")

    endpoint = storage_options["endpoint_url"]
    assert str(caught.value) == (
        f"Cannot list '': there is no bucket 'missing' at {endpoint}. Create it, or correct bucket_name."
    )


def test_a_bucket_that_may_not_be_deleted_from_is_an_error_of_its_own(configure):
    storage = configure(keep_last=1)
    written(storage, "a.txt", 9 * DAY, 8 * DAY)
    events = shared_client(storage).meta.events

    def deny(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        http_response.status_code = parsed["ResponseMetadata"]["HTTPStatusCode"] = 403
        parsed["Error"] = {"Code": "AccessDenied", "Message": "no"}

    events.register("after-call.s3.DeleteObjects", deny)
    try:
        with pytest.raises(AccessDeniedError, match=r"^Cannot delete 1 keys in bucket .* AccessDenied\. Check the "):
            collect_garbage("default")
    finally:
        events.unregister("after-call.s3.DeleteObjects", deny)


# Aliases


@pytest.fixture
def two_storages(configure: Configure, settings: Any, storage_options: dict[str, Any]) -> None:
    """Configure two storages in one bucket, and a misspelled one."""
    configure(keep_last=1)
    options = {**storage_options, "location": "archive", "retention": {"keep_last": 2}}
    settings.STORAGES = {
        **settings.STORAGES,
        "archive": {"BACKEND": BACKEND, "OPTIONS": options},
        "misspelled": {"BACKEND": "no.such.Storage"},
    }


def test_the_aliases_are_those_of_storages_that_keep_versions(two_storages):
    assert storage_aliases() == ["default", "archive"]


def test_each_alias_has_its_own_policy_and_place(two_storages):
    for alias in ("default", "archive"):
        written(storages[alias], "a.txt", 9 * DAY, 8 * DAY, 7 * DAY)

    summary = collect_garbage("archive")

    assert (summary.names, summary.scanned, summary.deleted) == (1, 3, 1)
    assert numbers(storages["archive"], "a.txt") == [3, 2]
    assert numbers(storages["default"], "a.txt") == [3, 2, 1]


@pytest.mark.parametrize("alias", ["typo", "staticfiles", "misspelled"])
def test_an_alias_that_keeps_no_versions_is_an_error_that_names_those_that_do(two_storages, alias):
    with pytest.raises(ImproperlyConfigured) as caught:
        collect_garbage(alias)

    assert str(caught.value) == (
        f"{alias!r} is no storage that keeps versions. STORAGES has these: 'default', 'archive'."
    )


def test_where_no_storage_keeps_versions_the_error_says_so(settings):
    settings.STORAGES = {"default": {"BACKEND": "django.core.files.storage.InMemoryStorage"}}

    with pytest.raises(ImproperlyConfigured) as caught:
        versioned_storage("default")

    assert str(caught.value) == "'default' is no storage that keeps versions. STORAGES has these: none."
