"""Each system check speaks when it should, in these words, and is silent otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core import checks
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, storages
from django.core.management import call_command
from django.db import DatabaseError, models
from django.test.utils import isolate_apps

from consistent_s3.checks import (
    check_known_to_rows,
    check_plain_file_fields,
    check_pointers_stay,
    check_probed,
    check_storages,
)
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.fields import VersionedFileField, VersionedImageField
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams import NewEvent, event_store
from tests.projects import run_django, write_settings
from tests.redis_server import RedisServer

BACKEND = "consistent_s3.storage.ConsistentS3Storage"


def told(messages: Any) -> list[tuple[str, str, str | None]]:
    """Return what a person reads of some messages."""
    return [(message.id, message.msg, message.hint) for message in messages]


def ours(model: type[models.Model]) -> list[tuple[str, str, str | None]]:
    return [message for message in told(model.check()) if message[0].startswith("consistent_s3")]


def with_options(settings: Any, **options: Any) -> None:
    """Give the default storage other options."""
    default = settings.STORAGES["default"]
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {**default, "OPTIONS": {**default["OPTIONS"], **options}},
    }


# The project's storages


def test_good_storages_are_silent():
    assert check_storages(app_configs=None) == []


def test_each_storage_with_a_bad_option_is_told_and_the_others_too(settings):
    good = settings.STORAGES["default"]
    settings.STORAGES = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {**good["OPTIONS"], "retension": {}}},
        "good": good,
        "archive": {"BACKEND": BACKEND, "OPTIONS": {**good["OPTIONS"], "retention": {"keep_last": 0}}},
    }

    messages = check_storages(app_configs=None)

    assert [message.level for message in messages] == [checks.ERROR, checks.ERROR]
    assert told(messages) == [
        (
            "consistent_s3.E010",
            (
                "STORAGES['default'] cannot be used: ConsistentS3Storage has no option 'retension'. Did you mean "
                "'retention'?"
            ),
            "Correct its OPTIONS.",
        ),
        (
            "consistent_s3.E010",
            (
                "STORAGES['archive'] cannot be used: ConsistentS3Storage for bucket 'default'['retention']: keep_last "
                "is 0. Keep at least 1, or a name would be left nothing."
            ),
            "Correct its OPTIONS.",
        ),
    ]


def test_a_storage_inside_another_with_other_rules_is_an_error(settings):
    options = settings.STORAGES["default"]["OPTIONS"]
    settings.STORAGES = {
        "default": {"BACKEND": BACKEND, "OPTIONS": {**options, "retention": {"keep_last": 1}}},
        "archive": {"BACKEND": BACKEND, "OPTIONS": {**options, "location": "archive"}},
    }

    assert told(check_storages(app_configs=None)) == [
        (
            "consistent_s3.E011",
            (
                "Collecting STORAGES['default'] would apply its retention to the files of STORAGES['archive'], which "
                "lie in the same place and have another. Give each a location of its own, neither inside the other, or "
                "the same retention."
            ),
            "Correct the OPTIONS in STORAGES.",
        )
    ]


@pytest.fixture
def two_storages(settings) -> Callable[..., list[tuple[str, str, str | None]]]:
    """Return a function that checks two storages, the second with other options than the first."""

    def check(index: str, /, **options: Any) -> list[tuple[str, str, str | None]]:
        first = {**settings.STORAGES["default"]["OPTIONS"], "index": index, "index_cache": "redis"}
        settings.CACHES = {
            name: {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1:9"}
            for name in ("redis", "other")
        }
        settings.STORAGES = {
            "default": {"BACKEND": BACKEND, "OPTIONS": first},
            "minio": {"BACKEND": BACKEND, "OPTIONS": {**first, **options}},
        }
        return told(check_storages(app_configs=None))

    return check


@pytest.mark.parametrize("index", ["database", "redis"])
def test_two_addresses_that_would_share_an_index_are_an_error(two_storages, index):
    assert two_storages(index, endpoint_url="http://127.0.0.1:10") == [
        (
            "consistent_s3.E012",
            (
                "STORAGES['default'] and STORAGES['minio'] are at different addresses, and have the same bucket name, "
                "location and index: the files of one would be taken for those of the other."
            ),
            (
                "Give one of them a location or a bucket name of its own, or another index_database (index_cache with "
                "Redis). If both addresses lead to the same bucket, add this to SILENCED_SYSTEM_CHECKS."
            ),
        )
    ]


@pytest.mark.parametrize(
    ("index", "options"),
    [
        pytest.param("database", {}, id="same address"),
        pytest.param("database", {"bucket_name": "other"}, id="bucket"),
        pytest.param("database", {"location": "other"}, id="location"),
        pytest.param("database", {"index_database": "other"}, id="database"),
        pytest.param("redis", {"index_cache": "other"}, id="cache"),
        pytest.param("database", {"index": "redis"}, id="index"),
        pytest.param("listing", {}, id="listing"),
    ],
)
def test_storages_that_share_no_index_are_silent(two_storages, index, options):
    address = {} if not options and index != "listing" else {"endpoint_url": "http://127.0.0.1:10"}

    assert two_storages(index, **address, **options) == []


def test_a_cache_that_is_no_redis_does_not_stop_the_check(settings):
    with_options(settings, index="redis", index_cache="nowhere")

    assert check_storages(app_configs=None) == []


def test_storages_of_other_kinds_are_not_built(settings):
    """A manifest storage without STATIC_ROOT cannot be built, and that is not our concern."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
        "misspelled": {"BACKEND": "no.such.Storage"},
        "a function": {"BACKEND": "os.getcwd"},
    }

    assert check_storages(app_configs=None) == []


