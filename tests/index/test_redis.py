"""Pointers in a real Redis: the steps, their races among threads and processes, and what happens when it fails."""

from __future__ import annotations

import io
import multiprocessing
import random
import select
import socket
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain, pairwise
from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import (
    AccessDeniedError,
    ConflictError,
    IndexUnavailableError,
    NumberTakenError,
    OutcomeUnknownError,
    PointerLostError,
    VersionNotFoundError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering
from consistent_s3.core.seams import Attributes, CommittingIndex, ForgetfulIndex, PutMode, PutReceipt, SystemClock
from consistent_s3.core.versions import Details, KnownDetails, Version, to_metadata
from consistent_s3.core.writing import spool
from consistent_s3.index import redis as redis_index
from consistent_s3.index.caches import redis_client
from consistent_s3.index.redis import RedisIndex, RedisPointers
from consistent_s3.index.slots import TURN, Slot, encode, joined
from consistent_s3.testing.clocks import ManualClock, OffsetClock
from consistent_s3.testing.contracts import CommittingIndexContract
from consistent_s3.testing.indexes import MemoryPointers
from consistent_s3.testing.memory import MemoryObjectStore
from tests.redis_server import RedisServer

pytestmark = pytest.mark.service

DAY = timedelta(days=1)
NEVER = Retry(NoBackoff(), 0)
"""redis-py itself tries again; here we see what we do."""
NAME = "dir/a.txt"


@pytest.fixture
def client(redis_server: RedisServer):
    with closing(redis_server.client) as client:
        yield client


@pytest.fixture(params=["redis", "memory"])
def pointers(request: pytest.FixtureRequest):
    """Return pointers of each kind: what the simulation runs on must do what Redis does."""
    if request.param == "memory":
        return MemoryPointers(clock=ManualClock(), timeout=DAY)
    client = request.getfixturevalue("client")
    return RedisPointers(lambda: client, place="bucket/", timeout=DAY)


def archive_on(client: redis.Redis | Callable[[], redis.Redis], store: MemoryObjectStore, **options: object) -> Archive:
    layout = Layout(location="media")
    get_client = client if callable(client) and not isinstance(client, redis.Redis) else lambda: client
    kept = RedisPointers(get_client, place="bucket/media", timeout=DAY)
    index = RedisIndex(store=store, layout=layout, kept=kept, timeout=DAY, **options)
    return Archive(store=store, index=index, layout=layout, numbering=Numbering.CLOCK)


class Store(MemoryObjectStore):
    """A bucket where something happens before and after a put."""

    before_put: Sequence[Callable[[], object]] = ()
    after_put: Sequence[Callable[[], object]] = ()

    def put(self, *arguments: Any, **options: Any) -> PutReceipt:
        happenings, self.before_put = self.before_put, ()
        for happening in happenings:
            happening()
        receipt = MemoryObjectStore.put(self, *arguments, **options)
        happenings, self.after_put = self.after_put, ()
        for happening in happenings:
            happening()
        return receipt


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def archive(client: redis.Redis, store: MemoryObjectStore) -> Archive:
    return archive_on(client, store)


def write(archive: Archive, data: bytes, **options: object) -> Version:
    with closing(spool([data])) as body:
        return archive.write(NAME, body, **options)


def read(archive: Archive) -> bytes:
    with archive.reader(archive.require(NAME)) as reader:
        return reader.readall()


def a_version(number: int, write_id: str = "0" * 24) -> Version:
    return Version(
        name=NAME,
        number=number,
        key=Layout(location="media").version_key(NAME, number, write_id=write_id),
        size=1,
        modified=datetime(2026, 1, 1, tzinfo=UTC),
        etag="e",
        source=KnownDetails(Details(write_id=write_id)),
    )


def slot(number: int, write_id: str = "0" * 24) -> Slot:
    return Slot(at=str(number), lineage=f" {number}:{write_id} ", value=encode(a_version(number, write_id)))


def test_the_index_is_one_that_commits_and_forgets(archive):
    assert isinstance(archive.index, CommittingIndex)
    assert isinstance(archive.index, ForgetfulIndex)


# The steps


def test_the_first_claim_lies_until_it_is_replaced(pointers):
    first = pointers.claim(NAME, "?one", keep=False)
    second = pointers.claim(NAME, "?two", keep=True)

    assert (first.at, second.at) == ("?one", "?one")
    assert not second.settled


def test_a_slot_is_replaced_only_by_who_saw_what_is_in_it(pointers):
    pointers.claim(NAME, "?one", keep=False)

    refused = pointers.swap(NAME, "?two", slot(1))
    accepted = pointers.swap(NAME, "?one", slot(2))

    assert refused is not None
    assert (refused.at, accepted) == ("?one", None)
    found, other = pointers.peek([NAME, "other"], keep=True)
    assert (found.at, found.value, other) == ("2", slot(2).value, Slot())


def test_an_empty_slot_is_never_replaced(pointers):
    found = pointers.swap(NAME, "1", slot(2))

    assert found == Slot()
    assert pointers.peek([NAME], keep=False) == [Slot()]


def test_a_pointer_remembers_the_first_and_the_last_64_versions(pointers):
    pointers.claim(NAME, "?one", keep=False)
    pointers.swap(NAME, "?one", slot(1))
    for number in range(2, 101):
        pointers.swap(NAME, str(number - 1), slot(number))

    (found,) = pointers.peek([NAME], keep=False)

    lineage = found.remembered()
    checkpoints, last = lineage.links[lineage.dense :], lineage.links[: lineage.dense]
    assert [link.number for link in last] == list(range(100, 36, -1))
    assert checkpoints[-1].number == 1
    # The first and the last of each second that went by meanwhile: Redis has a clock that nobody stops.
    assert all(kept <= 2 for kept in Counter(link.since for link in checkpoints[:-1]).values())


def test_a_slot_is_dropped_only_by_who_saw_what_is_in_it(pointers):
    pointers.claim(NAME, "?one", keep=False)

    pointers.drop(NAME, "?two")
    kept = pointers.peek([NAME], keep=False)
    pointers.drop(NAME, "?one")

    assert (kept, pointers.peek([NAME], keep=False)) == ([Slot(at="?one")], [Slot()])


def test_pointers_are_kept_since_the_first_question_or_for_as_long_as_somebody_says(pointers):
    first = pointers.kept_for()
    pointers.trust()

    assert first < timedelta(seconds=5)
    assert pointers.kept_for() >= DAY


def test_pointers_expire_after_twice_the_timeout_and_claims_sooner(archive, client):
    archive.newest("never")
    claims = [client.ttl(key) for key in client.scan_iter("*:newest:*")]
    client.flushdb()

    write(archive, b"one")

    pointers = [client.ttl(key) for key in client.scan_iter("*:newest:*")]
    assert 0 < claims[0] <= 300
    assert 172000 < pointers[0] <= 172800


# What the index decides


def test_what_was_written_is_read_and_superseded_and_deleted_and_undeleted(archive):
    first = write(archive, b"one")
    second = write(archive, b"two", expected=first.number)
    assert read(archive) == b"two"

    tombstone = archive.delete(NAME)
    with pytest.raises(VersionNotFoundError, match=f"was deleted by version {tombstone.number}"):
        archive.require(NAME)
    restored = archive.undelete(NAME)

    assert read(archive) == b"two"
    numbers = [version.number for version in archive.history(NAME)]
    assert numbers == [restored.number, tombstone.number, second.number, first.number]


def test_who_expects_an_old_number_is_told_and_leaves_nothing_behind(archive, store):
    first = write(archive, b"one")
    second = write(archive, b"two")

    with pytest.raises(ConflictError) as caught:
        write(archive, b"three", expected=first.number)

    assert str(caught.value) == (
        f"Version {second.number} of '{NAME}' is current, but {first.number} was expected. "
        f"Read version {second.number} and decide again."
    )
    assert len(store.keys) == 2


def test_an_advance_is_refused_after_any_other_number_and_repeated_freely(archive):
    first = write(archive, b"one")
    after = a_version(first.number + 1)
    archive.index.advance(after, after=first.number)

    archive.index.advance(after, after=first.number)  # the answer was lost, and the step is sent again
    with pytest.raises(NumberTakenError) as caught:
        archive.index.advance(a_version(first.number + 2), after=first.number)

    assert str(caught.value) == f"Version {after.number} of '{NAME}' is the newest, not {first.number}."
    assert archive.newest(NAME) == after


def test_an_object_that_was_not_committed_is_not_the_newest_nor_in_the_history(archive, store):
    first = write(archive, b"one")
    stray = a_version(first.number + 1)
    with closing(spool([b"x"])) as body:
        store.put(stray.key, body.file, mode=PutMode.OVERWRITE, attributes=Attributes())

    assert archive.newest(NAME) == first
    assert list(archive.history(NAME)) == [first]


def test_pointers_that_are_lost_are_learned_again_from_the_listing(archive, client):
    write(archive, b"one")
    second = write(archive, b"two")

    client.flushdb()

    assert archive.newest(NAME) == second
    assert write(archive, b"three", expected=second.number).number > second.number
    assert len(list(archive.history(NAME))) == 3


def test_a_flush_between_put_and_advance_does_not_refuse_the_only_writer(archive, client, store):
    first = write(archive, b"one")
    store.after_put = [client.flushdb]

    second = write(archive, b"two", expected=first.number)

    assert archive.newest(NAME) == second
    assert read(archive) == b"two"


def test_an_attempt_that_another_took_for_the_newest_is_committed_once_and_its_writer_finds_out(archive, client, store):
    first = write(archive, b"one")
    others: list[Version] = []
    store.after_put = [lambda: (client.flushdb(), others.append(write(archive, b"other")))]

    second = write(archive, b"two", expected=first.number)

    assert read(archive) == b"other"
    assert list(archive.history(NAME)) == [*others, second, first]


def test_after_a_flush_a_write_that_was_overtaken_is_of_unknown_outcome_and_nothing_is_cleaned_up(
    archive, client, store
):
    first = write(archive, b"one")
    overtaking = a_version(2**62)

    def overtake() -> None:
        client.flushdb()
        with closing(spool([b"x"])) as body:
            store.put(overtaking.key, body.file, mode=PutMode.OVERWRITE, attributes=Attributes())

    store.after_put = [overtake]

    with pytest.raises(OutcomeUnknownError) as caught:
        write(archive, b"two", expected=first.number)

    assert str(caught.value) == (
        f"Nobody can say whether version {caught.value.number} of '{NAME}' was committed: the pointer was lost "
        f"meanwhile, and others write. Look in the history for the write id {caught.value.write_id} before writing "
        "again."
    )
    assert len(store.keys) == 3


def test_a_pointer_to_an_object_that_is_gone_leads_nobody_any_more(archive, store):
    first = write(archive, b"one")
    second = write(archive, b"two")
    store.delete([second.key])

    with pytest.raises(VersionNotFoundError, match="is gone"):
        read(archive)

    assert archive.newest(NAME) == first


# A store whose listing lags


def test_on_a_weak_store_a_lost_pointer_is_an_error_until_somebody_says_that_all_is_settled(client, store):
    archive = archive_on(client, store, strong_listing=False)
    archive.index.trust()
    first = write(archive, b"one")
    client.flushdb()

    with pytest.raises(PointerLostError) as caught:
        archive.newest(NAME)
    archive.index.trust()

    assert str(caught.value).startswith(
        f"Redis has no pointer for '{NAME}', and it has kept pointers for 0:00:00 only: it may have lost it, and this "
        "store's listing cannot be trusted for the newest version. Wait for "
    )
    assert str(caught.value).endswith(
        "; or, if nothing was written for as long as the listing takes to settle (in a new bucket, for instance), say "
        "so with storage.archive.index.trust()."
    )
    assert archive.newest(NAME) == first


def test_on_a_weak_store_nothing_is_written_over_a_lost_pointer(client, store):
    archive = archive_on(client, store, strong_listing=False)

    with pytest.raises(PointerLostError):
        write(archive, b"one")

    assert store.keys == []


# Redis is down


def test_without_redis_a_read_says_so_and_a_write_sends_nothing(store):
    archive = archive_on(lambda: redis.Redis(port=1, retry=NEVER), store)

    with pytest.raises(IndexUnavailableError) as caught:
        archive.newest(NAME)
    with pytest.raises(IndexUnavailableError):
        write(archive, b"one")

    assert str(caught.value).startswith("Redis, which knows the newest versions, gave no answer: ")
    assert isinstance(caught.value, ConnectionError)
    assert store.keys == []


def test_without_redis_readers_go_on_where_it_is_allowed_and_writers_do_not(archive, store):
    first = write(archive, b"one")
    down = archive_on(lambda: redis.Redis(port=1, retry=NEVER), store, falls_back=True)

    assert (down.newest(NAME), read(down)) == (first, b"one")
    assert [version.number for version in down.history(NAME)] == [first.number]
    assert down.require(NAME, first.number) == first
    with pytest.raises(IndexUnavailableError):
        write(down, b"two")
    assert len(store.keys) == 1


def test_redis_that_dies_between_put_and_advance_leaves_the_outcome_unknown(archive, store, client):
    first = write(archive, b"one")
    clients = iter([client, client])  # to learn, and to take a turn
    dying = archive_on(lambda: next(clients, redis.Redis(port=1, retry=NEVER)), store)

    with pytest.raises(OutcomeUnknownError):
        write(dying, b"two")

    assert archive.newest(NAME) == first
    assert len(store.keys) == 2


def test_an_answer_that_is_cut_off_does_not_commit_twice(redis_server, store):
    with _Cutting(redis_server.port) as cutting:
        client = redis.Redis(port=cutting.port, db=9, retry=NEVER)
        archive = archive_on(client, store)
        first = write(archive, b"one")
        cutting.cut_next_answer()

        second = write(archive, b"two", expected=first.number)

        assert [version.number for version in archive.history(NAME)] == [second.number, first.number]
        client.close()


class _Cutting:
    """Passes bytes to Redis and back, and cuts the connection where the answer to the next swap would pass.

    It waits for no whole command nor answer: each may come in several pieces, and several in one.
    """

    def __init__(self, port: int) -> None:
        self._redis = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._cuts = False
        self._pool = ThreadPoolExecutor(max_workers=8)

    def cut_next_answer(self) -> None:
        self._cuts = True

    def __enter__(self) -> _Cutting:
        self._pool.submit(self._accept)
        return self

    def __exit__(self, *error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._pool.shutdown()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._pool.submit(self._pass, client)

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._redis)) as server:
            sides, sent = {client: server, server: client}, b""
            while True:
                readable, _, _ = select.select(list(sides), [], [])
                for side in readable:
                    data = side.recv(65536)
                    sent = sent + data if side is client else sent
                    if side is server and self._cuts and b"EVALSHA" in sent and b'"etag"' in sent:
                        self._cuts = False
                        return
                    if not data:
                        return
                    sides[side].sendall(data)
                    sent = b"" if side is server else sent


