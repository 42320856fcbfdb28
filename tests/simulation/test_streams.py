"""The simulation of streams: no violation where streams are right, a refusal or a violation everywhere else."""

from __future__ import annotations

import secrets
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consistent_s3.core.errors import PreconditionsIgnoredError
from consistent_s3.core.selftest import SelfTesting
from consistent_s3.eventstore import ANY, EventStore, NewEvent
from consistent_s3.testing.eventual import PROFILES, Conditions, Profile
from consistent_s3.testing.stream_worlds import PREFIX, SAFE, StreamPlan, StreamWorld, plan_of
from consistent_s3.testing.worlds import RATES, Outcome

SEEDS = 12
"""Seeds in each run of the suite, as many old ones as fresh ones.
`python -m consistent_s3.testing.stream_worlds --minutes 60` runs for an hour."""

FAULTS = {
    "lost_before",
    "lost_after",
    "lands_late",
    "meets_itself",
    "conflict_409",
    "no_answer",
    "broken_body",
    "stall",
    "stall_after",
    "crash",
}
HAPPENS = {
    "append repeated",
    "append unknown",
    "append refused",
    "append ended",
    "appended",
    "tombstones",
    "snapshots",
    "states from a snapshot",
    "written again",
    "chunks covered",
    "collected",
    "collected of an ended stream",
    "collected under somebody's hands",
}
"""What must have happened besides, or nothing was proved."""


def check(outcome: Outcome) -> None:
    """Fail with the trace of a seed that went wrong."""
    if outcome.violations:
        pytest.fail("\n".join([f"Seed {outcome.seed}:", *outcome.violations, "", *outcome.trace[-60:]]))


def test_no_seed_of_this_run_violates_the_promise_of_streams_and_every_fault_fires():
    fired: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    root = secrets.randbelow(10**9)

    for seed in [*range(SEEDS), *range(root, root + SEEDS)]:
        outcome = StreamWorld(seed, plan_of(seed)).run()
        check(outcome)
        fired += outcome.fired
        outcomes += outcome.outcomes

    assert set(fired) >= FAULTS
    assert set(outcomes) >= HAPPENS
    for kind in ("append", "read", "state", "version"):
        assert outcomes[f"{kind} ok"] > 5 * outcomes[f"{kind} failed"]


def test_the_same_seed_is_the_same_world_of_streams():
    first, second = StreamWorld(7).run(), StreamWorld(7).run()

    assert first.trace == second.trace


REFUSED = [profile for profile in PROFILES if profile.name not in SAFE]


def without_asking(self: Any, key: str, body: Any, **rest: Any) -> Any:
    """Put without asking first whether the store honours preconditions."""
    return self.inner.put(key, body, **rest)


@pytest.mark.parametrize("profile", REFUSED, ids=lambda profile: profile.name)
def test_where_streams_are_not_right_it_shows(profile, monkeypatch):
    """Why the README forbids them there: what would go wrong is seen within a few seeds."""
    monkeypatch.setattr(SelfTesting, "put", without_asking)
    plan = likelier(profile)

    assert any(StreamWorld(seed, plan).run().violations for seed in range(20))


def likelier(profile: Profile) -> StreamPlan:
    """Return a plan in which it takes no thousand seeds: where a 404 is remembered, retries meet themselves often."""
    plan = StreamPlan(profile=profile)
    if profile.absence:
        timing = replace(plan.timing, write_deadline=timedelta(seconds=5))
        plan = replace(plan, rates=replace(RATES, conflict_409=0.5, meets_itself=0.5), timing=timing)
    return plan


IGNORING = [profile for profile in PROFILES if profile.conditions is Conditions.IGNORED]


@pytest.mark.parametrize("profile", IGNORING, ids=lambda profile: profile.name)
def test_where_conditions_are_ignored_nothing_is_ever_appended(profile):
    rates = replace(RATES, conflict_409=0, meets_itself=0)  # it never says that a condition did not hold
    world = StreamWorld(1, StreamPlan(profile=profile, rates=rates))

    outcome = world.run()

    assert not any(world.truth.written.values())
    assert outcome.outcomes["append ok"] == 0
    check(outcome)


def test_where_conditions_are_ignored_the_first_append_says_so():
    world = StreamWorld(1, StreamPlan(profile=IGNORING[0]))

    with pytest.raises(PreconditionsIgnoredError, match="Streams cannot be kept there"):
        EventStore(world.shown, PREFIX).append("order", "7", [NewEvent(type="Placed")], expected_version=ANY)
