"""The storage with `index="database"`: a save becomes current with the transaction, and questions cost no request."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.db import OperationalError, connections, transaction

from consistent_s3.core.collector import Collector
from consistent_s3.core.errors import ConflictError, OutcomeUnknownError, PolicyError
from consistent_s3.core.retention import Circumstances, RetentionPolicy
from consistent_s3.core.seams import every_object
from consistent_s3.index.database import DatabaseIndex
from consistent_s3.models import StoredObject, StoredVersion
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing import assert_requests
from tests import databases
from tests.databases import ALIAS, KINDS, SERVERS, in_a_thread
from tests.seeding import ACCOUNT

NAME = "dir/a.txt"
WAIT = 60
"""Seconds after which a thread that waits for another is a failure."""
WEEK = timedelta(days=7)


class OopsError(Exception):
    """What makes a transaction roll back."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """Make a transaction of the block, and roll it back at its end."""
    with suppress(OopsError), transaction.atomic(using=ALIAS):
        yield
        raise OopsError


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def alias(kind: str, tmp_path: Path, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(kind, tmp_path) as alias:
        yield alias


@pytest.fixture
def storage(alias: str, make_storage: Callable[..., ConsistentS3Storage]) -> ConsistentS3Storage:
    # The last of 16 may be beaten for longer than 30 seconds on a machine under load.
    return make_storage(index="database", index_database=alias, patience=600)


on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
on_servers = pytest.mark.parametrize("kind", SERVERS, indirect=True)


def write(storage: ConsistentS3Storage, data: bytes, name: str = NAME, **more: Any) -> int:
    return storage.write(name, ContentFile(data), **more).number


def read(storage: ConsistentS3Storage, name: str = NAME) -> bytes:
    with storage.open(name) as file:
        return file.read()


def numbers(storage: ConsistentS3Storage, name: str = NAME) -> list[int]:
    return [version.number for version in storage.history(name)]


def keys(storage: ConsistentS3Storage) -> list[str]:
    return [info.key for info in every_object(storage.archive.store, "")]


def backdate(storage: ConsistentS3Storage, age: timedelta = WEEK) -> None:
    """Make everything in the bucket, and what the rows tell of it, older."""
    from moto.s3.models import s3_backends

    for key in s3_backends[ACCOUNT]["aws"].buckets[storage.bucket_name].keys.values():
        key.last_modified -= age
    for version in StoredVersion.objects.using(ALIAS):
        version.modified -= age
        version.save(using=ALIAS)


def collect(storage: ConsistentS3Storage, *, complete: bool = True, **policy: Any) -> dict[str, int]:
    collector = Collector(archive=storage.archive, policy=RetentionPolicy(**policy), index_is_complete=complete)
    return {str(reason): count for reason, count in collector.run(dry_run=False).reasons.items()}


# What it costs


@on_sqlite
def test_each_operation_costs_what_the_budget_says(storage, django_assert_max_num_queries):
    with assert_requests(storage, PUT=1):
        write(storage, b"one")
    with assert_requests(storage, PUT=1):
        storage.save(NAME, ContentFile(b"two"))
    with assert_requests(storage, GET=1):
        assert read(storage) == b"two"
    with assert_requests(storage, GET=1), storage.open(NAME, version=1) as file:
        assert file.read() == b"one"
    with assert_requests(storage):
        assert storage.exists(NAME)
        assert storage.size(NAME) == 3
        assert storage.get_modified_time(NAME) <= datetime.now(UTC) + timedelta(seconds=2)
        assert "9999999999999999997-" in storage.url(NAME)
        assert storage.listdir("") == (["dir"], [])
        assert storage.listdir("dir") == ([], ["a.txt"])
        assert numbers(storage) == [2, 1]
        assert storage.version(NAME, 1).original_name == "a.txt"
        assert not storage.exists("missing")
    with assert_requests(storage, GET=1, PUT=1):
        storage.restore(NAME, 1)
    with assert_requests(storage, PUT=1):
        storage.delete(NAME)
    with assert_requests(storage):
        assert storage.delete(NAME) is None
        assert not storage.exists(NAME)
        assert storage.listdir("dir") == ([], [])
    with assert_requests(storage, GET=1, PUT=1):
        storage.undelete(NAME)
    assert read(storage) == b"one"


@on_sqlite
def test_an_empty_file_costs_no_request_to_open(storage):
    write(storage, b"")

    with assert_requests(storage), storage.open(NAME) as file:
        assert file.read() == b""
    with assert_requests(storage):
        assert storage.exists(NAME)


@on_sqlite
def test_the_first_64_kib_of_a_large_file_cost_one_range(storage):
    data = bytes(range(256)) * 16 * 1024
    write(storage, data)

    with assert_requests(storage, GET=1) as log, storage.open(NAME) as file:
        assert file.read(64 * 1024) == data[: 64 * 1024]

    assert log.ranges == ["bytes=0-262143"]


@on_sqlite
def test_a_streamed_body_costs_one_get(storage):
    data = b"0123456789abcdef" * 1024 * 1024
    with storage.open(NAME, "wb") as file:
        file.write(data)

    with assert_requests(storage, GET=1):
        assert read(storage) == data

    version = storage.version(NAME)
    assert (version.size, version.body_key != version.key) == (len(data), True)


@on_sqlite
def test_queries_do_not_grow_with_the_history(storage, django_assert_num_queries):
    for _ in range(5):
        write(storage, b"x")

    with django_assert_num_queries(1, using=ALIAS):
        read(storage)
    with django_assert_num_queries(1, using=ALIAS):
        storage.url(NAME)
    with django_assert_num_queries(8, using=ALIAS):  # newest; BEGIN, SAVEPOINT, lock, insert, update, RELEASE, COMMIT
        write(storage, b"y")


# Transactions


def test_a_save_becomes_current_with_the_transaction(storage, kind):
    write(storage, b"one")

    with transaction.atomic(using=ALIAS):
        write(storage, b"two")
        inside = read(storage), storage.size(NAME), numbers(storage)
        if kind == "sqlite":
            outside = b"one"  # in SQLite a reader may have to wait for the writer
        else:
            with ThreadPoolExecutor() as pool:
                outside = pool.submit(in_a_thread(read, storage)).result(WAIT)

    assert inside == (b"two", 3, [2, 1])
    assert outside == b"one"
    assert read(storage) == b"two"


def test_a_rollback_leaves_the_file_as_it_was_and_an_object_for_the_collector(storage):
    write(storage, b"one")

    with rolled_back():
        write(storage, b"lost")
        write(storage, b"lost, too", "dir/new.txt")
        storage.delete(NAME)

    assert (read(storage), numbers(storage)) == (b"one", [1])
    assert storage.listdir("dir") == ([], ["a.txt"])
    assert len(keys(storage)) == 4
    young = collect(storage)
    assert young == {"current": 1, "grace": 3}
    backdate(storage)
    incomplete = collect(storage, complete=False)
    assert incomplete == {"current": 1, "the index does not know it and may be incomplete: run reindex": 3}
    old = collect(storage)
    assert old == {"current": 1, "the index does not know it": 3}
    assert keys(storage) == [storage.version(NAME).key]
    assert read(storage) == b"one"


def test_a_number_that_was_rolled_back_is_taken_again_with_other_bytes(storage):
    with rolled_back():
        write(storage, b"lost")

    number = write(storage, b"kept")

    assert (number, read(storage)) == (1, b"kept")


def test_savepoints_work(storage):
    with transaction.atomic(using=ALIAS):
        write(storage, b"one")
        with rolled_back():
            write(storage, b"lost")
        between = read(storage)
        with transaction.atomic(using=ALIAS):
            write(storage, b"two")

    assert between == b"one"
    assert (read(storage), numbers(storage)) == (b"two", [2, 1])


@on_servers
@pytest.mark.parametrize("ends_well", [True, False], ids=["commits", "rolls back"])
@pytest.mark.parametrize("existed", [True, False], ids=["a file", "a new name"])
def test_of_two_transactions_that_replace_one_file_the_second_waits_and_is_written_on_top(storage, ends_well, existed):
    if existed:
        write(storage, b"zero")
    saved, begun = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic(using=ALIAS):
            write(storage, b"first")
            saved.set()
            assert begun.wait(WAIT)
            assert not connections[ALIAS].needs_rollback
            if not ends_well:
                raise OopsError

    def second() -> None:
        with transaction.atomic(using=ALIAS):
            seen = storage.exists(NAME)  # a snapshot, where transactions have one
            assert saved.wait(WAIT)
            begun.set()
            write(storage, b"second")
            assert read(storage) == b"second"
            assert seen == existed

    with ThreadPoolExecutor() as pool:
        errors = [future.exception(WAIT) for future in [pool.submit(in_a_thread(work)) for work in (first, second)]]

    assert [type(error) for error in errors] == [type(None) if ends_well else OopsError, type(None)]
    history = {version.number: storage.open(NAME, version=version).read() for version in storage.history(NAME)}
    expected = [b"zero"] * existed + [b"first"] * ends_well + [b"second"]
    assert history == dict(reversed(list(enumerate(expected, 1))))
    assert read(storage) == b"second"


@on_servers
def test_of_two_transactions_that_expect_one_number_the_second_is_told(storage):
    write(storage, b"one")
    saved, begun = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic(using=ALIAS):
            write(storage, b"first", expected=1)
            saved.set()
            assert begun.wait(WAIT)

    def second() -> None:
        with transaction.atomic(using=ALIAS):
            assert storage.version(NAME).number == 1
            assert saved.wait(WAIT)
            begun.set()
            write(storage, b"second", expected=1)

    with ThreadPoolExecutor() as pool:
        errors = [future.exception(WAIT) for future in [pool.submit(in_a_thread(work)) for work in (first, second)]]

    assert errors[0] is None
    assert isinstance(errors[1], ConflictError)
    assert str(errors[1]) == "Version 2 of 'dir/a.txt' is current, but 1 was expected. Read version 2 and decide again."
    assert (read(storage), numbers(storage)) == (b"first", [2, 1])


def test_16_threads_that_write_one_new_name_lose_nothing(storage):
    taken = race(storage, lambda number: write(storage, b"%d" % number))

    assert sorted(taken) == list(range(1, 17))
    assert {version.number: storage.open(NAME, version=version).read() for version in storage.history(NAME)} == taken


@on_servers
def test_16_transactions_that_write_one_new_name_lose_nothing(storage):
    def one(number: int) -> int:
        with transaction.atomic(using=ALIAS):
            return write(storage, b"%d" % number)

    taken = race(storage, one)

    assert sorted(taken) == list(range(1, 17))
    assert {version.number: storage.open(NAME, version=version).read() for version in storage.history(NAME)} == taken


def race(storage: ConsistentS3Storage, one: Callable[[int], int]) -> dict[int, bytes]:
    """Let 16 threads write at once; return the version that each was told it wrote, and its bytes."""
    ready = threading.Barrier(16)

    def wait_and_write(number: int) -> int:
        ready.wait(WAIT)
        return one(number)

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(in_a_thread(wait_and_write, number)) for number in range(16)]
        return {future.result(300): b"%d" % number for number, future in enumerate(futures)}


def test_of_16_threads_that_expect_no_file_one_wins(storage):
    ready = threading.Barrier(16)

    def one(number: int) -> int:
        ready.wait(WAIT)
        return write(storage, b"%d" % number, expected=0)

    with ThreadPoolExecutor(16) as pool:
        futures = [pool.submit(in_a_thread(one, number)) for number in range(16)]
        errors = [future.exception(300) for future in futures]

    assert [type(error) for error in errors].count(type(None)) == 1
    assert all(isinstance(error, ConflictError) for error in errors if error is not None)
    assert numbers(storage) == [1]


@on_sqlite
def test_a_locked_sqlite_is_tried_again(storage):
    connections.settings[ALIAS]["OPTIONS"]["timeout"] = 0
    write(storage, b"one")
    locked, tried = threading.Event(), threading.Event()

    def hold() -> None:
        connection = connections[ALIAS]
        with connection.cursor() as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            locked.set()
            assert tried.wait(WAIT)
            cursor.execute("ROLLBACK")

    real = DatabaseIndex._advance

    def advance(self: Any, *arguments: Any, **more: Any) -> None:
        try:
            real(self, *arguments, **more)
        except OperationalError:
            tried.set()
            raise

    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor() as pool:
        patch.setattr(DatabaseIndex, "_advance", advance)
        holding = pool.submit(in_a_thread(hold))
        assert locked.wait(WAIT)
        number = pool.submit(in_a_thread(write, storage, b"two")).result(WAIT)
        holding.result(WAIT)

    assert tried.is_set()
    assert (number, read(storage)) == (2, b"two")


# Answers that do not come


def losing(patch: pytest.MonkeyPatch, *, commits: bool, answers_again: bool = True) -> None:
    """Cut the connection at the commit: after it was done, or before."""
    connection = connections[ALIAS]
    real = connection.commit

    def commit() -> None:
        patch.undo()
        if commits:
            real()
        kill(connection)
        if not answers_again:
            patch.setattr(DatabaseIndex, "at", unreachable)
        real()
        raise OperationalError("the answer is lost")

    patch.setattr(connection, "commit", commit)


def unreachable(*_: Any) -> None:
    raise OperationalError("nobody answers")


def kill(connection: Any) -> None:
    """End the connection of one session, as a restarted server or a firewall does."""
    server = databases.connect(connection.vendor)
    if connection.vendor == "postgresql":
        pid = connection.connection.info.backend_pid
        server.execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    else:
        with server.cursor() as cursor:
            cursor.execute("KILL CONNECTION %s", [connection.connection.thread_id()])
    server.close()


@on_servers
def test_a_commit_whose_answer_was_lost_and_that_is_found_is_a_save(storage, monkeypatch):
    write(storage, b"one")

    losing(monkeypatch, commits=True)
    number = write(storage, b"two")

    assert (number, read(storage), numbers(storage)) == (2, b"two", [2, 1])


@on_servers
@pytest.mark.parametrize(("commits", "answers_again"), [(False, True), (True, False)], ids=["not found", "no answer"])
def test_a_commit_that_nobody_can_tell_of_is_an_error_of_its_own(storage, monkeypatch, commits, answers_again):
    write(storage, b"one")

    losing(monkeypatch, commits=commits, answers_again=answers_again)
    with pytest.raises(OutcomeUnknownError) as unknown:
        write(storage, b"two")
    monkeypatch.undo()

    assert (unknown.value.name, unknown.value.number) == (NAME, 2)
    assert str(unknown.value).startswith("Nobody can say whether version 2 of 'dir/a.txt' was committed: the database")
    expected = [2, 1] if commits else [1]
    assert numbers(storage) == expected
    found = [version.number for version in storage.history(NAME) if version.details.write_id == unknown.value.write_id]
    assert found == [2] * commits
    assert len(keys(storage)) == 2


@on_servers
def test_a_connection_that_breaks_before_the_commit_is_an_error_and_changes_nothing(storage, monkeypatch):
    write(storage, b"one")
    real = DatabaseIndex._locked

    def locked(self: Any, *arguments: Any, **more: Any) -> Any:
        monkeypatch.undo()
        kill(connections[ALIAS])
        return real(self, *arguments, **more)

    monkeypatch.setattr(DatabaseIndex, "_locked", locked)
    with pytest.raises(OperationalError):
        write(storage, b"two")
    connections[ALIAS].close()

    assert (read(storage), numbers(storage)) == (b"one", [1])


# Erasing and collecting


@on_sqlite
def test_a_large_version_is_collected_together_with_its_body(storage):
    for _ in range(2):
        with storage.open(NAME, "wb") as file:
            file.write(b"x" * 9 * 1024**2)
    backdate(storage)

    collect(storage, keep_last=1)

    assert numbers(storage) == [2]
    assert len(keys(storage)) == 2


def test_erasing_forgets_the_rows_and_removes_the_objects_but_keeps_the_tombstone(storage):
    write(storage, b"one")
    write(storage, b"two")
    with rolled_back():
        write(storage, b"rolled back")
    with storage.open(NAME, "wb") as file:
        file.write(b"x" * 9 * 1024**2)
    write(storage, b"beside", "dir/a.txt2")

    receipt = storage.erase(NAME)

    assert (receipt.versions, receipt.failures, receipt.tombstone) == (4, (), 4)
    assert receipt.size == 6 + 11 + 9 * 1024**2
    [tombstone] = storage.history(NAME)
    assert (tombstone.number, tombstone.tombstone) == (4, True)
    assert keys(storage) == [tombstone.key, storage.version("dir/a.txt2").key]
    assert write(storage, b"again") == 5


def test_erasing_again_changes_nothing(storage):
    write(storage, b"one")
    storage.erase(NAME)

    receipt = storage.erase(NAME)

    assert (receipt.versions, receipt.tombstone, numbers(storage)) == (0, 2, [2])


def test_an_erasure_that_was_killed_is_finished_by_the_next(storage, monkeypatch):
    write(storage, b"one")
    monkeypatch.setattr(type(storage.archive.store), "delete", unreachable)
    with pytest.raises(OperationalError):
        storage.erase(NAME)
    monkeypatch.undo()
    between = numbers(storage), len(keys(storage))

    receipt = storage.erase(NAME)

    assert between == ([2], 2)
    assert (receipt.versions, len(keys(storage))) == (1, 1)


def test_nothing_is_collected_in_a_transaction(storage):
    write(storage, b"1")
    write(storage, b"2")
    backdate(storage)

    with pytest.raises(PolicyError, match="collect outside of transactions"), transaction.atomic(using=ALIAS):
        collect(storage, keep_last=1)

    assert (numbers(storage), len(keys(storage))) == ([2, 1], 2)


def test_nothing_is_erased_in_a_transaction(storage):
    write(storage, b"one")

    with pytest.raises(PolicyError), transaction.atomic(using=ALIAS):
        storage.erase(NAME)

    assert (read(storage), numbers(storage)) == (b"one", [1])


def test_the_policy_decides_by_the_rows(storage):
    for data in (b"1", b"2", b"3", b"4"):
        write(storage, data)
    backdate(storage)
    write(storage, b"5")

    reasons = collect(storage, keep_last=2)

    assert reasons == {"current": 1, "keep_last": 1, "superseded, and no rule keeps it": 3}
    assert numbers(storage) == [5, 4]
    assert sorted(keys(storage)) == sorted(version.key for version in storage.history(NAME))


def test_what_a_row_points_to_stays(storage):
    for data in (b"1", b"2", b"3"):
        write(storage, data)
    backdate(storage)

    collector = Collector(
        archive=storage.archive,
        policy=RetentionPolicy(keep_last=1),
        circumstances=lambda names: {
            NAME: Circumstances(policy=RetentionPolicy(keep_last=1), referenced=frozenset({1}))
        },
    )
    collector.run(dry_run=False)

    assert numbers(storage) == [3, 1]


def test_a_tombstone_with_nothing_under_it_goes_and_so_does_the_name(storage):
    write(storage, b"one")
    storage.delete(NAME)
    backdate(storage)

    first = collect(storage, keep_for=timedelta(0), tombstone_for=timedelta(0))
    between = numbers(storage)
    second = collect(storage, keep_for=timedelta(0), tombstone_for=timedelta(0))

    assert first == {"deleted, and no rule keeps it": 1, "versions under the tombstone are left": 1}
    assert between == [2]
    assert second == {"a tombstone with nothing under it": 1}
    assert keys(storage) == []
    assert not StoredObject.objects.using(ALIAS).exists()
    assert storage.listdir("") == ([], [])


def test_a_collector_that_dies_between_objects_and_rows_is_finished_by_the_next(storage, monkeypatch):
    """The row goes after its object, so that what the store refuses to delete stays known."""
    write(storage, b"1")
    write(storage, b"2")
    backdate(storage)
    monkeypatch.setattr(type(storage.archive.index), "forget", unreachable)
    with pytest.raises(OperationalError):
        collect(storage, keep_last=1)
    monkeypatch.undo()
    between = numbers(storage), len(keys(storage))

    reasons = collect(storage, keep_last=1)

    assert between == ([2, 1], 1)
    assert reasons == {"current": 1, "superseded, and no rule keeps it": 1}
    assert numbers(storage) == [2]
    assert keys(storage) == [storage.version(NAME).key]


# Where the rows are


@on_sqlite
def test_the_routers_choose_the_database_unless_the_option_does(storage, make_storage, settings):
    class Router:
        def db_for_write(self, model: Any, **hints: Any) -> str:
            return ALIAS

        db_for_read = db_for_write

    settings.DATABASE_ROUTERS = [Router()]
    routed = make_storage(index="database")

    write(routed, b"one")

    assert routed.archive.index.using == ALIAS
    assert storage.archive.index.using == ALIAS
    assert read(storage) == b"one"
    assert make_storage(index="database", index_database="default").archive.index.using == "default"


@on_sqlite
def test_two_locations_of_one_bucket_keep_their_names_apart(storage, make_storage):
    beside = make_storage(index="database", index_database=ALIAS, location="beside")
    write(storage, b"one")

    assert not beside.exists(NAME)
    assert write(beside, b"other") == 1
    assert storage.listdir("") == (["dir"], [])
    assert read(storage) == b"one"


def test_without_the_app_the_index_is_refused(make_storage, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app not in {"consistent_s3", "tests.archive"}]

    with pytest.raises(ImproperlyConfigured) as refused:
        _ = make_storage(index="database").archive

    assert str(refused.value) == (
        "index 'database' needs the tables of this app. Add 'consistent_s3' to INSTALLED_APPS and migrate, or "
        "set index to 'listing'."
    )


@on_sqlite
def test_the_database_is_the_index_unless_another_is_named(alias, storage_options):
    options = {name: value for name, value in storage_options.items() if name != "index"}
    unnamed = ConsistentS3Storage(**options, index_database=alias)

    assert isinstance(unnamed.archive.index, DatabaseIndex)
    assert not isinstance(ConsistentS3Storage(**options, index="listing").archive.index, DatabaseIndex)


def test_without_the_app_the_listing_is_the_index(storage_options, settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app not in {"consistent_s3", "tests.archive"}]
    options = {name: value for name, value in storage_options.items() if name != "index"}

    assert ConsistentS3Storage(**options).index_kind == "listing"