# Races


def test_sixteen_threads_that_write_one_name_lose_nothing(archive):
    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(lambda number: write(archive, b"%d" % number), range(64)))

    numbers = sorted(version.number for version in written)
    assert len(set(numbers)) == 64
    assert [version.number for version in archive.history(NAME)] == numbers[::-1]
    assert archive.newest(NAME).number == numbers[-1]


def test_of_sixteen_threads_that_expect_one_number_one_wins(archive, store):
    for _ in range(10):
        expected = archive.newest(NAME)
        number = expected.number if expected else 0

        with ThreadPoolExecutor(16) as pool:
            won = list(pool.map(lambda _, number=number: _wins(archive, number), range(16)))

        assert won.count(True) == 1
    assert len(store.keys) == 10


def _wins(archive: Archive, expected: int) -> bool:
    try:
        write(archive, b"x", expected=expected)
    except ConflictError:
        return False
    return True


def _race(port: int, place: str, seed: int) -> list[tuple[int, int]]:
    """Advance one name 100 times, and return each step taken."""
    client = redis.Redis(port=port, db=9)
    pointers = RedisPointers(lambda: client, place=place, timeout=DAY)
    chance, steps = random.Random(seed), []
    while len(steps) < 100:
        at = pointers.claim(NAME, "?never", keep=True).at
        number = int(at) + chance.randrange(1, 5)
        if pointers.swap(NAME, at, slot(number, f"{chance.getrandbits(96):024x}")) is None:
            steps.append((int(at), number))
    client.close()
    return steps


