"""The database index keeps the contract on every kind of database, and under either setting of time zones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from consistent_s3.core.seams import CommittingIndex
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.models import StoredObject, StoredVersion
from consistent_s3.testing.contracts import CommittingIndexContract, a_version, advance
from consistent_s3.testing.indexes import MemoryIndex
from tests import databases
from tests.databases import KINDS


class TestMemoryIndex(CommittingIndexContract):
    @pytest.fixture
    def index(self) -> CommittingIndex:
        return MemoryIndex()


@pytest.fixture(scope="module", params=KINDS)
def alias(request: pytest.FixtureRequest, tmp_path_factory: Any, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(request.param, Path(tmp_path_factory.mktemp("rows"))) as alias:
        yield alias


@pytest.fixture
def index(alias: str, django_db_blocker: Any) -> Iterator[DatabaseIndex]:
    with django_db_blocker.unblock():
        yield DatabaseIndex(place="bucket/media", database=alias)
        StoredVersion.objects.using(alias).all().delete()
        StoredObject.objects.using(alias).all().delete()


class TestDatabaseIndex(CommittingIndexContract):
    @pytest.fixture
    def index(self, index: DatabaseIndex) -> CommittingIndex:
        return index


class TestDatabaseIndexInATransaction(CommittingIndexContract):
    @pytest.fixture
    def index(self, index: DatabaseIndex) -> Iterator[CommittingIndex]:
        block = transaction.atomic(using=index.using)
        block._from_testcase = True  # as django.test.TestCase does: nothing survives the test
        with block:
            yield index


class TestDatabaseIndexWithoutTimeZones(CommittingIndexContract):
    @pytest.fixture
    def index(self, index: DatabaseIndex, settings: Any) -> CommittingIndex:
        settings.USE_TZ = False
        return index


@pytest.mark.parametrize("other", ["bucket/Media", "bucket/media ", "bucket", "bucket/" + "m" * 400])
def test_places_that_look_alike_are_others(index, other):
    beside = DatabaseIndex(place=other, database=index.database)
    [mine] = advance(index, "dir/a.txt", 1)

    advance(beside, "b.txt", 1)
    advance(beside, "Dir/a.txt", 1, 2)

    assert index.listdir("") == (["dir"], [])
    assert beside.listdir("") == (["Dir"], ["b.txt"])
    assert index.newest("dir/a.txt") == mine
    assert beside.newest("dir/a.txt") is None


def test_all_reads_of_a_name_are_one_query(index, django_assert_num_queries):
    advance(index, "a.txt", *range(1, 30))

    for read in (index.newest, index.relearn, lambda name: list(index.history(name)), lambda name: index.at(name, 7)):
        with django_assert_num_queries(1, using=index.using):
            read("a.txt")
    with django_assert_num_queries(1, using=index.using):
        index.committed(["a.txt", "b.txt"])
    with django_assert_num_queries(2, using=index.using):
        index.listdir("")


def test_nothing_is_forgotten_in_a_transaction_that_could_be_rolled_back(index):
    from consistent_s3.core.errors import PolicyError

    versions = advance(index, "a.txt", 1, 2)

    with pytest.raises(PolicyError) as refused, transaction.atomic(using=index.using):
        index.forget(versions[:1])

    assert str(refused.value) == (
        "Objects cannot be brought back by a rollback: erase and collect outside of transactions."
    )
    assert list(index.history("a.txt")) == versions[::-1]


def test_adopted_versions_are_all_there_and_the_newest_goes_forwards_only(index):
    from consistent_s3.core.errors import NumberTakenError

    advance(index, "a.txt", 5)

    index.adopt("a.txt", [a_version("a.txt", 2), a_version("a.txt", 3)], newest=5)
    with pytest.raises(NumberTakenError):
        index.adopt("a.txt", [a_version("a.txt", 7)], newest=4)
    index.adopt("a.txt", [a_version("a.txt", 6)], newest=5)

    assert [version.number for version in index.history("a.txt")] == [6, 5, 3, 2]
    assert index.newest("a.txt").number == 6


def test_the_newest_of_many_names_are_found_together(index, django_db_blocker):
    with django_db_blocker.unblock():
        for name, numbers in (("a.txt", [1]), ("A.txt", [1, 2, 3]), ("b.txt", [1, 2])):
            advance(index, name, *numbers)

        found = index.newest_of(["a.txt", "b.txt", "none.txt"])

    assert {name: version.number for name, version in found.items()} == {"a.txt": 1, "b.txt": 2}
