"""A clock that stands still, a bucket in memory, and an archive on both."""

from __future__ import annotations

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> MemoryObjectStore:
    return MemoryObjectStore(clock=clock)


@pytest.fixture
def archive(memory: MemoryObjectStore, clock: ManualClock) -> Archive:
    return make_archive(memory, clock)
