"""Collections that are cut, stopped, refused, taken over and killed at any point."""

from __future__ import annotations

import io
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.files.base import ContentFile
from django.core.files.storage import storages
from django.db import connection, connections, models
from django.utils import timezone

from consistent_s3 import journal, leftovers, runs, turns
from consistent_s3.clients import shared_client
from consistent_s3.collection import collect_garbage
from consistent_s3.core import collector as collecting
from consistent_s3.core.errors import AccessDeniedError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import Reason
from consistent_s3.core.seams import Attributes, DeleteFailure, PutMode
from consistent_s3.core.versions import Details
from consistent_s3.errors import CollectionRefusedError, CollectionRunningError
from consistent_s3.journal import LeaseLostError, SliceJournal
from consistent_s3.models import CollectedObject, CollectionRun, CollectionSlice, StoredObject, StoredVersion
from consistent_s3.runs import Order
from consistent_s3.signals import collection_finished
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.storage import InMemoryConsistentStorage
from tests import databases
from tests.seeding import seed

State = CollectionRun.State
DAY = timedelta(days=1)
OLD = 9 * DAY


class KilledError(BaseException):
    """What SIGKILL is to a process."""


class Death:
    """Kills at the n-th thing that is done; nothing can be done by the dead."""

    def __init__(self, after: int | None = None) -> None:
        self.after = after
        self.done = 0
        self.is_dead = False

    def meet(self) -> None:
        if self.is_dead or self.done == self.after:
            self.is_dead = True
            raise KilledError
        self.done += 1

    def query(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        self.meet()
        return execute(sql, params, many, context)


class WatchedStore:
    """A bucket that counts, refuses keys, and whose callers die."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.death = Death()
        self.refuses: dict[str, tuple[str, str]] = {}
        self.sent: list[str] = []
        self.deleted: list[str] = []

    def delete(self, keys: Sequence[str]) -> list[DeleteFailure]:
        self.sent.append("delete")
        self.death.meet()
        refused = [key for key in keys if key in self.refuses]
        self.inner.delete([key for key in keys if key not in self.refuses])
        self.deleted.extend(keys)
        self.death.meet()
        return [DeleteFailure(key=key, code=self.refuses[key][0], message=self.refuses[key][1]) for key in refused]

    def __getattr__(self, word: str) -> Any:
        method = getattr(self.inner, word)
        if word not in {"list", "head", "move", "put", "get", "unfinished", "abort_upload"}:
            return method

        def request(*args: Any, **options: Any) -> Any:
            self.sent.append(word)
            self.death.meet()
            return method(*args, **options)

        return request


class WatchedStorage(InMemoryConsistentStorage):
    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.memory = self._store
        self.watched = WatchedStore(self._store)

    def make_object_store(self) -> Any:
        return self.watched


Configure = Callable[..., WatchedStorage]


@pytest.fixture
def configure(settings: Any) -> Configure:
    def configure(index: str = "listing", **retention: Any) -> WatchedStorage:
        options = {"index": index, "retention": {"keep_last": 1, **retention}}
        backend = f"{__name__}.WatchedStorage"
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
        return storages["default"]

    return configure


def put(storage: WatchedStorage, key: str, data: bytes = b"x") -> None:
    storage.memory.put(key, io.BytesIO(data), mode=PutMode.OVERWRITE, attributes=Attributes())


def fill(storage: WatchedStorage, names: int, versions: int = 3, by: timedelta = OLD) -> None:
    """Write versions, and let them grow old."""
    for name in range(names):
        for number in range(1, versions + 1):
            if storage.index_kind == "listing":
                put(storage, storage.archive.layout.version_key(f"d{name % 3}/{name:03}.txt", number))
            else:
                storage.write(f"d{name % 3}/{name:03}.txt", ContentFile(b"x"))
    grow_old(storage, by)


def grow_old(storage: WatchedStorage, by: timedelta = OLD) -> None:
    storage.memory.age(by)
    StoredVersion.objects.update(modified=models.F("modified") - by)


def rows_only() -> None:
    """Make it look as if strays had been looked for lately."""
    CollectionRun.objects.create(storage="default", place="memory/", state=State.DONE, started=timezone.now())


def last() -> CollectionRun:
    return CollectionRun.objects.latest("pk")


def lease_is_over(**which: Any) -> None:
    held = CollectionSlice.objects.filter(leased_until__isnull=False, **which)
    held.update(leased_until=timezone.now() - timedelta(seconds=1))


def without(summary: dict[str, Any], *words: str) -> dict[str, Any]:
    return {word: value for word, value in summary.items() if word not in words}


# Claiming


class _Router:
    """Sends everything to the database under test."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return databases.ALIAS

    db_for_write = db_for_read


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def elsewhere(request: Any, tmp_path: Path, settings: Any, django_db_blocker: Any) -> Iterator[str]:
    """Keep all tables in a database of their own, to which threads connect."""
    with django_db_blocker.unblock(), databases.made(request.param, tmp_path) as alias:
        with connections[alias].schema_editor() as editor:
            for model in apps.get_app_config("archive").get_models():
                if not model._meta.proxy:
                    editor.create_model(model)
        settings.DATABASE_ROUTERS = [_Router()]
        yield alias


def test_each_slice_is_claimed_by_one_of_many(elsewhere, configure):
    run = runs.begin("default", configure(), Order())
    CollectionSlice.objects.bulk_create(CollectionSlice(run=run, after=str(place)) for place in range(11))
    claimed: list[int] = []
    together = threading.Barrier(4)

    def claim() -> None:
        mine = CollectionRun.objects.get(pk=run.pk)
        together.wait()
        while (found := runs.claim(mine)) is not None:
            claimed.append(found.pk)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(databases.in_a_thread(claim)) for _ in range(4)]:
            future.result()

    # One that lost every race sees nothing free any more, so all are claimed, and none twice.
    assert sorted(claimed) == sorted(run.slices.values_list("pk", flat=True))


