"""One storage of each index, as the default of Django."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.files.storage import storages

from consistent_s3.storage import ConsistentS3Storage
from tests import databases

BACKEND = "consistent_s3.storage.ConsistentS3Storage"
INDEXES = ["listing", "database", pytest.param("redis", marks=pytest.mark.service)]


@pytest.fixture(params=INDEXES)
def index(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def options(
    index: str, database_kind: str, request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]
) -> Any:
    """Return options of a storage on a new bucket, with an index that is there."""
    more: dict[str, Any] = {"index": index}
    if index == "redis":
        server = request.getfixturevalue("redis_server")
        backend = "django.core.cache.backends.redis.RedisCache"
        settings.CACHES = {**settings.CACHES, "pointers": {"BACKEND": backend, "LOCATION": server.url}}
        more["index_cache"] = "pointers"
    if index == "database":
        more["index_database"] = request.getfixturevalue("database")
    return {**storage_options, **more}


@pytest.fixture
def database_kind(request: pytest.FixtureRequest) -> str:
    """Return which database is made where the index is one."""
    return getattr(request, "param", "sqlite")


@pytest.fixture
def database(database_kind: str, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(database_kind, tmp_path) as alias:
        yield alias


@pytest.fixture
def storage(settings: Any, options: dict[str, Any]) -> ConsistentS3Storage:
    """Make the storage Django's default one, and return it."""
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    return storages["default"]
