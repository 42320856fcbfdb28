from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, timedelta

import pytest

from consistent_s3.core import seams
from consistent_s3.core.seams import SystemClock, system_chance
from consistent_s3.testing import ManualClock


def test_manual_clock_stands_still_until_told() -> None:
    clock = ManualClock()

    assert (clock.now(), clock.monotonic()) == (clock.now(), clock.monotonic())
    assert clock.now().tzinfo is UTC


def test_manual_clock_moves_both_times_together() -> None:
    clock = ManualClock()
    before = clock.now()

    clock.advance(timedelta(minutes=1))
    clock.sleep(0.5)

    assert (clock.now() - before, clock.monotonic()) == (timedelta(seconds=60.5), 60.5)


def test_manual_clock_loses_no_move_among_threads() -> None:
    clock = ManualClock()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(clock.sleep, [1.0] * 1000))

    assert clock.monotonic() == 1000


def test_system_clock_is_aware_and_never_goes_back() -> None:
    clock = SystemClock()
    before = clock.monotonic()

    clock.sleep(0)

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() >= before


def test_system_clock_is_pythons_own_where_the_system_tells_nothing_of_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seams, "_BOOT_CLOCK", None)
    monkeypatch.setattr(seams.time, "monotonic", lambda: 42.0)

    assert SystemClock().monotonic() == 42.0


@pytest.mark.skipif(seams._BOOT_CLOCK is None, reason="Only Linux has a clock that runs while the machine sleeps.")
def test_system_clock_counts_the_time_asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seams.time, "clock_gettime", {seams._BOOT_CLOCK: 42.0}.__getitem__)

    assert SystemClock().monotonic() == 42.0


def test_system_chance_is_the_operating_systems() -> None:
    assert system_chance().getrandbits(96) != system_chance().getrandbits(96)