def test_the_steps_of_four_processes_are_one_chain(redis_server, client):
    RedisPointers(lambda: client, place="race", timeout=DAY).claim(NAME, "?one", keep=True)
    RedisPointers(lambda: client, place="race", timeout=DAY).swap(NAME, "?one", slot(1))

    with multiprocessing.get_context("spawn").Pool(4) as pool:
        steps = sorted(chain(*pool.starmap(_race, [(redis_server.port, "race", seed) for seed in range(4)])))

    assert len(steps) == 400
    assert [begin for begin, _ in steps] == [1, *(end for _, end in steps[:-1])]


def test_a_redis_that_is_emptied_again_and_again_loses_no_acknowledged_write(archive, client):
    written: list[Version] = []

    def work(number: int) -> None:
        if number % 7 == 0:
            client.flushdb()
        try:
            written.append(write(archive, b"%d" % number))
        except (OutcomeUnknownError, ConflictError):
            return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(140)))

    kept = {version.number for version in archive.history(NAME)}
    assert written
    assert {version.number for version in written} <= kept
    assert archive.newest(NAME).number == max(kept)


# Turns


AHEAD = 2**61
"""A number that no clock reaches."""


def turn(pointers: Any, after: int, ahead: int, holder: str) -> tuple[str, str, str] | int:
    """Take a turn, and return its number, else what was in the way."""
    found = pointers.take(NAME, after, ahead, holder)
    return found if isinstance(found, int) else (found.at, found.floor, found.holder)


