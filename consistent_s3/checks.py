"""System checks: what would go wrong later, said at start-up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from botocore.config import Config
from django.apps import apps
from django.apps.config import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning  # noqa: A004 - Django's name
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.db.models import FileField

from consistent_s3.collection import check_alone, storage_aliases, versioned_storage
from consistent_s3.conf import OPTIONS
from consistent_s3.core.errors import IndexUnavailableError, StoreError
from consistent_s3.fields import VersionedFileField
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.streams.kinds import SETTING as STREAMS_SETTING
from consistent_s3.streams.kinds import may_keep_streams, stream_kind

if TYPE_CHECKING:
    from consistent_s3.index.redis import RedisIndex

_IN_A_HURRY = Config(connect_timeout=3, read_timeout=10, retries={"total_max_attempts": 1})
"""A check must not wait for a bucket that is not to be reached."""


def check_storages(**_: Any) -> list[CheckMessage]:
    """Build every configured storage of ours, so that a bad option is found now, and compare their places."""
    return list(_unusable_storages()) or [*_crowded_storages(), *_mingled_storages()]


def _unusable_storages() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            versioned_storage(alias)
        except ImproperlyConfigured as error:
            yield Error(
                f"STORAGES[{alias!r}] cannot be used: {error}",
                hint="Correct its OPTIONS.",
                id="consistent_s3.E010",
            )


def _crowded_storages() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            check_alone(alias)
        except ImproperlyConfigured as error:
            yield Error(str(error), hint="Correct the OPTIONS in STORAGES.", id="consistent_s3.E011")


def _mingled_storages() -> Iterator[CheckMessage]:
    """Rows and pointers are kept by bucket and location, since a bucket's address may change: two are taken for one."""
    seen: dict[tuple[str, ...], str] = {}
    for alias in storage_aliases():
        storage = versioned_storage(alias)
        if storage.index_kind == "listing":
            continue
        kept = storage.index_database if storage.index_kind == "database" else storage.index_cache
        place = (storage.index_kind, kept, storage.bucket_name, storage.location.strip("/"))
        other = seen.setdefault(place, alias)
        addresses = [versioned_storage(other).endpoint_url, storage.endpoint_url]
        if addresses[0] != addresses[1]:
            yield Error(
                f"STORAGES[{other!r}] and STORAGES[{alias!r}] are at different addresses, and have the same bucket "
                f"name, location and index: the files of one would be taken for those of the other.",
                hint="Give one of them a location or a bucket name of its own, or another index_database (index_cache "
                "with Redis). If both addresses lead to the same bucket, add this to SILENCED_SYSTEM_CHECKS.",
                id="consistent_s3.E012",
            )


def check_known_to_rows(**_: Any) -> list[CheckMessage]:
    """Warn, before a deployment, of buckets that hold versions of which the database knows none: one LIST at most."""
    return list(_without_rows())


def _without_rows() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            lost = _has_lost_its_rows(alias)
        except (ImproperlyConfigured, DatabaseError, StoreError):
            continue  # found by `check_storages`, or not to be reached from where the check runs
        if lost:
            yield Warning(
                f"The bucket of STORAGES[{alias!r}] holds versions, and the database knows none of them: each file "
                "there is missing for readers.",
                hint=f"Run `manage.py consistent_s3 reindex --storage {alias}` if the database is new or was lost, or "
                "if the bucket was written with index='listing'.",
                id="consistent_s3.W013",
            )


def _has_lost_its_rows(alias: str) -> bool:
    storage = versioned_storage(alias)
    if storage.index_kind != "database" or not storage.make_database_index(storage.archive.layout).is_empty:
        return False
    layout = storage.archive.layout
    after_streams = f"{layout.streams_prefix}0"  # "0" follows "/": of streams there may be very many
    page = _hurried(alias).make_object_store().list(layout.root, start_after=after_streams, limit=100)
    return any(parsed.number for info in page.objects if (parsed := layout.parse(info.key)))


def _hurried(alias: str) -> ConsistentS3Storage:
    """Return a storage that waits for no bucket."""
    storage = versioned_storage(alias)
    options = {**_options(alias), "client_config": storage.client_config.merge(_IN_A_HURRY)}
    return type(storage)(**options)


def _options(alias: str) -> Mapping[str, Any]:
    configured: Any = settings.STORAGES[alias]
    return cast("Mapping[str, Any]", configured.get("OPTIONS", {}))


def check_streams(**_: Any) -> list[CheckMessage]:
    """Read what the settings say of streams of events, so that a mistake is found now."""
    return list(_mistaken_streams())


