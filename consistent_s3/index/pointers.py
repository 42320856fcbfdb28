"""Which version is the newest? The one that a pointer names, and the listing where the pointer is gone.

Pointers are kept where they may expire or get lost (Redis), so the rules are made to be right without them:

1. A pointer moves only from the number that the writer saw: compare and set, one atomic step. Never back.
2. Where a pointer is gone, the bucket's listing tells, and what it tells becomes the pointer. In between a *claim* lies
   in the pointer's place. It is replaced by the pointer only if it lies there still: had anybody committed after the
   listing, or had the claim got lost, too, then we look again.
3. The listing also shows attempts on their way. To take one for the newest commits it in its writer's stead, who finds
   itself in the pointer's *lineage*: the last versions that the pointer named. So a repeated step counts once, too.
4. A writer that finds the pointer gone commits only what the listing shows as the newest, right above what it saw.
5. Whoever would be refused is refused before it puts anything: writers take *turns*, with growing numbers. A turn that
   takes long may be ended by the next writer; whoever loses its turn waits for what comes of that one, and commits
   nothing below it. So what is refused after its put lies below what was accepted, and no listing makes it the newest.
   Numbers are drawn by one clock, that of Redis, and so grow also where it forgot the turns before. Drawn by writers'
   clocks, an attempt of a fast one, forgotten, would lie above what a slow one then commits.
6. Only such an attempt is thrown away: the pointer is above it, and its lineage goes back to what the writer saw
   without naming it. Nothing is deleted that anybody could take for the newest, now or later; a reader is never shown
   a version that then vanishes. What is neither accepted nor such an attempt is of unknown outcome.
7. What lies within a lineage and is not named in it is no version: no history shows it, and the collector takes it.
8. On a store whose listing lags, a pointer that is gone is believed to have expired only if all pointers were kept for
   longer than it settles: then nothing was written for that long, and it has settled. Otherwise it is an error.

What a reader does with a pointer is one plain GET. No `If-Match`: a key holds number and write id and is written with
one content only, so another ETag under it cannot mean another version; and stores differ in what they do with the
header (Ceph wants it unquoted, Swift answers 501, multipart and encrypted objects have other ETags on other stores).
An object that is not there yet is waited for, with growing pauses, then `NotYetVisibleError`, which is a
`PreconditionFailedError`.

Pointers that were *turned back*, as by a failover to a replica that missed the last writes, count as lost: whoever
keeps them has to see to that.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import islice

from consistent_s3.core.errors import (
    IndexUnavailableError,
    NumberTakenError,
    OutcomeUnknownError,
    PointerLostError,
    StoreError,
)
from consistent_s3.core.lineage import Lineage
from consistent_s3.core.seams import Clock, SystemClock, system_chance
from consistent_s3.core.versions import Details, KnownDetails, LazyDetails, Version
from consistent_s3.index.listing import ListingIndex
from consistent_s3.index.slots import TURN, Pointers, Slot, decode, encode

ATTEMPTS = 3
"""How often a step without an answer is sent."""
SETTLES = 20
"""How often a pointer may get lost under our hands before it is called unavailable."""
PAUSE = 0.05
"""Seconds between two looks at what comes of another's turn; each pause is longer."""
SPREAD = 1_000_000
"""Up to how far above the newest a number is drawn where the clock is behind it: a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerIndex(ListingIndex):
    """A `ForgetfulIndex` on pointers, and on the bucket's listing for everything else.

    Guarantees those of `CommittingIndex`, also while pointers expire and get lost, if either

    1. the store's listing is strongly consistent and in order (`strong_listing`), or
    2. it settles within `timeout`; then a pointer that got lost is a `PointerLostError` until `timeout` has passed,
       or until somebody who knows that nothing was written lately calls `trust`.

    Not guaranteed: that `history`, `at` and `listdir` show a new version before the store lists it (2); that a history,
    below what a lineage reaches, holds no version of unknown outcome; that a put of unknown outcome which lands late
    does not appear above a version acknowledged meanwhile, where pointers are lost again and again during both writes,
    and where they are lost twice while the clock of who keeps them is behind the newest number (a failover to a slow
    one).
    """

    kept: Pointers
    timeout: timedelta = timedelta(days=1)
    strong_listing: bool = True
    falls_back: bool = False
    """While pointers are unavailable, readers are answered from the listing."""
    chance: random.Random = field(default_factory=system_chance)
    clock: Clock = field(default_factory=SystemClock)
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
        """Yield what is listed, newest first, without what the pointer never named: refused, or still on its way."""
        slot = Slot()
        with suppress(IndexUnavailableError):
            (slot,) = self.kept.peek([name], keep=False)
        listed = ListingIndex.history(self, name, before=before)
        return islice(self._shown(listed, slot, name, before) if slot.settled else listed, limit)

    def _shown(self, listed: Iterator[Version], slot: Slot, name: str, before: int | None) -> Iterator[Version]:
        lineage, unlisted = slot.remembered(), None
        if not self.strong_listing and (before is None or lineage.newest < before):
            unlisted = self._version(name, slot)
        for version in listed:
            if self._is_none(version, lineage):
                continue
            if unlisted is not None and version != unlisted:
                yield unlisted
            unlisted = None
            yield version
        if unlisted is not None:
            yield unlisted

    def at(self, name: str, number: int) -> Version | None:
        """Return the listed version with this number, unless it is one that the pointer never named."""
        version = ListingIndex.at(self, name, number)
        if number <= 0:
            return None
        with suppress(IndexUnavailableError):
            (slot,) = self.kept.peek([name], keep=False)
            if slot.at == str(number):
                named = self._version(name, slot)
                if not self.strong_listing or (version is not None and named is not None and version.key == named.key):
                    return named
                # The object is gone, so the pointer is of no use: nobody shall be led by it any more.
                self.kept.drop(name, slot.at)
            elif version is not None and slot.settled and self._is_none(version, slot.remembered()):
                return None
        return version

    def _is_none(self, version: Version, lineage: Lineage) -> bool:
        """Return whether a listed object is no version: on its way, refused, or of unknown outcome."""
        return version.number > lineage.newest or lineage.passed_over(version.number, self._write_id(version))

    # What a committing index decides

    def take_turn(self, name: str, *, after: int, write_id: str) -> int:
        """Begin a writer's turn, and return its number: greater than that of every turn before it.

        Raises: `NumberTakenError`, `IndexUnavailableError`.
        """
        ahead = 0  # nothing, unless the clock is behind
        for _ in range(SETTLES):
            found = self.kept.take(name, after, ahead, write_id)
            if isinstance(found, int):
                return found
            if found.at != str(after):
                raise NumberTakenError(f"Version {found.at} of {name!r} is the newest, not {after}.")
            if found.holder not in {"", write_id}:
                raise NumberTakenError(f"Another writer of {name!r} is just at it.")
            # Once the turn is forgotten, too, another that is after the same number must not draw the same.
            ahead = max(after + 1 + self.chance.randrange(SPREAD), int(found.floor or 0) + 1)
        raise NumberTakenError(f"Other writers of {name!r} are at it again and again.")

    def renew_turn(self, name: str, *, after: int, number: int, write_id: str) -> bool:
        """Begin a turn anew; return whether no other was begun, nor any forgotten, since.

        Raises: `IndexUnavailableError`.
        """
        return self.kept.renew(name, after, number, write_id) is None

    def end_turn(self, name: str, write_id: str) -> None:
        """End a writer's turn, if it is."""
        self.kept.give(name, write_id)

    def advance(self, version: Version, *, after: int) -> None:
        """Move the pointer from `after` to a version.

        Raises: `NumberTakenError`, `OutcomeUnknownError`.
        """
        write_id = version.details.write_id
        give_up = self.clock.monotonic() + 3 * TURN.total_seconds()
        lost, pause = 0, PAUSE
        while lost < SETTLES:
            found = self._swap(version, after)
            if found is None:
                return
            lineage = found.remembered()
            if lineage.named(version.number, write_id):
                return
            if not found.settled:
                lost += 1
                if self._advance_from_listing(version, after):
                    return
            elif found.at == str(after):
                if self.clock.monotonic() > give_up:
                    raise self._unknown(version, "it took so long that other writers took their turns")
                self.clock.sleep(pause * (0.5 + self.chance.random()))
                pause = min(2 * pause, 1.0)
            elif lineage.named(after):
                raise NumberTakenError(f"Version {found.at} of {version.name!r} is the newest, not {after}.")
            else:
                raise self._unknown(version, "the pointer was lost meanwhile, and others have written")
        raise self._unknown(version, "the pointer gets lost again and again")

    def _swap(self, version: Version, after: int) -> Slot | None:
        new, holder = self._slot(version), version.details.write_id
        for _ in range(ATTEMPTS - 1):
            with suppress(IndexUnavailableError):
                return self.kept.swap(version.name, str(after), new, holder=holder)
        try:
            return self.kept.swap(version.name, str(after), new, holder=holder)
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
            new = self._slot(version)
            return self.kept.swap(version.name, slot.at, replace(new, lineage=f"{new.lineage}{after}: ")) is None
        except (IndexUnavailableError, PointerLostError, StoreError) as error:
            raise self._unknown(version, str(error)) from error

    def disowns(self, version: Version, *, after: int) -> bool:
        """Return whether the pointer passed over a version that was put after the number `after`."""
        (slot,) = self.kept.peek([version.name], keep=True)
        if not slot.settled or int(slot.at) <= version.number:
            return False
        lineage = slot.remembered()
        return lineage.named(after) and not lineage.named(version.number, version.details.write_id)

    def lineages(self, names: Sequence[str]) -> Mapping[str, Lineage]:
        """Return what pointers named, where there are any; they begin their time anew.

        On a store whose listing lags a version counts as the newest only once the listing shows it.
        """
        later = timedelta(0) if self.strong_listing else self.timeout
        slots = zip(names, self.kept.peek(names, keep=True), strict=True) if names else ()
        return {name: slot.remembered(later=later) for name, slot in slots if slot.settled}

    def committed(self, names: Sequence[str]) -> dict[str, list[Version]]:
        """Return all versions of some names: their listed histories."""
        return {name: list(self.history(name)) for name in names}

    def forget(self, versions: Sequence[Version]) -> None:
        """Drop the pointers to tombstones that go."""
        for version in versions:
            if version.tombstone:
                self.kept.drop(version.name, str(version.number))

    def trust(self) -> None:
        """Believe the listing from now on: nothing was written for as long as it takes to settle.

        Needed once for a new bucket on a store with a lagging listing, and after Redis lost its data there. Only people
        know that; nothing that reads the listing can find it out, so no command does this by itself.
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
            found = self._slot(ListingIndex.newest(self, name))
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

    def _slot(self, version: Version | None) -> Slot:
        """Return the pointer to a version, or the one that says that there is none."""
        if version is None:
            return Slot(at="0", lineage=" 0: ")
        return Slot(
            at=str(version.number),
            lineage=f" {version.number}:{self._write_id(version)} ",
            value=encode(version),
        )

    def _write_id(self, version: Version) -> str:
        """Return the write id in a version's key, so that it costs no request; empty for a key without."""
        parsed = self.layout.parse(version.key)
        return parsed.write_id if parsed else ""

    def _version(self, name: str, slot: Slot) -> Version | None:
        """Return the version that a pointer names."""
        if not slot.value:
            return None
        values = decode(slot.value)
        details, key = values.pop("details"), values["key"]
        source = LazyDetails(lambda: self._details(key)) if details is None else KnownDetails(Details(**details))
        return Version(name=name, source=source, **values)

    def _unknown(self, version: Version, why: str) -> OutcomeUnknownError:
        write_id = version.details.write_id
        return OutcomeUnknownError(
            f"Nobody can say whether version {version.number} of {version.name!r} was committed: {why}. "
            f"Look in the history for the write id {write_id} before writing again.",
            name=version.name,
            number=version.number,
            write_id=write_id,
        )
