"""Which versions may go, and why does each of the others stay?

1. The newest version never goes while it is current, nor does anything that a hold covers or that a row points to.
2. What is kept is the union of what any rule keeps: the newest `keep_last`, everything superseded less than `keep_for`
   ago, what stands for its period in a tier. So adding a rule never removes what another keeps.
3. Age counts from the moment a version was superseded, never from its own writing: a file unchanged for two years and
   replaced today gets its full time. https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
   counts noncurrent days the same way.
4. Nothing superseded less than `grace` ago goes, whatever the other rules say.
5. After a deletion only times count, so `keep_for` and tiers: `keep_last` protects the history of what exists.
6. A tombstone goes last, once nothing is left under it. Where numbers count from 1 (sequence numbering) it stays for
   ever unless `tombstone_for` says otherwise: it is all that knows the name's last number. Without it a name that is
   written again would begin at 1 again, under keys that caches hold other bytes for, with numbers that an old form
   still expects. It has no bytes.
7. Carrying out a plan, or any part of it, never makes something go that would have stayed, also where versions bear
   times that contradict their order; nor does waiting make stay what would have gone.

The decision is pure: values in, values with reasons out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from consistent_s3.core.errors import PolicyError

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Where the periods of all tiers begin: days at midnight UTC, weeks on Thursday."""

STORAGE_CLASS = re.compile(r"[A-Z][A-Z0-9_]*")
"""What the name of a storage class looks like. Stores have classes of their own, so botocore's list does not decide."""


class Reason(StrEnum):
    """Why a version stays or goes."""

    CURRENT = "current"
    HELD = "a hold covers it"
    REFERENCED = "a row points to it"
    KEEP_LAST = "keep_last"
    KEEP_FOR = "keep_for"
    TIER = "stands for its period in a tier"
    GRACE = "grace"
    NO_POLICY = "no retention policy"
    UNDER_TOMBSTONE = "versions under the tombstone are left"
    SUPERSEDED = "superseded, and no rule keeps it"
    DELETED = "deleted, and no rule keeps it"
    LAST_TOMBSTONE = "a tombstone with nothing under it"
    HOLDS_NUMBER = "keeps the number from being used again"
    TOMBSTONE_FOR = "tombstone_for"
    POINTED_TO = "a version that stays points to this body"
    LOCKED = "the store keeps it locked"
    COMMITTED = "the index knows it by now"
    UNCOMMITTED = "the index does not know it"
    NOT_INDEXED = "the index does not know it and may be incomplete: run reindex"
    UNREFERENCED_BODY = "no version points to this body"
    HINT = "the name is, or lately was, deleted"
    STALE_HINT = "a hint that no tombstone needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One version for each period of length `every`, for as long as `for_`. Valid once built. Raises: `PolicyError`.

    The newest version that was written in a period stands for it; it is kept while it was superseded less than `for_`
    ago. A tombstone stands for its period, too, but does not use it up: bytes stay restorable.
    """

    every: timedelta
    for_: timedelta

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise PolicyError(f"A tier keeps one version every {self.every}. The period must be longer than nothing.")
        if self.for_ < self.every:
            raise PolicyError(
                f"A tier keeps one version every {self.every} for {self.for_}. The first is the period, the second how "
                "long: it must be at least as long."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What may be collected. Valid once built; without rules it keeps everything.

    Raises: `PolicyError`.
    """

    keep_last: int | None = None
    """How many of the newest versions of a name that exists are kept, the current one included; at least 1."""
    keep_for: timedelta | None = None
    """How long a version is kept after it was superseded."""
    tiers: tuple[Tier, ...] = ()
    """How versions are thinned out as they age."""
    tombstone_for: timedelta | None = None
    """How long a tombstone with nothing under it is kept; `None` for ever, or with clock numbering as `keep_for`."""
    archive_after: timedelta | None = None
    """How long after it was superseded a version that stays moves to `archive_class`; `None` for never."""
    archive_class: str = ""
    """The storage class for what is old."""
    also: tuple[RetentionPolicy, ...] = ()
    """Policies that count as well: a version goes only if all of them let it go. See `all_of`."""

    def __post_init__(self) -> None:
        if self.keep_last is not None and self.keep_last < 1:
            raise PolicyError(f"keep_last is {self.keep_last}. Keep at least 1, or a name would be left nothing.")
        for rule in ("keep_for", "tombstone_for", "archive_after"):
            time = getattr(self, rule)
            if time is not None and time < timedelta(0):
                raise PolicyError(f"{rule} is {time}. It must not be negative.")
        self._check_archive()

    def _check_archive(self) -> None:
        if self.archive_after is not None and not self.archive_class:
            raise PolicyError(
                "archive_after says when, but not where to. Set archive_class, for example 'STANDARD_IA'."
            )
        if self.archive_class and self.archive_after is None:
            raise PolicyError(
                f"archive_class is {self.archive_class!r}, but nothing says when. Set archive_after to the time since "
                "a version was superseded."
            )
        if self.archive_class and not STORAGE_CLASS.fullmatch(self.archive_class):
            raise PolicyError(
                f"archive_class is {self.archive_class!r}, which is no storage class. Their names are words of capital "
                "letters, for example 'STANDARD_IA'."
            )

    @property
    def keeps_everything(self) -> bool:
        """Return whether no rule lets anything go."""
        return any(one.keep_last is None and one.keep_for is None and not one.tiers for one in self.each)

    @property
    def each(self) -> tuple[RetentionPolicy, ...]:
        """Return this policy and those that count as well."""
        return self, *self.also


