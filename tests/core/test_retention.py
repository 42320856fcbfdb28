from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.core.errors import PolicyError
from consistent_s3.core.retention import Circumstances, Decision, Kept, Reason, RetentionPolicy, Tier, all_of, plan

NOW = datetime(2026, 1, 31, tzinfo=UTC)
GRACE = timedelta(days=1)


def days(count: float) -> timedelta:
    return timedelta(days=count)


def history(*ages: float, referenced: set[int] = frozenset()) -> list[Kept]:  # type: ignore[assignment]
    """Return versions written so many days ago, the oldest number 1."""
    last = len(ages)
    return [
        Kept(number=last - position, modified=NOW - days(age), referenced=last - position in referenced)
        for position, age in enumerate(ages)
    ]


def decide(
    versions: list[Kept], policy: RetentionPolicy, *, deleted: bool = False, restart: bool = False
) -> dict[int, Reason]:
    decisions = plan(versions, policy, NOW, grace=GRACE, deleted=deleted, numbers_restart=restart)
    goes = {Reason.SUPERSEDED, Reason.DELETED, Reason.LAST_TOMBSTONE}
    assert all(decision.goes == (decision.reason in goes) for decision in decisions)
    return {decision.number: decision.reason for decision in decisions}


def plan_now(versions: list[Kept], policy: RetentionPolicy, *, deleted: bool = False) -> list[Decision]:
    return plan(versions, policy, NOW, grace=GRACE, deleted=deleted, numbers_restart=False)


# Each reason


def test_newest_is_current_however_old() -> None:
    assert decide(history(1000), RetentionPolicy(keep_last=1, keep_for=days(1))) == {1: Reason.CURRENT}


def test_superseded_version_that_no_rule_keeps_goes() -> None:
    assert decide(history(10, 20), RetentionPolicy(keep_last=1))[1] is Reason.SUPERSEDED


def test_newest_few_are_kept() -> None:
    assert decide(history(10, 20, 30, 40), RetentionPolicy(keep_last=3)) == {
        4: Reason.CURRENT,
        3: Reason.KEEP_LAST,
        2: Reason.KEEP_LAST,
        1: Reason.SUPERSEDED,
    }


def test_age_counts_from_when_a_version_was_superseded() -> None:
    """Unchanged for two years and replaced five days ago: it has had five days."""
    assert decide(history(5, 730), RetentionPolicy(keep_for=days(7)))[1] is Reason.KEEP_FOR
    assert decide(history(8, 730), RetentionPolicy(keep_for=days(7)))[1] is Reason.SUPERSEDED


def test_version_kept_for_a_time_goes_when_the_time_is_over() -> None:
    assert decide(history(7, 8), RetentionPolicy(keep_for=days(7)))[1] is Reason.SUPERSEDED
    assert decide(history(6.999, 8), RetentionPolicy(keep_for=days(7)))[1] is Reason.KEEP_FOR


def test_nothing_superseded_within_grace_goes() -> None:
    assert decide(history(0.999, 730), RetentionPolicy(keep_last=1))[1] is Reason.GRACE
    assert decide(history(1, 730), RetentionPolicy(keep_last=1))[1] is Reason.SUPERSEDED
    assert decide(history(0.5, 730), RetentionPolicy(keep_for=timedelta(0)))[1] is Reason.GRACE


def test_version_that_appeared_under_a_newer_one_has_its_grace_from_then() -> None:
    """A stalled writer's version can land below one that was written a while before."""
    assert decide(history(5, 0.5), RetentionPolicy(keep_last=1))[1] is Reason.GRACE


def test_version_that_a_row_points_to_stays() -> None:
    versions = history(10, 20, 30, referenced={1})

    assert decide(versions, RetentionPolicy(keep_last=1)) == {
        3: Reason.CURRENT,
        2: Reason.SUPERSEDED,
        1: Reason.REFERENCED,
    }
    assert decide(versions, RetentionPolicy(keep_last=1), deleted=True)[1] is Reason.REFERENCED


