"""Documents of the core, at moments that are seldom: read and collected, read long ago, sent and not answered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.documents import TRIES, Documents
from consistent_s3.core.errors import (
    ConflictError,
    OutcomeUnknownError,
    UnreachableError,
    VersionNotFoundError,
)
from consistent_s3.testing import ManualClock, MemoryObjectStore
from tests.core.building import make_archive
from tests.core.faults import Faulty, fails, lost_after, meanwhile


@dataclass(frozen=True)
class Json:
    content_type: str = "application/json"

    def dumps(self, value: Any, /) -> bytes:
        return json.dumps(value).encode()

    def loads(self, data: bytes, /) -> Any:
        return json.loads(data)


def make_documents(store: Any, clock: ManualClock) -> Documents[Any]:
    return Documents[Any](archive=make_archive(store, clock), serializer=Json())


@pytest.fixture
def documents(memory: MemoryObjectStore, clock: ManualClock) -> Documents[Any]:
    return make_documents(memory, clock)


def erased(documents: Documents[Any], key: str) -> None:
    """Remove all bytes of a document from the store, as a collector does with what was superseded long ago."""
    store = documents.archive.store
    store.delete([info.key for info in store.list(f"{documents.name(key)}.-v/").objects])


def test_what_is_replaced_and_collected_before_it_is_read_is_read_anew(memory, clock, documents) -> None:
    documents.write("job", 1)

    def replace() -> None:
        version = documents.write("job", 2)
        old = documents.archive.index.at("state/job", version.number - 1)
        memory.delete([old.key])

    slow = make_documents(Faulty(memory, get=[meanwhile(replace)]), clock)

    assert slow.read("job").value == 2


def test_what_is_collected_again_and_again_before_it_is_read_is_an_error(memory, clock, documents) -> None:
    documents.write("job", 0)

    def replace() -> None:
        version = documents.write("job", documents.read("job").value + 1)
        memory.delete([documents.archive.index.at("state/job", version.number - 1).key])

    slow = make_documents(Faulty(memory, get=[meanwhile(replace)] * 3), clock)

    with pytest.raises(VersionNotFoundError):
        slow.read("job", default="not this")


def test_a_function_that_takes_longer_than_grace_is_called_again_on_what_is_there_then(documents, clock) -> None:
    """Its document may be of a new life by then, with the same number: here it is."""
    documents.write("job", "old")
    seen = []

    def slow(value: Any) -> Any:
        seen.append(value)
        if len(seen) == 1:
            clock.advance(documents.archive.timing.grace + timedelta(seconds=1))
            erased(documents, "job")
            documents.write("job", "new")
        return f"{value}er"

    document = documents.update("job", slow)

    assert seen == ["old", "new"]
    assert (document.value, document.number) == ("newer", 2)


def test_a_function_that_always_takes_longer_than_grace_is_not_called_for_ever(documents, clock) -> None:
    documents.write("job", 0)
    called = []

    def slow(value: int) -> int:
        called.append(value)
        clock.advance(documents.archive.timing.grace + timedelta(seconds=1))
        return value + 1

    with pytest.raises(ConflictError, match="'state/job' was not updated: others were first at each of 3 tries"):
        documents.update("job", slow)

    assert called == [0] * TRIES
    assert documents.read("job").value == 0


def test_a_number_that_was_learned_before_the_write_deadline_is_compared_once_more(documents, clock) -> None:
    documents.write("job", 0)
    seen = []

    def slow(value: int) -> int:
        seen.append(value)
        if len(seen) == 1:
            documents.write("job", 10)
            clock.advance(documents.archive.timing.write_deadline + timedelta(seconds=1))
        return value + 1

    assert documents.update("job", slow).value == 11
    assert seen == [0, 10]


def test_an_update_without_an_answer_is_unknown_and_never_made_again(memory, clock, documents) -> None:
    """It was applied, and looking at it fails too: nobody can say."""
    documents.write("job", 0)
    called = []

    broken = make_documents(Faulty(memory, put=[lost_after], head=[fails(UnreachableError("No answer."))]), clock)

    with pytest.raises(OutcomeUnknownError):
        broken.update("job", lambda value: called.append(value) or value + 1)

    assert called == [0]
    assert documents.read("job").value == 1


class NotingClock(ManualClock):
    """Notes for how long somebody slept."""

    __slots__ = ("slept",)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        super().sleep(seconds)


def test_pauses_grow_and_are_drawn_by_chance() -> None:
    clock = NotingClock()
    clock.slept = []
    documents = make_documents(MemoryObjectStore(clock=clock), clock)
    documents.write("job", 0)

    def add(value: int) -> int:
        if value < 8:
            documents.write("job", value + 1)
        return value + 1

    documents.update("job", add)

    slept = clock.slept[1::2]  # the others are those of the write that was second
    assert len(slept) == 8
    assert all(0.5 <= pause / (0.005 * 2**turn) <= 1.5 for turn, pause in enumerate(slept))
    assert len({round(pause / 2**turn, 9) for turn, pause in enumerate(slept)}) == 8
