"""The simulation: no violation where an index is right, one where it is not, and every planted bug is caught."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consistent_s3.core import claiming, deciding, indexed, protocol, retention
from consistent_s3.core.archive import Archive
from consistent_s3.core.errors import (
    AnswerLostError,
    NumberTakenError,
    OutcomeUnknownError,
    PreconditionTrippedError,
    StoreError,
)
from consistent_s3.core.retention import Decision, Reason
from consistent_s3.core.seams import ObjectHead, ObjectInfo, PutMode, PutReceipt
from consistent_s3.core.versions import Details, from_head
from consistent_s3.testing import worlds
from consistent_s3.testing.eventual import PROFILES, REPLICATED, S3_2019
from consistent_s3.testing.indexes import MemoryIndex
from consistent_s3.testing.worlds import RATES, SAFE, Outcome, Plan, World, pairings, plan_of

SEEDS = 16
"""Seeds for each pairing in each run of the suite, as many old ones as fresh ones.
`python -m consistent_s3.testing.worlds --minutes 60` runs for an hour."""

LISTING = {
    2: "numbers began at 1 again after the last tombstone was collected",
    1454: "a write that met itself stalled until its version was collected, and was taken for one that never landed",
    1996: "the look back after a long put lost its answer, and the write was called failed",
}
"""Seeds that found a bug of the listing index, and which."""

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
    "stale list",
    "stale get",
    "remembered absence",
    "commit unknown, applied",
    "commit unknown, not applied",
    "pointers lost",
    "pointers turned back",
    "pointer evicted",
}


def plan(seed: int, **changes: Any) -> Plan:
    """Return a plan of the listing index: with a collector or, to check that numbers are gapless, without one."""
    return replace(Plan(collects=seed % 2 == 0), **changes)


def check(outcome: Outcome) -> None:
    """Fail with the trace of a seed that went wrong."""
    if outcome.violations:
        pytest.fail("\n".join([f"Seed {outcome.seed}:", *outcome.violations, "", *outcome.trace[-60:]]))


@pytest.mark.parametrize("seed", LISTING)
def test_a_seed_that_failed_once_passes(seed):
    check(World(seed, plan(seed)).run())


def test_no_seed_of_this_run_violates_the_promise_and_every_fault_fires():
    fired: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    count = SEEDS * len(list(pairings()))
    root = secrets.randbelow(10**9)

    for seed in [*range(count), *range(root, root + count)]:
        outcome = World(seed, plan_of(seed)).run()
        check(outcome)
        fired += outcome.fired
        outcomes += outcome.outcomes

    assert set(fired) >= FAULTS
    assert outcomes["write ok"] > outcomes["write failed"]
    assert outcomes["read ok"] > outcomes["read failed"]
    assert outcomes["write unknown"] > 0


def test_the_same_seed_is_the_same_world():
    first, second = World(7).run(), World(7).run()

    assert first.trace == second.trace


def caught_within(seeds: int, **changes: Any) -> int | None:
    """Return the first seed that violates the promise."""
    return next((seed for seed in range(seeds) if World(seed, plan(seed, **changes)).run().violations), None)


REFUSED = [profile for profile in PROFILES if profile.name not in SAFE["listing"]]


LIKELIER: dict[str, dict[str, Any]] = {
    "StorageGRID default": {
        "rates": replace(RATES, conflict_409=0.5, meets_itself=0.5),
        "timing": replace(Plan().timing, write_deadline=timedelta(seconds=5)),
    }
}
"""Where it takes a 409, and a retry that meets itself while a 404 is remembered, until a number is too old: with the
usual rates once in thousands of worlds."""


@pytest.mark.parametrize("profile", REFUSED, ids=lambda profile: profile.name)
def test_where_the_listing_index_is_not_right_it_shows(profile):
    """Why the README forbids it there: what would go wrong is seen within a few seeds."""
    assert caught_within(300, profile=profile, **LIKELIER.get(profile.name, {})) is not None


# Bugs planted on purpose, one at a time: the check must be able to fail.


def no_write_id(patch: pytest.MonkeyPatch) -> None:
    """Whatever is there is somebody else's."""
    patch.setattr(claiming, "from_head", lambda head: replace(real_from_head(head), write_id="somebody else's"))


real_from_head = claiming.from_head