@pytest.fixture
def begun(pointers):
    """Return pointers of which one names version 5."""
    pointers.claim(NAME, "?one", keep=False)
    pointers.swap(NAME, "?one", slot(5))
    return pointers


@pytest.fixture
def far(pointers):
    """Return pointers of which one names a version that is ahead of their clock."""
    pointers.claim(NAME, "?one", keep=False)
    pointers.swap(NAME, "?one", slot(AHEAD))
    return pointers


def now_of(pointers: Any) -> int:
    """Return the time of the pointers in microseconds."""
    if isinstance(pointers, MemoryPointers):
        return int(pointers.clock.now().timestamp()) * 1_000_000
    seconds, microseconds = pointers.client.time()
    return int(seconds) * 1_000_000 + int(microseconds)


def test_the_number_of_a_turn_is_the_time_of_the_pointers(begun):
    before = now_of(begun)

    number = begun.take(NAME, 5, 0, "a")

    assert before <= number <= now_of(begun)


def test_a_clock_that_is_behind_draws_no_number_and_what_is_offered_is_taken(far):
    assert turn(far, AHEAD, 0, "a") == (str(AHEAD), "", "")
    assert turn(far, AHEAD, AHEAD, "a") == (str(AHEAD), "", "")
    assert turn(far, AHEAD, AHEAD + 1, "a") == AHEAD + 1


