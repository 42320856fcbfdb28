"""Documents in the simulation: where an index is right no update is lost or counts twice; planted bugs are caught."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consistent_s3.core.archive import Archive
from consistent_s3.core.documents import Documents
from consistent_s3.core.errors import (
    ConflictError,
    ConsistentS3Error,
    NotYetVisibleError,
    OutcomeUnknownError,
    VersionNotFoundError,
)
from consistent_s3.core.numbers import Numbering, next_number
from consistent_s3.core.seams import Clock
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.index.slots import Slot
from consistent_s3.testing import indexes
from consistent_s3.testing.eventual import MODERN, REPLICATED, S3_2019
from consistent_s3.testing.indexes import MemoryPointers
from consistent_s3.testing.state_worlds import StateWorld, plan_of
from consistent_s3.testing.worlds import Outcome, Plan, pairings
from tests.simulation.test_worlds import FAULTS

SEEDS = 4
"""Seeds for each pairing in each run of the suite, as many old ones as fresh ones.
`python -m consistent_s3.testing.state_worlds --minutes 60` runs for an hour."""

MANY_CLOCKS = [342, 2241, 3081, 4108, 4955, 5162]
"""Seeds that lost an update while turns were numbered by the clocks of writers."""


def check(outcome: Outcome) -> None:
    """Fail with the trace of a seed that went wrong."""
    if outcome.violations:
        pytest.fail("\n".join([f"Seed {outcome.seed}:", *outcome.violations, "", *outcome.trace[-60:]]))


def test_no_update_is_lost_or_counted_twice_and_every_fault_fires():
    fired: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    count = SEEDS * len(list(pairings()))
    root = secrets.randbelow(10**9)

    for seed in [*range(count), *range(root, root + count)]:
        outcome = StateWorld(seed, plan_of(seed)).run()
        check(outcome)
        fired += outcome.fired
        outcomes += outcome.outcomes

    assert set(fired) >= FAULTS
    assert outcomes["write ok"] > outcomes["write failed"] + outcomes["write unknown"]
    assert outcomes["read ok"] > outcomes["read failed"]
    assert min(outcomes["write unknown"], outcomes["delete ok"]) > 0


def test_the_same_seed_is_the_same_world():
    first, second = StateWorld(7, plan_of(7)).run(), StateWorld(7, plan_of(7)).run()

    assert first.trace == second.trace


def test_clients_do_meet():
    """Or nothing would be shown: most updates of a world are made on top of another client's."""
    world = StateWorld(4, plan_of(0))

    world.run()

    writers = [operation.client for operation in world.history.operations if operation.kind == "write"]
    assert len(set(writers)) >= 4
    assert sum("PreconditionTripped" in line for line in world.simulation.trace) > 0


@pytest.mark.parametrize("seed", MANY_CLOCKS)
def test_where_redis_is_emptied_often_and_clocks_differ_no_update_is_lost(seed):
    """These seeds lost one while writers drew the numbers of their turns by their own clocks.

    A writer whose clock was ahead took its turn and put; Redis was emptied; a writer whose clock was behind took a
    turn, and so a lower number, and was acknowledged; the first one's object landed above it, of unknown outcome; Redis
    was emptied again, and the listing showed the first one's as the newest.
    """
    differing = plan_of(seed)

    assert (differing.index, differing.pointers_lost, differing.clock_offset) == ("redis", 0.02, 30.0)
    check(StateWorld(seed, differing).run())


def test_turns_numbered_by_the_clocks_of_writers_are_caught(monkeypatch):
    numbers_come_from_many_clocks(monkeypatch)

    assert any(StateWorld(seed, plan_of(seed)).run().violations for seed in MANY_CLOCKS)


# Bugs planted on purpose, one at a time: the check must be able to fail.


def written_blindly(patch: pytest.MonkeyPatch) -> None:
    """Nothing is expected: whoever is last wins."""
    real = Documents._write

    def write(self: Any, key: str, data: bytes, expected: Any, *, learned: Any = None, **rest: Any) -> Any:
        return real(self, key, data, None, **rest)

    patch.setattr(Documents, "_write", write)


def tried_again_after_an_unknown_outcome(patch: pytest.MonkeyPatch) -> None:
    """No answer is taken for "not written", and the change made once more."""
    answer_unknown_with(patch, ConflictError)


def unknown_outcome_told_as_a_failure(patch: pytest.MonkeyPatch) -> None:
    answer_unknown_with(patch, ConsistentS3Error)


def answer_unknown_with(patch: pytest.MonkeyPatch, kind: Callable[[str], Exception]) -> None:
    real = Documents._write

    def write(self: Any, *arguments: Any, **rest: Any) -> Any:
        try:
            return real(self, *arguments, **rest)
        except OutcomeUnknownError as error:
            raise kind(str(error)) from None

    patch.setattr(Documents, "_write", write)