def test_the_check_command_survives_a_bad_option_and_tells_of_it(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "__init__.py").touch()
    (tmp_path / "plain" / "models.py").write_text(
        "from django.db import models\n\n\nclass Plain(models.Model):\n    file = models.FileField()\n"
    )
    write_settings(
        tmp_path,
        "INSTALLED_APPS += ['plain']\n"
        f"STORAGES['default'] = {{'BACKEND': {BACKEND!r}, 'OPTIONS': {{'bucket_nam': 'x'}}}}\n",
    )

    run = run_django(tmp_path, "check")

    assert run.returncode == 1
    assert "(consistent_s3.E010) STORAGES['default'] cannot be used: ConsistentS3Storage has no option " in run.stderr
    assert "Did you mean 'bucket_name'?" in run.stderr
    assert "Traceback" not in run.stderr


# Plain file fields


@isolate_apps("tests.archive")
def test_plain_file_fields_are_warned_of():
    class Plain(models.Model):
        file = models.FileField()
        image = models.ImageField()

        class Meta:
            app_label = "archive"

    messages = check_plain_file_fields([Plain._meta.apps.get_app_config("archive")])

    hint = (
        "Use consistent_s3.fields.VersionedFileField (or VersionedImageField), or set file_overwrite=False for this "
        "storage."
    )
    assert [message.level for message in messages] == [checks.WARNING, checks.WARNING]
    assert told(messages) == [
        (
            "consistent_s3.W001",
            (
                "Two rows that upload a file of the same name share one object, and each sees the other's upload: "
                f"archive.Plain.{name} is a plain {kind} on a storage with file_overwrite=True."
            ),
            hint,
        )
        for name, kind in (("file", "FileField"), ("image", "ImageField"))
    ]


@isolate_apps("tests.archive")
def test_plain_file_fields_on_a_storage_that_does_not_overwrite_are_silent(settings):
    class Plain(models.Model):
        file = models.FileField()
        elsewhere = models.FileField(storage=FileSystemStorage())

        class Meta:
            app_label = "archive"

    with_options(settings, file_overwrite=False)

    assert check_plain_file_fields([Plain._meta.apps.get_app_config("archive")]) == []


@isolate_apps("tests.archive")
def test_plain_file_fields_on_another_storage_and_versioned_ones_are_silent():
    class Other(models.Model):
        title = models.CharField(max_length=10)
        plain = models.FileField(storage=FileSystemStorage())
        versioned = VersionedFileField()

        class Meta:
            app_label = "archive"

    assert check_plain_file_fields([Other._meta.apps.get_app_config("archive")]) == []


