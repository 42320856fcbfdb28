"""What every `ObjectStore`, `CommittingIndex`, `EventStore` and `Documents` must do, as tests to inherit.

A new one is three lines:

    class TestMyStore(ObjectStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)

The fixture returns a store on a bucket that is empty, or whose other keys do not begin with `contract-`. Each test uses
keys of its own, so a store may be shared. Needs pytest.

Streams and documents are right on a store, and on an index, that keep the promises of their own contracts: run these on
yours to see that they do. `EventStoreContract` wants the fixture `store`, too; `DocumentsContract` wants `documents`.

A store that keeps its promises one request after another may still break them under a race: some tests let many threads
create, append or write the same, again and again (`racers`; `rounds`, `appends`, `updates`).
"""

from __future__ import annotations

from consistent_s3.testing.contracts.documents import DocumentsContract
from consistent_s3.testing.contracts.indexes import CommittingIndexContract, a_version, advance
from consistent_s3.testing.contracts.stores import ObjectStoreContract
from consistent_s3.testing.contracts.streams import EventStoreContract

__all__ = [
    "CommittingIndexContract",
    "DocumentsContract",
    "EventStoreContract",
    "ObjectStoreContract",
    "a_version",
    "advance",
]