def value_kept_from_try_to_try(patch: pytest.MonkeyPatch) -> None:
    """Only the number is learned anew after a conflict, and the value of the first try changed again."""
    real = Documents._look

    def look(self: Any, key: str, default: Any, newest: Any) -> Any:
        kept = self.__dict__.setdefault("_kept", [])
        if not kept:
            kept.append(real(self, key, default, newest))
        return replace(kept[0], newest=newest(self.name(key)))

    patch.setattr(Documents, "_look", look)


def number_learned_after_the_value(patch: pytest.MonkeyPatch) -> None:
    """What is read, and what it is said to be, are asked for one after the other."""
    real = Documents._look

    def look(self: Any, key: str, default: Any, newest: Any) -> Any:
        found = real(self, key, default, newest)
        return replace(found, newest=newest(self.name(key)))

    patch.setattr(Documents, "_look", look)


def what_is_not_visible_yet_is_not_there(patch: pytest.MonkeyPatch) -> None:
    """An object that the store denies reads as the default, at once."""
    patch.setattr(Archive, "_patience", lambda self, version: 0.0)
    real = Documents._look_once

    def look_once(self: Any, default: Any, newest: Any) -> Any:
        try:
            return real(self, default, newest)
        except (NotYetVisibleError, VersionNotFoundError):
            return replace(real(self, default, None), newest=newest)

    patch.setattr(Documents, "_look_once", look_once)


def deletion_passed_over(patch: pytest.MonkeyPatch) -> None:
    """A deleted document reads as it was before."""
    real = Documents._look_once

    def look_once(self: Any, default: Any, newest: Any) -> Any:
        if newest is not None and newest.tombstone:
            for version in self.archive.history(newest.name, before=newest.number):
                if not version.tombstone:
                    return replace(real(self, default, version), newest=newest)
        return real(self, default, newest)

    patch.setattr(Documents, "_look_once", look_once)


def numbers_come_from_many_clocks(patch: pytest.MonkeyPatch) -> None:
    """Each writer draws the number of its turn by its own clock, and that of Redis is never asked."""
    clocks: dict[str, Clock] = {}
    take_turn, take = PointerIndex.take_turn, MemoryPointers.take

    def take_own_turn(self: PointerIndex, name: str, *, after: int, write_id: str) -> int:
        clocks[write_id] = self.clock
        return take_turn(self, name, after=after, write_id=write_id)

    def take_own_number(self: MemoryPointers, name: str, after: int, ahead: int, holder: str) -> int | Slot:
        own = next_number(after, numbering=Numbering.CLOCK, now=clocks[holder].now())
        return take(self, name, after, max(own, ahead), holder)

    patch.setattr(PointerIndex, "take_turn", take_own_turn)
    patch.setattr(MemoryPointers, "take", take_own_number)
    patch.setattr(indexes, "_EPOCH", datetime.max.replace(tzinfo=UTC))  # so that its clock is behind every number


LISTING: dict[str, Any] = {"index": "listing", "profile": MODERN}
OLD_S3: dict[str, Any] = {"index": "database", "profile": S3_2019}
FAR: dict[str, Any] = {"index": "database", "profile": REPLICATED}
REDIS: dict[str, Any] = {"index": "redis", "profile": S3_2019}

PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], dict[str, Any], int]] = [
    (written_blindly, LISTING, 20),
    (written_blindly, OLD_S3, 20),
    (written_blindly, REDIS, 20),
    (tried_again_after_an_unknown_outcome, LISTING, 40),
    (tried_again_after_an_unknown_outcome, OLD_S3, 40),
    (tried_again_after_an_unknown_outcome, REDIS, 40),
    (unknown_outcome_told_as_a_failure, LISTING, 40),
    (value_kept_from_try_to_try, LISTING, 20),
    (number_learned_after_the_value, LISTING, 40),
    (what_is_not_visible_yet_is_not_there, FAR, 40),
    (deletion_passed_over, LISTING | {"deleters": 2}, 20),
]
"""Each bug, the index and store on which it hurts, and the seeds within which it must be caught."""


@pytest.mark.parametrize(
    ("bug", "changes", "seeds"),
    [pytest.param(*planted, id=f"{planted[0].__name__} on {planted[1]['index']}") for planted in PLANTED],
)
def test_a_planted_bug_is_caught(bug, changes, seeds, monkeypatch):
    bug(monkeypatch)

    caught = next((seed for seed in range(seeds) if StateWorld(seed, plan(seed, **changes)).run().violations), None)

    print(f"{bug.__name__} {changes['index']}: {caught}")  # noqa: T201
    assert caught is not None, f"{bug.__name__} was not caught within {seeds} seeds"


def plan(seed: int, **changes: Any) -> Plan:
    return replace(Plan(writers=4, readers=1, deleters=0, collects=seed % 2 == 0), **changes)
