"""The contract, kept in memory, and over HTTP with each index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from consistent_s3.core.archive import Archive
from consistent_s3.core.documents import Documents
from consistent_s3.core.keys import Layout
from consistent_s3.index.listing import ListingIndex
from consistent_s3.state import JSONSerializer, StateStore
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import MemoryObjectStore
from consistent_s3.testing.contracts import DocumentsContract


class TestDocumentsInMemory(DocumentsContract):
    @pytest.fixture
    def documents(self) -> Documents[Any]:
        store, layout = MemoryObjectStore(), Layout()
        archive = Archive(store=store, index=ListingIndex(store=store, layout=layout), layout=layout)
        return Documents(archive=archive, serializer=JSONSerializer())


class TestDocumentsOverHTTP(DocumentsContract):
    racers = 4
    updates = 2

    @pytest.fixture
    def documents(self, storage: ConsistentS3Storage) -> Documents[Any]:
        return StateStore[Any]().documents

    @pytest.fixture
    def leave(self) -> Callable[[], object]:
        return connections.close_all
