"""`reindex` brings every version back from the bucket, and moves a bucket between indexes without losing any."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.db import OperationalError, transaction

from consistent_s3.attribution import attribution
from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import PolicyError
from consistent_s3.core.retention import RetentionPolicy
from consistent_s3.core.seams import Attributes, PutMode, every_object
from consistent_s3.core.versions import Version
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.models import StoredObject, StoredPlace, StoredVersion
from consistent_s3.reindexing import Problem, Reindexer, Summary, Unknown, choose
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from consistent_s3.testing.contracts import a_version
from tests import databases
from tests.databases import ALIAS, KINDS
from tests.seeding import ACCOUNT, seed

NAME = "dir/a.txt"
PLAIN: dict[str, Any] = {"mode": PutMode.CREATE, "attributes": Attributes()}


class OopsError(Exception):
    """What makes a transaction roll back."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """Make a transaction of the block, and roll it back at its end."""
    with suppress(OopsError), transaction.atomic(using=ALIAS):
        yield
        raise OopsError


class KilledError(BaseException):
    """What ends a process in the middle."""


@pytest.fixture(params=["sqlite"])
def alias(request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(request.param, tmp_path) as alias:
        yield alias


@pytest.fixture
def storage(alias: str, make_storage: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    return make_storage(index="database", index_database=alias)


@pytest.fixture
def listing(storage: ConsistentS3Storage, make_storage: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    return make_storage(index="listing", index_database=ALIAS)


def write(storage: ConsistentS3Storage, data: bytes, name: str = NAME, **more: Any) -> Version:
    return storage.write(name, ContentFile(data), **more)


def read(storage: ConsistentS3Storage, name: str = NAME) -> bytes:
    with storage.open(name) as file:
        return file.read()


def roll_back(storage: ConsistentS3Storage, data: bytes, name: str = NAME) -> str:
    """Save in a transaction that is rolled back; return the key of what is left of it."""
    with rolled_back():
        version = write(storage, data, name)
    return version.key


class About:
    """A time that is another one when they are a minute apart at most.

    A row has the time of the store's answer to the put, a listing that of the object: a busy machine lets some seconds
    pass in between.
    """

    def __init__(self, time: datetime) -> None:
        self.time = time

    def __eq__(self, other: object) -> bool:
        return isinstance(other, About) and abs(self.time - other.time) <= timedelta(minutes=1)

    def __repr__(self) -> str:
        return f"about {self.time}"

    __hash__ = None  # type: ignore[assignment]


def told(storage: ConsistentS3Storage, *names: str) -> dict[str, Any]:
    """Return all that histories tell, as plain values."""
    return {
        name: [
            (
                version.number,
                version.key,
                version.size,
                About(version.modified),
                version.etag,
                version.tombstone,
                version.details,
            )
            for version in storage.history(name)
        ]
        for name in names
    }


def lose_the_database() -> None:
    for model in (StoredVersion, StoredObject, StoredPlace):
        model.objects.using(ALIAS).all().delete()


def make(storage: ConsistentS3Storage, **options: Any) -> Reindexer:
    return Reindexer(archive=storage.archive, index=storage.make_database_index(storage.archive.layout), **options)


def reindex(storage: ConsistentS3Storage, *, dry_run: bool = False, **options: Any) -> Summary:
    return make(storage, **options).run(dry_run=dry_run)


def problems(summary: Summary) -> dict[str, str]:
    return {found.key: found.problem.name for found in summary.findings}


def fill(storage: ConsistentS3Storage) -> list[str]:
    """Make files of every kind; return their names."""
    with attribution(author="Ann Ü", comment="Why?\nSo."):
        write(storage, b"one", original_name="Ä b.txt")
    write(storage, b"two", author="bob", comment="c" * 900)
    storage.restore(NAME, 1, author="cy")
    write(storage, b"", "empty.txt")
    write(storage, b"gone", "deleted.txt")
    storage.delete("deleted.txt", author="eve", comment="not needed")
    with storage.open("large.bin", "wb") as file:
        file.write(b"x" * 9 * 1024**2)
    return [NAME, "empty.txt", "deleted.txt", "large.bin"]


@pytest.mark.parametrize("alias", KINDS, indirect=True)
def test_a_project_that_lost_its_database_has_every_version_author_and_comment_back(storage):
    names = fill(storage)
    before, directories = told(storage, *names), storage.listdir("")
    lose_the_database()
    lost = storage.exists(NAME)

    summary = reindex(storage)

    assert not lost
    assert (summary.names, summary.adopted, summary.known, summary.complete) == (4, 7, 0, True)
    assert summary.problems == {}
    assert told(storage, *names) == before
    assert storage.listdir("") == directories
    assert read(storage, "large.bin") == b"x" * 9 * 1024**2
    assert write(storage, b"next").number == 4


def test_it_costs_a_list_and_one_head_for_each_version_and_nothing_again(storage):
    fill(storage)
    lose_the_database()

    with assert_requests(storage, LIST=1, HEAD=7):
        reindex(storage)
    with assert_requests(storage, LIST=1):
        again = reindex(storage)

    assert (again.adopted, again.known, again.complete) == (0, 7, True)


def test_a_dry_run_changes_nothing(storage):
    fill(storage)
    lose_the_database()

    summary = reindex(storage, dry_run=True)

    assert (summary.adopted, summary.dry_run) == (7, True)
    assert not StoredObject.objects.using(ALIAS).exists()
    assert not StoredPlace.objects.using(ALIAS).exists()


def test_one_that_was_killed_goes_on_where_it_ended(storage, monkeypatch):
    names = [f"{number}.txt" for number in range(5)]
    for name in names:
        write(storage, b"1", name)
        write(storage, b"2", name)
    before = told(storage, *names)
    lose_the_database()
    real, left = DatabaseIndex.adopt, [2]

    def adopt(self: Any, *arguments: Any, **more: Any) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise KilledError
        real(self, *arguments, **more)

    monkeypatch.setattr(DatabaseIndex, "adopt", adopt)
    with pytest.raises(KilledError):
        reindex(storage)
    monkeypatch.undo()
    complete = make(storage).index.is_complete

    with assert_requests(storage, LIST=1, HEAD=6):
        summary = reindex(storage)

    assert not complete
    assert (summary.known, summary.adopted, summary.complete) == (4, 6, True)
    assert told(storage, *names) == before


def test_foreign_keys_are_reported_and_left(storage):
    write(storage, b"one")
    storage.archive.store.put("foreign.txt", io.BytesIO(b"x"), **PLAIN)
    storage.archive.store.put("a.-v/not-a-number.txt", io.BytesIO(b"x"), **PLAIN)

    summary = reindex(storage)

    assert problems(summary) == {"foreign.txt": "FOREIGN", "a.-v/not-a-number.txt": "FOREIGN"}
    assert (summary.known, summary.complete) == (1, True)


def test_the_key_of_the_self_test_is_not_foreign(storage):
    write(storage, b"one")
    for key in (storage.archive.layout.selftest_key, "media/.-v-selftest"):
        storage.archive.store.put(key, io.BytesIO(), **PLAIN)

    assert problems(reindex(storage)) == {}


@pytest.mark.parametrize("alias", KINDS, indirect=True)
def test_on_a_living_database_what_was_rolled_back_is_reported_and_never_becomes_current(storage):
    write(storage, b"one")
    stray, first = roll_back(storage, b"lost"), roll_back(storage, b"lost", "new.txt")

    summary = reindex(storage)

    assert problems(summary) == {stray: "UNKNOWN", first: "UNKNOWN"}
    assert (summary.adopted, summary.complete) == (0, False)
    assert read(storage) == b"one"
    assert not storage.exists("new.txt")


def test_what_is_declared_garbage_is_left_to_the_collector_and_was_kept_until_then(storage):
    write(storage, b"one")
    roll_back(storage, b"lost")
    backdate(storage)
    index = storage.archive.index
    before = index.is_complete
    Collector(archive=storage.archive, policy=RetentionPolicy(), index_is_complete=before).run(dry_run=False)
    kept = len(keys(storage))

    summary = reindex(storage, unknown=Unknown.GARBAGE)

    assert (before, kept, summary.complete, index.is_complete) == (False, 2, True, True)
    Collector(archive=storage.archive, policy=RetentionPolicy(), index_is_complete=True).run(dry_run=False)
    assert keys(storage) == [storage.version(NAME).key]


def test_after_a_restored_backup_the_newer_versions_are_adopted_if_asked(storage):
    write(storage, b"one")
    reindex(storage)
    write(storage, b"two")
    write(storage, b"three", author="ann")
    before = told(storage, NAME)
    restore_backup(to=1)

    reported = reindex(storage)
    between = read(storage)
    adopted = reindex(storage, unknown=Unknown.ADOPT)

    assert (reported.adopted, sorted(problems(reported).values())) == (0, ["UNKNOWN", "UNKNOWN"])
    assert between == b"one"
    assert (adopted.adopted, adopted.complete) == (2, True)
    assert told(storage, NAME) == before


def test_of_two_objects_with_one_number_the_row_counts_and_the_other_is_reported(storage):
    stray = roll_back(storage, b"lost")
    kept = write(storage, b"kept")

    summary = reindex(storage, unknown=Unknown.ADOPT)

    assert problems(summary) == {stray: "SAME_NUMBER"}
    assert numbers(storage) == [1]
    assert storage.version(NAME) == kept


def test_without_a_row_the_object_that_the_next_version_followed_counts(storage):
    stray = roll_back(storage, b"lost")
    first = write(storage, b"kept")
    second = write(storage, b"next")
    backdate(storage, only=first.key)  # older than the one that was rolled back: its age decides nothing
    lose_the_database()

    summary = reindex(storage)

    assert problems(summary) == {stray: "SAME_NUMBER"}
    assert [version.key for version in storage.history(NAME)] == [second.key, first.key]


def test_of_several_that_nobody_followed_the_youngest_counts():
    old, young = (a_version(NAME, 2, write_id=write_id) for write_id in "ab")
    object.__setattr__(young, "modified", old.modified + timedelta(seconds=1))

    chosen, others = choose([young, old], [])

    assert (chosen, others) == ([young], [old])


def test_what_others_write_meanwhile_stays_newest(storage, monkeypatch):
    seed(storage, NAME, [1, 2], data=b"listed")
    real = DatabaseIndex.adopt

    def adopt(self: Any, *arguments: Any, **more: Any) -> None:
        monkeypatch.undo()
        write(storage, b"meanwhile")
        real(self, *arguments, **more)

    monkeypatch.setattr(DatabaseIndex, "adopt", adopt)
    summary = reindex(storage)

    assert set(problems(summary).values()) == {"CHANGED"}
    assert (summary.adopted, summary.complete) == (0, False)
    assert (numbers(storage), read(storage)) == ([1], b"meanwhile")


def test_a_row_without_an_object_is_reported_and_forgotten_if_asked(storage):
    first, second = write(storage, b"one"), write(storage, b"two")
    alone = write(storage, b"alone", "alone.txt")
    storage.archive.store.delete([first.key, alone.key])

    reported, kept = reindex(storage), numbers(storage)
    forgotten = reindex(storage, forget_missing=True)

    assert problems(reported) == {first.key: "NO_OBJECT", alone.key: "NO_OBJECT"}
    assert kept == [2, 1]
    assert problems(forgotten) == {first.key: "NO_OBJECT", alone.key: "NO_OBJECT"}
    assert list(storage.history(NAME)) == [second]
    assert numbers(storage, "alone.txt") == [1]  # it is current: delete it


# Moving


def test_a_bucket_moves_from_listing_to_database_and_back_and_keeps_its_order(storage, listing):
    """The steps of the README, with writes before, between and after."""
    names = fill(listing)
    before = told(listing, *names)

    first = reindex(listing)  # while the listing is still used
    write(listing, b"meanwhile")
    listing.delete("empty.txt")
    write(listing, b"new", "new.txt")
    second = reindex(listing)  # writers are stopped

    assert (first.adopted, second.adopted, second.known, second.complete) == (7, 3, 7, True)
    names.append("new.txt")
    assert told(storage, *names) == told(listing, *names)
    assert told(storage, NAME)[NAME][1:] == before[NAME]
    assert storage.listdir("") == listing.listdir("")

    assert write(storage, b"by the rows").number == 5
    storage.delete("new.txt")
    stray = roll_back(storage, b"lost")
    expected = told(storage, *names)
    check = make(storage).check()
    assert {problem: key for key, problem in problems(check).items()} == {
        "UNKNOWN": stray,
        "NO_HINT": storage.archive.newest("new.txt").key,
    }
    prepared = make(storage).check(prepare=True)  # writers are stopped
    assert (prepared.deleted, prepared.hints, prepared.problems) == (1, 1, {})
    assert make(storage).check().problems == {}
    assert told(listing, *names) == expected
    assert listing.listdir("") == storage.listdir("")
    assert read(listing) == b"by the rows"
    assert write(listing, b"by the listing").number == 6

    again = reindex(listing)
    assert (again.adopted, again.problems) == (1, {})
    assert told(storage, *names) == told(listing, *names)
    assert read(storage) == b"by the listing"


def test_what_the_collector_took_in_listing_mode_does_not_stay_in_the_rows(storage, listing):
    for data in (b"1", b"2", b"3"):
        write(listing, data)
    reindex(listing)
    backdate(storage)
    Collector(archive=listing.archive, policy=RetentionPolicy(keep_last=1)).run(dry_run=False)

    summary = reindex(listing, forget_missing=True)

    assert summary.count(Problem.NO_OBJECT) == 2
    assert list(storage.history(NAME)) == list(listing.history(NAME))
    assert numbers(storage) == [3]


def test_nothing_is_deleted_for_a_move_while_the_rows_may_be_incomplete(storage):
    write(storage, b"one")
    lose_the_database()

    with pytest.raises(PolicyError) as refused:
        make(storage).check(prepare=True)

    assert str(refused.value) == (
        "The rows were never compared with the bucket, or not to the end, so what has no row may have been saved. "
        "Run reindex first."
    )
    assert len(keys(storage)) == 1


def test_the_collector_takes_nothing_from_a_bucket_whose_database_was_lost(storage):
    for data in (b"1", b"2", b"3"):
        write(storage, data)
    with storage.open("large.bin", "wb") as file:
        file.write(b"x" * 9 * 1024**2)
    before = keys(storage)
    lose_the_database()
    backdate(storage)

    Collector(
        archive=storage.archive,
        policy=RetentionPolicy(keep_last=1),
        index_is_complete=storage.archive.index.is_complete,
    ).run(dry_run=False)

    assert keys(storage) == before


# The command


@pytest.fixture
def project(storage: ConsistentS3Storage, storage_options: dict[str, Any], settings: Any) -> None:
    options = {**storage_options, "index": "database", "index_database": ALIAS}
    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}


def run(*arguments: str) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("consistent_s3", "reindex", *arguments, "--no-color", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def test_the_command_says_what_it_did(project, storage):
    fill(storage)
    lose_the_database()

    out, err = run()

    assert (out, err) == ("default: 4 names, 8 keys; 0 known, 7 adopted\n", "")
    assert read(storage) == b"one"


def test_the_command_prints_json(project, storage):
    fill(storage)

    out, _ = run("--json", "--dry-run", "--storage", "default")

    assert json.loads(out) == {
        "default": {
            "dry_run": True,
            "names": 4,
            "scanned": 8,
            "known": 7,
            "adopted": 0,
            "deleted": 0,
            "hints": 0,
            "complete": True,
            "problems": {},
            "findings": [],
        }
    }


def test_the_command_fails_while_something_is_left_to_look_at(project, storage):
    write(storage, b"one")
    stray = roll_back(storage, b"lost")
    out, err = io.StringIO(), io.StringIO()

    with pytest.raises(CommandError) as failed:
        call_command("consistent_s3", "reindex", "--no-color", stdout=out, stderr=err)

    assert str(failed.value) == "Something is left to look at; see above. Running it again is safe."
    assert out.getvalue() == (
        "default: 1 names, 2 keys; 1 known, 0 adopted\n"
        "         1  no row: rolled back, on its way, or lost with a database\n"
        "  The collector keeps what has no row until a reindex ends without open questions.\n"
    )
    assert err.getvalue() == f"  {stray}: no row: rolled back, on its way, or lost with a database\n"


def test_the_command_is_content_once_it_was_said_what_they_are(project, storage):
    write(storage, b"one")
    stray = roll_back(storage, b"lost")

    out, err = run("--unknown", "garbage")

    assert out == (
        "default: 1 names, 2 keys; 1 known, 0 adopted\n"
        "         1  no row: rolled back, on its way, or lost with a database\n"
    )
    assert err == f"  {stray}: no row: rolled back, on its way, or lost with a database\n"


def test_the_command_prepares_a_move_to_the_listing(project, storage, listing):
    write(storage, b"one")
    storage.delete(NAME)
    reindex(storage)
    with pytest.raises(CommandError):
        call_command("consistent_s3", "reindex", "--check", stdout=io.StringIO(), stderr=io.StringIO())

    out, _ = run("--prepare-listing")

    assert out == "default: 1 names, 2 keys; 2 known, 0 adopted\n  0 objects without a row deleted, 1 hints written\n"
    assert run("--check")[0] == "default: 1 names, 3 keys; 2 known, 0 would be adopted\n"
    assert listing.listdir("dir") == ([], [])


def test_the_command_tells_of_a_database_that_fails(project, monkeypatch):
    def fails(*_: Any) -> None:
        raise OperationalError("no such table")

    monkeypatch.setattr(DatabaseIndex, "is_empty", property(fails))
    err = io.StringIO()

    with pytest.raises(CommandError):
        call_command("consistent_s3", "reindex", "--no-color", stdout=io.StringIO(), stderr=err)

    assert err.getvalue() == "default: no such table\n"


def test_a_terminal_is_told_how_far_it_is(project, storage):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    write(storage, b"one")
    err = Terminal()

    call_command("consistent_s3", "reindex", "--no-color", stdout=io.StringIO(), stderr=err)

    assert err.getvalue() == "  1 names, 1 keys, 0 adopted\r"


def keys(storage: ConsistentS3Storage) -> list[str]:
    return [info.key for info in every_object(storage.archive.store, "")]


def numbers(storage: ConsistentS3Storage, name: str = NAME) -> list[int]:
    return [version.number for version in storage.history(name)]


def restore_backup(*, to: int) -> None:
    """Take the rows back to when a version was the newest."""
    StoredVersion.objects.using(ALIAS).filter(number__gt=to).delete()
    StoredObject.objects.using(ALIAS).update(newest=to)


def backdate(storage: ConsistentS3Storage, *, only: str = "") -> None:
    from moto.s3.models import s3_backends

    for name, key in s3_backends[ACCOUNT]["aws"].buckets[storage.bucket_name].keys.items():
        if not only or name == only:
            key.last_modified = datetime(2020, 1, 1, tzinfo=UTC).replace(tzinfo=key.last_modified.tzinfo)


class Between:
    """A store where something happens between a listing and what comes after it."""

    def __init__(self, inner: Any, *, after_listing: Callable[[], object] = lambda: None, hidden: str = "") -> None:
        self._inner, self._after, self._hidden = inner, after_listing, hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def list(self, *arguments: Any, **options: Any) -> Any:
        page = self._inner.list(*arguments, **options)
        self._after()
        return replace(page, objects=tuple(info for info in page.objects if info.key != self._hidden))


def reindex_with(storage: ConsistentS3Storage, **happens: Any) -> Summary:
    archive = replace(storage.archive, store=Between(storage.archive.store, **happens))
    return Reindexer(archive=archive, index=storage.make_database_index(archive.layout)).run()


def test_what_is_collected_between_the_listing_and_its_head_is_passed_over(storage):
    write(storage, b"one")
    version = write(storage, b"two", "b.txt")
    lose_the_database()

    summary = reindex_with(storage, after_listing=lambda: storage.archive.store.delete([version.key]))

    assert (summary.adopted, summary.problems, summary.complete) == (1, {}, True)
    assert storage.current("b.txt") is None


def test_a_listing_that_does_not_show_an_object_yet_is_no_reason_to_miss_it(storage):
    version = write(storage, b"one")

    summary = reindex_with(storage, hidden=version.key)

    assert (summary.problems, summary.complete) == ({}, True)
    assert read(storage) == b"one"


def test_an_older_version_without_a_row_is_reported_since_it_may_have_been_collected(storage):
    first = write(storage, b"one")
    write(storage, b"two")
    StoredVersion.objects.using(ALIAS).filter(number=1).delete()

    summary = reindex(storage)

    assert problems(summary) == {first.key: "BEFORE_NEWEST"}
    assert [version.number for version in storage.history(NAME)] == [2]
