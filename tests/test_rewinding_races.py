"""Bringing back while others write, in databases whose transactions really run side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import connections

from consistent_s3.core.errors import ConflictError
from consistent_s3.core.rewinding import Action
from consistent_s3.rewinding import Outcome, Rewinder
from consistent_s3.rewinding_rows import RowRewinder, versioned_fields
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.aging import age
from tests import databases
from tests.archive.models import Contract
from tests.databases import ALIAS, SERVERS, in_a_thread

pytestmark = pytest.mark.service

ROUNDS = 6
WAIT = 120
"""Seconds after which a thread that waits for another is a failure."""
HOUR = timedelta(hours=1)


class EverythingThere:
    """A router that sends every model to the database under test."""

    def db_for_read(self, model: Any, **hints: Any) -> str:
        return ALIAS

    db_for_write = db_for_read


@pytest.fixture(params=SERVERS)
def alias(request: pytest.FixtureRequest, tmp_path: Path, settings: Any, django_db_blocker: Any) -> Iterator[str]:
    with django_db_blocker.unblock(), databases.made(request.param, tmp_path) as alias:
        settings.DATABASE_ROUTERS = [EverythingThere()]
        with connections[alias].schema_editor() as editor:
            editor.create_model(Contract)
        yield alias


@pytest.fixture
def storage(alias: str, settings: Any, storage_options: dict[str, Any]) -> ConsistentS3Storage:
    from django.core.files.storage import storages

    backend = "consistent_s3.storage.ConsistentS3Storage"
    settings.STORAGES = {
        **settings.STORAGES,
        "default": {"BACKEND": backend, "OPTIONS": {**storage_options, "index": "database"}},
    }
    return storages["default"]


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Return what functions return that begin at the same moment, each on a connection of its own."""
    barrier = threading.Barrier(len(works), timeout=WAIT)

    def begun(work: Callable[[], Any]) -> Any:
        connections[ALIAS].ensure_connection()
        barrier.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(in_a_thread(begun, work)) for work in works]
        return [future.result(timeout=WAIT) for future in futures]


def moment_of(storage: ConsistentS3Storage) -> datetime:
    return storage.archive.clock.now() - HOUR


def test_of_a_writer_and_a_step_that_saw_the_same_version_exactly_one_is_first_and_the_other_is_told(storage):
    rewinder = Rewinder(storage=storage, moment=moment_of(storage))
    names = [f"{number}.txt" for number in range(ROUNDS)]
    for name in names:
        storage.write(name, ContentFile(b"as it was"))
    age(storage, 2 * HOUR)
    for name in names:
        storage.write(name, ContentFile(b"bad import"))

    for step in rewinder.plan(names):

        def writes(step: Any = step) -> bool:
            try:
                storage.write(step.name, ContentFile(b"theirs"), expected=step.expected)
            except ConflictError:
                return False
            return True

        outcome, wrote = at_once(lambda step=step: rewinder.carry_out(step), writes)

        assert step.action is Action.RESTORE
        assert outcome.conflict is wrote, outcome.error
        assert storage.open(step.name).read() == (b"theirs" if wrote else b"as it was")
        assert [version.number for version in storage.history(step.name)] == [3, 2, 1]


def test_what_was_written_between_plan_and_step_is_never_overwritten(storage):
    storage.write("a.txt", ContentFile(b"as it was"))
    age(storage, 2 * HOUR)
    storage.write("a.txt", ContentFile(b"bad import"))
    rewinder = Rewinder(storage=storage, moment=moment_of(storage))
    (step,) = rewinder.plan(["a.txt"])

    at_once(lambda: storage.write("a.txt", ContentFile(b"meanwhile")))

    outcome = rewinder.carry_out(step)
    assert outcome.conflict
    assert storage.open("a.txt").read() == b"meanwhile"


def test_of_several_who_bring_a_row_back_at_once_one_does_it_and_its_pin_is_right(storage):
    rewinder = RowRewinder(fields=versioned_fields(Contract), moment=moment_of(storage))
    for number in range(ROUNDS // 2):
        Contract(title=f"{number}").file.save(f"{number}.txt", ContentFile(b"as it was"))
    age(storage, 2 * HOUR)
    for row in Contract.objects.all():
        row.file.save("x.txt", ContentFile(b"bad import"))

    for planned in rewinder.plan(Contract.objects.all()):
        outcomes: list[Outcome] = at_once(*[lambda planned=planned: rewinder.carry_out(planned)] * 3)

        assert sorted(outcome.conflict for outcome in outcomes) == [False, True, True], outcomes
        row = Contract.objects.get(pk=planned.row.pk)
        assert row.file.read() == b"as it was"
        assert row.file_version == row.file.version.number == 3


def test_a_row_that_is_saved_at_that_moment_keeps_what_was_saved(storage):
    rewinder = RowRewinder(fields=versioned_fields(Contract), moment=moment_of(storage))
    for number in range(ROUNDS):
        Contract(title=f"{number}").file.save(f"{number}.txt", ContentFile(b"as it was"))
    age(storage, 2 * HOUR)
    for row in Contract.objects.all():
        row.file.save("x.txt", ContentFile(b"bad import"))

    for planned in rewinder.plan(Contract.objects.all()):

        def saves(pk: Any = planned.row.pk) -> bool:
            row = Contract.objects.get(pk=pk)
            try:
                row.file.save("x.txt", ContentFile(b"theirs"), expected=2)
            except ConflictError:
                return False
            return True

        outcome, saved = at_once(lambda planned=planned: rewinder.carry_out(planned), saves)

        assert bool(outcome.error) is saved, outcome
        row = Contract.objects.get(pk=planned.row.pk)
        assert row.file.read() == (b"theirs" if saved else b"as it was")
        assert row.file_version == 3
