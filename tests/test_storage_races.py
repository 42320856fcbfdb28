"""Many writers at once, in threads and in processes, through a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from django.core.files.base import ContentFile

from consistent_s3.core.errors import AlreadyExistsError, ConflictError, VersionNotFoundError
from consistent_s3.core.versions import Version
from consistent_s3.storage import ConsistentS3Storage
from tests import programs

MakeStorage = Callable[..., ConsistentS3Storage]


@pytest.fixture
def storage_options(storage_options: dict[str, Any]) -> dict[str, Any]:
    """Let the last of many writers be beaten for longer than 30 seconds, which a machine under load may take."""
    return {**storage_options, "patience": 600}


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Return what `act(0)`, `act(1)` ... answered, or raised, when they all began together."""
    together, outcomes = threading.Barrier(count), {}

    def run(index: int) -> None:
        together.wait()
        try:
            outcomes[index] = act(index)
        except Exception as error:  # noqa: BLE001 - told to the test
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=[index]) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [outcomes[index] for index in range(count)]


def read(storage: ConsistentS3Storage, name: str, version: Version | None = None) -> bytes:
    with storage.open(name, version=version) as file:
        return file.read()


@pytest.mark.parametrize("shared", [True, False], ids=["one storage", "a storage each"])
def test_32_threads_save_one_name_and_every_save_is_in_the_history_once(
    make_storage: MakeStorage, shared: bool
) -> None:
    storage = make_storage()
    storages = [storage if shared else make_storage() for _ in range(32)]

    saved = at_once(32, lambda index: storages[index].write("a.txt", ContentFile(f"{index}".encode())))

    history = list(storage.history("a.txt"))
    assert [version.number for version in history] == list(range(32, 0, -1))
    assert sorted(version.number for version in saved) == list(range(1, 33))
    by_number = {version.number: version for version in history}
    assert all(by_number[version.number].details == version.details for version in saved)
    contents = {version.number: read(storage, "a.txt", version) for version in history}
    assert contents == {version.number: f"{index}".encode() for index, version in enumerate(saved)}
    assert read(storage, "a.txt") == contents[32]


def test_32_threads_save_by_clock_and_every_save_is_in_the_history_once(make_storage: MakeStorage) -> None:
    storage = make_storage(numbering="clock")

    saved = at_once(32, lambda index: storage.write("a.txt", ContentFile(f"{index}".encode())))

    history = list(storage.history("a.txt"))
    assert sorted(version.key for version in saved) == sorted(version.key for version in history)
    assert {read(storage, "a.txt", version) for version in history} == {f"{index}".encode() for index in range(32)}
    assert read(storage, "a.txt") == read(storage, "a.txt", history[0])


@pytest.mark.parametrize("numbering", ["sequence", "clock"])
def test_32_threads_save_new_files_of_one_name_and_there_are_32_files(
    make_storage: MakeStorage, numbering: str
) -> None:
    storage = make_storage(file_overwrite=False, numbering=numbering)

    names = at_once(32, lambda index: storage.save("dir/a.txt", ContentFile(f"{index}".encode())))

    assert len(set(names)) == 32
    assert storage.listdir("dir") == ([], sorted(name.removeprefix("dir/") for name in names))
    assert [read(storage, name) for name in names] == [f"{index}".encode() for index in range(32)]
    assert all(len(list(storage.history(name))) == 1 for name in names)


def test_of_16_who_expect_nothing_one_creates(storage: ConsistentS3Storage) -> None:
    outcomes = at_once(16, lambda index: storage.write("a.txt", ContentFile(b"x"), expected=0))

    assert Counter(type(outcome) for outcome in outcomes) == {Version: 1, AlreadyExistsError: 15}
    assert len(list(storage.history("a.txt"))) == 1


