"""What an index remembers of a name tells which listed objects are versions, and since when each was the newest."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from consistent_s3.core.keys import Layout
from consistent_s3.core.lineage import FORGOTTEN, Lineage, Link, sort_out
from consistent_s3.core.seams import ObjectInfo

LAYOUT = Layout(location="media")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEEN = NOON + timedelta(hours=100)


def hour(number: int) -> datetime:
    return NOON + timedelta(hours=number)


def listed(number: int, write_id: str = "a", *, at: int | None = None) -> tuple[int, ObjectInfo]:
    key = LAYOUT.version_key("a.txt", number, write_id=write_id * 24)
    return number, ObjectInfo(key=key, size=1, etag="e", modified=hour(number if at is None else at))


def lineage(*numbers: int, dense: int | None = None, late: int = 0) -> Lineage:
    """Return what remembers some versions, newest first; each became the newest `late` hours after it was written."""
    links = tuple(Link(number=number, write_id="a" * 24, since=hour(number + late)) for number in numbers)
    return Lineage(links=links, dense=len(links) if dense is None else dense)


def numbers(found: list[tuple[int, ObjectInfo]]) -> list[int]:
    return [number for number, _ in found]


def test_what_lies_between_remembered_versions_was_passed_over():
    versions, _, strays = sort_out(
        [listed(9), listed(7), listed(5), listed(3)], lineage(9, 5, 3), layout=LAYOUT, seen=SEEN
    )

    assert numbers(versions) == [9, 5, 3]
    assert strays == [listed(7)[1]]


def test_another_object_with_the_number_of_a_version_was_passed_over():
    versions, _, strays = sort_out([listed(9), listed(5), listed(5, "b")], lineage(9, 5), layout=LAYOUT, seen=SEEN)

    assert numbers(versions) == [9, 5]
    assert strays == [listed(5, "b")[1]]


def test_of_a_version_whose_write_id_is_not_known_any_object_will_do():
    links = (Link(number=9, write_id="a" * 24, since=hour(9)), Link(number=5, write_id="", since=hour(9)))

    versions, _, strays = sort_out([listed(9), listed(5, "b")], Lineage(links=links, dense=2), layout=LAYOUT, seen=SEEN)

    assert (numbers(versions), strays) == ([9, 5], [])


def test_what_lies_above_the_newest_is_never_old():
    versions, _, strays = sort_out([listed(9), listed(5), listed(3)], lineage(5, 3), layout=LAYOUT, seen=SEEN)

    assert numbers(versions) == [5, 3]
    assert [info.modified for info in strays] == [SEEN]


def test_below_what_is_remembered_everything_is_a_version():
    versions, _, strays = sort_out([listed(9), listed(3), listed(2)], lineage(9, 5), layout=LAYOUT, seen=SEEN)

    assert (numbers(versions), strays) == ([9, 3, 2], [])


def test_between_checkpoints_everything_is_a_version():
    remembered = lineage(9, 8, 2, dense=2)

    versions, _, strays = sort_out([listed(9), listed(8), listed(5), listed(2)], remembered, layout=LAYOUT, seen=SEEN)

    assert (numbers(versions), strays) == ([9, 8, 5, 2], [])


def test_a_version_leads_since_it_became_the_newest_and_not_since_it_was_written():
    versions, since, _ = sort_out([listed(9), listed(5)], lineage(9, 5, late=1), layout=LAYOUT, seen=SEEN)

    assert [since[info.key] for _, info in versions] == [hour(10), hour(6)]


def test_an_attempt_of_unknown_outcome_supersedes_nothing():
    remembered = lineage(50)

    versions, since, _ = sort_out([listed(50), listed(10), listed(1)], remembered, layout=LAYOUT, seen=SEEN)

    assert [since[info.key] for _, info in versions] == [hour(50)] * 3


def test_what_landed_late_leads_since_it_landed():
    versions, since, _ = sort_out([listed(9), listed(5, at=20)], lineage(9, 5), layout=LAYOUT, seen=SEEN)

    assert [since[info.key] for _, info in versions] == [hour(9), hour(20)]


def test_of_a_name_that_is_forgotten_nothing_is_known_to_be_superseded():
    versions, since, strays = sort_out([listed(9), listed(5)], FORGOTTEN, layout=LAYOUT, seen=SEEN)

    assert [since[info.key] for _, info in versions] == [SEEN, SEEN]
    assert strays == []


@pytest.mark.parametrize(
    ("others", "since"), [pytest.param([], {}, id="alone"), pytest.param([3], {listed(9)[1].key: SEEN}, id="not alone")]
)
def test_the_last_version_counts_as_new_while_anything_was_passed_over(others, since):
    found = sort_out([listed(9), *map(listed, others)], lineage(9, 1), layout=LAYOUT, seen=SEEN)

    assert found[1] == since


def test_a_lineage_without_links_names_nothing():
    assert FORGOTTEN.newest == 0
    assert not FORGOTTEN.named(0)
    assert not FORGOTTEN.passed_over(1, "a")
    assert FORGOTTEN.superseded(1) is None
