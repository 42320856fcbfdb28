"""The Redis index in the simulation: where it is right, what goes wrong elsewhere, and its planted bugs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core import survey
from consistent_s3.core.archive import Archive
from consistent_s3.core.indexed import IndexCommitter
from consistent_s3.index.listing import ListingIndex
from consistent_s3.index.pointers import PointerIndex
from consistent_s3.index.slots import Slot, encode, joined
from consistent_s3.testing.eventual import EXPRESS, MODERN, REPLICATED, S3_2019, STORAGEGRID, SWIFT
from consistent_s3.testing.indexes import MemoryPointers
from consistent_s3.testing.worlds import Outcome, Plan, World

FAULTS = {
    "pointers lost",
    "pointers turned back",
    "pointer evicted",
    "pointer without answer, applied",
    "pointer without answer, not applied",
    "crash",
    "stall",
}

FOUND = {
    (75, MODERN): "an attempt landed late, after it had been refused and thrown away",
    (101279, MODERN): "Redis was emptied between a refusal and its clean-up, and a reader met the attempt",
    (5, REPLICATED): "a version that the listing did not show yet was called collected",
    (60, S3_2019): "the last tombstone was collected",
    (777534, MODERN): "an attempt of unknown outcome counted as what superseded the version under it",
    (
        777630,
        MODERN,
    ): "a writer stalled between a refusal and its clean-up, Redis was emptied, and the attempt was read",
    (778218, REPLICATED): "the same as 777534",
    (5637, MODERN): "two slow clocks drew one number, before and after Redis was emptied",
}
"""Seeds that found something, and what."""


def plan(seed: int, **changes: Any) -> Plan:
    return replace(Plan(index="redis", collects=seed % 2 == 0), **changes)


def first_violation(seeds: int, **changes: Any) -> int | None:
    return next((seed for seed in range(seeds) if World(seed, plan(seed, **changes)).run().violations), None)


def check(outcome: Outcome) -> None:
    if outcome.violations:
        pytest.fail("\n".join([f"Seed {outcome.seed}:", *outcome.violations, "", *outcome.trace[-60:]]))


@pytest.mark.parametrize(("seed", "profile"), FOUND, ids=str)
def test_a_seed_that_found_something_passes(seed, profile):
    lost = 0.02 if seed > 1000 else 0.003

    check(World(seed, plan(seed, profile=profile, pointers_lost=lost)).run())


@pytest.mark.parametrize("profile", [MODERN, STORAGEGRID, S3_2019, SWIFT, REPLICATED], ids=lambda profile: profile.name)
def test_where_it_is_told_the_truth_about_listings_redis_that_is_often_emptied_breaks_nothing(profile):
    fired: Counter[str] = Counter()

    for seed in range(100):
        outcome = World(seed, plan(seed, profile=profile, pointers_lost=0.02)).run()
        check(outcome)
        fired += outcome.fired

    assert set(fired) >= FAULTS


def test_the_collector_takes_what_may_go():
    world = World(4, plan(4, pointers_lost=0.0))

    world.run()

    assert sum("collector" in line and "delete media" in line for line in world.simulation.trace)


@pytest.mark.parametrize(
    ("profile", "changes"),
    [
        pytest.param(S3_2019, {"strong_listing": True, "pointers_lost": 0.02}, id="S3 of 2019 called strong"),
        pytest.param(SWIFT, {"strong_listing": True, "pointers_lost": 0.02}, id="Swift called strong"),
        pytest.param(REPLICATED, {"strong_listing": True}, id="replicated bucket called strong"),
        pytest.param(EXPRESS, {"strong_listing": True}, id="S3 Express, whose listing has no order"),
        pytest.param(EXPRESS, {"strong_listing": False}, id="S3 Express, also if called weak"),
    ],
)
def test_where_it_is_not_right_it_shows(profile, changes):
    assert first_violation(300, profile=profile, **changes) is not None


# Bugs planted on purpose


def pointer_is_set_without_compare(patch: pytest.MonkeyPatch) -> None:
    def swap(self: MemoryPointers, name: str, old: str, new: Slot, *, holder: str = "") -> None:
        (slot,) = self.peek([name], keep=False)
        self._put(name, replace(new, lineage=joined(new.lineage, slot.lineage, 0)))

    patch.setattr(MemoryPointers, "swap", swap)


def pointer_is_set_where_there_is_none(patch: pytest.MonkeyPatch) -> None:
    """What a writer does that takes an empty slot for a free one."""
    patch.setattr(PointerIndex, "_advance_from_listing", set_anyway)


def set_anyway(self: PointerIndex, version: Any, after: int) -> bool:
    (slot,) = self.kept.peek([version.name], keep=False)
    if not slot.at:
        slot = self.kept.claim(version.name, "?", keep=True)
    words = f" {version.number}:{version.details.write_id} {after}: "
    made = Slot(at=str(version.number), lineage=words, value=encode(version))
    return self.kept.swap(version.name, slot.at, made) is None


def listing_is_believed_without_a_claim(patch: pytest.MonkeyPatch) -> None:
    """What was listed becomes the pointer, whoever has committed meanwhile."""
    real = MemoryPointers.swap

    def swap(self: MemoryPointers, name: str, old: str, new: Slot, *, holder: str = "") -> Slot | None:
        (slot,) = self.peek([name], keep=False)
        return real(self, name, slot.at if old.startswith("?") else old, new, holder=holder)

    patch.setattr(MemoryPointers, "swap", swap)


def listing_is_asked_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PointerIndex, "newest", ListingIndex.newest)


def lost_pointers_are_assumed_consistent(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PointerIndex, "_check_trusted", lambda self, name: None)


def attempts_are_thrown_away_unasked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(IndexCommitter, "_is_disowned", lambda *arguments: True)


def attempts_above_the_pointer_are_thrown_away(patch: pytest.MonkeyPatch) -> None:
    """Refused is refused, says who was refused: but who reads the listing may have taken it for the newest."""
    taking_no_turns(patch)

    def disowns(self: PointerIndex, version: Any, *, after: int) -> bool:
        (slot,) = self.kept.peek([version.name], keep=True)
        lineage = slot.remembered()
        return slot.settled and lineage.named(after) and not lineage.named(version.number, version.details.write_id)

    patch.setattr(PointerIndex, "disowns", disowns)


def taking_no_turns(patch: pytest.MonkeyPatch) -> None:
    def take(self: MemoryPointers, name: str, after: int, ahead: int, holder: str) -> int:
        return max(after + 1, int(self.clock.now().timestamp() * 1_000_000))

    patch.setattr(MemoryPointers, "take", take)


def attempts_count_as_successors(patch: pytest.MonkeyPatch) -> None:
    """Whatever is listed below the pointer is a version, and superseded what is under it when it was written."""

    def sort_out(listed: Any, remembered: Any, **rest: Any) -> Any:
        above = [info for number, info in listed if remembered.links and number > remembered.newest]
        return [(number, info) for number, info in listed if info not in above], {}, above

    patch.setattr(survey, "sort_out", sort_out)


def attempts_above_the_pointer_are_collected(patch: pytest.MonkeyPatch) -> None:
    real = survey.sort_out

    def sort_out(listed: Any, *arguments: Any, **rest: Any) -> Any:
        versions, since, strays = real(listed, *arguments, **rest)
        own = {info.key: info for _, info in listed}
        return versions, since, [own[info.key] for info in strays]

    patch.setattr(survey, "sort_out", sort_out)


def pointers_that_turned_back_are_believed(patch: pytest.MonkeyPatch) -> None:
    real = MemoryPointers.saved

    def saved(self: MemoryPointers) -> Callable[[], None]:
        restart = real(self)

        def go_on() -> None:
            restart()
            self.run -= 1

        return go_on

    patch.setattr(MemoryPointers, "saved", saved)


def evicted_pointers_are_taken_for_expired(patch: pytest.MonkeyPatch) -> None:
    real = MemoryPointers.evict

    def evict(self: MemoryPointers, name: str) -> None:
        real(self, name)
        self.evicted = 0

    patch.setattr(MemoryPointers, "evict", evict)


def reads_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """What the pointer names and the store does not show is taken for collected."""
    patch.setattr(Archive, "_patience", lambda self, version: None)


def pointers_expire_before_the_listing_settles(patch: pytest.MonkeyPatch) -> None:
    """A bug of configuration: see `SHORT`."""


MODERN_PLAN: dict[str, Any] = {"pointers_lost": 0.02}
OLD_PLAN: dict[str, Any] = {"pointers_lost": 0.02, "profile": S3_2019}
SHORT: dict[str, Any] = {
    "profile": REPLICATED,
    "pointers_lost": 0.0,
    "pointer_timeout": timedelta(seconds=30),
}
"""A pointer that expires sooner than the store's listing settles."""