def test_two_who_begin_at_once_begin_one_run(elsewhere, configure):
    storage = configure()
    storage.archive  # noqa: B018 - made before there are threads
    together = threading.Barrier(4)

    def begin() -> int:
        together.wait()
        return runs.begin("default", storage, Order()).pk

    with ThreadPoolExecutor(4) as pool:
        begun = [future.result() for future in [pool.submit(databases.in_a_thread(begin)) for _ in range(4)]]

    assert begun == [CollectionRun.objects.get().pk] * 4
    assert CollectionSlice.objects.count() == 1


def test_workers_side_by_side_end_a_run_once_with_exact_totals(elsewhere, configure, monkeypatch):
    monkeypatch.setattr(collecting, "NAMES", 3)
    monkeypatch.setattr(collecting, "DELETE_BATCH", 5)
    storage = configure(max_delete_ratio=1)
    fill(storage, 60)
    run = runs.begin("default", storage, Order())
    ended: list[int] = []

    def heard(run: CollectionRun, **_: Any) -> None:
        ended.append(run.pk)

    def go_on() -> None:
        mine = CollectionRun.objects.get(pk=run.pk)
        while mine.is_active:
            claimed = runs.claim(mine)
            if claimed is not None:
                runs.work(claimed, storage, seconds=0)
            else:
                runs.settle(mine, storage)
            mine.refresh_from_db()

    collection_finished.connect(heard)
    try:
        with ThreadPoolExecutor(3) as pool:
            for future in [pool.submit(databases.in_a_thread(go_on)) for _ in range(3)]:
                future.result()
    finally:
        collection_finished.disconnect(heard)

    run.refresh_from_db()
    assert (run.state, ended) == (State.DONE, [run.pk])
    assert {word: run.summary[word] for word in ("names", "scanned", "kept", "deleted")} == {
        "names": 60,
        "scanned": 180,
        "kept": 60,
        "deleted": 120,
    }
    assert len(storage.memory.keys) == 60
    assert sorted(storage.watched.deleted) == sorted(set(storage.watched.deleted))


@pytest.mark.django_db
def test_a_slice_whose_lease_is_over_is_taken_over_and_its_former_owner_counts_nothing(configure):
    run = runs.begin("default", configure(), Order())
    former = runs.claim(run)
    assert former is not None
    assert runs.claim(run) is None
    assert not runs.is_left(run)
    lease_is_over()
    assert runs.is_left(run)

    latter = runs.claim(run)

    assert latter is not None
    assert (latter.pk, latter.turns) == (former.pk, 2)
    late = SliceJournal(slice=former, tells=True)
    fate = Fate(name="a", key="a", size=1, goes=True, reason=Reason.SUPERSEDED)
    for note in (lambda: late.intend([fate]), lambda: late.done("end", Summary(dry_run=False, deleted=1), [fate])):
        with pytest.raises(LeaseLostError, match=r"^Another worker goes on with this slice\.$"):
            note()
    latter.refresh_from_db()
    assert (latter.counted, latter.intended, latter.cursor) == ({}, [], "")
    assert not CollectedObject.objects.exists()


