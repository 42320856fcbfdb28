"""Each fault of the test kit happens when it is asked for, and is counted under its own word."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from consistent_s3.core.errors import KeyMissingError, StoreError
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.eventual import IGNORES, MODERN, PROFILES, RACES, REPLICATED, EventuallyConsistent, Profile
from consistent_s3.testing.faulty import Faulty, Rates

FAULTS = [field.name for field in fields(Rates)]


def put(store: Any, key: str, data: bytes = b"x", mode: PutMode = PutMode.CREATE) -> None:
    store.put(key, io.BytesIO(data), mode=mode, attributes=Attributes())


def read(store: Any, key: str) -> bytes:
    return store.get(key).read(100)


def every_call(store: Any) -> Iterator[Callable[[], object]]:
    yield lambda: put(store, "a")
    yield lambda: store.get("b").read(100)
    yield lambda: store.head("b")
    yield lambda: store.list("")
    yield lambda: store.delete(["b"])


def run(rates: Rates) -> tuple[Faulty, MemoryObjectStore]:
    """Make each call once, on a store that has the key `b`."""
    clock = ManualClock()
    memory = MemoryObjectStore(clock=clock)
    put(memory, "b")
    store = Faulty(inner=memory, clock=clock, chance=random.Random(1), rates=rates, later=lambda _, action: action())
    for call in every_call(store):
        with suppress(StoreError):
            call()
    return store, memory


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_counted_under_its_own_name_and_no_other(fault: str) -> None:
    store, _ = run(Rates(**{fault: 1.0}))

    assert set(store.fired) == {fault}
    assert store.fired[fault] >= 1


def test_without_rates_nothing_happens() -> None:
    store, memory = run(Rates())

    assert (dict(store.fired), memory.keys) == ({}, ["a"])


@pytest.mark.parametrize(
    ("fault", "applied"),
    [
        ("lost_before", False),
        ("conflict_409", False),
        ("lost_after", True),
        ("lands_late", True),
        ("meets_itself", True),
    ],
)
def test_a_put_that_failed_was_applied_or_not_as_its_fault_says(fault: str, applied: bool) -> None:
    _, memory = run(Rates(**{fault: 1.0}))

    assert ("a" in memory.keys) == applied


def shown(profile: Profile, seed: int = 1) -> EventuallyConsistent:
    """Write, overwrite, delete, list and read many keys on a store of a kind, as time passes."""
    clock = ManualClock()
    inner = MemoryObjectStore(clock=clock)
    store = EventuallyConsistent(inner=inner, clock=clock, chance=random.Random(seed), profile=profile)
    for number in range(50):
        key = f"{number}"
        for act in (
            lambda key=key: read(store, key),
            lambda key=key: put(store, key),
            lambda key=key: read(store, key),
            lambda: store.list(""),
            lambda key=key: put(store, key),
            lambda key=key: store.delete([key]),
            lambda key=key: read(store, key),
        ):
            clock.sleep(0.5)
            with suppress(StoreError):
                act()
    return store


ODDITIES = {"stale list", "stale get", "remembered absence", "overwritten"}


def odd(store: EventuallyConsistent) -> set[str]:
    return {oddity for oddity, count in store.fired.items() if count}


def test_each_way_to_be_stale_is_counted() -> None:
    assert odd(shown(REPLICATED)) == ODDITIES - {"overwritten"}


def test_a_condition_that_is_ignored_is_counted() -> None:
    assert odd(shown(IGNORES)) == {"overwritten"}


def test_a_condition_that_is_raced_is_counted() -> None:
    class Racing(ManualClock):
        """Lets another writer in while one waits between looking and acting."""

        def sleep(self, seconds: float) -> None:
            if not store.inner.keys:
                put(store.inner, "a")

    store = EventuallyConsistent(inner=MemoryObjectStore(), clock=Racing(), chance=random.Random(1), profile=RACES)

    put(store, "a", b"second")

    assert odd(store) == {"overwritten"}
    assert read(store, "a") == b"second"


def test_a_modern_store_shows_nothing_odd() -> None:
    assert odd(shown(MODERN)) == set()


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_no_oddity_goes_by_another_name(profile: Profile) -> None:
    assert odd(shown(profile)) <= ODDITIES


def test_a_missing_key_is_no_oddity() -> None:
    store = shown(MODERN)

    with pytest.raises(KeyMissingError):
        store.get("never")

    assert odd(store) == set()
