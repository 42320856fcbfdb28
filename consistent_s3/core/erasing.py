"""How is a name erased: what goes at once and for good, and what stays all the same?

1. Everything under a tombstone goes, whatever the retention policy says. The tombstone itself stays: a writer who
   learned a number before must not be able to use it for another version than it meant.
2. What a hold covers stays, with its large body, and the receipt says why. Holds are asked for again right before each
   batch is deleted.
3. What is written after the tombstone stays, and so does what somebody is just uploading.
4. Idempotent: an erasure that was killed is finished by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from consistent_s3.core.errors import KeyMissingError
from consistent_s3.core.seams import DELETE_BATCH, CommittingIndex, DeleteFailure, ObjectInfo, every_object
from consistent_s3.core.versions import Details, Version, from_head

if TYPE_CHECKING:
    from consistent_s3.core.archive import Archive


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the holds on one name cover, and why."""

    whole: str = ""
    """Why all versions are held; empty if they are not."""
    numbers: Mapping[int, str] = field(default_factory=dict)
    """Why single versions are held."""

    def why(self, number: int) -> str:
        """Return why a version is held; empty if it is not."""
        return self.numbers.get(number, self.whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldVersion:
    """A version that an erasure left."""

    number: int
    reason: str
    """Why it is held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """The receipt of an erasure."""

    name: str
    versions: int
    """Versions whose bytes are gone."""
    size: int
    """Bytes freed."""
    failures: tuple[DeleteFailure, ...]
    """Keys that the store kept, and why. Not empty means: not all is gone yet; erase again."""
    tombstone: int
    """Number of the empty tombstone left behind, without author or comment; retention decides when it goes."""
    held: tuple[HeldVersion, ...] = ()
    """Versions that were left since a hold covers them, newest first. Release the holds and erase again."""


@dataclass(slots=True, kw_only=True)
class Eraser:
    """Erases one name."""

    archive: Archive
    name: str
    holding: Callable[[], Holding] = Holding
    """Tells what is held now."""
    extra: Mapping[str, object] | None = None
    """Further boto3 arguments of PutObject, for the tombstone."""
    held: dict[int, str] = field(default_factory=dict, init=False)
    """What was left, and why."""

    def erase(self) -> Erasure:
        """Write a tombstone if there is none, remove what is under it and is not held, and return the receipt."""
        self.holding()  # asked first: if nobody can say, nothing changes
        began = self.archive.clock.now()
        tombstone = self._tombstone()
        versions = size = 0
        failures: list[DeleteFailure] = []
        if tombstone is not None:
            doomed = self._doomed(tombstone, began - self.archive.timing.grace)
            for listed in _batches(self._objects(doomed)):
                batch = self._not_held_by_now(listed, doomed)
                kept = {failure.key: failure for failure in self.archive.store.delete([info.key for info in batch])}
                failures += kept.values()
                gone = [info for info in batch if info.key not in kept]
                versions += sum(1 for info in gone if self._number(info))
                size += sum(info.size for info in gone)
        return Erasure(
            name=self.name,
            versions=versions,
            size=size,
            failures=tuple(failures),
            tombstone=tombstone.number if tombstone else 0,
            held=tuple(HeldVersion(number=number, reason=self.held[number]) for number in sorted(self.held)[::-1]),
        )

    def _tombstone(self) -> Version | None:
        """Return the bare tombstone that everything to be erased lies under; `None` if there is nothing."""
        newest: Version | None = None

        def is_erased(seen: Version | None) -> bool:
            nonlocal newest
            newest = seen
            return seen is None or (seen.tombstone and not seen.author and not seen.comment)

        details = Details(tombstone=True)
        return self.archive.write_tombstone(self.name, details, skip=is_erased, extra=self.extra) or newest

    def _doomed(self, tombstone: Version, orphans_before: datetime) -> _Doomed:
        """Decide what goes, and let an index that decides forget it.

        Before the objects go: should we die in between, they are strays, which an erasure or the collector takes.
        """
        index = self.archive.index
        if not isinstance(index, CommittingIndex) or index.lists_names:
            return _Doomed(tombstone=tombstone, orphans_before=orphans_before, holding=self.holding())
        committed = index.committed([self.name])[self.name]
        holding = self.holding()
        under = [version for version in committed if version.number < tombstone.number]
        held = [version for version in under if holding.why(version.number)]
        self.held.update((version.number, holding.why(version.number)) for version in held)
        known = [version for version in under if version.number not in self.held]
        index.forget(known)
        going = {version.key for version in known}
        return _Doomed(
            tombstone=tombstone,
            orphans_before=orphans_before,
            holding=holding,
            known=known,
            staying=frozenset(version.key for version in committed if version.key not in going),
            bodies={version.details.body_key: version.number for version in known},
            held_bodies={version.details.body_key for version in held},
        )

    def _objects(self, doomed: _Doomed) -> Iterator[ObjectInfo]:
        """Yield what goes: bodies first, so that an erasure that was killed finds them again.

        What the index knew goes also where a listing does not show it yet.
        """
        unlisted = {info.key: info for version in doomed.known for info in _objects_of(version)}
        for info in self._versions(doomed):
            doomed.bodies[self._body_of(info)] = self._number(info)
        for info in every_object(self.archive.store, self.archive.layout.bodies_prefix(self.name)):
            if info.key in doomed.held_bodies:
                continue
            of_version = info.key in doomed.bodies or info.key in unlisted
            if of_version or (info.modified < doomed.orphans_before and self.archive.layout.parse(info.key)):
                unlisted.pop(info.key, None)
                yield info
        for info in self._versions(doomed):
            unlisted.pop(info.key, None)
            yield info
        yield from unlisted.values()

    def _versions(self, doomed: _Doomed) -> Iterator[ObjectInfo]:
        """Yield the versions that go; where the index decides, also what it can never accept any more."""
        prefix = self.archive.layout.versions_prefix(self.name)
        start_after = doomed.tombstone.key if doomed.staying is None else ""
        for info in every_object(self.archive.store, prefix, start_after=start_after):
            number = self._number(info)
            if number == 0:
                continue
            if doomed.staying is not None:
                if doomed.takes(info, number):
                    yield info
            elif reason := doomed.holding.why(number):
                self.held[number] = reason
                doomed.held_bodies.add(self._body_of(info))
            else:
                yield info

    def _not_held_by_now(self, batch: Sequence[ObjectInfo], doomed: _Doomed) -> list[ObjectInfo]:
        """Leave out what was put on hold since the erasure began, with its large body."""
        now = self.holding()
        if now == doomed.holding:
            return list(batch)
        going = []
        for info in batch:
            number = self._number(info) or doomed.bodies.get(info.key, 0)
            if number and now.why(number) and not doomed.holding.why(number):
                self.held[number] = now.why(number)
            else:
                going.append(info)
        return going

    def _number(self, info: ObjectInfo) -> int:
        """Return the number of the version that an object is; 0 if it is none."""
        parsed = self.archive.layout.parse(info.key)
        return (parsed.number or 0) if parsed else 0

    def _body_of(self, version: ObjectInfo) -> str:
        """Return the key of the large body that a version points to; empty if it points to none."""
        if version.size:
            return ""
        try:
            return from_head(self.archive.store.head(version.key)).body_key
        except KeyMissingError:  # somebody else erases, too
            return ""


def _objects_of(version: Version) -> Iterator[ObjectInfo]:
    size = 0 if version.details.body_key else version.size
    yield ObjectInfo(key=version.key, size=size, etag=version.etag, modified=version.modified)
    if version.details.body_key:
        yield ObjectInfo(key=version.body_key, size=version.size, etag="", modified=version.modified)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doomed:
    """What an erasure takes."""

    tombstone: Version
    orphans_before: datetime
    """What no version points to goes if it is older."""
    holding: Holding
    """What was held when the erasure began."""
    known: Sequence[Version] = ()
    """What an index that decides had under the tombstone, and forgot."""
    staying: frozenset[str] | None = None
    """The keys that the index keeps; `None` where the bucket's listing tells what there is."""
    bodies: dict[str, int] = field(default_factory=dict)
    """The large bodies that go, and whose they are."""
    held_bodies: set[str] = field(default_factory=set)
    """The large bodies that stay."""

    def takes(self, info: ObjectInfo, number: int) -> bool:
        """Say whether an object of a version goes, where the index decides.

        One without a row goes, since the tombstone has its number; one with a greater number may be on its way.
        """
        if self.staying is None or info.key in self.staying:
            return False
        return number <= self.tombstone.number or info.modified < self.orphans_before


def _batches(infos: Iterator[ObjectInfo]) -> Iterator[list[ObjectInfo]]:
    while batch := list(islice(infos, DELETE_BATCH)):
        yield batch
