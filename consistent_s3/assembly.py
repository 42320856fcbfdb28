"""Which parts does a storage rest on? Its archive is put together here, from its options.

    bucket -> self-test -> index -> archive

A storage overrides `make_object_store` to wrap its bucket; what the index is follows from `index`, and where the rows
or pointers are kept from `index_database` and `index_cache`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from consistent_s3 import conf
from consistent_s3.clients import POOL, storage_client
from consistent_s3.core.archive import Archive
from consistent_s3.core.keys import Layout
from consistent_s3.core.s3 import READ_PARAMETERS, S3ObjectStore
from consistent_s3.core.seams import Index, ObjectStore
from consistent_s3.core.selftest import SelfTesting
from consistent_s3.index.caches import redis_client, redis_prefix
from consistent_s3.index.listing import ListingIndex

if TYPE_CHECKING:
    from storages.backends.s3 import S3Storage

    from consistent_s3.index.database import DatabaseIndex
    from consistent_s3.storage import ConsistentS3Storage


def make_archive(storage: ConsistentS3Storage) -> Archive:
    """Return the core over the bucket and the index of a storage. Raises `ImproperlyConfigured`."""
    layout = Layout(location=conf.location(storage.location, where=type(storage).__name__))
    store = _make_store(storage, layout)
    return Archive(
        store=store,
        index=_make_index(storage, store, layout),
        layout=layout,
        numbering=storage.numbers,
        timing=storage.timing,
    )


def pooled(storage: S3Storage, options: Mapping[str, Any]) -> Config:
    """Return a storage's client configuration, with `POOL` connections where the project gives none of its own."""
    kind = type(storage)
    given = (options.get("client_config"), getattr(settings, "AWS_S3_CLIENT_CONFIG", None), kind.config)
    config: Config = storage.client_config
    if any(given) or getattr(kind, "client_config", None):
        return config
    return config.merge(Config(max_pool_connections=POOL))


def make_bucket(storage: ConsistentS3Storage) -> ObjectStore:
    """Return the real bucket of a storage."""
    parameters = {name: value for name, value in storage.object_parameters.items() if name in READ_PARAMETERS}
    return S3ObjectStore(client=storage_client(storage), bucket=storage.bucket_name, read_parameters=parameters)


def place_of(storage: ConsistentS3Storage) -> str:
    """Return what tells the bucket of a storage from all others that this process uses."""
    return f"{storage.endpoint_url or ''}/{storage.bucket_name}"


def index_kind(named: str) -> str:
    """Return which index is asked: the one that was named, else the database if this app is installed."""
    return named or ("database" if apps.is_installed("consistent_s3") else "listing")


def make_database_index(storage: ConsistentS3Storage, layout: Layout) -> DatabaseIndex:
    """Return the rows of a storage's place. Raises `ImproperlyConfigured` without tables."""
    if not apps.is_installed("consistent_s3"):
        raise ImproperlyConfigured(
            "index 'database' needs the tables of this app. Add 'consistent_s3' to INSTALLED_APPS and migrate, or "
            "set index to 'listing'."
        )
    from consistent_s3.index.database import DatabaseIndex  # noqa: PLC0415 - its models need a ready registry

    return DatabaseIndex(place=f"{storage.bucket_name}/{layout.location}", database=storage.index_database)


def _make_store(storage: ConsistentS3Storage, layout: Layout) -> ObjectStore:
    """Return the bucket; where the key may decide who was first, behind the question whether it can."""
    store = storage.make_object_store()
    if storage.index_kind != "listing":
        return store
    return SelfTesting(inner=store, place=place_of(storage), key=layout.selftest_key)


def _make_index(storage: ConsistentS3Storage, store: ObjectStore, layout: Layout) -> Index:
    kind = storage.index_kind
    if kind == "listing":
        return ListingIndex(store=store, layout=layout)
    if kind == "redis":
        return _make_redis_index(storage, store, layout)
    return storage.make_database_index(layout)


def _make_redis_index(storage: ConsistentS3Storage, store: ObjectStore, layout: Layout) -> Index:
    where = f"{type(storage).__name__} for bucket {storage.bucket_name!r}"
    prefix = redis_prefix(storage.index_cache, where=where)
    from consistent_s3.index.redis import RedisIndex, RedisPointers  # noqa: PLC0415 - an extra

    return RedisIndex(
        store=store,
        layout=layout,
        kept=RedisPointers(
            lambda: redis_client(storage.index_cache, where=where),
            place=f"{prefix}/{storage.bucket_name}/{layout.location}",
            timeout=storage.pointer_timeout,
        ),
        timeout=storage.pointer_timeout,
        strong_listing=storage.strong_listing,
        falls_back=storage.index_fallback == "listing",
    )