def test_without_rules_everything_stays() -> None:
    assert decide(history(10, 20), RetentionPolicy())[1] is Reason.NO_POLICY
    assert decide(history(10, 20), RetentionPolicy(), deleted=True) == {2: Reason.NO_POLICY, 1: Reason.NO_POLICY}


def test_after_a_deletion_only_times_count() -> None:
    assert decide(history(10, 20), RetentionPolicy(keep_last=5), deleted=True) == {
        2: Reason.UNDER_TOMBSTONE,
        1: Reason.DELETED,
    }
    assert decide(history(10, 20), RetentionPolicy(keep_for=days(11)), deleted=True)[1] is Reason.KEEP_FOR
    assert decide(history(0.5, 20), RetentionPolicy(keep_last=1), deleted=True)[1] is Reason.GRACE


@pytest.mark.parametrize(
    ("age", "policy", "reason"),
    [
        pytest.param(10, RetentionPolicy(keep_last=3), Reason.LAST_TOMBSTONE, id="old"),
        pytest.param(0.9, RetentionPolicy(keep_last=3), Reason.GRACE, id="within-grace"),
        pytest.param(6, RetentionPolicy(keep_for=days(7)), Reason.KEEP_FOR, id="within-keep-for"),
        pytest.param(7, RetentionPolicy(keep_for=days(7)), Reason.LAST_TOMBSTONE, id="after-keep-for"),
        pytest.param(10, RetentionPolicy(), Reason.LAST_TOMBSTONE, id="no-policy"),
    ],
)
def test_tombstone_with_nothing_under_it_goes_in_its_time(age: float, policy: RetentionPolicy, reason: Reason) -> None:
    assert decide(history(age), policy, deleted=True) == {1: reason}


def test_tombstone_that_holds_the_last_number_stays_for_ever() -> None:
    """Else the name, written again, would begin at 1: under keys for which caches hold other bytes."""
    assert decide(history(10_000), RetentionPolicy(keep_for=days(1)), deleted=True, restart=True) == {
        1: Reason.HOLDS_NUMBER
    }


@pytest.mark.parametrize("restart", [True, False])
@pytest.mark.parametrize(
    ("age", "policy", "reason"),
    [
        pytest.param(29, RetentionPolicy(tombstone_for=days(30)), Reason.TOMBSTONE_FOR, id="within"),
        pytest.param(30, RetentionPolicy(tombstone_for=days(30)), Reason.LAST_TOMBSTONE, id="after"),
        pytest.param(
            8, RetentionPolicy(keep_for=days(30), tombstone_for=days(7)), Reason.KEEP_FOR, id="keep-for-is-longer"
        ),
        pytest.param(0.9, RetentionPolicy(tombstone_for=timedelta(0)), Reason.GRACE, id="never-within-grace"),
    ],
)
def test_tombstone_goes_when_its_own_time_is_over(
    age: float, policy: RetentionPolicy, reason: Reason, restart: bool
) -> None:
    assert decide(history(age), policy, deleted=True, restart=restart) == {1: reason}


def test_tombstone_never_goes_before_what_is_under_it() -> None:
    policy = RetentionPolicy(keep_last=1, tombstone_for=timedelta(0))

    assert decide(history(10, 20), policy, deleted=True) == {2: Reason.UNDER_TOMBSTONE, 1: Reason.DELETED}


@pytest.mark.parametrize("deleted", [True, False])
def test_name_without_versions_needs_no_decision(deleted: bool) -> None:
    assert decide([], RetentionPolicy(keep_last=1), deleted=deleted) == {}


# Tiers

HOURLY = Tier(every=timedelta(hours=1), for_=days(1))
DAILY = Tier(every=days(1), for_=days(30))
WEEKLY = Tier(every=days(7), for_=days(365))