@pytest.mark.django_db
def test_a_worker_that_was_taken_for_dead_leaves_the_slice_to_the_other(configure, caplog):
    storage = configure(max_delete_ratio=1)
    fill(storage, 3)
    run = runs.begin("default", storage, Order())
    claimed = runs.claim(run)
    assert claimed is not None
    CollectionSlice.objects.update(owner="another")

    assert runs.work(claimed, storage) == 0

    assert len(storage.memory.keys) == 9
    assert CollectionSlice.objects.get().owner == "another"
    assert "another worker goes on with a slice" in caplog.text


@pytest.mark.django_db
def test_signs_of_life_keep_a_lease_and_cost_few_queries(configure, django_assert_num_queries, monkeypatch):
    claimed = runs.claim(runs.begin("default", configure(), Order()))
    assert claimed is not None
    note = SliceJournal(slice=claimed)
    with django_assert_num_queries(0):
        for _ in range(1000):
            note.alive()
    monkeypatch.setattr(note, "_sign_due", timezone.now())
    lease_is_over()

    with django_assert_num_queries(1):
        note.alive()
        note.alive()

    claimed.refresh_from_db()
    assert claimed.leased_until is not None
    assert claimed.leased_until > timezone.now() + journal.LEASE / 2


# Death


@contextmanager
def small_batches() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(collecting, "NAMES", 3)
        patch.setattr(collecting, "DELETE_BATCH", 4)
        yield


def living(storage: WatchedStorage, death: Death) -> bool:
    """Collect until the end or until death; return whether it is the end."""
    storage.watched.death = death
    try:
        with small_batches(), connection.execute_wrapper(death.query):
            collect_garbage("default")
    except KilledError:
        return False
    finally:
        storage.watched.death = Death()
        lease_is_over()
    return True


def doomed_world(configure: Configure, kind: str) -> WatchedStorage:
    storage = configure("listing" if kind == "listing" else "database")
    CollectionRun.objects.all().delete()
    StoredObject.objects.all().delete()
    if kind == "rows":
        rows_only()
    fill(storage, 6, versions=3)
    fill_one_with_many(storage)
    refused = [key for key in storage.memory.keys if "/many.txt" in key or "/003.txt" in key]
    storage.watched.refuses = {
        refused[1]: ("InternalError", "We encountered an internal error."),
        refused[-2]: ("AccessDenied", "Access Denied because object protected by object lock."),
        refused[-1]: ("SlowDown", "Reduce your request rate."),
    }
    put(storage, "d1/foreign.jpg")
    put(storage, "zz/foreign.jpg")
    return storage


def fill_one_with_many(storage: WatchedStorage) -> None:
    for number in range(1, 10):
        if storage.index_kind == "listing":
            put(storage, storage.archive.layout.version_key("d1/many.txt", number))
        else:
            storage.write("d1/many.txt", ContentFile(b"x"))
    storage.memory.age(OLD)
    StoredVersion.objects.update(modified=timezone.now() - OLD)


def outcome(storage: WatchedStorage) -> tuple[Any, ...]:
    run = CollectionRun.objects.exclude(policy={}).order_by("pk")[0]
    summary = without(run.summary, "errors")
    errors = sorted((error["key"].rpartition("/")[2], error["code"]) for error in run.summary["errors"])
    names = [(version.stored_object.name, version.number) for version in StoredVersion.objects.all()]
    keys = [key.rpartition("-")[0] if storage.index_kind == "database" else key for key in storage.memory.keys]
    return run.state, summary, [code for _, code in errors], without(run.planned, "errors"), sorted(names), keys


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", ["listing", "rows", "rows and bucket"])
def test_killed_anywhere_it_is_gone_on_with_and_counted_exactly(configure, kind):
    """At each query and each request in turn: before a batch is noted, after, before it is counted, and so forth."""
    expected_world = doomed_world(configure, kind)
    whole = Death()
    assert living(expected_world, whole)
    expected = outcome(expected_world)
    assert (expected[0], expected[1]["error_count"], expected[1]["reasons"][Reason.LOCKED]) == (State.DONE, 2, 1)
    step = 1 if kind == "listing" else 5

    for point in range(0, whole.done, step):
        storage = doomed_world(configure, kind)
        assert not living(storage, Death(point)), point

        assert living(storage, Death()), point

        assert outcome(storage) == expected, f"killed at {point} of {whole.done}"
        # A batch is sent again at most, and what the store refused.
        again = len(storage.watched.deleted) - len(set(storage.watched.deleted))
        assert again <= 4 + 3, point


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("seed", range(8))
def test_killed_again_and_again_it_ends_and_is_counted_exactly(configure, seed):
    chance = random.Random(seed)
    expected_world = doomed_world(configure, "listing")
    assert living(expected_world, Death())
    expected = outcome(expected_world)
    storage = doomed_world(configure, "listing")

    for _ in range(200):
        if living(storage, Death(chance.randrange(8, 40))):
            break

    assert outcome(storage) == expected


