"""Does "only if it does not exist" hold, one after the other and in a race?"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from consistent_s3.core.errors import PreconditionTrippedError, StoreError, UnsupportedByStoreError
from consistent_s3.core.probing.ground import Answer, Ground, all_rounds
from consistent_s3.core.seams import PutMode
from consistent_s3.core.suitability import Held


class Extras(Protocol):
    """What S3 can be asked beyond an `ObjectStore`. Both raise `StoreError` when they cannot be answered."""

    def keeps_versions(self) -> bool:
        """Return whether the bucket keeps what is overwritten or deleted (GetBucketVersioning)."""
        ...

    def completes_over(self, key: str, data: bytes) -> bool:
        """Upload parts to a key that exists, complete "only if it does not", and return whether it was done."""
        ...


def create(ground: Ground, prefix: str) -> Answer:
    """Create keys twice, one attempt after the other."""

    def holds(number: int) -> bool:
        key = f"{prefix}{number}"
        ground.write(key, b"first", mode=PutMode.CREATE)
        with suppress(PreconditionTrippedError):
            ground.write(key, b"second", mode=PutMode.CREATE)
            return False
        return ground.read_in_time(key) == b"first"

    try:
        return ground.in_rounds(holds, good="The second was refused", bad="The second was accepted")
    except UnsupportedByStoreError as error:
        return Answer(Held.NO, str(error))


def race(ground: Ground, prefix: str) -> Answer:
    """Let many create one key at the same moment, again and again."""
    seen = Tally()
    try:
        with ThreadPoolExecutor(ground.connections, thread_name_prefix="probe") as pool:
            for number in range(ground.rounds):
                _race_once(ground, f"{prefix}{number}", pool, seen)
    except UnsupportedByStoreError as error:
        return Answer(Held.NO, str(error))
    except StoreError:
        if not (seen.several or seen.replaced):  # once seen is enough, whatever fails later
            raise
    return seen.answer(ground)


@dataclass(slots=True)
class Tally:
    """What the rounds of a race have shown."""

    one: int = 0
    """Rounds with exactly one winner, whose bytes were read."""
    several: int = 0
    """Rounds with more than one."""
    most: int = 0
    """Most winners of a round."""
    replaced: int = 0
    """Rounds with one winner, and another's bytes."""

    def answer(self, ground: Ground) -> Answer:
        """Say whether the condition is atomic."""
        told = []
        if self.several:
            told.append(f"Up to {self.most} of {ground.connections} won in {self.several} of {ground.rounds} rounds.")
        if self.replaced:
            told.append(f"The winner's bytes were replaced in {self.replaced} of {ground.rounds} rounds.")
        if told:
            return Answer(Held.NO, " ".join(told))
        if not self.one:
            return Answer(Held.UNKNOWN, f"Nobody won in {all_rounds(ground.rounds)}.")
        nobody = ground.rounds - self.one
        rest = f", and nobody in {nobody}" if nobody else ""
        return Answer(Held.YES, f"One of {ground.connections} won in {self.one} of {ground.rounds} rounds{rest}.")


def _race_once(ground: Ground, key: str, pool: ThreadPoolExecutor, seen: Tally) -> None:
    """Let all create one key at once; raise what they failed with if all did."""
    start = threading.Barrier(ground.connections)

    def put(racer: int) -> StoreError | None:
        start.wait()
        try:
            ground.write(key, b"%d" % racer, mode=PutMode.CREATE)
        except StoreError as error:
            return error
        return None

    outcomes = list(pool.map(put, range(ground.connections)))
    won = [racer for racer, error in enumerate(outcomes) if error is None]
    failed = [error for error in outcomes if error and not isinstance(error, PreconditionTrippedError)]
    if len(failed) == ground.connections:
        raise failed[0]
    if len(won) > 1:
        seen.several += 1
        seen.most = max(seen.most, len(won))
    elif won:
        kept = ground.read_in_time(key) == b"%d" % won[0]
        seen.one += kept
        seen.replaced += not kept


def completion(ground: Ground, prefix: str, *, extras: Extras) -> Answer:
    """Complete an upload over an object that is there."""
    key = f"{prefix}a"
    ground.write(key, b"first")
    if extras.completes_over(key, b"second"):
        return Answer(Held.NO, "An upload was completed over an object that was there.")
    return Answer(Held.YES, "The second was refused.")


def unversioned(_ground: Ground, _prefix: str, *, extras: Extras) -> Answer:
    """Ask for the versioning of the bucket."""
    if extras.keeps_versions():
        return Answer(Held.NO, "Versioning is on for this bucket.")
    return Answer(Held.YES, "Versioning is off, or suspended.")