@isolate_apps("tests.archive")
def test_plain_file_fields_on_a_storage_that_cannot_be_built_are_silent(settings):
    class Plain(models.Model):
        file = models.FileField()

        class Meta:
            app_label = "archive"

    with_options(settings, retension={})

    assert check_plain_file_fields([Plain._meta.apps.get_app_config("archive")]) == []


def test_the_models_of_the_tests_are_silent():
    assert check_plain_file_fields(None) == []
    assert [told for model in apps.get_app_config("archive").get_models() for told in ours(model)] == []


def test_the_checks_are_registered(settings, capsys):
    with_options(settings, retension={})

    with pytest.raises(Exception, match=r"consistent_s3\.E010"):
        call_command("check", "--tag", "files")


# The versioned fields


@isolate_apps("tests.archive")
def test_a_versioned_field_on_another_storage_is_an_error():
    class Misplaced(models.Model):
        file = VersionedFileField(storage=FileSystemStorage())

        class Meta:
            app_label = "archive"

    assert ours(Misplaced) == [
        (
            "consistent_s3.E001",
            (
                "archive.Misplaced.file needs a ConsistentS3Storage, but its storage is FileSystemStorage. Set "
                "STORAGES['default'] or the field's storage= to consistent_s3.storage.ConsistentS3Storage."
            ),
            None,
        )
    ]


@isolate_apps("tests.archive")
def test_a_versioned_field_on_a_storage_that_cannot_be_built_is_an_error(settings):
    class Misplaced(models.Model):
        file = VersionedFileField()

        class Meta:
            app_label = "archive"

    with_options(settings, retension={})

    assert ours(Misplaced) == [
        ("consistent_s3.E001", "ConsistentS3Storage has no option 'retension'. Did you mean 'retention'?", None)
    ]


@pytest.mark.parametrize(
    ("length", "warned"), [(100, True), (254, True), (255, False), (512, False), (None, False)], ids=str
)
@isolate_apps("tests.archive")
def test_a_short_max_length_is_warned_of(length, warned):
    class Short(models.Model):
        file = VersionedFileField(max_length=length)

        class Meta:
            app_label = "archive"

    expected = (
        "consistent_s3.W002",
        f"max_length={length} is short for the name of a file in its directory: longer ones are cut.",
        "Use at least 255, or leave it out for 512.",
    )
    assert ours(Short) == ([expected] if warned else [])


@isolate_apps("tests.archive")
def test_a_version_field_that_is_not_there_is_an_error():
    class Missing(models.Model):
        file = VersionedFileField(version_field="file_versoin")

        class Meta:
            app_label = "archive"

    assert ours(Missing) == [
        (
            "consistent_s3.E002",
            "version_field='file_versoin' names no field of Missing.",
            "Add it after this field: file_versoin = models.PositiveBigIntegerField(null=True, editable=False)",
        )
    ]


@pytest.mark.parametrize(
    "pin",
    [
        pytest.param(models.IntegerField(null=True), id="too small"),
        pytest.param(models.CharField(max_length=20, null=True), id="text"),
        pytest.param(models.PositiveBigIntegerField(), id="not null"),
    ],
)
@isolate_apps("tests.archive")
def test_a_version_field_that_cannot_hold_a_number_is_an_error(pin):
    class Wrong(models.Model):
        file = VersionedFileField(version_field="pin")

        class Meta:
            app_label = "archive"

    Wrong.add_to_class("pin", pin.clone())

    assert ours(Wrong) == [
        (
            "consistent_s3.E003",
            "version_field='pin' must hold 63-bit numbers and null.",
            "Declare it so: pin = models.PositiveBigIntegerField(null=True, editable=False)",
        )
    ]