def test_no_update_is_lost_by_those_who_expect_what_they_read(storage: ConsistentS3Storage) -> None:
    storage.write("counter", ContentFile(b"0"))
    all_have_read = threading.Barrier(8)

    def count_up(index: int) -> int:
        conflicts = 0
        for turn in range(3):
            while True:
                with storage.open("counter") as file:
                    value = int(file.read())
                if turn == conflicts == 0:
                    all_have_read.wait(60)  # so that all but one are in conflict
                try:
                    storage.write("counter", ContentFile(str(value + 1).encode()), expected=file.version.number)
                    break
                except ConflictError:
                    conflicts += 1
        return conflicts

    conflicts = at_once(8, count_up)

    assert read(storage, "counter") == b"24"
    assert len(list(storage.history("counter"))) == 25
    assert sum(conflicts) >= 7


def test_savers_deleters_and_restorers_leave_a_history_without_gaps(storage: ConsistentS3Storage) -> None:
    storage.write("a.txt", ContentFile(b"first"))

    def act(index: int) -> list[Version | None]:
        done: list[Version | None] = []
        for turn in range(3):
            if index % 3 == 0:
                done.append(storage.delete("a.txt", author=f"{index}.{turn}"))
            elif index % 3 == 1:
                done.append(storage.restore("a.txt", 1, author=f"{index}.{turn}"))
            else:
                done.append(storage.write("a.txt", ContentFile(b"text"), author=f"{index}.{turn}"))
        return done

    outcomes = at_once(12, act)

    done = [version for versions in outcomes for version in versions if version is not None]
    history = list(storage.history("a.txt"))
    assert [version.number for version in history] == list(range(len(done) + 1, 0, -1))
    assert {version.number: (version.author, version.tombstone) for version in history[:-1]} == {
        version.number: (version.author, version.tombstone) for version in done
    }
    assert not any(above.tombstone and below.tombstone for above, below in pairwise(history))
    assert storage.exists("a.txt") == (not history[0].tombstone)
    assert storage.listdir("") == ([], [] if history[0].tombstone else ["a.txt"])


def test_readers_see_whole_versions_that_never_go_back(storage: ConsistentS3Storage) -> None:
    storage.write("a.txt", ContentFile(b"0" * 1000))

    def act(index: int) -> list[int]:
        seen = []
        for turn in range(10):
            if index == 0:
                storage.write("a.txt", ContentFile(str(turn % 10).encode() * 1000))
            else:
                with storage.open("a.txt") as file:
                    data = file.read()
                assert len(data) == 1000
                assert len(set(data)) == 1
                seen.append(file.version.number)
        return seen

    _, *seen = at_once(8, act)

    assert all(numbers == sorted(numbers) and len(numbers) == 10 for numbers in seen)


def test_of_many_who_undelete_one_restores(storage: ConsistentS3Storage) -> None:
    storage.write("a.txt", ContentFile(b"text"))
    storage.delete("a.txt")

    outcomes = at_once(8, lambda index: storage.undelete("a.txt"))

    assert sum(isinstance(outcome, Version) for outcome in outcomes) == 1
    assert all(isinstance(outcome, Version | ConflictError | VersionNotFoundError) for outcome in outcomes)
    assert [version.number for version in storage.history("a.txt")] == [3, 2, 1]


def test_4_processes_save_one_name_and_every_save_is_in_the_history_once(
    storage: ConsistentS3Storage, storage_options: dict[str, Any]
) -> None:
    program = """
        who = sys.argv[1]
        storage.exists("a.txt")
        print("ready", flush=True)
        sys.stdin.readline()
        said = [(who, turn) for turn in range(10)]
        print(json.dumps([
            (storage.write("a.txt", ContentFile(f"{who}.{turn}".encode()), author=who).number, f"{who}.{turn}")
            for who, turn in said
        ]))
    """
    processes = [programs.start(program, f"process-{index}", options=storage_options) for index in range(4)]
    ready = [process.stdout.readline() for process in processes]

    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    ended = [process.communicate(timeout=600) for process in processes]

    assert ready == ["ready\n"] * 4, ended
    saved = {number: text for printed, _ in ended for number, text in json.loads(printed)}
    assert sorted(saved) == list(range(1, 41))
    history = list(storage.history("a.txt"))
    assert [version.number for version in history] == list(range(40, 0, -1))
    assert {version.number: read(storage, "a.txt", version).decode() for version in history} == saved
    assert Counter(version.author for version in history) == {f"process-{index}": 10 for index in range(4)}
    assert read(storage, "a.txt").decode() == saved[40]