def test_a_turn_is_taken_by_one_at_a_time_and_again_by_the_same(far):
    taken = [turn(far, AHEAD, AHEAD + 4, "a"), turn(far, AHEAD, AHEAD + 5, "a"), turn(far, AHEAD, AHEAD + 6, "b")]

    assert taken == [AHEAD + 4, AHEAD + 5, (str(AHEAD), str(AHEAD + 5), "a")]


def test_no_turn_is_taken_after_another_number_nor_without_a_pointer(begun):
    assert turn(begun, 4, 9, "a") == ("5", "", "")
    begun.drop(NAME, "5")
    assert turn(begun, 5, 9, "a") == ("", "", "")


def test_the_numbers_of_turns_grow_also_after_a_turn_came_to_nothing(far):
    floor = AHEAD + 100
    turn(far, AHEAD, floor, "a")
    far.give(NAME, "a")

    taken = [turn(far, AHEAD, floor - 1, "b"), turn(far, AHEAD, floor, "b"), turn(far, AHEAD, floor + 1, "b")]

    assert taken == [(str(AHEAD), str(floor), ""), (str(AHEAD), str(floor), ""), floor + 1]


def test_a_turn_is_ended_only_by_its_holder(begun):
    number = turn(begun, 5, 0, "a")
    begun.give(NAME, "b")

    assert turn(begun, 5, 0, "b") == ("5", str(number), "a")


def test_during_a_turn_nobody_else_moves_the_pointer(begun):
    number = begun.take(NAME, 5, 0, "a")

    refused = begun.swap(NAME, "5", slot(number + 1), holder="b")
    accepted = begun.swap(NAME, "5", slot(number), holder="a")

    assert refused is not None
    assert (refused.at, refused.holder, accepted) == ("5", "a", None)
    assert isinstance(turn(begun, number, number + 1, "b"), int)


def test_the_pointer_never_moves_below_the_number_of_a_later_turn(far):
    far.take(NAME, AHEAD, AHEAD + 9, "a")
    far.give(NAME, "a")

    refused = far.swap(NAME, str(AHEAD), slot(AHEAD + 8), holder="b")
    accepted = far.swap(NAME, str(AHEAD), slot(AHEAD + 9), holder="b")

    assert refused is not None
    assert (refused.at, refused.floor, accepted) == (str(AHEAD), str(AHEAD + 9), None)


def test_a_turn_of_which_nothing_is_heard_is_over_after_a_while(far, monkeypatch):
    pass_a_turn(far, monkeypatch, lambda: turn(far, AHEAD, AHEAD + 4, "a"))

    assert turn(far, AHEAD, AHEAD + 5, "b") == AHEAD + 5


def test_a_turn_begins_anew_with_its_number_also_when_it_was_over(far, monkeypatch):
    pass_a_turn(far, monkeypatch, lambda: turn(far, AHEAD, AHEAD + 4, "a"))

    renewed = far.renew(NAME, AHEAD, AHEAD + 4, "a")

    assert renewed is None
    assert turn(far, AHEAD, AHEAD + 5, "b") == (str(AHEAD), str(AHEAD + 4), "a")