@pytest.mark.parametrize(
    "pin",
    [models.BigIntegerField(null=True), models.PositiveBigIntegerField(null=True)],
    ids=lambda pin: str(type(pin)),
)
@isolate_apps("tests.archive")
def test_a_version_field_that_holds_numbers_and_null_is_silent(pin):
    class Right(models.Model):
        image = VersionedImageField(version_field="pin")

        class Meta:
            app_label = "archive"

    Right.add_to_class("pin", pin.clone())

    assert ours(Right) == []


@isolate_apps("tests.archive")
def test_a_version_field_before_its_file_is_an_error():
    class Early(models.Model):
        pin = models.PositiveBigIntegerField(null=True)
        file = VersionedFileField(version_field="pin")

        class Meta:
            app_label = "archive"

    assert ours(Early) == [
        (
            "consistent_s3.E004",
            "version_field='pin' is declared before 'file', so it would be saved first.",
            "Declare it after the file, in the same model.",
        )
    ]


@isolate_apps("tests.archive")
def test_a_version_field_in_a_parent_of_the_files_model_is_an_error():
    class Parent(models.Model):
        pin = models.PositiveBigIntegerField(null=True)

        class Meta:
            app_label = "archive"

    class Child(Parent):
        file = VersionedFileField(version_field="pin")

        class Meta:
            app_label = "archive"

    assert [message[0] for message in ours(Child)] == ["consistent_s3.E004"]


def test_an_image_field_is_checked_as_django_does():
    storage = ConsistentS3Storage(bucket_name="b", access_key="a", secret_key="s", region_name="us-east-1")
    field = VersionedImageField(upload_to="/absolute", storage=storage)
    field.set_attributes_from_name("image")
    field.model = models.Model

    assert "fields.E202" in [message.id for message in field.check()]


def test_a_storage_that_rests_on_listings_is_to_be_probed(settings):
    with_options(settings, index="listing")

    messages = told(check_probed())

    text = (
        "STORAGES['default'] has index='listing', which is right only on a store whose listings are strongly "
        "consistent and whose conditional writes are atomic."
    )
    assert [message[:2] for message in messages] == [("consistent_s3.W011", text)]
    with_options(settings, index="database")
    assert check_probed() == []


STREAMS = {"order": {"fold": "tests.streams.conftest.add"}}


@pytest.mark.parametrize("index", ["database", "redis"])
def test_streams_are_to_be_probed_whatever_the_index(settings, index):
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    settings.CONSISTENT_S3_STREAMS = STREAMS
    with_options(settings, index=index)

    messages = told(check_probed())

    assert messages == [
        (
            "consistent_s3.W015",
            (
                f"STORAGES['default'] has index={index!r}, which does not make streams of events safe: where LIST is "
                "not strongly consistent, they are lost or doubled in silence."
            ),
            (
                "Run `manage.py consistent_s3 probe --storage default` against the real bucket. Then set "
                "strong_listing=True if streams are safe there; else strong_listing=False, which refuses them."
            ),
        )
    ]


@pytest.mark.parametrize("answer", [True, False])
@pytest.mark.parametrize("where", ["option", "setting", "class"])
def test_who_says_whether_listings_lag_is_not_reminded_for_streams(settings, where, answer):
    settings.CONSISTENT_S3_STREAMS = STREAMS
    with_options(settings, index="database")
    if where == "option":
        with_options(settings, strong_listing=answer)
    elif where == "setting":
        settings.CONSISTENT_S3_STRONG_LISTING = answer
    else:
        default = {**settings.STORAGES["default"], "BACKEND": f"tests.test_checks.Says{answer}"}
        settings.STORAGES = {**settings.STORAGES, "default": default}

    assert check_probed() == []


class SaysTrue(ConsistentS3Storage):
    strong_listing = True


class SaysFalse(ConsistentS3Storage):
    strong_listing = False


def test_streams_on_listings_are_reminded_of_once(settings):
    settings.CONSISTENT_S3_STREAMS = STREAMS
    with_options(settings, index="listing")

    assert [message.id for message in check_probed()] == ["consistent_s3.W011"]


def test_streams_that_no_setting_names_are_found_in_the_bucket(settings, storage, storage_options):
    use(settings, storage, storage_options, index="database")
    assert check_probed() == []

    event_store().append("order", "7", [NewEvent(type="Paid")], expected_version=0)

    assert [message.id for message in check_probed()] == ["consistent_s3.W015"]


