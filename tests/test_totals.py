"""What a storage keeps, counted by each kind of database."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consistent_s3.models import StoredObject, StoredVersion, digest
from consistent_s3.totals import LARGEST, NameTotals, Totals, totals
from tests.databases import KINDS, made

pytestmark = pytest.mark.django_db(databases="__all__")

PLACE = "bucket/files"


def add(database: str, name: str, *sizes: int | None, place: str = PLACE) -> None:
    """Add a name whose versions have these sizes; `None` is a deletion."""
    row = StoredObject.objects.using(database).create(
        digest=digest(place, name),
        place_digest=digest(place),
        place=place,
        name=name,
        directory_digest=digest(place, ""),
        newest=len(sizes),
    )
    StoredVersion.objects.using(database).bulk_create(
        [
            StoredVersion(
                stored_object=row,
                number=number,
                write_id=f"{number:024x}",
                key=f"{name}/{number}",
                size=size or 0,
                modified=timezone.now(),
                tombstone=size is None,
            )
            for number, size in enumerate(sizes, start=1)
        ]
    )


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker):
    with django_db_blocker.unblock(), made(request.param, tmp_path) as alias:
        yield alias


def test_totals_tell_current_noncurrent_and_deleted(database):
    add(database, "a", 2**40, 2**41, 1)
    add(database, "b", 10, None)
    add(database, "c", 5)
    add(database, "d", None, 3)
    add(database, "begun")  # its save was rolled back
    add(database, "a", 7, 7, place="bucket/files2")

    with CaptureQueriesContext(connections[database]) as queries:
        found = totals(PLACE, using=database)

    assert found == Totals(
        names=4,
        deleted_names=1,
        current=3,
        current_size=9,
        noncurrent=3,
        noncurrent_size=2**40 + 2**41 + 10,
        largest=[NameTotals(name="a", versions=2, size=2**40 + 2**41), NameTotals(name="b", versions=1, size=10)],
    )
    assert len(queries) == 3


def test_only_the_largest_names_are_told(database):
    for number in range(LARGEST + 2):
        add(database, f"{number:02}", number, 1)

    found = totals(PLACE, using=database)

    assert [each.name for each in found.largest] == [f"{number:02}" for number in range(LARGEST + 1, 1, -1)]


def test_a_place_without_rows_keeps_nothing(database):
    assert totals(PLACE, using=database) == Totals()