def written_at(*moments: str) -> list[Kept]:
    """Return versions written at such moments, given newest first."""
    last = len(moments)
    return [
        Kept(number=last - position, modified=datetime.fromisoformat(f"{moment}+00:00"))
        for position, moment in enumerate(moments)
    ]


def test_newest_version_of_each_period_stands_for_it() -> None:
    versions = written_at(
        "2026-01-30 12:00", "2026-01-29 23:59", "2026-01-29 08:00", "2026-01-28 00:00", "2026-01-27 23:59"
    )

    assert decide(versions, RetentionPolicy(tiers=(DAILY,))) == {
        5: Reason.CURRENT,
        4: Reason.TIER,
        3: Reason.SUPERSEDED,
        2: Reason.TIER,
        1: Reason.TIER,
    }


def test_periods_are_those_of_utc_whatever_the_zone_of_a_time() -> None:
    """The same moment as 2026-01-29 23:30 in UTC."""
    there = datetime.fromisoformat("2026-01-30 01:30+02:00")
    versions = [*written_at("2026-01-30 12:00", "2026-01-30 11:00")]
    versions = [*versions, Kept(number=0, modified=there)]

    assert decide(versions, RetentionPolicy(tiers=(DAILY,)))[0] is Reason.TIER


def test_current_version_stands_for_its_period_too() -> None:
    versions = written_at("2026-01-29 12:00", "2026-01-29 11:00", "2026-01-28 11:00")

    assert decide(versions, RetentionPolicy(tiers=(DAILY,))) == {
        3: Reason.CURRENT,
        2: Reason.SUPERSEDED,
        1: Reason.TIER,
    }


def test_tier_ends_so_long_after_a_version_was_superseded() -> None:
    policy = RetentionPolicy(tiers=(DAILY,))

    assert decide(history(29.999, 700), policy)[1] is Reason.TIER
    assert decide(history(30, 700), policy)[1] is Reason.SUPERSEDED


def test_tiers_add_up() -> None:
    """Of a version an hour for ninety days: days for a month, weeks before."""
    versions = history(*(hour / 24 for hour in range(90 * 24)))

    kept = [
        version.modified
        for version, decision in zip(versions, plan_now(versions, RetentionPolicy(tiers=(DAILY, WEEKLY))), strict=True)
        if decision.reason is Reason.TIER
    ]

    recent = [moment for moment in kept if NOW - moment < days(29)]
    older = [moment for moment in kept if NOW - moment > days(31)]
    assert [moment.hour for moment in recent] == [23] * len(recent)
    assert len(recent) == 29
    assert {(moment.weekday(), moment.hour) for moment in older} == {(2, 23)}  # before Thursday begins
    assert len(older) == 8


def test_tiers_count_after_a_deletion_and_the_tombstone_uses_up_no_period() -> None:
    versions = written_at("2026-01-29 12:00", "2026-01-29 11:00", "2026-01-29 10:00", "2026-01-20 10:00")

    assert decide(versions, RetentionPolicy(tiers=(DAILY,)), deleted=True) == {
        4: Reason.UNDER_TOMBSTONE,
        3: Reason.TIER,
        2: Reason.DELETED,
        1: Reason.TIER,
    }


def test_tombstone_in_the_midst_of_a_history_uses_up_no_period() -> None:
    versions = written_at("2026-01-29 12:00", "2026-01-20 12:00", "2026-01-20 11:00", "2026-01-20 10:00")
    versions[1] = replace(versions[1], tombstone=True)

    assert decide(versions, RetentionPolicy(tiers=(DAILY,))) == {
        4: Reason.CURRENT,
        3: Reason.TIER,
        2: Reason.TIER,
        1: Reason.SUPERSEDED,
    }


