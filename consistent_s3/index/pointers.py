"""Which version is the newest? The one that a pointer names, and the listing where the pointer is gone.

Pointers are kept where they may expire or get lost (Redis), so the rules are made to be right without them:

1. A pointer moves only from the number that the writer saw: compare and set, one atomic step. Never back.
2. Where a pointer is gone, the bucket's listing tells, and what it tells becomes the pointer. In between a *claim* lies
   in the pointer's place. It is replaced by the pointer only if it lies there still: had anybody committed after the
   listing, or had the claim got lost, too, then we look again.
3. The listing also shows attempts on their way. To take one for the newest commits it in its writer's stead, who finds
   itself in the pointer's *lineage*: the last versions that the pointer named. So a repeated step counts once, too.
4. A writer that finds the pointer gone commits only what the listing shows as the newest, right above what it saw.
5. An attempt is thrown away only when the lineage goes back to what the writer saw, and the attempt is not in it.
6. On a store whose listing lags, a pointer that is gone is believed to have expired only if all pointers were kept for
   longer than they live: then nothing was written for that long, and the listing has settled. Otherwise it is an error.

Not guaranteed: anything after pointers were *turned back*, as by a failover to a replica that missed the last writes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from consistent_s3.core.errors import (
    IndexUnavailableError,
    NumberTakenError,
    OutcomeUnknownError,
    PointerLostError,
    StoreError,
)
from consistent_s3.core.seams import system_chance
from consistent_s3.core.versions import Details, KnownDetails, LazyDetails, Version
from consistent_s3.index.listing import ListingIndex

LINEAGE = 64
"""Versions that a pointer remembers to have named."""
CLAIM = timedelta(minutes=5)
"""How long a claim lies, and a pointer that says that there is no version."""
ATTEMPTS = 3
"""How often a step without an answer is sent."""
SETTLES = 20
"""How often a pointer may get lost under our hands before it is called unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What lies in the place of a name's pointer: a pointer, a claim, or nothing."""

    at: str = ""
    """The number that the pointer names (`0`: there is no version), or a claim, or nothing."""
    lineage: str = ""
    """The last versions that the pointer named, newest first, as ` number:write-id number:write-id `."""
    value: str = ""
    """The version, as `encode` wrote it."""

    @property
    def settled(self) -> bool:
        """Return whether it is a pointer."""
        return self.at.isdigit()

    def named(self, number: int, write_id: str = "") -> bool:
        """Return whether the pointer named a version, as far as it remembers."""
        return f" {number}:{write_id}" in self.lineage