@pytest.mark.django_db
def test_the_place_that_is_noted_does_not_lag_behind_where_little_goes(configure, monkeypatch):
    """One version goes, of the first name: it does not wait for a full batch until the end of the bucket."""
    monkeypatch.setattr(collecting, "NAMES", 2)
    monkeypatch.setattr(collecting, "PASSED", 10)
    storage = configure(max_delete_ratio=1)
    fill(storage, 40, versions=1)
    put(storage, storage.archive.layout.version_key("a.txt", 1))
    put(storage, storage.archive.layout.version_key("a.txt", 2))
    grow_old(storage)
    noted: list[str] = []

    def note(_: CollectionRun) -> None:
        noted.append(CollectionSlice.objects.get().cursor)

    collect_garbage("default", progress=note)

    assert noted[:4] == [""] * 4
    assert len(set(noted[5:])) == len(noted[5:]) == 15


# Refusing, approving


def planned_too_much(configure: Configure, **retention: Any) -> WatchedStorage:
    storage = configure(max_delete_ratio=0.5, **retention)
    fill(storage, 4)
    return storage


@pytest.mark.django_db
def test_where_too_much_would_go_nothing_goes_and_the_message_says_what_to_do(configure):
    storage = planned_too_much(configure)
    before = list(storage.memory.keys)

    with pytest.raises(CollectionRefusedError) as caught:
        collect_garbage("default")

    run = last()
    assert str(caught.value) == run.message
    assert run.message == (
        "8 of 12 objects would go, more than 50 %. Nothing was deleted. Look at the plan "
        f"(run {run.pk} in the admin, or collect --dry-run). If it is what you want, approve it there, or collect "
        "with --max-delete-ratio 1; if not, correct the retention policy."
    )
    assert (run.state, run.active, run.planned["deleted"], run.summary) == (State.REFUSED, None, 8, {})
    assert list(storage.memory.keys) == before
    assert "delete" not in storage.watched.sent
    assert CollectedObject.objects.filter(run=run).count() == 8


@pytest.mark.django_db
def test_a_refusal_is_not_logged_as_a_collection(configure, caplog):
    planned_too_much(configure)

    with caplog.at_level("INFO", logger="consistent_s3.collection"), pytest.raises(CollectionRefusedError):
        collect_garbage("default")

    told, warned = caplog.messages
    assert told == "planned default: 8 of 12 keys, 8 bytes, 0 errors"
    assert "Nothing was deleted." in warned


@pytest.mark.django_db
@pytest.mark.parametrize(("names", "refused"), [(500, False), (501, True)])
def test_a_storage_that_says_nothing_refuses_half_only_of_what_is_much(configure, names, refused):
    storage = configure()
    fill(storage, names)

    run = runs.begin("default", storage, Order())
    while (claimed := runs.claim(run)) is not None and run.state == State.PLANNING:
        runs.work(claimed, storage)
        run.refresh_from_db()
    run.refresh_from_db()

    assert (run.planned["deleted"], run.state == State.REFUSED) == (2 * names, refused)


@pytest.mark.django_db
def test_a_plan_that_was_approved_is_carried_out(configure):
    storage = planned_too_much(configure)
    collect_garbage("default", dry_run=True)

    summary = collect_garbage("default", order=Order(approves=last(), started_by="an administrator"))

    assert (summary.deleted, last().approves_id, last().state) == (8, last().pk - 1, State.DONE)
    assert len(storage.memory.keys) == 4


@pytest.mark.django_db
def test_an_approval_is_not_for_much_more_than_was_planned(configure):
    storage = planned_too_much(configure)
    collect_garbage("default", dry_run=True)
    approved = last()
    for number in range(4, 40):
        put(storage, storage.archive.layout.version_key("d0/000.txt", number))
    grow_old(storage)

    with pytest.raises(CollectionRefusedError):
        collect_garbage("default", order=Order(approves=approved))

    assert len(storage.memory.keys) == 12 + 36