def test_thinning_out_keeps_what_it_kept_also_where_times_go_back() -> None:
    """2 is thinned out. Measured by the next newer one that is left, 1 would go in the second run and not the first."""
    policy = RetentionPolicy(tiers=(Tier(every=days(10), for_=days(10)),))
    versions = history(10.5, 9.5, 25)
    gone = going(versions, policy)

    assert 2 in gone
    assert going(without(versions, gone), policy) == set()


# Holds


def test_held_version_stays_whatever_the_policy_says() -> None:
    versions = [replace(version, held=version.number in {1, 2}) for version in history(10, 20, 30)]

    assert decide(versions, RetentionPolicy(keep_last=1)) == {3: Reason.CURRENT, 2: Reason.HELD, 1: Reason.HELD}
    assert decide(versions, RetentionPolicy(), deleted=True) == {
        3: Reason.NO_POLICY,
        2: Reason.HELD,
        1: Reason.HELD,
    }


@pytest.mark.parametrize("restart", [True, False])
def test_held_tombstone_stays(restart: bool) -> None:
    policy = RetentionPolicy(keep_last=1, tombstone_for=timedelta(0))
    [tombstone] = history(1000)

    assert decide([replace(tombstone, held=True)], policy, deleted=True, restart=restart) == {1: Reason.HELD}
    assert decide([replace(tombstone, referenced=True)], policy, deleted=True, restart=restart) == {
        1: Reason.REFERENCED
    }


def test_circumstances_say_what_is_held() -> None:
    policy = RetentionPolicy()

    assert [Circumstances(policy=policy, held=frozenset({2})).holds(number) for number in (1, 2)] == [False, True]
    assert Circumstances(policy=policy, held_whole=True).holds(1)
    assert not Circumstances(policy=policy, referenced=frozenset({1})).holds(1)


# Archiving

ARCHIVE = {"archive_after": days(15), "archive_class": "STANDARD_IA"}


def archived(versions: list[Kept], *policies: RetentionPolicy, deleted: bool = False) -> set[int]:
    return {decision.number for decision in plan_now(versions, all_of(policies), deleted=deleted) if decision.archives}


def test_noncurrent_version_that_stays_is_archived_when_its_time_has_come() -> None:
    versions = history(14, 15, 16, 700)
    policy = RetentionPolicy(keep_last=3, **ARCHIVE)  # type: ignore[arg-type]

    assert archived(versions, policy) == {2}
    assert archived(versions, RetentionPolicy(**ARCHIVE)) == {2, 1}  # type: ignore[arg-type]
    assert archived(versions, RetentionPolicy(keep_last=3)) == set()


def test_current_version_is_never_archived() -> None:
    assert archived(history(700), RetentionPolicy(**ARCHIVE)) == set()  # type: ignore[arg-type]
    assert archived(history(700), RetentionPolicy(**ARCHIVE), deleted=True) == set()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "archives"),
    [
        pytest.param({}, True, id="any"),
        pytest.param({"held": True}, True, id="held"),
        pytest.param({"archived": True}, False, id="archived already"),
        pytest.param({"referenced": True}, False, id="rows read it"),
        pytest.param({"tombstone": True}, False, id="a tombstone has no bytes"),
    ],
)
def test_what_is_archived(changes: dict[str, bool], archives: bool) -> None:
    newest, old = history(20, 30)
    policy = RetentionPolicy(keep_last=5, **ARCHIVE)  # type: ignore[arg-type]

    assert archived([newest, replace(old, **changes)], policy) == ({1} if archives else set())


def test_deleted_files_versions_are_archived() -> None:
    assert archived(history(20, 30), RetentionPolicy(keep_for=days(99), **ARCHIVE), deleted=True) == {1}  # type: ignore[arg-type]


# Several policies


def test_of_several_policies_what_any_keeps_stays() -> None:
    both = all_of([RetentionPolicy(keep_last=2), RetentionPolicy(keep_for=days(25))])

    assert decide(history(10, 20, 30, 40), both) == {
        4: Reason.CURRENT,
        3: Reason.KEEP_LAST,
        2: Reason.KEEP_FOR,
        1: Reason.SUPERSEDED,
    }