def all_of(policies: Iterable[RetentionPolicy]) -> RetentionPolicy:
    """Return one policy that keeps whatever any of some policies keeps; at least one must be given.

    Versions are archived when all want it, and then as the last of them says.
    """
    distinct = tuple(dict.fromkeys(one for policy in policies for one in policy.each))
    if len(distinct) == 1:
        return distinct[0]
    latest: RetentionPolicy | None = distinct[0]
    for policy in distinct:
        if latest is None or latest.archive_after is None or policy.archive_after is None:
            latest = None
        elif policy.archive_after > latest.archive_after:
            latest = policy
    archive_after, archive_class = (latest.archive_after, latest.archive_class) if latest else (None, "")
    return replace(distinct[0], also=distinct[1:], archive_after=archive_after, archive_class=archive_class)


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a project knows of one name."""

    policy: RetentionPolicy
    referenced: frozenset[int] = frozenset()
    """The numbers that rows point to."""
    held: frozenset[int] = frozenset()
    """The numbers that a hold covers."""
    held_whole: bool = False
    """A hold covers all versions, also those to come."""

    def holds(self, number: int) -> bool:
        """Return whether a hold covers a version."""
        return self.held_whole or number in self.held


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One version as the decision sees it."""

    number: int
    modified: datetime
    """When it was written: aware."""
    newest_since: datetime | None = None
    """When it was the newest already, if that was not when it was written."""
    referenced: bool = False
    """A row points to it."""
    held: bool = False
    """A hold that is in force covers it."""
    archived: bool = False
    """It is in the archive's storage class already."""
    tombstone: bool = False
    """It is a tombstone, or may be one; of the newest, `plan` is told by `deleted`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen to one version."""

    number: int
    goes: bool
    reason: Reason
    archives: bool = False
    """It stays, and is to move to the policy's `archive_class` now."""