@pytest.mark.parametrize(
    ("after", "number", "holder"),
    [
        pytest.param(AHEAD + 1, AHEAD + 4, "a", id="after another number"),
        pytest.param(AHEAD, AHEAD + 5, "a", id="with another number"),
        pytest.param(AHEAD, AHEAD + 4, "b", id="by another"),
    ],
)
def test_no_other_turn_begins_anew(far, after, number, holder):
    turn(far, AHEAD, AHEAD + 4, "a")

    refused = far.renew(NAME, after, number, holder)

    assert refused is not None
    assert (refused.at, refused.floor, refused.holder) == (str(AHEAD), str(AHEAD + 4), "a")


def test_a_turn_that_was_ended_or_forgotten_does_not_begin_anew(far):
    turn(far, AHEAD, AHEAD + 4, "a")
    far.give(NAME, "a")
    ended = far.renew(NAME, AHEAD, AHEAD + 4, "a")
    far.drop(NAME, str(AHEAD))
    far.claim(NAME, "?one", keep=False)
    far.swap(NAME, "?one", slot(AHEAD))

    forgotten = far.renew(NAME, AHEAD, AHEAD + 4, "a")

    assert ended is not None
    assert forgotten is not None


def pass_a_turn(pointers: Any, patch: pytest.MonkeyPatch, take: Callable[[], object]) -> None:
    """Take a turn, and wait until it is over."""
    with patch.context() as short:
        short.setattr(redis_index, "TURN", timedelta(milliseconds=1))
        take()
    if isinstance(pointers, MemoryPointers):
        pointers.clock.sleep(TURN.total_seconds())
    else:
        Patience(until=lambda: pointers.peek([NAME], keep=False)[0].holder == "")


class Patience:
    """Asks until something is so, at most ten thousand times."""

    def __init__(self, *, until: Callable[[], bool]) -> None:
        assert any(until() for _ in range(10_000))


@pytest.mark.parametrize("newest", [5, AHEAD], ids=["behind the clock", "ahead of it"])
def test_each_turn_comes_with_a_greater_number(archive, newest):
    archive.newest(NAME)
    archive.index.advance(a_version(newest), after=0)
    numbers = [newest]

    for write_id in "abcdefgh":
        numbers.append(archive.index.take_turn(NAME, after=newest, write_id=write_id))
        archive.index.end_turn(NAME, write_id)

    assert all(before < after for before, after in pairwise(numbers))


@pytest.mark.parametrize("seconds", [-30, 30], ids=["fast after slow", "slow after fast"])
def test_clocks_of_writers_that_differ_bring_no_forgotten_write_above_an_acknowledged_one(client, store, seconds):
    """Redis is emptied while a writer puts; another commits; the first is refused, and Redis is emptied again."""
    archive = archive_on(client, store)
    overtaken = replace(archive, clock=OffsetClock(inner=SystemClock(), offset=seconds))
    other = replace(archive, clock=OffsetClock(inner=SystemClock(), offset=-seconds))
    first, acknowledged = write(archive, b"one"), []
    store.before_put = [lambda: (client.flushdb(), acknowledged.append(write(other, b"two")))]

    with pytest.raises(ConflictError):
        write(overtaken, b"three", expected=first.number)

    client.flushdb()
    assert [archive.newest(NAME)] == acknowledged
    assert len(store.keys) == 2


def test_a_write_is_not_committed_below_a_later_turn_that_came_to_nothing_known(archive, client, store):
    """The later one's object may appear at any time, and after a loss it would be the newest."""
    first = write(archive, b"one")

    def another() -> None:
        client.flushdb()
        archive.newest(NAME)
        archive.index.take_turn(NAME, after=first.number, write_id="b" * 24)
        archive.index.end_turn(NAME, "b" * 24)

    store.before_put = [another]
    hurried = replace(archive, index=replace(archive.index, clock=Acting([])))

    with pytest.raises(OutcomeUnknownError, match="other writers took their turns"):
        write(hurried, b"two", expected=first.number)

    assert archive.newest(NAME) == first


def test_a_turn_that_is_anothers_is_refused_and_nothing_is_put(archive, store):
    first = write(archive, b"one")
    archive.index.take_turn(NAME, after=first.number, write_id="a")
    impatient = replace(archive, timing=replace(archive.timing, patience=timedelta(microseconds=1)))

    with pytest.raises(ConflictError):
        write(impatient, b"two")

    assert len(store.keys) == 1


def test_a_write_that_the_store_refuses_ends_its_turn(archive, store, monkeypatch):
    def refuse(*arguments: Any, **options: Any) -> PutReceipt:
        raise AccessDeniedError("No.")

    first = write(archive, b"one")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", refuse)
        with pytest.raises(AccessDeniedError):
            write(archive, b"two")

    assert archive.index.take_turn(NAME, after=first.number, write_id="a") > first.number