def test_one_policy_that_keeps_everything_is_enough() -> None:
    both = all_of([RetentionPolicy(keep_last=1), RetentionPolicy()])

    assert both.keeps_everything
    assert decide(history(10, 20), both)[1] is Reason.NO_POLICY


def test_one_policy_said_twice_is_one() -> None:
    policy = RetentionPolicy(keep_last=1, **ARCHIVE)  # type: ignore[arg-type]

    assert all_of([policy, RetentionPolicy(keep_last=1, **ARCHIVE)]) == policy  # type: ignore[arg-type]


def test_several_policies_archive_when_all_want_it_as_the_last_says() -> None:
    early = RetentionPolicy(keep_last=5, archive_after=days(5), archive_class="STANDARD_IA")
    late = RetentionPolicy(keep_last=5, archive_after=days(15), archive_class="GLACIER")

    for both in (all_of([early, late]), all_of([late, early]), all_of([all_of([late, early]), early])):
        assert (both.archive_after, both.archive_class) == (days(15), "GLACIER")
        assert archived(history(1, 10, 20, 30), both) == {1}
    for never in ([early, RetentionPolicy(keep_last=5)], [RetentionPolicy(keep_last=5), early, late]):
        assert all_of(never).archive_class == ""
        assert archived(history(1, 10, 20, 30), all_of(never)) == set()


@pytest.mark.parametrize("restart", [True, False])
def test_several_policies_keep_a_tombstone_as_long_as_any(restart: bool) -> None:
    short = RetentionPolicy(keep_last=1, tombstone_for=days(5))
    long = RetentionPolicy(keep_last=1, tombstone_for=days(15))
    unsaid = RetentionPolicy(keep_last=1)

    def alone(age: float, *policies: RetentionPolicy) -> Reason:
        return decide(history(age), all_of(policies), deleted=True, restart=restart)[1]

    assert alone(10, short, long) is alone(10, long, short) is Reason.TOMBSTONE_FOR
    assert alone(20, short, long) is Reason.LAST_TOMBSTONE
    assert alone(20, short, unsaid) is (Reason.HOLDS_NUMBER if restart else Reason.LAST_TOMBSTONE)


# Policies


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_last": 0}, "keep_last is 0. Keep at least 1, or a name would be left nothing."),
        ({"keep_last": -1}, "keep_last is -1. Keep at least 1, or a name would be left nothing."),
        ({"keep_for": timedelta(seconds=-1)}, "keep_for is -1 day, 23:59:59. It must not be negative."),
        ({"tombstone_for": timedelta(seconds=-1)}, "tombstone_for is -1 day, 23:59:59. It must not be negative."),
        (
            {"archive_after": timedelta(seconds=-1), "archive_class": "GLACIER"},
            "archive_after is -1 day, 23:59:59. It must not be negative.",
        ),
    ],
)
def test_policy_that_makes_no_sense_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(PolicyError) as refused:
        RetentionPolicy(**options)  # type: ignore[arg-type]

    assert str(refused.value) == message


def test_policy_says_whether_it_keeps_everything() -> None:
    assert RetentionPolicy().keeps_everything
    assert not RetentionPolicy(keep_last=1).keeps_everything
    assert not RetentionPolicy(keep_for=timedelta(0)).keeps_everything
    assert not RetentionPolicy(tiers=(HOURLY,)).keeps_everything
    assert RetentionPolicy(tombstone_for=days(1), archive_after=days(1), archive_class="GLACIER").keeps_everything


# Whatever the history

AGES = st.lists(st.floats(min_value=0, max_value=100), max_size=30)
SETS = st.sets(st.integers(1, 30), max_size=6)


def marked(ages: Iterable[float], referenced: set[int], held: set[int], tombstones: set[int]) -> list[Kept]:
    return [
        replace(version, held=version.number in held, tombstone=version.number in tombstones)
        for version in history(*ages, referenced=referenced)
    ]


