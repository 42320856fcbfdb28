"""What is done with one stored object, on top of exactly the version that the user saw.

What somebody else wrote meanwhile is a `ConflictError`, and is never overwritten. Each function returns what was done,
in words. Who does it is said by the `attribution` around the call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError
from django.utils.translation import gettext as _

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.history_admin.holding import described
from consistent_s3.models import Hold, StoredObject, StoredVersion
from consistent_s3.storage import ConsistentS3Storage


class RefusedError(ConsistentS3Error):
    """What an object is by now does not allow what was asked for; says so in the language of the page."""


class BrokeOffError(ConsistentS3Error):
    """Some of what was asked for was done, and then something failed."""

    def __init__(self, message: str, *, done: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.done = tuple(done)
        """Each thing that was done, in the language of the page."""


FAILURES = (ConsistentS3Error, DatabaseError, SuspiciousOperation, ValueError)
"""What may keep one object from what was asked for, and must not keep the others from it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A stored object that something is to be done with."""

    row: StoredObject
    seen: int
    """The newest version when the user decided."""
    storage: ConsistentS3Storage
    hidden: StoredVersion | None = None
    """What undeleting brings back, of an object that is deleted."""
    holds: frozenset[int] = frozenset()
    """The keys of the holds that the user saw."""

    @property
    def name(self) -> str:
        """Return the logical name."""
        return str(self.row.name)


Act = Callable[[Chosen], str]
"""Does something, and says what. Raises: one of `FAILURES`; a `BrokeOffError` where some was done before."""


def delete(chosen: Chosen, *, comment: str) -> str:
    """Write a tombstone."""
    newest = chosen.storage.archive.newest(chosen.name)
    if newest is not None and newest.tombstone:
        raise RefusedError(_("“%(name)s” is deleted already.") % {"name": chosen.name})
    tombstone = chosen.storage.delete(chosen.name, expected=chosen.seen, comment=comment)
    number = tombstone.number if tombstone else chosen.seen
    return _("Deleted “%(name)s” by version %(number)d.") % {"name": chosen.name, "number": number}


def undelete(chosen: Chosen, *, comment: str) -> str:
    """Write the bytes that the tombstone hides as a new version."""
    if not chosen.row.deleted:
        raise RefusedError(
            _("“%(name)s” is not deleted: version %(number)d is current.")
            % {"name": chosen.name, "number": chosen.row.newest}
        )
    if chosen.hidden is None:
        raise RefusedError(
            _("Nothing is left of “%(name)s”: its bytes were collected or erased.") % {"name": chosen.name}
        )
    told = chosen.storage.archive.committer.tells_of_races
    restored = chosen.storage.restore(
        chosen.name, chosen.hidden.number, expected=chosen.seen if told else None, comment=comment
    )
    return _("Undeleted “%(name)s”: version %(old)d is back as version %(new)d.") % {
        "name": chosen.name,
        "old": chosen.hidden.number,
        "new": restored.number,
    }


def hold(chosen: Chosen, *, reason: str, until: datetime | None) -> str:
    """Hold all versions, also those to come."""
    chosen.storage.hold(chosen.name, reason=reason, until=until)
    return _("Held all versions of “%(name)s”: %(reason)s") % {"name": chosen.name, "reason": reason}


def release(chosen: Chosen, *, reason: str) -> str:
    """Release the holds that the user saw and that are still in force, on the name or on one of its versions."""
    seen = [hold for hold in _in_force(chosen) if hold.pk in chosen.holds]
    if not seen:
        raise RefusedError(unseen(chosen) or _("Nothing holds “%(name)s”.") % {"name": chosen.name})
    done: list[str] = []
    for each in seen:
        try:
            chosen.storage.release(each, reason=reason)
        except FAILURES as error:
            raise BrokeOffError(str(error), done=done) from error
        what = described(each.number, chosen.name)
        done.append(_("Released the hold on %(what)s: %(reason)s") % {"what": what, "reason": reason})
    return _("Released what held “%(name)s”: %(reason)s") % {"name": chosen.name, "reason": reason}


def unseen(chosen: Chosen) -> str:
    """Return which holds are in force that the user did not see, in words; empty if there are none."""
    reasons = [hold.reason for hold in _in_force(chosen) if hold.pk not in chosen.holds]
    if not reasons:
        return ""
    return _("“%(name)s” is still held by what was not shown when you decided: %(reasons)s") % {
        "name": chosen.name,
        "reasons": "; ".join(reasons),
    }


def _in_force(chosen: Chosen) -> list[Hold]:
    return chosen.storage.holds(chosen.name)