@pytest.mark.django_db
def test_where_all_may_go_nothing_is_planned(configure):
    storage = planned_too_much(configure)

    collect_garbage("default", order=Order(max_delete_ratio=1))

    assert (last().state, last().planned) == (State.DONE, {})
    assert storage.watched.sent == ["list", "delete", "list", "unfinished"]  # the second asks for streams of events


# Stopping


def stopped(storage: WatchedStorage, order: Order, **options: Any) -> tuple[str, str, int]:
    with small_batches():
        summary = collect_garbage("default", order=order, **options)
    return last().state, last().message, summary.deleted


@pytest.mark.django_db
def test_when_its_time_is_over_a_run_ends_and_the_next_does_the_rest(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 9)

    told = stopped(storage, Order(max_seconds=0))
    rest = stopped(storage, Order())

    assert told == (State.STOPPED, "Its time was over. Everything else is left for the next run.", 0)
    assert rest == (State.DONE, "", 18)


@pytest.mark.django_db
@pytest.mark.parametrize("index", ["listing", "database"])
def test_after_so_many_objects_a_run_ends_and_the_next_does_the_rest(configure, index):
    storage = configure(index, max_delete_ratio=0.9)
    fill(storage, 9)

    told = stopped(storage, Order(max_objects=5))
    rest = stopped(storage, Order())

    # Begun names are finished: two of three versions each.
    assert told == (State.STOPPED, "It was to stop after 5 objects. Everything else is left for the next run.", 6)
    assert rest == (State.DONE, "", 12)
    assert len(storage.memory.keys) == 9


@pytest.mark.django_db
def test_a_run_that_is_asked_to_stop_ends_and_the_next_does_the_rest(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 9)

    told = stopped(storage, Order(), progress=lambda run: CollectionRun.objects.update(stop_requested=True))
    rest = stopped(storage, Order())

    assert told == (State.STOPPED, "Stopped on request. Everything else is left for the next run.", 6)
    assert rest == (State.DONE, "", 12)


@pytest.mark.django_db
def test_a_stopped_run_waits_for_who_is_still_at_work_and_for_what_is_not_counted(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 9)
    run = runs.begin("default", storage, Order())
    middle = "d1/"
    CollectionSlice.objects.update(until=middle)
    CollectionSlice.objects.create(run=run, sweeps=True, after=middle)
    working = runs.claim(run)
    assert working is not None
    note = SliceJournal(slice=working)
    fate = Fate(name="d0/000.txt", number=1, key=storage.memory.keys[0], size=1, goes=True, reason=Reason.SUPERSEDED)
    note.intend([fate])
    CollectionRun.objects.update(stop_requested=True)

    assert runs.claim(run) is None
    assert runs.settle(run, storage) == 0
    assert run.is_active
    lease_is_over()
    begun = runs.claim(run)
    assert begun is not None
    assert begun.pk == working.pk
    runs.work(begun, storage)

    run.refresh_from_db()
    assert (run.state, run.summary["deleted"]) == (State.STOPPED, 1)
    assert fate.key not in storage.memory.keys
    assert len(storage.memory.keys) == 26


# One at a time


@pytest.mark.django_db
def test_a_real_run_excludes_a_second_and_a_dry_run_excludes_nobody(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 2)
    dry = runs.begin("default", storage, Order(dry_run=True))
    real = runs.begin("default", storage, Order())
    again = runs.begin("default", storage, Order())

    assert (dry.pk != real.pk, again.pk) == (True, real.pk)
    assert runs.claim(real) is not None
    with pytest.raises(
        CollectionRunningError, match=r"^'default' is being collected already, by run \d+ of .* minutes"
    ):
        collect_garbage("default")
    assert collect_garbage("default", dry_run=True).deleted == 4
    assert len(storage.memory.keys) == 6


@pytest.mark.django_db
@pytest.mark.parametrize("kind", ["listing", "rows", "rows and bucket"])
def test_dry_run_and_real_run_agree_exactly(configure, kind):
    storage = doomed_world(configure, kind)
    storage.watched.refuses = {}
    upload = storage.archive.layout.body_key("d0/large.iso", "0" * 24)
    storage.memory.begin_upload(upload, attributes=Attributes())
    for kept in storage.memory._uploads.values():
        kept.begun -= 30 * DAY
    told: dict[bool, list[Fate]] = {True: [], False: []}

    with small_batches():
        dry = collect_garbage("default", dry_run=True, tell=told[True].append)
        real = collect_garbage("default", tell=told[False].append)

    assert told[True] == told[False]
    assert {**dry.as_dict(), "dry_run": False} == real.as_dict()
    assert (real.uploads_aborted, storage.memory.uploads) == (1, 0)
    assert last().planned == {**real.as_dict(), "uploads_aborted": 0}