HISTORIES = st.builds(lambda ages, *sets: marked(sorted(ages), *sets), AGES, SETS, SETS, SETS)
SKEWED = HISTORIES | st.builds(marked, AGES, SETS, SETS, SETS)
"""Also such whose times contradict the order of numbers: clocks that go wrong, and versions that land late."""
KEEP_LAST = st.none() | st.integers(1, 10)
TIMES = st.none() | st.integers(0, 90).map(days)
TIERS = st.lists(
    st.tuples(st.floats(min_value=0.01, max_value=20), st.floats(min_value=1, max_value=20)).map(
        lambda made: Tier(every=days(made[0]), for_=days(made[0] * made[1]))
    ),
    max_size=3,
).map(tuple)
POLICIES = st.builds(RetentionPolicy, keep_last=KEEP_LAST, keep_for=TIMES, tiers=TIERS, tombstone_for=TIMES)
SEVERAL = st.lists(POLICIES, min_size=1, max_size=3).map(all_of)
ANY = st.booleans()


def decisions_on(
    versions: list[Kept], policy: RetentionPolicy, *, deleted: bool = False, restart: bool = False, later: float = 0
) -> list[Decision]:
    return plan(versions, policy, NOW + days(later), grace=GRACE, deleted=deleted, numbers_restart=restart)


def going(
    versions: list[Kept], policy: RetentionPolicy, *, deleted: bool = False, restart: bool = False, later: float = 0
) -> set[int]:
    made = decisions_on(versions, policy, deleted=deleted, restart=restart, later=later)
    return {decision.number for decision in made if decision.goes}


def without(versions: list[Kept], gone: set[int]) -> list[Kept]:
    return [version for version in versions if version.number not in gone]


@given(SKEWED, SEVERAL, ANY, ANY)
def test_every_version_gets_one_decision_with_a_reason_in_order(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool, restart: bool
) -> None:
    made = decisions_on(versions, policy, deleted=deleted, restart=restart)

    goes = {Reason.SUPERSEDED, Reason.DELETED, Reason.LAST_TOMBSTONE}
    assert [decision.number for decision in made] == [version.number for version in versions]
    assert all(decision.goes == (decision.reason in goes) for decision in made)
    assert not any(decision.archives for decision in made)


@given(SKEWED, SEVERAL, ANY)
def test_newest_never_goes_unless_it_is_a_lone_tombstone(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool
) -> None:
    gone = going(versions, policy, deleted=deleted)

    assert len(versions) not in gone or (deleted and len(versions) == 1)


@given(SKEWED, SEVERAL, ANY, ANY)
def test_nothing_younger_than_grace_nor_held_nor_referenced_goes(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool, restart: bool
) -> None:
    gone = going(versions, policy, deleted=deleted, restart=restart)

    for position, version in enumerate(versions):
        if version.number in gone:
            assert not version.referenced
            assert not version.held
            assert NOW - versions[max(position - 1, 0)].modified >= GRACE
            assert NOW - version.modified >= GRACE


@given(SKEWED, POLICIES, POLICIES, ANY)
def test_adding_a_rule_never_removes_what_another_keeps(
    versions: list[Kept], policy: RetentionPolicy, more: RetentionPolicy, deleted: bool
) -> None:
    """Each rule of `more` is added to a policy that has rules; of two numbers or times the greater is the addition."""
    if policy.keeps_everything:
        return
    before = going(versions, policy, deleted=deleted)
    additions = [
        {"keep_last": max(policy.keep_last or 1, more.keep_last or 1)},
        {"keep_for": max(policy.keep_for or days(0), more.keep_for or days(0))},
        {"tombstone_for": max(policy.tombstone_for or days(0), more.tombstone_for or days(0))},
        {"tiers": (*policy.tiers, *more.tiers)},
        {"tiers": (*more.tiers, *policy.tiers)},
    ]

    for addition in additions:
        assert going(versions, replace(policy, **addition), deleted=deleted) <= before


