"""May one version of a name be deleted for good, and how does it go?

A name is deleted by a tombstone, which can be undone. One version of it is deleted as a collection deletes it:

1. It is decided by the collector's own plan, under a policy that keeps nothing. So the newest stays, and what a hold
   covers or a row points to; and nothing goes that was superseded less than `grace` ago. A writer who learned a number
   before cannot bring back what goes, since the numbers above it are taken, and it may use what it learned for less
   than `grace`.
2. It is carried out by the collector's own sweeper, which looks at all of that again right before.
3. The version goes before its large body: one that stays never points to nothing. Should we die in between, the
   collector finds the body.
4. A hold that is placed while the store is deleting comes too late, as with an erasure.
5. Whoever asks is told why it stays, by an error, and never that it is gone while it is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import repeat

from consistent_s3.core.archive import Archive
from consistent_s3.core.deciding import Decider
from consistent_s3.core.errors import ConsistentS3Error, VersionNotFoundError
from consistent_s3.core.fates import Fate, Summary
from consistent_s3.core.retention import Circumstances, Reason, RetentionPolicy
from consistent_s3.core.seams import EnumeratingIndex, every_object
from consistent_s3.core.survey import Group, ListingSurvey
from consistent_s3.core.sweeping import Lookup, Sweeper
from consistent_s3.core.versions import Version

KEEP_NOTHING = RetentionPolicy(keep_for=timedelta(0))
"""Everything goes that is not the newest, not held, not referenced and older than `grace`."""


class VersionKeptError(ConsistentS3Error):
    """A version that may not be deleted for good; nothing was deleted."""

    def __init__(self, message: str, *, name: str = "", number: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.name = name
        """The logical name."""
        self.number = number
        """The version's number."""
        self.reason = reason
        """Why it stays: a `Reason`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The receipt of a version that was deleted for good."""

    name: str
    number: int
    size: int
    """Bytes freed."""
    left_over: str = ""
    """What the store said when it kept the large body of the version; the collector takes that one. Empty: all went."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleter:
    """Deletes single versions of one archive."""

    archive: Archive
    circumstances: Lookup
    """Answers what is held and what rows point to, each time that it is asked."""

    def delete(self, name: str, number: int) -> Deletion:
        """Delete one noncurrent version for good.

        Raises: `VersionNotFoundError` if there is none, or it is a tombstone; `VersionKeptError` with the reason if it
        has to stay, or the store keeps it.
        """
        fate = self._fate(self.archive.layout.validate(name), number)
        version = self._version(fate)
        if version is not None and version.tombstone:
            raise VersionNotFoundError(f"Version {number} of {name!r} is a deletion and has no bytes to delete.")
        if not fate.goes:
            raise self._kept(fate)
        self._sweep(fate)
        if version is None or version.body_key == version.key:
            return Deletion(name=name, number=number, size=fate.size)
        reason = Reason.UNREFERENCED_BODY
        try:
            self._sweep(Fate(name=name, key=version.body_key, size=version.size, goes=True, reason=reason))
        except VersionKeptError as error:
            return Deletion(name=name, number=number, size=0, left_over=str(error))
        return Deletion(name=name, number=number, size=version.size)

    def may_go(self, name: str, number: int) -> Fate:
        """Return what would become of a version if it were to be deleted now. Raises `VersionNotFoundError`."""
        return self._fate(self.archive.layout.validate(name), number)

    # How it is done

    def _fate(self, name: str, number: int) -> Fate:
        known = self.circumstances([name]).get(name) or Circumstances(policy=KEEP_NOTHING)
        decided = Decider(archive=self.archive).fates(self._group(name), replace(known, policy=KEEP_NOTHING))
        for fate in decided:
            if fate.number == number:
                return fate
        raise VersionNotFoundError(
            f"{name!r} has no version {number}: it was never written, or it was collected. See its history."
        )

    def _group(self, name: str) -> Group:
        """Return all versions of a name: one query, or one LIST for each thousand."""
        archive, index = self.archive, self.archive.index
        group = Group(name=name, seen=archive.clock.now(), by_index=isinstance(index, EnumeratingIndex))
        if isinstance(index, EnumeratingIndex):
            group.commit(index.committed([name])[name])
            return group
        for info in every_object(archive.store, archive.layout.versions_prefix(name)):
            parsed = archive.layout.parse(info.key)
            if parsed is not None and parsed.number is not None:
                group.add(parsed, info)
        ListingSurvey(archive=archive).complete([group])
        return group

    def _version(self, fate: Fate) -> Version | None:
        """Return the version that a fate is about; `None` where its listing says all: it has bytes, under its key."""
        if fate.version is not None or fate.size:
            return fate.version
        version = self.archive.index.at(fate.name, fate.number)
        if version is None:
            raise VersionNotFoundError(f"Version {fate.number} of {fate.name!r} was collected meanwhile.")
        return version

    def _sweep(self, fate: Fate) -> None:
        """Delete one object, if it still may go. Raises `VersionKeptError`."""
        summary = Summary(dry_run=False)
        sweeper = Sweeper(archive=self.archive, circumstances=self.circumstances)
        (done,) = sweeper.carry_out([fate], repeat(summary))
        if summary.errors:
            error = summary.errors[0]
            said = error["message"] or error["code"]
            raise VersionKeptError(
                f"The store kept {fate.key!r}: {said}. Nothing was deleted. Try again, or ask who runs the store.",
                name=fate.name,
                number=fate.number,
                reason=Reason.LOCKED,
            )
        if not done.goes:
            raise self._kept(done)

    def _kept(self, fate: Fate) -> VersionKeptError:
        grace = self.archive.timing.grace
        advice = {
            Reason.CURRENT: "Write another version, or delete the name, which can be undone.",
            Reason.HELD: "Release the hold first.",
            Reason.REFERENCED: "Give the row another version first.",
            Reason.GRACE: f"It was superseded less than {grace} ago, and somebody may be reading it. Try again later.",
            Reason.LOCKED: "Ask who runs the store until when.",
        }.get(fate.reason, "See its history.")
        return VersionKeptError(
            f"Version {fate.number} of {fate.name!r} was not deleted: {fate.reason}. {advice}",
            name=fate.name,
            number=fate.number,
            reason=fate.reason,
        )
