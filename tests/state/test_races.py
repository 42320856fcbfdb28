"""Many who count in one document at once: threads, and real processes, and nothing that anybody counted is lost."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction

from consistent_s3 import state
from consistent_s3.core.errors import AlreadyExistsError, ConflictError
from consistent_s3.core.versions import Version
from tests import databases
from tests.databases import ALIAS
from tests.projects import environment, write_settings
from tests.test_storage_races import at_once

THREADS, EACH = 16, 8
PROCESSES, EACH_PROCESS = 6, 15
WAIT = 60
"""Seconds after which a thread that waits for another is a failure."""

REAL = [
    pytest.param("listing", "", id="listing"),
    pytest.param("database", "postgresql", id="PostgreSQL", marks=pytest.mark.service),
    pytest.param("redis", "", id="Redis", marks=pytest.mark.service),
]
on_real_servers = pytest.mark.parametrize(("index", "database_kind"), REAL, indirect=True)
on_transactional = pytest.mark.parametrize(
    ("index", "database_kind"),
    [pytest.param("database", kind.values[0], marks=kind.marks) for kind in databases.SERVERS],
    indirect=True,
)


@pytest.fixture
def options(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of a storage that goes on trying: on a slow machine somebody may be beaten for half a minute."""
    return {**options, "patience": 600}


def add_one(value: int) -> int:
    return value + 1


def closing(act: Callable[[int], Any]) -> Callable[[int], Any]:
    """Return what a thread does, and closes its connections afterwards."""

    def closing(index: int) -> Any:
        try:
            return act(index)
        finally:
            connections.close_all()

    return closing


@pytest.mark.parametrize("index", ["listing"], indirect=True)
def test_a_few_threads_count_and_the_count_is_exact(storage):
    counted = at_once(4, lambda _: [state.update("counter", add_one, 0) for _ in range(2)])

    assert sorted(number for numbers in counted for number in numbers) == list(range(1, 9))
    assert state.read("counter") == 8


@pytest.mark.slow
@on_real_servers
def test_16_threads_count_and_the_count_is_exact(storage):
    def count(index: int) -> list[int]:
        return [state.update("counter", add_one, 0, author=f"{index}") for _ in range(EACH)]

    counted = at_once(THREADS, closing(count))

    assert state.read("counter") == THREADS * EACH
    assert sorted(number for numbers in counted for number in numbers) == list(range(1, THREADS * EACH + 1))
    past = list(state.history("counter"))
    assert [document.read() for document in past] == list(range(THREADS * EACH, 0, -1))


@on_real_servers
def test_of_16_threads_that_expect_none_one_makes_the_document(storage):
    outcomes = at_once(THREADS, closing(lambda index: state.write("lock", index, expected=0)))

    made = [index for index, outcome in enumerate(outcomes) if isinstance(outcome, Version)]
    assert [type(outcome) for outcome in outcomes].count(AlreadyExistsError) == THREADS - 1
    assert [state.read("lock")] == made


@on_transactional
def test_an_update_in_a_transaction_holds_up_others_and_is_never_lost(storage):
    state.write("counter", 0)
    locked, others = threading.Event(), threading.Event()

    def act(index: int) -> int:
        if index:
            assert locked.wait(WAIT)
            with transaction.atomic(using=ALIAS):
                others.set()
                return state.update("counter", add_one)
        with transaction.atomic(using=ALIAS):
            state.update("counter", add_one)
            locked.set()
            assert others.wait(WAIT)
            return state.update("counter", add_one)

    counted = at_once(3, closing(act))

    assert counted[0] == 2
    assert sorted(counted[1:]) == [3, 4]
    assert state.read("counter") == 4


@on_transactional
def test_an_update_in_a_transaction_that_saw_an_older_state_counts_on_top_of_the_newest(storage):
    """Where a transaction reads from a snapshot, writing still goes on from what others have committed."""
    state.write("counter", 0)
    seen, done = threading.Event(), threading.Event()

    def act(index: int) -> Any:
        if index:
            assert seen.wait(WAIT)
            try:
                return state.update("counter", add_one)
            finally:
                done.set()
        with transaction.atomic(using=ALIAS):
            before = state.read("counter")
            seen.set()
            assert done.wait(WAIT)
            return before, state.update("counter", add_one)

    counted = at_once(2, closing(act))

    assert counted == [(0, 2), 1]
    assert state.read("counter") == 2


@on_transactional
def test_what_a_transaction_expects_is_compared_with_what_others_have_committed(storage):
    state.write("counter", 0)
    seen, done = threading.Event(), threading.Event()

    def act(index: int) -> Any:
        if index:
            assert seen.wait(WAIT)
            state.write("counter", 10)
            done.set()
            return None
        with transaction.atomic(using=ALIAS):
            before = state.read_versioned("counter").number
            seen.set()
            assert done.wait(WAIT)
            with pytest.raises(ConflictError) as refused:
                state.write("counter", 1, expected=before)
            return refused.value.actual, state.write("counter", 11, expected=refused.value.actual).number

    told = at_once(2, closing(act))

    assert told == [(2, 3), None]
    assert state.read("counter") == 11


PROGRAM = """
import sys, django
django.setup()
from consistent_s3 import state
state.read("counter")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(int(sys.argv[1])):
    print(state.update("counter", lambda value: value + 1, 0))
"""


@pytest.mark.slow
@on_real_servers
def test_processes_count_and_the_count_is_exact(storage, settings, tmp_path):
    tell(tmp_path, settings)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(EACH_PROCESS)],
            env=environment(tmp_path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    ready = [process.stdout.readline() for process in processes]

    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=180) for process in processes]

    assert ready == ["ready\n"] * PROCESSES, ended
    assert [process.returncode for process in processes] == [0] * PROCESSES, ended
    counted = sorted(int(line) for printed, _ in ended for line in printed.split())
    assert counted == list(range(1, PROCESSES * EACH_PROCESS + 1))
    assert state.read("counter") == PROCESSES * EACH_PROCESS


def tell(directory: Path, settings: Any) -> None:
    """Write settings with which processes find the storage, its database and its Redis."""
    lines = [f"STORAGES = {settings.STORAGES!r}", f"CACHES = {settings.CACHES!r}"]
    if ALIAS in connections.settings:
        configured = connections.settings[ALIAS]
        found = {word: configured[word] for word in ("ENGINE", "NAME", "USER", "PASSWORD", "HOST", "PORT")}
        lines.append(f"DATABASES = {{**DATABASES, {ALIAS!r}: {found!r}}}")
    write_settings(directory, "\n".join(lines))