@given(SKEWED, POLICIES, ANY)
def test_what_is_kept_is_the_union_of_what_any_rule_keeps(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool
) -> None:
    alone = [RetentionPolicy(tiers=(tier,)) for tier in policy.tiers]
    alone += [RetentionPolicy(keep_last=policy.keep_last)] if policy.keep_last else []
    alone += [RetentionPolicy(keep_for=policy.keep_for)] if policy.keep_for is not None else []
    if not alone or (deleted and len(versions) == 1):
        return

    assert going(versions, policy, deleted=deleted) == set.intersection(
        *(going(versions, one, deleted=deleted) for one in alone)
    )


@given(SKEWED, st.lists(POLICIES, min_size=1, max_size=3), ANY, ANY)
def test_a_version_goes_only_if_every_policy_lets_it_go(
    versions: list[Kept], policies: list[RetentionPolicy], deleted: bool, restart: bool
) -> None:
    together = going(versions, all_of(policies), deleted=deleted, restart=restart)

    assert together == set.intersection(
        *(going(versions, policy, deleted=deleted, restart=restart) for policy in policies)
    )


@given(SKEWED, SEVERAL, ANY, st.data())
def test_sweeping_any_part_of_a_plan_takes_nothing_from_what_stays(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool, data: st.DataObject
) -> None:
    """A killed sweep, single keys that the store keeps: the next plan goes no further than the first."""
    gone = going(versions, policy, deleted=deleted)
    swept = data.draw(st.sets(st.sampled_from(sorted(gone)))) if gone else set()

    left = without(versions, swept)

    assert going(left, policy, deleted=deleted) <= gone | ({len(versions)} if deleted and len(left) == 1 else set())


@given(SKEWED, SEVERAL, ANY)
def test_after_a_sweep_nothing_more_goes_but_the_tombstone(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool
) -> None:
    left = without(versions, going(versions, policy, deleted=deleted))

    again = going(left, policy, deleted=deleted)

    assert again == set() or (deleted and len(left) == 1 and again == {len(versions)})
    assert going(without(left, again), policy, deleted=deleted) == set()


@given(SKEWED, SEVERAL, ANY, st.floats(min_value=0, max_value=400))
def test_waiting_makes_nothing_stay_that_would_have_gone(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool, later: float
) -> None:
    assert going(versions, policy, deleted=deleted) <= going(versions, policy, deleted=deleted, later=later)


@given(SKEWED, SEVERAL, ANY, st.floats(min_value=0, max_value=400))
def test_sweeping_at_once_or_later_ends_in_no_less_than_what_all_rules_keep(
    versions: list[Kept], policy: RetentionPolicy, deleted: bool, later: float
) -> None:
    """What the first sweep left and a second takes later, one sweep at that later time would have taken, too."""
    left = without(versions, going(versions, policy, deleted=deleted))

    taken_later = going(left, policy, deleted=deleted, later=later)

    lone = {len(versions)} if deleted and len(left) == 1 else set()
    assert taken_later <= going(versions, policy, deleted=deleted, later=later) | lone


@given(SKEWED, SEVERAL)
def test_tiers_keep_no_two_versions_of_one_period(versions: list[Kept], policy: RetentionPolicy) -> None:
    if len([tier for one in policy.each for tier in one.tiers]) != 1:
        return
    [tier] = [tier for one in policy.each for tier in one.tiers]

    kept = [decision.number for decision in decisions_on(versions, policy) if decision.reason is Reason.TIER]

    by_number = {version.number: version for version in versions}
    periods = [
        (by_number[number].modified - datetime(1970, 1, 1, tzinfo=UTC)) // tier.every
        for number in kept
        if not by_number[number].tombstone
    ]
    assert len(periods) == len(set(periods))