# Rows without the bucket


@pytest.mark.django_db
def test_rows_are_planned_from_without_a_listing_but_once_a_week(configure):
    storage = configure("database", max_delete_ratio=0.9)
    fill(storage, 3)
    sent: list[bool] = []
    for days in (0, 1, 6, 8):
        CollectionRun.objects.update(started=models.F("started") - days * DAY)
        storage.watched.sent.clear()
        collect_garbage("default")
        sent.append("list" in storage.watched.sent)

    # After 0, 1, 7 and 15 days; the second and third find that it was done lately.
    assert sent == [True, False, True, True]
    assert [run.lists_bucket for run in CollectionRun.objects.order_by("pk")] == sent


@pytest.mark.django_db
@pytest.mark.parametrize("asked", [True, False])
def test_whether_the_bucket_is_gone_through_can_be_asked_for(configure, asked):
    storage = configure("database", max_delete_ratio=0.9)
    fill(storage, 2)
    storage.watched.sent.clear()

    summary = collect_garbage("default", order=Order(lists_bucket=asked))

    assert (summary.deleted, "list" in storage.watched.sent) == (4, asked)


# What is told


@pytest.mark.django_db
def test_of_a_plan_so_many_objects_are_kept_and_all_are_counted(configure, monkeypatch):
    monkeypatch.setattr(journal, "TOLD", 5)
    storage = configure()
    fill(storage, 9)

    with small_batches():
        summary = collect_garbage("default", dry_run=True)

    assert summary.deleted == 18
    assert list(CollectedObject.objects.values_list("name", "number", "reason"))[:2] == [
        ("d0/000.txt", 2, "superseded, and no rule keeps it"),
        ("d0/000.txt", 1, "superseded, and no rule keeps it"),
    ]
    assert CollectedObject.objects.count() == 5


@pytest.mark.django_db
def test_what_was_planned_is_not_kept_once_it_is_carried_out(configure):
    storage = configure()
    fill(storage, 2)

    collect_garbage("default")

    assert not CollectedObject.objects.exists()
    assert not CollectionSlice.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("dry_run", [True, False])
def test_the_end_is_told_once_and_a_listener_that_fails_stops_nothing(configure, caplog, dry_run):
    storage = configure()
    fill(storage, 2)
    heard: list[tuple[int, str]] = []

    def fails(**_: Any) -> None:
        raise ValueError("The listener failed.")

    def hears(run: CollectionRun, **_: Any) -> None:
        heard.append((run.pk, run.state))

    for listener in (fails, hears):
        collection_finished.connect(listener)
    try:
        collect_garbage("default", dry_run=dry_run)
        runs.end(last(), State.FAILED, "too late")
        runs.settle(last(), storage)
    finally:
        for listener in (fails, hears):
            collection_finished.disconnect(listener)

    assert heard == [(last().pk, State.DONE)]
    assert "The listener failed." in caplog.text


# What the store refuses


@pytest.mark.django_db
def test_what_the_store_keeps_locked_is_kept_and_no_error_and_its_row_stays(configure):
    storage = configure("database")
    fill(storage, 2)
    locked = storage.archive.index.at("d0/000.txt", 1)
    assert locked is not None
    storage.watched.refuses = {locked.key: ("AccessDenied", "Access Denied because object protected by object lock.")}

    summary = collect_garbage("default")

    assert (summary.deleted, summary.kept, summary.error_count) == (3, 3, 0)
    assert summary.reasons[Reason.LOCKED] == 1
    assert [version.number for version in storage.history("d0/000.txt")] == [3, 1]
    assert last().message == ""
    with storage.archive.reader(locked) as reader:
        assert reader.readall() == b"x"


@pytest.mark.django_db
def test_one_key_in_a_thousand_that_is_refused_stops_nothing_and_says_what_to_do(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 3, versions=1001)
    refused = [key for place, key in enumerate(storage.memory.keys) if place % 1000 == 500]
    storage.watched.refuses = dict.fromkeys(refused, ("AccessDenied", "Access Denied"))

    summary = collect_garbage("default")

    assert (summary.deleted, summary.error_count, summary.kept) == (2997, 3, 6)
    assert last().message == (
        "The store refused 3 objects (AccessDenied). They are left as they were, and tried again by the next run. If "
        "it refuses them again, look at the errors: for AccessDenied, allow s3:DeleteObject; for others, ask whoever "
        "runs the store."
    )
    storage.watched.refuses = {}
    assert collect_garbage("default").deleted == 3