def _mistaken_streams() -> Iterator[CheckMessage]:
    said: Any = getattr(settings, STREAMS_SETTING, {})
    for stream_type in said if isinstance(said, Mapping) else [""]:
        try:
            stream_kind(stream_type)
        except ImproperlyConfigured as error:
            yield Error(str(error), hint=f"Correct {STREAMS_SETTING}.", id="consistent_s3.E013")


def check_probed(**_: Any) -> list[CheckMessage]:
    """Remind, before a deployment, to ask the bucket of each storage or its streams that rests on listings."""
    return [*_resting_on_listings(), *_with_streams_on_listings()]


def _resting_on_listings() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            index = versioned_storage(alias).index
        except ImproperlyConfigured:
            continue  # found by `check_storages`
        if index == "listing":
            yield Warning(
                f"STORAGES[{alias!r}] has index='listing', which is right only on a store whose listings are strongly "
                "consistent and whose conditional writes are atomic.",
                hint=f"Run `manage.py consistent_s3 probe --storage {alias}` against the real bucket, and again after "
                "each change of the store. Then add this warning to SILENCED_SYSTEM_CHECKS, or set index='database'.",
                id="consistent_s3.W011",
            )


def _with_streams_on_listings() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            storage = versioned_storage(alias)
            if storage.index == "listing" or _says_whether_listings_lag(alias):
                continue  # told as W011, which asks for the same; or answered
            meant = may_keep_streams(_hurried(alias))
        except (ImproperlyConfigured, StoreError):
            continue  # found by `check_storages`, or not to be reached from where the check runs
        if meant:
            yield Warning(
                f"STORAGES[{alias!r}] has index={storage.index_kind!r}, which does not make streams of events safe: "
                "where LIST is not strongly consistent, they are lost or doubled in silence.",
                hint=f"Run `manage.py consistent_s3 probe --storage {alias}` against the real bucket. Then set "
                "strong_listing=True if streams are safe there; else strong_listing=False, which refuses them.",
                id="consistent_s3.W015",
            )


def _says_whether_listings_lag(alias: str) -> bool:
    """Return whether somebody said so, in the options, the settings or a class: the default is nobody's word."""
    option = "strong_listing"
    said = option in _options(alias) or hasattr(settings, OPTIONS[option][0])
    return said or hasattr(type(versioned_storage(alias)), option)


def check_pointers_stay(**_: Any) -> list[CheckMessage]:
    """Warn, before a deployment, of a Redis that may throw pointers away."""
    return list(_with_pointers_that_are_evicted())


def _with_pointers_that_are_evicted() -> Iterator[CheckMessage]:
    for alias in storage_aliases():
        try:
            storage = versioned_storage(alias)
            index = storage.archive.index if storage.index_kind == "redis" else None
            policy = "" if index is None else cast("RedisIndex", index).evicts()
        except (ImproperlyConfigured, IndexUnavailableError):
            continue  # found by `check_storages`, or not to be reached from where the check runs
        if policy:
            yield Warning(
                f"The Redis of STORAGES[{alias!r}] has maxmemory-policy {policy!r}: it may throw away what it knows of "
                + (
                    "the newest versions, and each such pointer costs one LIST more."
                    if storage.strong_listing
                    else "the newest versions, and since strong_listing is False, that makes reads and saves fail "
                    f"until nothing was thrown away for {storage.pointer_timeout}."
                ),
                hint="Set maxmemory-policy to noeviction, or let index_cache name a Redis that caches nothing else.",
                id="consistent_s3.W014",
            )


def check_plain_file_fields(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Warn of plain file fields where two rows that upload one name would share one object."""
    return list(_plain_file_fields(app_configs))


def _plain_file_fields(app_configs: Sequence[AppConfig] | None) -> Iterator[CheckMessage]:
    for config in apps.get_app_configs() if app_configs is None else app_configs:
        for model in config.get_models():
            for field in model._meta.local_fields:
                if not isinstance(field, FileField) or isinstance(field, VersionedFileField):
                    continue
                if _overwrites(field):
                    yield Warning(
                        f"Two rows that upload a file of the same name share one object, and each sees the other's "
                        f"upload: {field} is a plain {type(field).__name__} on a storage with file_overwrite=True.",
                        hint="Use consistent_s3.fields.VersionedFileField (or VersionedImageField), or set "
                        "file_overwrite=False for this storage.",
                        obj=field,
                        id="consistent_s3.W001",
                    )


def _overwrites(field: FileField) -> bool:
    try:
        return isinstance(field.storage, ConsistentS3Storage) and bool(field.storage.file_overwrite)
    except ImproperlyConfigured:
        return False  # found by `check_storages`
