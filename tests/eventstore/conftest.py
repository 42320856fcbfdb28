"""A clock that stands still, and a bucket in memory."""

from __future__ import annotations

import pytest

from consistent_s3.testing import ManualClock, MemoryObjectStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory(clock: ManualClock) -> MemoryObjectStore:
    return MemoryObjectStore(clock=clock)