# Uploads


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("grace", "age", "aborted"),
    [(DAY, 8 * DAY, True), (DAY, 6 * DAY, False), (9 * DAY, 8 * DAY, False), (9 * DAY, 10 * DAY, True)],
    ids=["given up", "young", "younger than grace", "older than grace"],
)
def test_an_upload_of_ours_that_was_given_up_is_aborted(configure, grace, age, aborted):
    storage = configure(grace=grace)
    layout = storage.archive.layout
    for key in (layout.body_key("a.iso", "0" * 24), "foreign.iso", layout.version_key("a.iso", 1)):
        storage.memory.begin_upload(key, attributes=Attributes())
    for upload in storage.memory._uploads.values():
        upload.begun -= age

    dry = collect_garbage("default", dry_run=True)
    left = storage.memory.uploads
    real = collect_garbage("default")

    assert (dry.uploads_aborted, left, real.uploads_aborted) == (aborted, 3, aborted)
    assert storage.memory.uploads == 3 - aborted
    assert last().summary["uploads_aborted"] == aborted
    assert leftovers.abort_uploads(storage) == 0


# Archiving


@pytest.mark.django_db
def test_old_versions_move_to_the_archive_class_and_keep_their_time(configure):
    storage = configure("database", keep_last=5, archive_after=2 * DAY, archive_class="GLACIER_IR")
    fill(storage, 1)
    before = {version.number: version.modified for version in storage.history("d0/000.txt")}

    dry = collect_garbage("default", dry_run=True)
    summary = collect_garbage("default")

    assert (dry.archived, summary.archived, summary.deleted, summary.kept) == (2, 2, 0, 3)
    after = {version.number: version for version in storage.history("d0/000.txt")}
    assert {number: version.modified for number, version in after.items()} == before
    assert {number: version.details.storage_class for number, version in after.items()} == {
        3: "",
        2: "GLACIER_IR",
        1: "GLACIER_IR",
    }
    assert collect_garbage("default").archived == 0


@pytest.mark.django_db
def test_a_version_that_cannot_be_moved_is_an_error_of_its_own(configure):
    storage = configure("database", keep_last=5, archive_after=2 * DAY, archive_class="GLACIER_IR")
    fill(storage, 1)
    gone = storage.archive.index.at("d0/000.txt", 2)
    assert gone is not None
    storage.memory.delete([gone.key])

    summary = collect_garbage("default", order=Order(lists_bucket=False))

    assert (summary.archived, summary.error_count, last().state) == (1, 1, State.DONE)
    assert (summary.errors[0]["key"], summary.errors[0]["code"]) == (gone.key, "NoSuchKey")


# What changes between the decision and the deed


@pytest.mark.django_db
def test_what_the_index_knows_by_now_stays(configure):
    storage = configure("database", max_delete_ratio=1)
    fill(storage, 1)
    storage.archive.index.mark(complete=True)
    row = StoredVersion.objects.get(number=1)
    StoredVersion.objects.filter(pk=row.pk).delete()

    def commit(fate: Fate) -> None:
        if fate.key == row.key:
            assert fate.reason is Reason.UNCOMMITTED
            row.save(force_insert=True)

    summary = collect_garbage("default", tell=commit)

    assert summary.reasons == {Reason.CURRENT: 1, Reason.SUPERSEDED: 1, Reason.COMMITTED: 1}
    assert (summary.deleted, row.key in storage.memory.keys) == (1, True)


@pytest.mark.django_db
@pytest.mark.parametrize("number", [1, None], ids=["the version", "all versions"])
def test_a_hold_that_came_meanwhile_keeps_the_version_and_its_large_body(configure, number):
    storage = configure(max_delete_ratio=1)
    archive = storage.archive
    for data in (b"0123456789", b"abcdefghij"):
        upload = archive.upload("a.iso", details=Details(), attributes=Attributes(), threshold=5)
        upload.write(data)
        archive.publish("a.iso", upload.finish())
    grow_old(storage)

    def hold(fate: Fate) -> None:
        if fate.number == 1:
            storage.hold("a.iso", number, reason="A question was asked.")

    summary = collect_garbage("default", tell=hold)

    assert summary.deleted == 0
    assert summary.reasons == {Reason.CURRENT: 1, Reason.HELD: 1, Reason.POINTED_TO: 2}
    with archive.reader(archive.require("a.iso", 1)) as reader:
        assert reader.readall() == b"0123456789"


# As a new operator would