def plan(
    history: Sequence[Kept],
    policy: RetentionPolicy,
    now: datetime,
    *,
    grace: timedelta,
    deleted: bool,
    numbers_restart: bool,
) -> list[Decision]:
    """Decide about all versions of one name, newest first, in the same order.

    `deleted` says that the newest is a tombstone, `numbers_restart` that a name without versions begins at 1. Pure and
    total: every version gets a decision with a reason.
    """
    decisions: list[Decision] = []
    policies = policy.each
    tiers = {tier for one in policies for tier in one.tiers}
    standing = _standing(history, tiers, now, deleted=deleted) if tiers else frozenset()
    going = Reason.DELETED if deleted else Reason.SUPERSEDED
    keeps_everything = policy.keeps_everything
    for position, version in enumerate(history):
        if position == 0:
            decisions.append(Decision(number=version.number, goes=False, reason=Reason.CURRENT))
            continue
        # A stalled writer's version may appear under a newer one: it was never current, and its time begins then.
        age = now - max(_superseding(history[position - 1]), version.modified)
        keep = _fixed(version, keeps_everything=keeps_everything)
        if keep is None:
            keep = _keeps(position, age, policies, stands=position in standing, deleted=deleted)
        if keep is None and age < grace:
            keep = Reason.GRACE
        decisions.append(
            Decision(
                number=version.number,
                goes=keep is None,
                reason=keep or going,
                archives=keep is not None and _archives(version, age, policy),
            )
        )
    if history and deleted:
        decisions[0] = _tombstone(history[0], decisions[1:], policy, now, grace=grace, numbers_restart=numbers_restart)
    return decisions


def _superseding(version: Kept) -> datetime:
    """Return when a version superseded what is under it."""
    return version.modified if version.newest_since is None else version.newest_since


def _fixed(version: Kept, *, keeps_everything: bool) -> Reason | None:
    """Return what keeps a version whatever its age and place."""
    if version.held:
        return Reason.HELD
    if keeps_everything:
        return Reason.NO_POLICY
    return Reason.REFERENCED if version.referenced else None


def _keeps(
    position: int, age: timedelta, policies: Sequence[RetentionPolicy], *, stands: bool, deleted: bool
) -> Reason | None:
    for policy in policies:
        if policy.keep_last is not None and not deleted and position < policy.keep_last:
            return Reason.KEEP_LAST
        if policy.keep_for is not None and age < policy.keep_for:
            return Reason.KEEP_FOR
    return Reason.TIER if stands else None


def _standing(history: Sequence[Kept], tiers: Iterable[Tier], now: datetime, *, deleted: bool) -> frozenset[int]:
    """Return the places in the history of what stands for its period in a tier, and for long enough.

    Thinning out takes versions between the ones that it keeps, so the time of the next newer one would not do: where
    times contradict the order of numbers, it could go back. That of the first newer one never does.
    """
    standing = set()
    for tier in tiers:
        used: set[int] = set()
        superseded: datetime | None = None
        for position, version in enumerate(history):
            written = version.modified
            period = (written - EPOCH) // tier.every
            if period not in used:
                if superseded is not None and now - max(superseded, written) < tier.for_:
                    standing.add(position)
                if not (version.tombstone or (deleted and position == 0)):
                    used.add(period)
            superseded = written if superseded is None else min(superseded, written)
    return frozenset(standing)


def _archives(version: Kept, age: timedelta, policy: RetentionPolicy) -> bool:
    """Say whether a version that stays is to be archived: not what rows read, nor what has no bytes."""
    if policy.archive_after is None or version.archived or version.referenced or version.tombstone:
        return False
    return age >= policy.archive_after


def _tombstone(
    tombstone: Kept,
    under: Sequence[Decision],
    policy: RetentionPolicy,
    now: datetime,
    *,
    grace: timedelta,
    numbers_restart: bool,
) -> Decision:
    age = now - _superseding(tombstone)
    reason = _fixed(tombstone, keeps_everything=bool(under) and policy.keeps_everything)
    if reason is None and under:
        reason = Reason.UNDER_TOMBSTONE
    elif reason is None and numbers_restart and any(one.tombstone_for is None for one in policy.each):
        reason = Reason.HOLDS_NUMBER
    elif reason is None and any(one.keep_for is not None and age < one.keep_for for one in policy.each):
        reason = Reason.KEEP_FOR
    elif reason is None and any(one.tombstone_for is not None and age < one.tombstone_for for one in policy.each):
        reason = Reason.TOMBSTONE_FOR
    elif reason is None and age < grace:
        reason = Reason.GRACE
    return Decision(number=tombstone.number, goes=reason is None, reason=reason or Reason.LAST_TOMBSTONE)