def test_a_slow_clock_does_not_draw_the_number_right_above_the_newest(archive):
    first = a_version(2**61)
    archive.newest(NAME)
    archive.index.advance(first, after=0)

    drawn = [write(archive, b"x").number for _ in range(4)]

    steps = [after - before for before, after in pairwise([first.number, *drawn])]
    assert all(0 < step <= 1_000_000 for step in steps)
    assert len(set(steps)) > 1


def test_a_writer_that_lost_its_turn_waits_for_what_comes_of_the_other(archive, client, store):
    first = write(archive, b"one")
    mine = archive.index.take_turn(NAME, after=first.number, write_id="a" * 24)
    archive.index.end_turn(NAME, "a" * 24)
    other = a_version(archive.index.take_turn(NAME, after=first.number, write_id="b" * 24), "b" * 24)
    clock = Acting([lambda: archive.index.advance(other, after=first.number)])
    waiting = replace(archive.index, clock=clock)

    with pytest.raises(NumberTakenError):
        waiting.advance(a_version(mine, "a" * 24), after=first.number)

    assert clock.acts == []
    assert archive.index.disowns(a_version(mine, "a" * 24), after=first.number)


def test_a_writer_that_lost_its_turn_to_nobodys_write_is_of_unknown_outcome(archive):
    first = write(archive, b"one")
    mine = archive.index.take_turn(NAME, after=first.number, write_id="a" * 24)
    archive.index.end_turn(NAME, "a" * 24)
    archive.index.take_turn(NAME, after=first.number, write_id="b" * 24)

    with pytest.raises(OutcomeUnknownError, match="other writers took their turns"):
        replace(archive.index, clock=Acting([])).advance(a_version(mine, "a" * 24), after=first.number)


class Acting(ManualClock):
    """A clock on which something happens whenever somebody sleeps."""

    def __init__(self, acts: list[Callable[[], object]]) -> None:
        super().__init__()
        self.acts = acts

    def sleep(self, seconds: float) -> None:
        if self.acts:
            self.acts.pop(0)()
        super().sleep(seconds)


@pytest.mark.parametrize(
    ("newest", "disowned"),
    [pytest.param(30, True, id="the pointer is above it"), pytest.param(15, False, id="it is above the pointer")],
)
def test_only_what_lies_below_the_pointer_is_thrown_away(archive, newest, disowned):
    first = write(archive, b"one")
    archive.index.advance(a_version(first.number + newest), after=first.number)

    assert archive.index.disowns(a_version(first.number + 20, "a" * 24), after=first.number) is disowned


def test_nothing_is_thrown_away_once_the_pointer_was_lost(archive, client, store):
    first = write(archive, b"one")
    write(archive, b"two")
    client.flushdb()
    write(archive, b"three")

    assert not archive.index.disowns(a_version(first.number + 1, "a" * 24), after=first.number)


def test_a_write_that_took_longer_than_its_deadline_is_committed_if_nothing_happened(archive, store):
    write(archive, b"one")
    clock = ManualClock(time=datetime.now(UTC))
    slow, store.clock = replace(archive, clock=clock), clock
    store.after_put = [lambda: clock.advance(timedelta(hours=1))]

    second = write(slow, b"two")

    assert archive.newest(NAME) == second


def test_of_what_was_passed_over_nothing_is_shown(archive, store):
    first = write(archive, b"one")
    passed = a_version(first.number + 1, "a" * 24)
    with closing(spool([b"x"])) as body:
        store.put(passed.key, body.file, mode=PutMode.OVERWRITE, attributes=Attributes())
    last = write(archive, b"two")

    assert list(archive.history(NAME)) == [last, first]
    assert archive.index.at(NAME, passed.number) is None


# What a lineage remembers


def test_of_what_is_long_ago_a_lineage_remembers_less_and_less():
    lineage = ""
    for hour in range(2000):
        lineage = joined(f" {hour + 1}:a ", lineage, hour * 3600)

    remembered = Slot(at="2000", lineage=lineage).remembered()

    ages = [2000 - link.number for link in remembered.links]
    assert ages[: remembered.dense] == list(range(64))
    assert all(older <= 1.3 * newer for newer, older in pairwise(ages[63:]))
    assert ages[-1] == 1999
    assert len(ages) < 64 + 40


