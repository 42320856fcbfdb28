"""What an erasure leaves since it is held; what else it does stands in test_archive and test_indexed."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.erasing import Erasure, HeldVersion, Holding
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.indexes import MemoryIndex
from tests.core.building import make_archive, numbers, read, write
from tests.core.faults import Faulty

LARGE = b"0123456789" * 900_000
"""Uploaded in parts to a key of its own."""


@pytest.fixture(params=["listing", "index"])
def archive(request: pytest.FixtureRequest, memory: MemoryObjectStore, clock: ManualClock) -> Archive:
    options = {"index": MemoryIndex()} if request.param == "index" else {}
    return make_archive(memory, clock, single_put=5, **options)


def on(archive: Archive, store: Any) -> Archive:
    """Return an archive with the same index, on a store that wraps the first one's."""
    options = {} if not isinstance(archive.index, MemoryIndex) else {"index": archive.index}
    return make_archive(store, archive.clock, single_put=5, chance=random.Random(2), **options)  # type: ignore[arg-type]


def asked(*answers: Holding) -> Callable[[], Holding]:
    """Return what answers one after the other, and the last one for ever."""
    left: Iterator[Holding] = iter(answers)
    return lambda: next(left, answers[-1])


def test_nothing_is_held_unless_somebody_says_so() -> None:
    assert Holding().why(1) == ""
    assert Holding(whole="all").why(1) == "all"
    assert Holding(whole="all", numbers={1: "this"}).why(1) == "this"
    assert Holding(numbers={1: "this"}).why(2) == ""


def test_held_versions_stay_and_the_receipt_says_why(archive: Archive) -> None:
    for data in ("one", "two", "three"[:5], "four"):
        write(archive, "a.txt", data)

    receipt = archive.erase("a.txt", holding=lambda: Holding(numbers={1: "lawsuit", 3: "audit", 9: "typo"}))

    assert receipt == Erasure(
        name="a.txt",
        versions=2,
        size=7,
        failures=(),
        tombstone=5,
        held=(HeldVersion(number=3, reason="audit"), HeldVersion(number=1, reason="lawsuit")),
    )
    assert numbers(archive, "a.txt") == [5, 3, 1]
    assert [read(archive, "a.txt", number) for number in (1, 3)] == [b"one", b"three"]


def test_name_that_is_held_loses_nothing(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")
    write(archive, "a.txt", LARGE)
    archive.delete("a.txt", author="ann")
    before = set(memory.keys)

    receipt = archive.erase("a.txt", holding=lambda: Holding(whole="lawsuit"))

    assert (receipt.versions, receipt.size) == (0, 0)
    assert [held.number for held in receipt.held] == [3, 2, 1]
    assert before <= set(memory.keys)
    assert archive.undelete("a.txt").size == len(LARGE)


def test_large_body_of_a_held_version_stays_however_old(archive: Archive, clock: ManualClock) -> None:
    for _ in range(2):
        write(archive, "a.iso", LARGE)
    clock.advance(timedelta(days=900))

    receipt = archive.erase("a.iso", holding=lambda: Holding(numbers={1: "lawsuit"}))

    assert (receipt.versions, receipt.size) == (1, len(LARGE))
    assert read(archive, "a.iso", 1) == LARGE


def test_second_erasure_takes_what_was_released(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.iso", LARGE)
    archive.erase("a.iso", holding=lambda: Holding(whole="lawsuit"))

    receipt = archive.erase("a.iso")

    assert (receipt.versions, receipt.size, receipt.tombstone, receipt.held) == (1, len(LARGE), 2, ())
    assert sum(memory.head(key).info.size for key in memory.keys) == 0


@pytest.mark.parametrize("data", ["one", LARGE], ids=["small", "large"])
def test_what_is_put_on_hold_during_the_erasure_keeps_its_bytes(
    archive: Archive, memory: MemoryObjectStore, data: Any
) -> None:
    version = write(archive, "a.iso", data)
    write(archive, "a.iso", "two")

    receipt = archive.erase("a.iso", holding=asked(Holding(), Holding(), Holding(numbers={1: "lawsuit"})))

    assert receipt.held == (HeldVersion(number=1, reason="lawsuit"),)
    assert receipt.versions == 1
    assert {version.key, version.body_key} <= set(memory.keys)


def test_holds_are_asked_for_before_anything_changes(archive: Archive, memory: MemoryObjectStore) -> None:
    write(archive, "a.txt", "one")

    def down() -> Holding:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        archive.erase("a.txt", holding=down)

    assert read(archive, "a.txt") == b"one"
    assert len(memory.keys) == 1


def test_erasure_that_was_killed_while_something_is_held_is_finished_by_the_next(
    archive: Archive, memory: MemoryObjectStore
) -> None:
    for _ in range(3):
        write(archive, "a.iso", LARGE)
    holding = lambda: Holding(numbers={2: "lawsuit"})  # noqa: E731 - it is given twice

    def killed(store: Faulty, request: Callable[[], Any]) -> None:
        memory.delete(store.keys("delete")[-1][:1])  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on(archive, Faulty(memory, delete=[killed])).erase("a.iso", holding=holding)
    receipt = archive.erase("a.iso", holding=holding)

    assert [held.number for held in receipt.held] == [2]
    assert numbers(archive, "a.iso") == [4, 2]
    assert sum(memory.head(key).info.size for key in memory.keys) == len(LARGE)
    assert read(archive, "a.iso", 2) == LARGE


def test_what_is_put_on_hold_keeps_its_bytes_also_where_no_listing_shows_them(
    memory: MemoryObjectStore, clock: ManualClock
) -> None:
    archive = make_archive(memory, clock, single_put=5, index=MemoryIndex())
    version = write(archive, "a.iso", LARGE)

    class Blind:
        """A store whose listings are behind."""

        def list(self, prefix: str, **_: Any) -> Any:
            return memory.list("nothing/")

        def __getattr__(self, name: str) -> Any:
            return getattr(memory, name)

    holding = asked(Holding(), Holding(), Holding(numbers={1: "lawsuit"}))

    receipt = on(archive, Blind()).erase("a.iso", holding=holding)

    assert receipt.held == (HeldVersion(number=1, reason="lawsuit"),)
    assert {version.key, version.body_key} <= set(memory.keys)