def tripped_means_taken(patch: pytest.MonkeyPatch) -> None:
    """409 and 412 are believed without looking at the object."""
    real = claiming.Claimer.whose

    def believe(self: Any, claim: Any) -> Any:
        verdict, receipt = real(self, claim)
        return (claiming.Verdict.ANOTHERS, None) if receipt is not None else (verdict, receipt)

    patch.setattr(claiming.Claimer, "whose", believe)


def lost_means_not_written(patch: pytest.MonkeyPatch) -> None:
    """A 5xx or a timeout is taken for a failure, and the write tried again under the next number."""

    def believe(self: Any, key: str, draft: Any, attributes: Any, learned: Any, **rest: Any) -> Any:
        try:
            return self.store.put(key, draft.file, mode=PutMode.CREATE, attributes=attributes)
        except (AnswerLostError, PreconditionTrippedError):
            raise NumberTakenError from None

    patch.setattr(protocol.Committer, "_create_numbered", believe)


def cleans_up_after_unknown(patch: pytest.MonkeyPatch) -> None:
    """A write of unknown outcome deletes the key that it wanted."""
    real = protocol.Committer._create_numbered

    def clean_up(self: Any, key: str, *arguments: Any, **rest: Any) -> Any:
        try:
            return real(self, key, *arguments, **rest)
        except OutcomeUnknownError:
            self.store.delete([key])
            raise

    patch.setattr(protocol.Committer, "_create_numbered", clean_up)


def age_counts_from_its_own_writing(patch: pytest.MonkeyPatch) -> None:
    real = retention.plan

    def own_age(history: Any, policy: Any, now: Any, *, grace: Any, **rest: Any) -> Any:
        decisions = real(history, policy, now, grace=grace, **rest)
        return [
            replace(decision, goes=True, reason=Reason.SUPERSEDED)
            if decision.reason is Reason.GRACE and now - version.modified >= grace
            else decision
            for decision, version in zip(decisions, history, strict=True)
        ]

    patch.setattr(deciding, "plan", own_age)


def newest_is_collectable(patch: pytest.MonkeyPatch) -> None:
    real = retention.plan

    def everything_old_goes(history: Any, policy: Any, now: Any, *, grace: Any, **rest: Any) -> Any:
        decisions = real(history, policy, now, grace=grace, **rest)
        if history and now - history[0].modified > grace:
            decisions[0] = Decision(number=history[0].number, goes=True, reason=Reason.SUPERSEDED)
        return decisions

    patch.setattr(deciding, "plan", everything_old_goes)


