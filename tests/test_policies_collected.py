"""Holds, patterns and fields, as a collection carries them out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import storages

from consistent_s3.collection import collect_garbage
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.aging import age
from tests.archive.models import Document

pytestmark = pytest.mark.django_db

BACKEND = "consistent_s3.storage.ConsistentS3Storage"


@pytest.fixture(params=["listing", "database"])
def storage(request: pytest.FixtureRequest, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    """Return a storage that keeps the newest of each name, and whose grace is over at once for what is old."""
    retention = {"keep_last": 1, "names": {"kept/*": {}, "few/*": {"keep_last": 2}}, "max_delete_ratio": 1}
    options = {**storage_options, "index": request.param, "retention": retention}
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": BACKEND, "OPTIONS": options}}
    return storages["default"]


def written(storage: ConsistentS3Storage, *names: str) -> None:
    for name in names:
        for number in range(4):
            storage.write(name, ContentFile(b"%d" % number))


def collected(storage: ConsistentS3Storage, *names: str) -> list[list[int]]:
    age(storage, timedelta(days=30))
    collect_garbage("default")
    return [[version.number for version in storage.history(name)] for name in names]


def test_each_name_is_collected_by_its_own_rules(storage, monkeypatch):
    monkeypatch.setattr(Document._meta.get_field("file"), "retention", {"keep_last": 3})
    names = ("a.txt", "kept/a.txt", "few/a.txt", "documents/gone.txt", "few/row.txt")
    Document.objects.create(file="few/row.txt")
    written(storage, *names)

    assert collected(storage, *names) == [[4], [4, 3, 2, 1], [4, 3], [4, 3, 2], [4, 3, 2]]


def test_held_versions_are_not_collected_until_they_are_released(storage):
    names = ("a.txt", "b.txt", "c.txt")
    written(storage, *names)
    hold = storage.hold("a.txt", 2, reason="lawsuit")
    storage.hold("b.txt", reason="lawsuit")

    first = collected(storage, *names)
    storage.release(hold)

    assert first == [[4, 2], [4, 3, 2, 1], [4]]
    assert collected(storage, *names) == [[4], [4, 3, 2, 1], [4]]
