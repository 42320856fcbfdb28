"""What every `ObjectStore`, `CommittingIndex` and `EventStore` must do, as tests to inherit: a new one is three lines.

    class TestMyStore(ObjectStoreContract):
        @pytest.fixture
        def store(self):
            return MyStore(...)

The fixture returns a store on a bucket that is empty, or whose other keys do not begin with `contract-`. Each test uses
keys of its own, so a store may be shared. Needs pytest.

A store that keeps its promises one request after another may still break them under a race: one test lets many threads
create the same key, again and again (`racers`, `rounds`).
"""

from __future__ import annotations

from consistent_s3.testing.contracts.indexes import CommittingIndexContract, a_version, advance
from consistent_s3.testing.contracts.stores import ObjectStoreContract
from consistent_s3.testing.contracts.streams import EventStoreContract

__all__ = ["CommittingIndexContract", "EventStoreContract", "ObjectStoreContract", "a_version", "advance"]