class Pointers(Protocol):
    """Where pointers are kept: each name has a slot.

    Guarantees: every method is one atomic step; a slot is empty once its time is over, or when it got lost.

    Raises: `IndexUnavailableError` from every method; the step may have been done.
    """

    def claim(self, name: str, claim: str, *, keep: bool) -> Slot:
        """Return what is in a slot, and put a claim into an empty one; `keep` begins a pointer's time anew."""
        ...

    def swap(self, name: str, old: str, new: Slot) -> Slot | None:
        """Replace what is in a slot if `old` is there, and keep its lineage; else return what is there."""
        ...

    def peek(self, names: Sequence[str], *, keep: bool) -> Sequence[Slot]:
        """Return what is in some slots; `keep` begins the time of pointers anew."""
        ...

    def drop(self, name: str, old: str) -> None:
        """Empty a slot if `old` is there."""
        ...

    def kept_for(self) -> timedelta:
        """Return since when pointers are kept, as far as is known; the first to ask begins the time."""
        ...

    def trust(self) -> None:
        """Count pointers as kept for as long as they live."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerIndex(ListingIndex):
    """A `ForgetfulIndex` on pointers, and on the bucket's listing for everything else.

    Guarantees those of `CommittingIndex`, also while pointers expire and get lost, if either

    1. the store's listing is strongly consistent and in order (`strong_listing`), or
    2. it settles within `timeout`; then a pointer that got lost is a `PointerLostError` until `timeout` has passed,
       or until somebody who knows that nothing was written lately calls `trust`.

    Not guaranteed: that `history`, `at` and `listdir` show a new version before the store lists it (2); that the
    history below the newest holds no version of unknown outcome. Numbers must come from a clock.
    """

    kept: Pointers
    timeout: timedelta = timedelta(days=1)
    strong_listing: bool = True
    falls_back: bool = False
    """While pointers are unavailable, readers are answered from the listing."""
    chance: random.Random = field(default_factory=system_chance)
    lists_names: bool = True

    # What every index answers

    def newest(self, name: str) -> Version | None:
        """Return the version that the pointer names; without one, one LIST.

        Raises: `IndexUnavailableError`, `PointerLostError`.
        """
        try:
            return self._version(name, self._settled(name, keep=False))
        except IndexUnavailableError:
            if not self.falls_back:
                raise
            return ListingIndex.newest(self, name)

    def relearn(self, name: str) -> Version | None:
        """Return the same to a writer: never from the listing alone."""
        return self._version(name, self._settled(name, keep=True))

    def history(self, name: str, *, before: int | None = None, limit: int | None = None) -> Iterator[Version]:
        """Yield what is listed, newest first, and nothing above the pointer: that is still on its way."""
        newest, highest = None, None
        with suppress(IndexUnavailableError):
            (slot,) = self.kept.peek([name], keep=False)
            if slot.settled:
                newest, highest = self._version(name, slot), int(slot.at)
        listed = ListingIndex.history(self, name, before=before)
        return islice(self._below(listed, newest, highest, before), limit)

    def _below(
        self, listed: Iterator[Version], newest: Version | None, highest: int | None, before: int | None
    ) -> Iterator[Version]:
        unlisted = newest if not self.strong_listing and (before is None or (highest or 0) < before) else None
        for version in listed:
            if highest is not None and version.number > highest:
                continue
            if unlisted is not None and version != unlisted:
                yield unlisted
            unlisted = None
            yield version
        if unlisted is not None:
            yield unlisted

    def at(self, name: str, number: int) -> Version | None:
        """Return the listed version with this number; the pointer is asked only about what is not listed."""
        version = ListingIndex.at(self, name, number)
        if version is not None or number <= 0:
            return version
        with suppress(IndexUnavailableError):
            (slot,) = self.kept.peek([name], keep=False)
            if slot.at == str(number):
                if not self.strong_listing:
                    return self._version(name, slot)
                # The object is gone, so the pointer is of no use: nobody shall be led by it any more.
                self.kept.drop(name, slot.at)
        return None

    # What a committing index decides

    def advance(self, version: Version, *, after: int) -> None:
        """Move the pointer from `after` to a version.

        Raises: `NumberTakenError`, `OutcomeUnknownError`.
        """
        for _ in range(SETTLES):
            found = self._swap(version, after)
            if found is None or found.named(version.number, version.details.write_id):
                return
            if not found.settled:
                if self._advance_from_listing(version, after):
                    return
            elif found.named(after):
                raise NumberTakenError(f"Version {found.at} of {version.name!r} is the newest, not {after}.")
            else:
                raise self._unknown(version, "the pointer was lost meanwhile, and others have written")
        raise self._unknown(version, "the pointer gets lost again and again")

    def _swap(self, version: Version, after: int) -> Slot | None:
        for _ in range(ATTEMPTS - 1):
            with suppress(IndexUnavailableError):
                return self.kept.swap(version.name, str(after), _slot(version))
        try:
            return self.kept.swap(version.name, str(after), _slot(version))
        except IndexUnavailableError as error:
            raise self._unknown(version, str(error)) from error

    def _advance_from_listing(self, version: Version, after: int) -> bool:
        """Commit a version although the pointer is gone, if the listing shows it right above what its writer saw.

        False if the pointer is back.
        """
        try:
            self._check_trusted(version.name)
            slot = self.kept.claim(version.name, self._new_claim(), keep=True)
            if slot.settled:
                return False
            newest, below = [*islice(ListingIndex.history(self, version.name), 2), None, None][:2]
            if newest != version or (below is not None and below.number > after):
                raise self._unknown(version, "the pointer was lost meanwhile, and others write")
            new = _slot(version)
            return self.kept.swap(version.name, slot.at, replace(new, lineage=f"{new.lineage}{after}: ")) is None
        except (IndexUnavailableError, PointerLostError, StoreError) as error:
            raise self._unknown(version, str(error)) from error

    def disowns(self, version: Version, *, after: int) -> bool:
        """Return whether the pointer was never lost since `after`, and has not named the version."""
        (slot,) = self.kept.peek([version.name], keep=True)
        return slot.settled and slot.named(after) and not slot.named(version.number, version.details.write_id)

    def pointers(self, names: Sequence[str]) -> Mapping[str, Version]:
        """Return what pointers name, where there are any; they begin their time anew."""
        slots = zip(names, self.kept.peek(names, keep=True), strict=True) if names else ()
        return {name: version for name, slot in slots if (version := self._version(name, slot)) is not None}

    def committed(self, names: Sequence[str]) -> dict[str, list[Version]]:
        """Return all versions of some names: their listed histories."""
        return {name: list(self.history(name)) for name in names}

    def forget(self, versions: Sequence[Version]) -> None:
        """Drop the pointers to tombstones that go."""
        for version in versions:
            if version.tombstone:
                self.kept.drop(version.name, str(version.number))

    def trust(self) -> None:
        """Believe the listing from now on: nothing was written for as long as it takes to settle, or all was reindexed.

        Needed once for a new bucket on a store with a lagging listing, and after Redis lost its data there.
        """
        self.kept.trust()

    # How

    def _settled(self, name: str, *, keep: bool) -> Slot:
        """Return the pointer, out of the listing if it is gone."""
        for _ in range(SETTLES):
            slot = self.kept.claim(name, self._new_claim(), keep=keep)
            if slot.settled:
                return slot
            self._check_trusted(name)
            found = _slot(ListingIndex.newest(self, name))
            if self.kept.swap(name, slot.at, found) is None:
                return found
        raise IndexUnavailableError(
            f"The pointer of {name!r} got lost {SETTLES} times while it was learned again. Find out what empties Redis."
        )

    def _check_trusted(self, name: str) -> None:
        if self.strong_listing:
            return
        kept_for = self.kept.kept_for()
        if kept_for < self.timeout:
            raise PointerLostError(
                f"Redis has no pointer for {name!r}, and it has kept pointers for {kept_for} only: it may have lost "
                "it, and this store's listing cannot be trusted for the newest version. Wait for "
                f"{self.timeout - kept_for}; or, if nothing was written for as long as the listing takes to settle (in "
                "a new bucket, for instance), say so with storage.archive.index.trust()."
            )

    def _new_claim(self) -> str:
        return f"?{self.chance.getrandbits(96):024x}"

    def _version(self, name: str, slot: Slot) -> Version | None:
        """Return the version that a pointer names."""
        if not slot.value:
            return None
        values: dict[str, Any] = json.loads(slot.value)
        details, key = values.pop("details"), values["key"]
        source = LazyDetails(lambda: self._details(key)) if details is None else KnownDetails(Details(**details))
        modified = datetime.fromisoformat(values.pop("modified"))
        return Version(name=name, modified=modified, source=source, **values)

    def _unknown(self, version: Version, why: str) -> OutcomeUnknownError:
        write_id = version.details.write_id
        return OutcomeUnknownError(
            f"Nobody can say whether version {version.number} of {version.name!r} was committed: {why}. "
            f"Look in the history for the write id {write_id} before writing again.",
            name=version.name,
            number=version.number,
            write_id=write_id,
        )


def _slot(version: Version | None) -> Slot:
    """Return the pointer to a version, or the one that says that there is none."""
    if version is None:
        return Slot(at="0", lineage=" 0: ")
    return Slot(
        at=str(version.number),
        lineage=f" {version.number}:{_write_id(version)} ",
        value=encode(version),
    )


def _write_id(version: Version) -> str:
    """Return the write id: for a listed version it is in its key, so that it costs no request."""
    if isinstance(version.source, KnownDetails):
        return version.source.details.write_id
    return version.key.rpartition("/")[2][20:44]


def encode(version: Version) -> str:
    """Return all that is known of a version, but its name, as JSON."""
    details = asdict(version.source.details) if isinstance(version.source, KnownDetails) else None
    if details is not None:
        details = {field: value for field, value in details.items() if value}
    return json.dumps(
        {
            "number": version.number,
            "key": version.key,
            "size": version.size,
            "modified": version.modified.isoformat(),
            "etag": version.etag,
            "tombstone": version.tombstone,
            "details": details,
        }
    )


def joined(lineage: str, older: str) -> str:
    """Return a lineage before an older one, no longer than `LINEAGE`."""
    return " " + " ".join(f"{lineage}{older}".split()[:LINEAGE]) + " "