DYING: dict[str, Any] = {
    "pointers_lost": 0.0,
    "crash": 0.1,
    "writers": 1,
    "deleters": 0,
    "readers": 5,
    "operations": 16,
    "names": ("a.txt",),
    "collects": True,
}
"""A writer that often dies between put and commit, and writes seldom, so that versions stay current for long."""
FAR_PLAN: dict[str, Any] = {"profile": REPLICATED, "pointers_lost": 0.0}

PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], dict[str, Any], int]] = [
    (pointer_is_set_without_compare, MODERN_PLAN, 40),
    (pointer_is_set_where_there_is_none, MODERN_PLAN, 1000),
    (listing_is_believed_without_a_claim, OLD_PLAN, 400),
    (listing_is_asked_first, OLD_PLAN, 40),
    (lost_pointers_are_assumed_consistent, OLD_PLAN, 400),
    (attempts_are_thrown_away_unasked, MODERN_PLAN, 400),
    (attempts_above_the_pointer_are_thrown_away, MODERN_PLAN, 2000),
    (attempts_count_as_successors, DYING, 400),
    (attempts_above_the_pointer_are_collected, DYING | {"pointers_lost": 0.03}, 600),
    (pointers_that_turned_back_are_believed, MODERN_PLAN, 40),
    (evicted_pointers_are_taken_for_expired, OLD_PLAN, 400),
    (reads_without_waiting, FAR_PLAN, 40),
    (pointers_expire_before_the_listing_settles, SHORT, 100),
]


@pytest.mark.parametrize(
    ("bug", "changes", "seeds"),
    [pytest.param(*planted, id=planted[0].__name__) for planted in PLANTED],
)
def test_a_planted_bug_is_caught(bug, changes, seeds, monkeypatch):
    bug(monkeypatch)

    caught = first_violation(seeds, **changes)

    assert caught is not None, f"It was not caught within {seeds} seeds"
