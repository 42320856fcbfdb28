"""Many real threads on one name."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import ConflictError
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.protocol import Timing
from consistent_s3.core.seams import SystemClock
from consistent_s3.core.versions import Version
from consistent_s3.testing import MemoryObjectStore
from tests.core.building import make_archive, read, write

THREADS = 32
WRITES = 4
PATIENT = Timing(patience=timedelta(minutes=5))


@pytest.fixture(autouse=True)
def _switch_all_the_time() -> Iterator[None]:
    """Let Python change threads as often as it can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def archive() -> Archive:
    return make_archive(MemoryObjectStore(), SystemClock(), timing=PATIENT)  # type: ignore[arg-type]


def test_acknowledged_numbers_are_unique_and_without_gap_and_all_in_the_history(archive: Archive) -> None:
    def many(thread: int) -> list[Version]:
        return [write(archive, "a.txt", f"{thread} {turn}") for turn in range(WRITES)]

    with ThreadPoolExecutor(THREADS) as pool:
        written = [version for versions in pool.map(many, range(THREADS)) for version in versions]

    assert sorted(version.number for version in written) == list(range(1, THREADS * WRITES + 1))
    assert set(archive.history("a.txt")) == set(written)
    assert {read(archive, "a.txt", number).decode() for number in range(1, THREADS * WRITES + 1)} == {
        f"{thread} {turn}" for thread in range(THREADS) for turn in range(WRITES)
    }


def test_own_writes_are_in_order_and_each_tells_an_earlier_predecessor(archive: Archive) -> None:
    def many(thread: int) -> list[Version]:
        return [write(archive, "a.txt", f"{thread} {turn}") for turn in range(WRITES)]

    with ThreadPoolExecutor(8) as pool:
        by_thread = list(pool.map(many, range(8)))

    assert all([v.number for v in versions] == sorted(v.number for v in versions) for versions in by_thread)
    assert all(v.details.predecessor == v.number - 1 for versions in by_thread for v in versions)


def test_of_writers_who_expect_the_same_number_one_succeeds(archive: Archive) -> None:
    def attempt(thread: int) -> int:
        won = 0
        for expected in range(WRITES):
            try:
                write(archive, "a.txt", f"{thread}", expected=expected)
            except ConflictError:
                continue
            won += 1
        return won

    with ThreadPoolExecutor(THREADS) as pool:
        won = list(pool.map(attempt, range(THREADS)))

    numbers = [version.number for version in archive.history("a.txt")]
    assert numbers == list(range(sum(won), 0, -1))
    assert 1 <= sum(won) <= WRITES


def test_clock_numbered_writes_are_all_kept() -> None:
    clock: Any = SystemClock()
    archive = make_archive(MemoryObjectStore(), clock, numbering=Numbering.CLOCK, timing=PATIENT)

    def many(thread: int) -> list[Version]:
        return [write(archive, "a.txt", f"{thread} {turn}") for turn in range(WRITES)]

    with ThreadPoolExecutor(THREADS) as pool:
        by_thread = list(pool.map(many, range(THREADS)))

    written = [version for versions in by_thread for version in versions]
    assert len(set(written)) == THREADS * WRITES
    assert set(archive.history("a.txt")) == set(written)
    assert all([v.number for v in versions] == sorted({v.number for v in versions}) for versions in by_thread)


def test_readers_beside_writers_never_go_back(archive: Archive) -> None:
    write(archive, "a.txt", "1")

    def reads(_: int) -> list[int]:
        return [archive.require("a.txt").number for _ in range(20)]

    def writes(_: int) -> list[int]:
        return [write(archive, "a.txt", "x").number for _ in range(5)]

    with ThreadPoolExecutor(16) as pool:
        jobs = [pool.submit(reads if number % 2 else writes, number) for number in range(16)]
        seen = [job.result() for job in jobs]

    assert all(numbers == sorted(numbers) for numbers in seen)