def test_redis_and_memory_remember_the_same(client):
    theirs = RedisPointers(lambda: client, place="same", timeout=DAY)
    (began, _) = client.time()
    words = " ".join(f"{number}:a:{began - 60 * (200 - number)}" for number in range(200, 0, -1))
    theirs.claim(NAME, "?one", keep=False)
    client.hset(theirs.key_of(NAME), "lineage", words)
    theirs.swap(NAME, "?one", slot(201, "a"))

    (found,) = theirs.peek([NAME], keep=False)

    now = int(found.lineage.split()[0].rpartition(":")[2])
    assert found.lineage == joined(" 201:a ", words, now)
    assert "|" in found.lineage


# A Redis that was restarted, or throws things away


@pytest.fixture
def restarting(tmp_path):
    with RedisServer(tmp_path) as server:
        yield server


@pytest.mark.parametrize("strong", [True, False], ids=["strong listing", "weak listing"])
def test_a_redis_that_comes_back_without_its_last_writes_is_not_believed(restarting, store, strong):
    with closing(restarting.client) as client:
        archive = archive_on(client, store, strong_listing=strong)
        archive.index.trust()
        write(archive, b"one")
        client.save()
        second = write(archive, b"two")
        restarting.kill()
        restarting.start()

        assert client.dbsize() > 0
        if strong:
            assert archive.newest(NAME) == second
        else:
            with pytest.raises(PointerLostError):
                archive.newest(NAME)


def test_a_replica_that_is_promoted_is_not_believed(restarting, store, tmp_path_factory):
    with (
        RedisServer(tmp_path_factory.mktemp("replica")) as other,
        closing(restarting.client) as client,
        closing(other.client) as replica,
    ):
        first = write(archive_on(client, store), b"one")
        client.config_set("repl-diskless-sync-delay", 0)
        replica.replicaof("127.0.0.1", restarting.port)
        Patience(until=lambda: client.execute_command("WAIT", 1, 100) == 1)
        Patience(until=lambda: replica.dbsize() > 0)
        replica.replicaof("NO", "ONE")
        second = write(archive_on(client, store), b"two")  # which the replica has missed

        found = archive_on(replica, store).newest(NAME)

    assert found == second != first


def test_after_an_eviction_a_weak_store_is_not_believed(client, store):
    archive = archive_on(client, store, strong_listing=False)
    archive.index.trust()
    write(archive, b"one")
    client.config_set("maxmemory-policy", "volatile-lru")  # the guard, which does not expire, stays
    client.config_set("maxmemory", 1)
    with suppress(redis.ResponseError):
        client.set("more", "x")
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")

    assert client.dbsize() > 0
    with pytest.raises(PointerLostError):
        archive.newest(NAME)


# The contract


class _Putting(RedisIndex):
    """Puts the object of a version before it advances, and deletes what is forgotten, as writer and collector do."""

    def advance(self, version: Version, *, after: int) -> None:
        self.relearn(version.name)
        self.take_turn(version.name, after=after, write_id=version.details.write_id)
        self.kept.drop(version.name, str(after))  # the number is another than that of the turn, which so is forgotten
        self.relearn(version.name)
        empty = version.tombstone or bool(version.details.body_key)
        for key in [self.layout.hint_key(version.name, "0" * 24)] if version.tombstone else []:
            self.store.put(key, io.BytesIO(), mode=PutMode.OVERWRITE, attributes=Attributes())
        told = Details(write_id=version.details.write_id, tombstone=version.tombstone)
        with suppress(UnicodeEncodeError):  # a text that only the pointer keeps
            to_metadata(version.details)
            told = version.details
        attributes = Attributes(
            metadata=to_metadata(told), content_type=told.content_type, content_encoding=told.content_encoding
        )
        self.store.put(version.key, io.BytesIO(b"" if empty else b"x"), mode=PutMode.OVERWRITE, attributes=attributes)
        super().advance(version, after=after)

    def forget(self, versions: Sequence[Version]) -> None:
        going = [version for version in versions if version.tombstone or version != self.newest(version.name)]
        super().forget(going)
        hints = [self.layout.hint_key(version.name, "0" * 24) for version in going if version.tombstone]
        self.store.delete([*hints, *(version.key for version in going)])


BACKENDS = {"Django": "django.core.cache.backends.redis.RedisCache", "django-redis": "django_redis.cache.RedisCache"}


class TestRedisIndex(CommittingIndexContract):
    @pytest.fixture(params=BACKENDS)
    def index(self, request: pytest.FixtureRequest, settings: Any, redis_server: RedisServer) -> CommittingIndex:
        settings.CACHES = {"default": {"BACKEND": BACKENDS[request.param], "LOCATION": redis_server.url}}
        kept = RedisPointers(lambda: redis_client("default", where="here"), place="bucket/", timeout=DAY)
        return _Putting(store=MemoryObjectStore(), layout=Layout(), kept=kept, timeout=DAY)
