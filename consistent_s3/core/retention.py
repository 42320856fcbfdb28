"""Which versions may go, and why does each of the others stay?

1. The newest version never goes while it is current.
2. What is kept is the union of what any rule keeps: the newest `keep_last`, everything superseded less than
   `keep_for` ago, everything that a row still points to.
3. Age counts from the moment a version was superseded, never from its own writing: a file unchanged for two years and
   replaced today gets its full time. https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
   counts noncurrent days the same way.
4. Nothing superseded less than `grace` ago goes, whatever the other rules say.
5. After a deletion only times count: `keep_last` protects the history of what exists.
6. A tombstone goes last, once nothing is left under it. Where numbers count from 1 (sequence numbering) it stays for
   ever unless `tombstone_for` says otherwise: it is all that knows the name's last number. Without it a name that is
   written again would begin at 1 again, under keys that caches hold other bytes for, with numbers that an old form
   still expects. It has no bytes.

The decision is pure: values in, values with reasons out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from consistent_s3.core.errors import PolicyError


class Reason(StrEnum):
    """Why a version stays or goes."""

    CURRENT = "current"
    REFERENCED = "a row points to it"
    KEEP_LAST = "keep_last"
    KEEP_FOR = "keep_for"
    GRACE = "grace"
    NO_POLICY = "no retention policy"
    UNDER_TOMBSTONE = "versions under the tombstone are left"
    SUPERSEDED = "superseded, and no rule keeps it"
    DELETED = "deleted, and no rule keeps it"
    LAST_TOMBSTONE = "a tombstone with nothing under it"
    HOLDS_NUMBER = "keeps the number from being used again"
    TOMBSTONE_FOR = "tombstone_for"
    POINTED_TO = "a version that stays points to this body"
    UNCOMMITTED = "the index does not know it"
    NOT_INDEXED = "the index does not know it and may be incomplete: run reindex"
    UNREFERENCED_BODY = "no version points to this body"
    HINT = "the name is, or lately was, deleted"
    STALE_HINT = "a hint that no tombstone needs"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """What may be collected. Valid once built; without rules it keeps everything.

    Raises: `PolicyError`.
    """

    keep_last: int | None = None
    """How many of the newest versions of a name that exists are kept, the current one included; at least 1."""
    keep_for: timedelta | None = None
    """How long a version is kept after it was superseded."""
    tombstone_for: timedelta | None = None
    """How long a tombstone with nothing under it is kept; `None` for ever, or with clock numbering as `keep_for`."""

    def __post_init__(self) -> None:
        if self.keep_last is not None and self.keep_last < 1:
            raise PolicyError(f"keep_last is {self.keep_last}. Keep at least 1, or a name would be left nothing.")
        if self.keep_for is not None and self.keep_for < timedelta(0):
            raise PolicyError(f"keep_for is {self.keep_for}. It must not be negative.")
        if self.tombstone_for is not None and self.tombstone_for < timedelta(0):
            raise PolicyError(f"tombstone_for is {self.tombstone_for}. It must not be negative.")

    @property
    def keeps_everything(self) -> bool:
        """Return whether no rule lets anything go."""
        return self.keep_last is None and self.keep_for is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """One version as the decision sees it."""

    number: int
    modified: datetime
    """When it was written: aware."""
    referenced: bool = False
    """A row points to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to happen to one version."""

    number: int
    goes: bool
    reason: Reason


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
    for position, version in enumerate(history):
        if position == 0:
            decisions.append(Decision(number=version.number, goes=False, reason=Reason.CURRENT))
            continue
        # A stalled writer's version may appear under a newer one: it was never current, and its time begins then.
        superseded = max(history[position - 1].modified, version.modified)
        keep = _keeps(version, position, superseded, policy, now, grace=grace, deleted=deleted)
        going = Reason.DELETED if deleted else Reason.SUPERSEDED
        decisions.append(Decision(number=version.number, goes=keep is None, reason=keep or going))
    if history and deleted:
        decisions[0] = _tombstone(history[0], decisions[1:], policy, now, grace=grace, numbers_restart=numbers_restart)
    return decisions


def _keeps(
    version: Kept,
    position: int,
    superseded: datetime,
    policy: RetentionPolicy,
    now: datetime,
    *,
    grace: timedelta,
    deleted: bool,
) -> Reason | None:
    if policy.keeps_everything:
        return Reason.NO_POLICY
    if version.referenced:
        return Reason.REFERENCED
    if policy.keep_last is not None and not deleted and position < policy.keep_last:
        return Reason.KEEP_LAST
    if policy.keep_for is not None and now - superseded < policy.keep_for:
        return Reason.KEEP_FOR
    if now - superseded < grace:
        return Reason.GRACE
    return None


def _tombstone(
    tombstone: Kept,
    under: Sequence[Decision],
    policy: RetentionPolicy,
    now: datetime,
    *,
    grace: timedelta,
    numbers_restart: bool,
) -> Decision:
    age = now - tombstone.modified
    keep_for = policy.keep_for if policy.tombstone_for is None else policy.tombstone_for
    reason: Reason | None = None
    if under:
        reason = Reason.NO_POLICY if policy.keeps_everything else Reason.UNDER_TOMBSTONE
    elif policy.tombstone_for is None and numbers_restart:
        reason = Reason.HOLDS_NUMBER
    elif keep_for is not None and age < keep_for:
        reason = Reason.KEEP_FOR if policy.tombstone_for is None else Reason.TOMBSTONE_FOR
    elif age < grace:
        reason = Reason.GRACE
    return Decision(number=tombstone.number, goes=reason is None, reason=reason or Reason.LAST_TOMBSTONE)
