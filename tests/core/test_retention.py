from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consistent_s3.core.errors import PolicyError
from consistent_s3.core.retention import Decision, Kept, Reason, RetentionPolicy, plan

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


# Policies


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep_last": 0}, "keep_last is 0. Keep at least 1, or a name would be left nothing."),
        ({"keep_last": -1}, "keep_last is -1. Keep at least 1, or a name would be left nothing."),
        ({"keep_for": timedelta(seconds=-1)}, "keep_for is -1 day, 23:59:59. It must not be negative."),
        ({"tombstone_for": timedelta(seconds=-1)}, "tombstone_for is -1 day, 23:59:59. It must not be negative."),
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


# Whatever the history

AGES = st.lists(st.floats(min_value=0, max_value=100), max_size=30)
HISTORIES = st.tuples(AGES, st.sets(st.integers(1, 30))).map(lambda made: history(*sorted(made[0]), referenced=made[1]))
UNSORTED = st.tuples(AGES, st.sets(st.integers(1, 30))).map(lambda made: history(*made[0], referenced=made[1]))
KEEP_LAST = st.none() | st.integers(1, 10)
KEEP_FOR = st.none() | st.integers(0, 90).map(days)


def going(versions: list[Kept], policy: RetentionPolicy, *, deleted: bool = False) -> set[int]:
    decisions = plan(versions, policy, NOW, grace=GRACE, deleted=deleted, numbers_restart=False)
    return {decision.number for decision in decisions if decision.goes}


@given(UNSORTED, KEEP_LAST, KEEP_FOR, st.booleans())
def test_every_version_gets_one_decision_in_order(
    versions: list[Kept], keep_last: int | None, keep_for: timedelta | None, deleted: bool
) -> None:
    policy = RetentionPolicy(keep_last=keep_last, keep_for=keep_for)

    decisions = plan(versions, policy, NOW, grace=GRACE, deleted=deleted, numbers_restart=False)

    assert [decision.number for decision in decisions] == [version.number for version in versions]
    assert all(isinstance(decision, Decision) and decision.reason for decision in decisions)


@given(UNSORTED, KEEP_LAST, KEEP_FOR, st.booleans())
def test_newest_never_goes_unless_it_is_a_lone_tombstone(
    versions: list[Kept], keep_last: int | None, keep_for: timedelta | None, deleted: bool
) -> None:
    gone = going(versions, RetentionPolicy(keep_last=keep_last, keep_for=keep_for), deleted=deleted)

    assert len(versions) not in gone or (deleted and len(versions) == 1) or not versions


@given(HISTORIES, KEEP_LAST, KEEP_FOR)
def test_what_is_kept_is_the_union_of_what_any_rule_keeps(
    versions: list[Kept], keep_last: int | None, keep_for: timedelta | None
) -> None:
    if keep_last is None and keep_for is None:
        return
    either = going(versions, RetentionPolicy(keep_last=keep_last, keep_for=keep_for))

    alone = [RetentionPolicy(keep_last=keep_last)] if keep_last else []
    alone += [RetentionPolicy(keep_for=keep_for)] if keep_for is not None else []
    assert either == set.intersection(*(going(versions, policy) for policy in alone))


@given(HISTORIES, KEEP_LAST, KEEP_FOR, st.booleans())
def test_nothing_younger_than_grace_nor_referenced_goes(
    versions: list[Kept], keep_last: int | None, keep_for: timedelta | None, deleted: bool
) -> None:
    gone = going(versions, RetentionPolicy(keep_last=keep_last, keep_for=keep_for), deleted=deleted)

    for position, version in enumerate(versions):
        if version.number in gone:
            assert not version.referenced or position == 0
            assert NOW - versions[max(position - 1, 0)].modified >= GRACE


@given(HISTORIES, KEEP_LAST, KEEP_FOR)
def test_after_a_sweep_nothing_more_goes(
    versions: list[Kept], keep_last: int | None, keep_for: timedelta | None
) -> None:
    """What is left keeps its place among the newest, and was superseded no earlier than before."""
    policy = RetentionPolicy(keep_last=keep_last, keep_for=keep_for)
    gone = going(versions, policy)

    left = [version for version in versions if version.number not in gone]

    assert going(left, policy) == set()


@given(HISTORIES, KEEP_FOR)
def test_deleted_name_is_swept_in_two_runs_and_the_tombstone_goes_last(
    versions: list[Kept], keep_for: timedelta | None
) -> None:
    policy = RetentionPolicy(keep_last=1, keep_for=keep_for)
    gone = going(versions, policy, deleted=True)
    left = [version for version in versions if version.number not in gone]

    again = going(left, policy, deleted=True)

    assert again <= {len(versions)}
    assert not again or len(left) == 1
