"""What was current at a moment, and what brings a name back to it?

1. Only the order of numbers says which version came after which; a time says which of them were there at the moment.
2. Nothing is guessed. Each version knows which one its writer saw as newest: where that one is gone, nobody can say
   what was current between the two, and the name is left alone.
3. To rewind is to write: an earlier version's bytes as a new version, or a tombstone. Nothing is taken away, so what
   was rewound can be rewound again, to any moment.
4. Where the bytes are the same already there is nothing to do, so doing it again does nothing.
5. Each step names the version that it replaces. What somebody wrote since then is a conflict, and stays.

The decision is pure: values in, a step with its reason out. Only details that a listing does not tell may be fetched:
at most three, of a name that changed since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter
from typing import Protocol, TypeVar

from consistent_s3.core.errors import KeyMissingError, VersionNotFoundError
from consistent_s3.core.versions import Details, Version


class Dated(Protocol):
    """Something that was written at a time: a version, or an object in a listing."""

    @property
    def modified(self) -> datetime:
        """Return when it was written: aware."""
        ...


Some = TypeVar("Some", bound=Dated)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """The versions of a name around a moment; tombstones count."""

    newest: Version | None = None
    """The newest of today; `None` if the name has no versions."""
    then: Version | None = None
    """The newest of those written at or before the moment, and not gone since."""
    after: Version | None = None
    """The one right above that, or without one the oldest of all; `None` if none is above."""


class Action(StrEnum):
    """What is to be done with a name."""

    NOTHING = "nothing"
    RESTORE = "restore"
    DELETE = "delete"
    CANNOT = "cannot"


class Why(StrEnum):
    """Why that is to be done."""

    SAME = "it is as it was"
    SAME_BYTES = "it has the same bytes again"
    STILL_DELETED = "it was deleted then, and is deleted now"
    STILL_MISSING = "it did not exist then, and is deleted now"
    CHANGED = "it was replaced since"
    DELETED_SINCE = "it was deleted since"
    WAS_DELETED = "it was deleted then"
    DID_NOT_EXIST = "it did not exist then"
    COLLECTED = "what was current then is collected"
    ERASED = "it was erased"
    NO_VERSIONS = "it was never written, or nothing is left of it"
    NO_FILE = "the row has no file, and which one it had is not kept"
    SHARED = "another row has the same file, and would lose it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What brings one name back to a moment."""

    name: str
    action: Action
    why: Why
    now: Version | None = None
    """The newest version, tombstones included, as the plan saw it."""
    then: Version | None = None
    """What was current then; `None` if nothing was, or nobody can say."""
    collected: int = 0
    """The number of the newest version that may have been current then and is gone; 0 if none is."""
    pinned: int = 0
    """The number that the row is pinned to, where it is about a row; 0 if to none."""

    @property
    def expected(self) -> int:
        """Return the number that must still be newest when the step is done; 0 for none."""
        return self.now.number if self.now else 0

    @property
    def changes(self) -> bool:
        """Return whether anything is to be done."""
        return self.action in {Action.RESTORE, Action.DELETE}


def lying_around(history: Iterable[Some], moment: datetime) -> tuple[Some | None, Some | None, Some | None]:
    """Return what of a history, newest first, an `Around` is made of; no more of it is read than that takes."""
    newest = after = None
    for one in history:
        newest = newest or one
        if one.modified <= moment:
            return newest, one, after
        after = one
    return newest, None, after


def around(history: Iterable[Version], moment: datetime) -> Around:
    """Return which versions of a history, newest first, lie around an aware moment."""
    newest, then, after = lying_around(history, moment)
    return Around(newest=newest, then=then, after=after)


def gone_between(known: Around, *, details: Callable[[Version], Details] = attrgetter("details")) -> int:
    """Return the number of a version that is gone and may have been current at the moment; 0 if none is.

    It is the newest of those: what its successor's writer saw. Raises what `details` raises.
    """
    below = known.then.number if known.then else 0
    if known.after is None or known.after.number == below + 1:
        return 0
    predecessor = details(known.after).predecessor
    return predecessor if predecessor > below else 0


def current_then(
    name: str, known: Around, moment: datetime, *, details: Callable[[Version], Details] = attrgetter("details")
) -> Version:
    """Return the version that was current at the moment that something is known around.

    Raises: `VersionNotFoundError` if there was none, or nobody can say; what `details` raises.
    """
    version, when = known.then, f"{moment:%Y-%m-%d %H:%M:%S %Z}"
    if version is None:
        raise VersionNotFoundError(f"No version of {name!r} is left from {when} or before.")
    if known.after is not None and gone_between(known, details=details):
        raise VersionNotFoundError(
            f"What {name!r} was at {when} cannot be said any more: of the versions between {version.number} and "
            f"{known.after.number} some are collected. See its history."
        )
    if version.tombstone:
        raise VersionNotFoundError(f"{name!r} was deleted at {when}, by version {version.number}.")
    return version


def plan(name: str, known: Around, *, pinned: int = 0) -> Step:
    """Decide what brings a name back to the moment that something is known around. Pure, but for missing details.

    `pinned` is the number that a row is pinned to, which is what it shows whatever became of the name; 0 if it is not.
    """
    newest = known.newest
    if newest is None:
        return Step(name=name, action=Action.CANNOT, why=Why.NO_VERSIONS, pinned=pinned)
    try:
        gone = gone_between(known)
    except KeyMissingError:  # collected while we looked
        gone = known.after.number if known.after else 0
    then = None if gone else known.then
    if gone:
        erased = known.then is None and known.after == newest and _is_bare(newest)
        action, why = Action.CANNOT, Why.ERASED if erased else Why.COLLECTED
    elif then is None or then.tombstone:
        action, why = _without_file(then, shows_nothing=newest.tombstone and not pinned)
        then = None
    else:
        action, why = _with_file(newest, then, pinned)
    return Step(name=name, action=action, why=why, now=newest, then=then, collected=gone, pinned=pinned)


def _without_file(tombstone: Version | None, *, shows_nothing: bool) -> tuple[Action, Why]:
    """Decide about a name that had no current version at the moment."""
    if shows_nothing:
        return Action.NOTHING, Why.STILL_DELETED if tombstone else Why.STILL_MISSING
    return Action.DELETE, Why.WAS_DELETED if tombstone else Why.DID_NOT_EXIST


def _with_file(newest: Version, then: Version, pinned: int) -> tuple[Action, Why]:
    """Decide about a name that had a current version at the moment."""
    if then.number == (pinned or newest.number):
        return Action.NOTHING, Why.SAME
    if newest.tombstone and not pinned:
        return Action.RESTORE, Why.DELETED_SINCE
    if pinned in {0, newest.number} and _same_bytes(newest, then):
        return Action.NOTHING, Why.SAME_BYTES
    return Action.RESTORE, Why.CHANGED


def _is_bare(version: Version) -> bool:
    """Return whether a version is the tombstone that an erasure leaves."""
    return version.tombstone and not version.author and not version.comment


def _same_bytes(now: Version, then: Version) -> bool:
    """Return whether two versions have the same bytes, as far as they tell. A difference in size needs no details."""
    if now.size != then.size:
        return False
    try:
        if now.details.restored_from == then.number:
            return True
        return bool(now.checksum) and now.checksum == then.checksum
    except KeyMissingError:  # collected while we looked: whoever acts on it is told
        return False
