from __future__ import annotations

import pytest

from consistent_s3.core.pace import Pace
from consistent_s3.testing import ManualClock


def waited(pace: Pace, clock: ManualClock, *counts: int) -> list[float]:
    """Return when each request was sent."""
    sent = []
    for count in counts:
        pace.wait(requests=count)
        sent.append(clock.monotonic())
    return sent


def test_requests_are_spread_evenly() -> None:
    clock = ManualClock()

    assert waited(Pace(per_second=4, clock=clock), clock, 1, 1, 1, 1, 1) == [0, 0.25, 0.5, 0.75, 1]


def test_several_requests_in_a_row_make_the_next_wait_for_all_of_them() -> None:
    clock = ManualClock()

    assert waited(Pace(per_second=4, clock=clock), clock, 1, 4, 1) == [0, 0.25, 1.25]


def test_what_was_not_used_is_not_saved_up() -> None:
    clock = ManualClock()
    pace = Pace(per_second=2, clock=clock)
    pace.wait()
    clock.sleep(100)

    assert waited(pace, clock, 1, 1, 1) == [100, 100.5, 101]


def test_without_a_limit_nobody_waits() -> None:
    clock = ManualClock()

    assert waited(Pace(clock=clock), clock, *[1] * 1000) == [0] * 1000


@pytest.mark.parametrize("per_second", [0.1, 3, 1000])
def test_never_more_requests_than_the_rate_and_the_first(per_second: float) -> None:
    clock = ManualClock()

    sent = waited(Pace(per_second=per_second, clock=clock), clock, *[1] * 50)

    assert sent[-1] == pytest.approx(49 / per_second)
