"""The self-test: a store that ignores preconditions is found out before the first write that would rest on them."""

from __future__ import annotations

import io
import itertools
import random
from typing import Any

import pytest

from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    DeadlinePassedError,
    PreconditionsIgnoredError,
    PreconditionTrippedError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.seams import Attributes, PutMode
from consistent_s3.core.selftest import SelfTesting
from consistent_s3.testing import ManualClock, MemoryObjectStore
from consistent_s3.testing.contracts import ObjectStoreContract
from consistent_s3.testing.eventual import IGNORES, EventuallyConsistent
from tests.core.building import make_archive, write
from tests.core.faults import Faulty, fails, lost_before

KEY = Layout(location="media").selftest_key
_places = itertools.count()


def guarded(store: Any, place: str = "") -> SelfTesting:
    return SelfTesting(inner=store, place=place or f"place-{next(_places)}", key=KEY)


def create(store: Any, key: str, **attributes: Any) -> None:
    store.put(key, io.BytesIO(b"x"), mode=PutMode.CREATE, attributes=Attributes(**attributes))


class TestContract(ObjectStoreContract):
    rounds = 3

    @pytest.fixture
    def store(self) -> SelfTesting:
        return guarded(MemoryObjectStore())


@pytest.fixture
def ignoring(clock: ManualClock, memory: MemoryObjectStore) -> EventuallyConsistent:
    return EventuallyConsistent(inner=memory, clock=clock, chance=random.Random(1), profile=IGNORES)


def test_the_first_process_ever_asks_twice_and_then_writes(memory):
    store = Faulty(memory)

    create(guarded(store), "a")

    assert store.keys("put") == [KEY, KEY, "a"]
    assert memory.head(KEY).info.size == 0


def test_a_later_process_asks_once_and_then_writes(memory):
    create(guarded(memory), "a")
    store = Faulty(memory)

    create(guarded(store), "b")

    assert store.keys("put") == [KEY, "b"]


def test_a_place_is_asked_once_for_all_its_stores(memory):
    create(guarded(memory, "one place"), "a")
    store = Faulty(memory)

    create(guarded(store, "one place"), "b")

    assert store.keys("put") == ["b"]


def test_a_store_that_ignores_preconditions_is_refused_before_anything_is_written(ignoring, memory):
    store = guarded(ignoring)

    for _ in range(2):
        with pytest.raises(PreconditionsIgnoredError) as refused:
            create(store, "a")

    assert str(refused.value) == (
        "Nothing was written: the store ignores preconditions. It created 'media/.-v-selftest' twice, so of "
        "two writers one would overwrite the other in silence. Set index to 'database', or numbering to 'clock', and "
        "see `manage.py consistent_s3 probe`."
    )
    assert memory.keys == [KEY]


def test_an_unconditional_put_asks_nothing(ignoring, memory):
    guarded(ignoring).put("a", io.BytesIO(b"x"), mode=PutMode.OVERWRITE, attributes=Attributes())

    assert memory.keys == ["a"]


def test_a_question_without_an_answer_writes_nothing_and_the_next_attempt_asks_again(memory):
    store = Faulty(memory, put=[fails(AnswerLostError("Lost."))])
    tested = guarded(store)

    with pytest.raises(AnswerLostError, match=r"^Lost\.$"):
        create(tested, "a")
    create(tested, "a")

    assert store.keys("put") == [KEY, KEY, KEY, "a"]


def test_a_write_whose_question_had_no_answer_is_written_once_by_the_next_attempt(clock, memory):
    store = Faulty(memory, put=[lost_before, None, None, None])
    archive = make_archive(guarded(store), clock=clock)

    version = write(archive, "a.txt", b"x")

    assert store.keys("put") == [KEY, KEY, KEY, version.key]
    assert [found.number for found in archive.history("a.txt")] == [1]


def test_the_question_is_not_asked_after_the_writes_deadline(clock):
    memory = MemoryObjectStore(clock=clock)
    deadline = clock.monotonic()
    clock.sleep(1)

    with pytest.raises(DeadlinePassedError):
        guarded(memory).put("a", io.BytesIO(), mode=PutMode.CREATE, attributes=Attributes(), deadline=deadline)

    assert memory.keys == []


def test_a_store_that_refuses_the_question_refuses_the_write(memory):
    store = Faulty(memory, put=[fails(AccessDeniedError("No."))])

    with pytest.raises(AccessDeniedError, match=r"^No\.$"):
        create(guarded(store), "a")

    assert memory.keys == []


def test_the_question_has_the_arguments_that_the_bucket_demands_and_nothing_of_the_version(memory):
    given = []

    class Recording(Faulty):
        def put(self, key: str, body: Any, **options: Any) -> Any:
            given.append((key, options["attributes"]))
            return super().put(key, body, **options)

    create(guarded(Recording(memory)), "a", extra={"ServerSideEncryption": "AES256"}, metadata={"v-id": "1"})

    assert given[0] == (KEY, Attributes(extra={"ServerSideEncryption": "AES256"}))


def test_a_key_that_is_taken_is_told_as_ever(memory):
    store = guarded(memory)
    create(store, "a")

    with pytest.raises(PreconditionTrippedError):
        create(store, "a")