def use(settings: Any, storage: ConsistentS3Storage, options: dict[str, Any], **more: Any) -> None:
    """Make Django's default storage one on the same bucket."""
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": {**options, **more}}}


@pytest.mark.django_db
def test_a_bucket_of_versions_without_rows_is_warned_of(settings, storage, storage_options):
    for foreign in ("a.txt", storage.archive.layout.hint_key("a.txt", "0" * 24), storage.archive.layout.selftest_key):
        storage.make_object_store().put(foreign, io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes())
    use(settings, storage, storage_options, index="database")
    assert check_known_to_rows() == []
    storage.save("a.txt", ContentFile(b"one"))

    messages = told(check_known_to_rows())

    assert messages == [
        (
            "consistent_s3.W013",
            (
                "The bucket of STORAGES['default'] holds versions, and the database knows none of them: each file "
                "there is missing for readers."
            ),
            (
                "Run `manage.py consistent_s3 reindex --storage default` if the database is new or was lost, or if "
                "the bucket was written with index='listing'."
            ),
        )
    ]


@pytest.mark.django_db
def test_a_bucket_is_not_asked_where_rows_are_known_or_not_needed(settings, storage, storage_options):
    storage.save("a.txt", ContentFile(b"one"))
    use(settings, storage, storage_options)
    assert check_known_to_rows() == []
    use(settings, storage, storage_options, index="database")

    storages["default"].save("b.txt", ContentFile(b"two"))

    assert check_known_to_rows() == []


@pytest.mark.django_db
def test_a_bucket_that_is_not_to_be_reached_is_not_waited_for(settings):
    with_options(settings, index="database")

    assert check_known_to_rows() == []


def test_a_database_that_is_not_to_be_reached_is_no_error_of_the_check(settings, storage, storage_options, monkeypatch):
    def refuse(index: DatabaseIndex) -> bool:
        raise DatabaseError("No such table.")

    storage.save("a.txt", ContentFile(b"one"))
    use(settings, storage, storage_options, index="database")
    monkeypatch.setattr(DatabaseIndex, "is_empty", property(refuse))

    assert check_known_to_rows() == []


@pytest.fixture
def evicting(settings: Any, redis_server: RedisServer) -> Iterator[None]:
    """Let a Redis throw away whatever it likes."""
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": redis_server.url}}
    with redis_server.client as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.service
@pytest.mark.parametrize(
    ("strong", "consequence"),
    [
        pytest.param(True, "and each such pointer costs one LIST more.", id="strong"),
        pytest.param(
            False,
            "and since strong_listing is False, that makes reads and saves fail until nothing was thrown away for "
            "1 day, 0:00:00.",
            id="weak",
        ),
    ],
)
def test_a_redis_that_may_throw_pointers_away_is_warned_of(settings, evicting, strong, consequence):
    with_options(settings, index="redis", strong_listing=strong)

    messages = told(check_pointers_stay())

    text = (
        "The Redis of STORAGES['default'] has maxmemory-policy 'allkeys-lru': it may throw away what it knows of the "
        f"newest versions, {consequence}"
    )
    hint = "Set maxmemory-policy to noeviction, or let index_cache name a Redis that caches nothing else."
    assert messages == [("consistent_s3.W014", text, hint)]


@pytest.mark.service
def test_a_redis_that_keeps_pointers_is_not_warned_of(settings, evicting, redis_server):
    with redis_server.client as client:
        client.config_set("maxmemory-policy", "noeviction")
    with_options(settings, index="redis")

    assert check_pointers_stay() == []


def test_a_redis_that_is_not_to_be_reached_is_no_error_of_the_check(settings):
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    with_options(settings, index="redis")

    assert check_pointers_stay() == []


def test_a_storage_that_cannot_be_built_is_not_told_twice(settings):
    with_options(settings, index="listing", numbering="nonsense")

    assert check_probed() == []
    assert check_pointers_stay() == []