def number_is_used_however_old(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(protocol.Committer, "_deadline", lambda self, draft, learned: None)
    patch.setattr(protocol.Committer, "_check_not_overtaken", lambda *arguments: None)


def tombstone_goes_before_what_is_under_it(patch: pytest.MonkeyPatch) -> None:
    real = retention._tombstone
    patch.setattr(retention, "_tombstone", lambda tombstone, under, *rest, **more: real(tombstone, [], *rest, **more))
    numbers_restart(patch)


def numbers_restart(patch: pytest.MonkeyPatch) -> None:
    """The last tombstone goes, and with it the knowledge of the last number."""
    real = retention.plan
    patch.setattr(deciding, "plan", lambda *arguments, **rest: real(*arguments, **{**rest, "numbers_restart": False}))


def grace_is_ignored(patch: pytest.MonkeyPatch) -> None:
    real = retention.plan
    patch.setattr(deciding, "plan", lambda *arguments, **rest: real(*arguments, **{**rest, "grace": timedelta(0)}))
    patch.setattr(protocol.Committer, "_deadline", lambda self, draft, learned: None)


def head_before_put(patch: pytest.MonkeyPatch) -> None:
    """Ask whether the key is free: on the oldest S3 that makes its first read eventual."""
    real = protocol.Committer._create_unique

    def ask_first(self: Any, key: str, *arguments: Any, **rest: Any) -> Any:
        with suppress(StoreError):
            self.store.head(key)
        return real(self, key, *arguments, **rest)

    patch.setattr(protocol.Committer, "_create_unique", ask_first)


def row_before_put(patch: pytest.MonkeyPatch) -> None:
    def advance_first(self: Any, key: str, draft: Any, attributes: Any, learned: Any, **rest: Any) -> Any:
        details = from_metadata(key, attributes)
        made = protocol.new_version(
            "", rest["number"], key, draft, details, PutReceipt(etag="", modified=self.clock.now())
        )
        self.index.advance(replace(made, name=self.layout.parse(key).name), after=learned.number)
        return real(self, key, draft, attributes, learned, **rest)

    real = protocol.Committer._create_unique
    patch.setattr(protocol.Committer, "_create_unique", advance_first)
    patch.setattr(indexed.IndexCommitter, "_create", create_without_advancing)


def from_metadata(key: str, attributes: Any) -> Details:
    info = ObjectInfo(key=key, size=0, etag="", modified=datetime(2026, 1, 1, tzinfo=UTC))
    return from_head(ObjectHead(info=info, metadata=attributes.metadata, content_type="", content_encoding=""))


def create_without_advancing(self: Any, name: str, draft: Any, write_id: str, learned: Any) -> Any:
    write_id = self.new_write_id()
    number = learned.number + 1
    details, attributes = self._describe(draft, write_id, learned)
    key = self.layout.version_key(name, number, write_id=write_id)
    receipt = self._create_unique(key, draft, attributes, learned, number=number, write_id=write_id)
    return protocol.new_version(name, number, key, draft, details, receipt)


def index_is_set_without_comparing(patch: pytest.MonkeyPatch) -> None:
    def set_anyway(self: Any, version: Any, *, after: int) -> None:
        self._versions.setdefault(version.name, {})[version.number] = version

    patch.setattr(MemoryIndex, "advance", set_anyway)


def reads_without_waiting(patch: pytest.MonkeyPatch) -> None:
    """A 404 is taken for "gone", although the index names the version."""
    patch.setattr(Archive, "_patience", lambda self, version: None)


def clean_up_takes_what_the_index_does_not_know_yet(patch: pytest.MonkeyPatch) -> None:
    """An object without a row is deleted at once, also one on its way."""
    real = deciding.Decider.fates

    def eager(self: Any, group: Any, *arguments: Any) -> Any:
        for fate in real(self, group, *arguments):
            stray = fate.key in {info.key for info in group.strays}
            yield replace(fate, goes=True) if stray else fate

    patch.setattr(deciding.Decider, "fates", eager)
    patch.setattr(worlds, "IndexSurvey", lambda **_: None)  # rows show no such object: only ask the bucket


LISTING_PLAN: dict[str, Any] = {}
OLD_S3: dict[str, Any] = {"index": "database", "profile": S3_2019}
ONE_FORGETFUL_REPLICA = {"index": "database", "profile": replace(S3_2019, absence=3600.0, replicas=1)}
DATABASE = {"index": "database"}
FAR = {"index": "database", "profile": REPLICATED}

PLANTED: list[tuple[Callable[[pytest.MonkeyPatch], None], dict[str, Any], int]] = [
    (no_write_id, LISTING_PLAN, 20),
    (tripped_means_taken, LISTING_PLAN, 20),
    (lost_means_not_written, LISTING_PLAN, 20),
    (cleans_up_after_unknown, LISTING_PLAN, 400),
    (age_counts_from_its_own_writing, LISTING_PLAN, 1000),
    (newest_is_collectable, LISTING_PLAN, 40),
    (number_is_used_however_old, LISTING_PLAN, 400),
    (tombstone_goes_before_what_is_under_it, LISTING_PLAN, 40),
    (numbers_restart, LISTING_PLAN, 40),
    (grace_is_ignored, LISTING_PLAN, 400),
    (head_before_put, ONE_FORGETFUL_REPLICA, 40),
    (row_before_put, OLD_S3, 40),
    (index_is_set_without_comparing, OLD_S3, 40),
    (reads_without_waiting, FAR, 40),
    (clean_up_takes_what_the_index_does_not_know_yet, DATABASE, 1000),
]
"""Each bug, the index and store on which it hurts, and the seeds within which it must be caught."""


@pytest.mark.parametrize(
    ("bug", "changes", "seeds"), [pytest.param(*planted, id=planted[0].__name__) for planted in PLANTED]
)
def test_a_planted_bug_is_caught(bug, changes, seeds, monkeypatch):
    bug(monkeypatch)

    caught = caught_within(seeds, **changes)

    assert caught is not None, f"{bug.__name__} was not caught within {seeds} seeds"