@pytest.mark.django_db
def test_a_typo_in_the_policy_is_told_with_what_was_meant(configure):
    with pytest.raises(ImproperlyConfigured) as caught:
        configure(keep_lats=3)

    assert "Did you mean 'keep_last'?" in str(caught.value)


@pytest.fixture
def on_server(settings: Any, storage_options: dict[str, Any]) -> Callable[..., ConsistentS3Storage]:
    """Return a function that makes the default storage one on a server, with an old version to collect."""

    def make(**more: Any) -> ConsistentS3Storage:
        options = {**storage_options, "retention": {"keep_last": 1}, **more}
        backend = "consistent_s3.storage.ConsistentS3Storage"
        seed(ConsistentS3Storage(**storage_options), "a.txt", [1, 2], modified=timezone.now() - OLD)
        settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": backend, "OPTIONS": options}}
        return storages["default"]

    return make


@contextmanager
def answers(storage: ConsistentS3Storage, operation: str, status: int, code: str, message: str) -> Iterator[None]:
    """Let a server refuse an operation."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>"

    def refuse(**_: Any) -> AWSResponse:
        raw = io.BytesIO(body.encode())
        raw.stream = lambda **_: iter([body.encode()])  # type: ignore[attr-defined]
        return AWSResponse(storage.endpoint_url, status, {}, raw)

    events = shared_client(storage).meta.events
    events.register(f"before-send.s3.{operation}", refuse)
    try:
        yield
    finally:
        events.unregister(f"before-send.s3.{operation}", refuse)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("operation", "right"), [("DeleteObjects", "s3:DeleteObject"), ("ListObjectsV2", "s3:ListBucket")]
)
def test_a_bucket_that_may_not_be_changed_or_listed_ends_the_run_with_what_to_allow(on_server, operation, right):
    storage = on_server()

    with (
        answers(storage, operation, 403, "AccessDenied", "Access Denied"),
        pytest.raises(AccessDeniedError, match=right),
    ):
        collect_garbage("default")

    assert (last().state, right in last().message) == (State.FAILED, True)
    assert collect_garbage("default").deleted == 1


@pytest.mark.django_db
def test_a_worker_without_credentials_says_so(on_server, monkeypatch):
    for word in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(word, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    on_server(access_key=None, secret_key=None)

    with pytest.raises(AccessDeniedError, match=r"credentials"):
        collect_garbage("default")

    assert (last().state, "credentials" in last().message) == (State.FAILED, True)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ahead", "left"),
    [
        pytest.param(timedelta(hours=1), 3, id="store ahead by an hour: kept for an hour longer"),
        pytest.param(timedelta(0), 2, id="clocks agree"),
        pytest.param(timedelta(hours=-1), 1, id="store behind by an hour: kept for an hour less"),
    ],
)
def test_a_clock_that_is_off_by_an_hour_shifts_ages_by_an_hour(configure, ahead, left):
    """With a grace of 26 hours nothing younger than 25 goes, and nothing older than 27 stays for it."""
    storage = configure(max_delete_ratio=1, grace=timedelta(hours=26))
    layout = storage.archive.layout
    # Each is superseded when the next one is written: 26.5 and 25.5 hours ago, and the newest a while ago.
    for number, hours in enumerate((27.5, 26.5, 25.5), start=1):
        key = layout.version_key("a.txt", number)
        put(storage, key)
        kept = storage.memory._objects[key]
        moment = timezone.now() - timedelta(hours=hours) + ahead
        kept.head = replace(kept.head, info=replace(kept.head.info, modified=moment))

    collect_garbage("default")

    assert len(storage.memory.keys) == left


# Reasons


def test_every_reason_is_produced_by_a_test():
    """Some test must assert each: by its name, or by its words."""
    suite = "".join(path.read_text() for path in sorted(Path(__file__).parent.rglob("test_*.py")))

    missing = [
        reason.name for reason in Reason if f"Reason.{reason.name}" not in suite and f'"{reason.value}"' not in suite
    ]

    assert missing == []


# Turns


@pytest.mark.django_db
def test_a_run_whose_worker_died_is_given_to_another(configure):
    storage = configure(max_delete_ratio=1)
    fill(storage, 2)
    run = runs.begin("default", storage, Order())
    runs.claim(run)
    enqueued: list[int] = []

    def enqueue(run: int, *, seconds: int = 0) -> None:
        enqueued.append(run)

    assert turns.resume(enqueue) == []
    lease_is_over()

    assert turns.resume(enqueue) == enqueued == [run.pk]
