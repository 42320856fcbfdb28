"""The storage in memory, and the fixtures that a project gets with this package."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage as djangos
from django.core.files.storage import storages
from django.test import override_settings

from consistent_s3.core.errors import ConflictError
from consistent_s3.models import StoredVersion
from consistent_s3.testing.storage import InMemoryConsistentStorage
from tests.archive.models import Contract

BACKEND = {"BACKEND": "consistent_s3.testing.storage.InMemoryConsistentStorage"}


def test_it_keeps_versions_as_the_real_one_does(consistent_storage: InMemoryConsistentStorage):
    djangos.save("a.txt", ContentFile(b"one"))
    consistent_storage.write("a.txt", ContentFile(b"two"), expected=1, author="ann")

    with pytest.raises(ConflictError):
        consistent_storage.write("a.txt", ContentFile(b"three"), expected=1)

    assert djangos.open("a.txt").read() == b"two"
    assert [version.author for version in consistent_storage.history("a.txt")] == ["ann", ""]
    assert consistent_storage.url("a.txt") == "https://memory.invalid/a.txt.-v/9999999999999999997.txt"


@pytest.mark.django_db
def test_rows_use_it(consistent_storage: InMemoryConsistentStorage):
    contract = Contract(title="x")
    contract.file.save("a.txt", ContentFile(b"one"))

    assert Contract.objects.get().file.read() == b"one"
    assert consistent_storage.listdir("contracts") == ([], ["a.txt"])


def test_overriding_the_settings_begins_with_an_empty_bucket(settings: Any):
    with override_settings(STORAGES={**settings.STORAGES, "default": BACKEND}):
        storages["default"].save("a.txt", ContentFile(b"one"))
    with override_settings(STORAGES={**settings.STORAGES, "default": BACKEND}):
        assert not storages["default"].exists("a.txt")


def test_it_takes_the_options_of_the_real_one():
    storage = InMemoryConsistentStorage(bucket_name="files", location="media", endpoint_url="http://127.0.0.1:9")

    storage.save("a.txt", ContentFile(b"one"))

    assert storage.open("a.txt").read() == b"one"
    assert storage.url("a.txt") == "https://memory.invalid/media/a.txt.-v/9999999999999999998.txt"


def test_it_is_not_pickled():
    with pytest.raises(TypeError, match="another process would see another bucket"):
        pickle.dumps(InMemoryConsistentStorage())


def test_the_server_of_the_fixtures_answers(s3_server: Any):
    assert s3_server.url.startswith("http://127.0.0.1:")


@pytest.mark.django_db
def test_fields_follow_the_settings_that_are_overridden(consistent_storage: InMemoryConsistentStorage, settings: Any):
    Contract(title="outer").file.save("outer.txt", ContentFile(b"outer"))

    with override_settings(STORAGES={**settings.STORAGES, "default": BACKEND}):
        Contract(title="inner").file.save("inner.txt", ContentFile(b"inner"))
        inner = storages["default"]

    assert inner.listdir("contracts") == ([], ["inner.txt"])
    assert consistent_storage.listdir("contracts") == ([], ["outer.txt"])
    assert storages["default"].listdir("contracts") == ([], [])  # a new one, empty


@pytest.mark.django_db
def test_it_has_rows_where_the_index_is_the_database(settings: Any):
    options = {"index": "database", "location": "media"}
    with override_settings(STORAGES={**settings.STORAGES, "default": {**BACKEND, "OPTIONS": options}}):
        storages["default"].write("a.txt", ContentFile(b"one"), author="ann")

        assert StoredVersion.objects.get().author == "ann"
        assert storages["default"].open("a.txt").read() == b"one"
