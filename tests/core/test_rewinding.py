"""What brings a name back to a moment: decided purely, over real histories and over single versions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.rewinding import Action, Around, Step, Why, around, gone_between, plan
from consistent_s3.core.versions import Details, KnownDetails, LazyDetails, Version
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive, write

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def at(hour: float) -> datetime:
    return BEGIN + timedelta(hours=hour)


def version(number: int, *, hour: float, **details: object) -> Version:
    """Make a version of `a.txt`; every one has other bytes of the same length, unless told otherwise."""
    said = {"predecessor": number - 1, "checksum": f"{number:064x}", **details}
    known = Details(**said)  # type: ignore[arg-type]
    return Version(
        name="a.txt",
        number=number,
        key=f"key {number}",
        size=0 if known.tombstone else 5,
        modified=at(hour),
        etag="",
        tombstone=known.tombstone,
        source=KnownDetails(known),
    )


def decided(history: list[Version], hour: float, *, pinned: int = 0) -> tuple[Action, Why, int, int]:
    """Return action, reason, the number of what was current then, and what is gone."""
    step = plan("a.txt", around(history, at(hour)), pinned=pinned)
    return step.action, step.why, step.then.number if step.then else 0, step.collected


ONE = version(1, hour=1)
TWO = version(2, hour=2)
DELETED = version(3, hour=3, tombstone=True, author="ann")
FOUR = version(4, hour=4)
RESTORED = version(5, hour=5, restored_from=2)
AGAIN = version(5, hour=5, checksum=TWO.details.checksum)
ERASED = version(3, hour=3, tombstone=True)
GAP = version(4, hour=4, predecessor=3)


@pytest.mark.parametrize(
    ("history", "hour", "wanted"),
    [
        pytest.param([], 1, (Action.CANNOT, Why.NO_VERSIONS, 0, 0), id="never written"),
        pytest.param([ONE], 1, (Action.NOTHING, Why.SAME, 1, 0), id="unchanged since that very moment"),
        pytest.param([TWO, ONE], 9, (Action.NOTHING, Why.SAME, 2, 0), id="unchanged for long"),
        pytest.param([TWO, ONE], 1.5, (Action.RESTORE, Why.CHANGED, 1, 0), id="replaced"),
        pytest.param([ONE], 0.5, (Action.DELETE, Why.DID_NOT_EXIST, 0, 0), id="first written later"),
        pytest.param([DELETED, TWO, ONE], 2.5, (Action.RESTORE, Why.DELETED_SINCE, 2, 0), id="deleted since"),
        pytest.param([DELETED, TWO, ONE], 3, (Action.NOTHING, Why.STILL_DELETED, 0, 0), id="deleted all the time"),
        pytest.param([DELETED, TWO, ONE], 0, (Action.NOTHING, Why.STILL_MISSING, 0, 0), id="came and went"),
        pytest.param([FOUR, DELETED, TWO, ONE], 3.5, (Action.DELETE, Why.WAS_DELETED, 0, 0), id="deleted then"),
        pytest.param([FOUR, DELETED, TWO, ONE], 1, (Action.RESTORE, Why.CHANGED, 1, 0), id="deleted in between"),
        pytest.param([RESTORED, FOUR, DELETED, TWO], 2, (Action.NOTHING, Why.SAME_BYTES, 2, 0), id="restored already"),
        pytest.param([AGAIN, FOUR, TWO], 2.5, (Action.CANNOT, Why.COLLECTED, 0, 3), id="one between is gone"),
        pytest.param([AGAIN, FOUR, DELETED, TWO], 2.5, (Action.NOTHING, Why.SAME_BYTES, 2, 0), id="uploaded again"),
        pytest.param([TWO], 1.5, (Action.CANNOT, Why.COLLECTED, 0, 1), id="all before is gone"),
        pytest.param([ERASED], 2.5, (Action.CANNOT, Why.ERASED, 0, 2), id="erased"),
        pytest.param([ERASED], 3.5, (Action.NOTHING, Why.STILL_DELETED, 0, 0), id="erased before"),
        pytest.param([DELETED], 2.5, (Action.CANNOT, Why.COLLECTED, 0, 2), id="only the deletion is left"),
        pytest.param([GAP, ONE], 1.5, (Action.CANNOT, Why.COLLECTED, 0, 3), id="the middle is gone"),
        pytest.param([GAP, ONE], 4, (Action.NOTHING, Why.SAME, 4, 0), id="the middle is gone and does not matter"),
    ],
)
def test_each_situation_has_its_step_and_its_reason(history, hour, wanted):
    assert decided(history, hour) == wanted


def test_versions_without_a_checksum_are_never_taken_for_the_same():
    blank = version(1, hour=1, checksum=""), version(2, hour=2, checksum="")

    assert decided(list(reversed(blank)), 1.5) == (Action.RESTORE, Why.CHANGED, 1, 0)


@pytest.mark.parametrize(
    ("history", "hour", "pinned", "wanted"),
    [
        pytest.param([TWO, ONE], 1, 1, (Action.NOTHING, Why.SAME, 1, 0), id="pinned to what it was"),
        pytest.param([TWO, ONE], 2, 1, (Action.RESTORE, Why.CHANGED, 2, 0), id="pinned to an older one"),
        pytest.param([TWO, ONE], 1, 2, (Action.RESTORE, Why.CHANGED, 1, 0), id="pinned to the newest"),
        pytest.param([DELETED, TWO, ONE], 2, 2, (Action.NOTHING, Why.SAME, 2, 0), id="shown in spite of a deletion"),
        pytest.param([DELETED, TWO, ONE], 3, 2, (Action.DELETE, Why.WAS_DELETED, 0, 0), id="deleted but for the pin"),
        pytest.param([DELETED, TWO, ONE], 0, 2, (Action.DELETE, Why.DID_NOT_EXIST, 0, 0), id="not there but for it"),
        pytest.param([DELETED, TWO, ONE], 1, 2, (Action.RESTORE, Why.CHANGED, 1, 0), id="another, under a deletion"),
        pytest.param(
            [RESTORED, FOUR, DELETED, TWO], 2, 4, (Action.RESTORE, Why.CHANGED, 2, 0), id="the newest has the bytes"
        ),
        pytest.param(
            [RESTORED, FOUR, DELETED, TWO], 2, 5, (Action.NOTHING, Why.SAME_BYTES, 2, 0), id="the pinned has the bytes"
        ),
    ],
)
def test_a_row_shows_what_it_is_pinned_to(history, hour, pinned, wanted):
    assert decided(history, hour, pinned=pinned) == wanted


def test_numbers_and_not_times_say_what_came_after_what():
    late = version(2, hour=5)
    early = version(3, hour=3)

    assert decided([early, late, ONE], 4) == (Action.NOTHING, Why.SAME, 3, 0)
    assert decided([early, late, ONE], 1.5) == (Action.RESTORE, Why.CHANGED, 1, 0)


def test_no_more_of_a_history_is_read_than_is_needed():
    numbers = count(1_000_000, -1)
    read = []

    def history():
        for number in numbers:
            read.append(number)
            yield version(number, hour=number - 999_990)

    found = around(history(), at(8.5))

    assert [one.number for one in (found.newest, found.after, found.then)] == [1_000_000, 999_999, 999_998]
    assert len(read) == 3


def test_a_step_expects_the_newest_that_the_plan_saw():
    assert Step(name="a.txt", action=Action.NOTHING, why=Why.NO_FILE).expected == 0
    assert plan("a.txt", around([DELETED, TWO, ONE], at(2))).expected == 3


def gone(number: int, *, hour: float) -> Version:
    """Make a version whose object is gone when its details are asked for."""

    def fetch() -> Details:
        raise KeyMissingError("Gone.")

    return replace(version(number, hour=hour), source=LazyDetails(fetch))


def test_nothing_is_guessed_where_the_version_that_knew_is_gone():
    assert decided([gone(4, hour=4), ONE], 2) == (Action.CANNOT, Why.COLLECTED, 0, 4)


def test_what_cannot_be_compared_is_restored():
    assert decided([gone(2, hour=2), ONE], 1) == (Action.RESTORE, Why.CHANGED, 1, 0)


def test_versions_without_a_gap_between_their_numbers_need_no_details():
    known = Around(newest=gone(2, hour=2), then=ONE, after=gone(2, hour=2))

    assert gone_between(known) == 0


@pytest.mark.parametrize("numbering", list(Numbering))
def test_what_a_step_writes_makes_the_next_plan_find_nothing_to_do(
    memory: MemoryObjectStore, clock: ManualClock, numbering: Numbering
) -> None:
    archive = make_archive(memory, clock, numbering=numbering)
    moments = write_hourly(archive, clock)

    for moment in moments:
        step = plan("a.txt", around(archive.history("a.txt"), moment))
        carry_out(archive, step)
        clock.advance(timedelta(hours=1))
        again = plan("a.txt", around(archive.history("a.txt"), moment))

        assert again.action is Action.NOTHING


def write_hourly(archive: Archive, clock: ManualClock) -> list[datetime]:
    """Write one, two, a deletion and three, an hour apart; return a moment before, between and after them."""
    moments = [clock.now()]
    clock.advance(timedelta(hours=1))
    for text in ("one", "two", "", "three"):
        write(archive, "a.txt", text) if text else archive.delete("a.txt")
        moments.append(clock.now())
        clock.advance(timedelta(hours=1))
    return moments


def carry_out(archive: Archive, step: Step) -> None:
    if step.action is Action.RESTORE and step.then:
        archive.restore("a.txt", step.then.number)
    elif step.action is Action.DELETE:
        archive.delete("a.txt")
