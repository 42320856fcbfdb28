"""The contract, kept in memory and over HTTP."""

from __future__ import annotations

import pytest

from consistent_s3.core.seams import ObjectStore
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import MemoryObjectStore
from consistent_s3.testing.contracts import EventStoreContract


class TestEventStoreInMemory(EventStoreContract):
    appends = 20

    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore()


class TestEventStoreOverHTTP(EventStoreContract):
    racers = 4
    appends = 3

    @pytest.fixture
    def store(self, storage: ConsistentS3Storage) -> ObjectStore:
        return storage.make_object_store()
