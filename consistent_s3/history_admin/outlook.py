"""What will retention do with each version, and when?

1. It is decided by the same `plan` that a collection carries out, with the same policy, rows and holds.
2. "When" is the first moment at which the plan lets a version go if nothing is written, held or referenced any more; it
   is left out where no passing of time alone lets the version go.
3. A plan about a version rests on all newer ones, so nothing is said where they were not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from consistent_s3.core.numbers import Numbering
from consistent_s3.core.retention import Circumstances, Decision, Kept, Reason, plan
from consistent_s3.core.seams import CommittingIndex, ForgetfulIndex
from consistent_s3.core.versions import KnownDetails, Version
from consistent_s3.policies import circumstances
from consistent_s3.reasons import words

if TYPE_CHECKING:
    from consistent_s3.storage import ConsistentS3Storage

_TIMED = frozenset({Reason.KEEP_FOR, Reason.TIER, Reason.GRACE, Reason.TOMBSTONE_FOR})
"""What keeps a version for a time only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What is to happen to one version."""

    goes: bool
    """The next collection takes it."""
    reason: str
    """Why it goes or stays, in the language of the page."""
    when: datetime | None = None
    """When it may go, if nothing changes until then."""
    archives: bool = False
    """The next collection moves it to the archive."""


def known(storage: ConsistentS3Storage, name: str) -> Circumstances:
    """Return what the project says about a name: one query for each file field, and one for holds."""
    return circumstances(storage)([name])[name]


def outlooks(
    storage: ConsistentS3Storage, said: Circumstances, history: Sequence[Version], numbers: set[int], *, now: datetime
) -> dict[int, Outlook]:
    """Return what is to happen to those versions of `history` whose numbers are given.

    `history` begins with the newest. Nothing is said where the index may forget when a version became the newest.
    """
    archive = storage.archive
    if not history or isinstance(archive.index, ForgetfulIndex):
        return {}
    kept = [
        Kept(
            number=version.number,
            modified=version.modified,
            referenced=version.number in said.referenced,
            held=said.holds(version.number),
            archived=isinstance(version.source, KnownDetails) and bool(version.details.storage_class),
            tombstone=version.tombstone,
        )
        for version in history
    ]
    deleted = history[0].tombstone
    restart = archive.numbering is Numbering.SEQUENCE

    def decide(until: int, now: datetime) -> list[Decision]:
        return plan(
            kept[:until], said.policy, now, grace=archive.timing.grace, deleted=deleted, numbers_restart=restart
        )

    found: dict[int, Outlook] = {}
    moves = isinstance(archive.index, CommittingIndex)
    for position, decision in enumerate(decide(len(kept), now)):
        # Whether a tombstone may go depends on what is under it, of which not all may be here.
        if decision.number not in numbers or (position == 0 and deleted):
            continue
        when = None
        if decision.reason in _TIMED and not decision.goes:
            for moment in _moments(kept, position, said, archive.timing.grace):
                if moment > now and decide(position + 1, moment)[position].goes:
                    when = moment
                    break
        found[decision.number] = Outlook(
            goes=decision.goes, reason=words(decision.reason), when=when, archives=moves and decision.archives
        )
    return found


def _moments(kept: Sequence[Kept], position: int, said: Circumstances, grace: timedelta) -> list[datetime]:
    """Return all moments at which a rule may stop to keep a version."""
    written = kept[position].modified
    superseded = {max(kept[position - 1].modified, written), max(min(one.modified for one in kept[:position]), written)}
    times: list[timedelta | None] = [grace]
    for policy in said.policy.each:
        times += [policy.keep_for, *(tier.for_ for tier in policy.tiers)]
    return sorted({moment + time for moment in superseded for time in times if time is not None})
