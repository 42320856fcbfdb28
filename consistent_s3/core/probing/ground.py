"""The ground on which a store is asked: keys below one new prefix, and requests that remember what to clean up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from io import BytesIO
from typing import NamedTuple, TypeVar

from consistent_s3.core.errors import (
    AccessDeniedError,
    AnswerLostError,
    BucketMissingError,
    KeyMissingError,
    StoreError,
    UnsupportedByStoreError,
)
from consistent_s3.core.seams import DELETE_BATCH, Attributes, Clock, ObjectHead, ObjectStore, PutMode, PutReceipt
from consistent_s3.core.suitability import Held

PATIENCE = timedelta(seconds=30)
"""How long is waited for what shows late, where lateness is not the question."""
SOME_TIME = f"{PATIENCE.total_seconds():.0f} seconds"
SETTLED = 12
"""Complete listings in a row after which all replicas count as knowing."""
LOOKS = 3
"""Requests after each change: one may meet a replica that knows, the next one that does not."""

Shown = TypeVar("Shown")


class Answer(NamedTuple):
    """Whether something held, and what was seen."""

    held: Held
    evidence: str


@dataclass(slots=True, kw_only=True)
class Ground:
    """Requests below one prefix, and what they left there.

    Guarantees: every key that may exist is known to `clean_up`, whatever became of its put. Safe in many threads.
    """

    store: ObjectStore
    clock: Clock
    rounds: int
    """How often what may go right by luck is asked."""
    connections: int
    """How many race."""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    """boto3 arguments of every put."""
    left_behind: tuple[str, ...] = ()
    """Keys that could not be deleted."""
    _put: dict[str, None] = field(default_factory=dict, repr=False)
    _made: dict[str, None] = field(default_factory=dict, repr=False)
    _refused: dict[str, None] = field(default_factory=dict, repr=False)
    _lost: dict[str, None] = field(default_factory=dict, repr=False)

    def unsettled(self, good: str, *, seen: bool) -> Answer:
        """Return the answer where listings did not show all that they are asked about, and nothing wrong."""
        if not seen:
            return Answer(Held.UNKNOWN, f"Listings did not show all keys within {SOME_TIME}, so it could not be asked.")
        return Answer(Held.YES, f"{good}, as far as listings showed the keys within {SOME_TIME}.")

    @property
    def may_land(self) -> tuple[str, ...]:
        """Return the keys of puts that were never answered."""
        return tuple(self._lost)

    def in_rounds(self, holds: Callable[[int], bool], *, good: str, bad: str) -> Answer:
        """Ask again and again; once seen not to hold is enough, whatever fails later."""
        missed = 0
        for number in range(self.rounds):
            try:
                missed += not holds(number)
            except UnsupportedByStoreError:
                raise
            except StoreError as error:
                if missed:
                    break
                return Answer(Held.UNKNOWN, f"Round {number + 1}: {error}")
        if missed:
            return Answer(Held.NO, f"{bad} in {missed} of {self.rounds} rounds.")
        return Answer(Held.YES, f"{good} in {all_rounds(self.rounds)}.")

    def write(
        self, key: str, data: bytes, *, mode: PutMode = PutMode.OVERWRITE, attributes: Attributes | None = None
    ) -> PutReceipt:
        """Put, and remember to delete it."""
        given = attributes or Attributes()
        attributes = Attributes(
            metadata=given.metadata, content_type=given.content_type, extra={**self.extra, **given.extra}
        )
        self._put[key] = None
        try:
            receipt = self.store.put(key, BytesIO(data), mode=mode, attributes=attributes)
        except AnswerLostError:
            self._lost[key] = None
            raise
        except (AccessDeniedError, BucketMissingError, UnsupportedByStoreError):
            self._refused[key] = None
            raise
        self._made[key] = None
        return receipt

    def write_settled(self, keys: Sequence[str], prefix: str) -> bool:
        """Put keys and wait until listings show all of them; return whether they did in time."""
        for key in keys:
            self.write(key, b"x")
        give_up, in_a_row = self.give_up(), 0
        while in_a_row < SETTLED:
            complete = set(self.listed(prefix)) >= set(keys)
            in_a_row = in_a_row + 1 if complete else 0
            if not complete:
                if self.clock.monotonic() > give_up:
                    return False
                self.clock.sleep(0.5)
        return True

    def listed(self, prefix: str, *, limit: int = 1000) -> list[str]:
        """Return the keys of one page."""
        return [info.key for info in self.store.list(prefix, limit=limit).objects]

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of an object, or some of them."""
        download = self.store.get(key, start=start, end=end)
        try:
            return b"".join(iter(lambda: download.read(65536), b""))
        finally:
            download.close()

    def shows(self, key: str, data: bytes) -> bool:
        """Return whether a read shows these bytes."""
        try:
            return self.read(key) == data
        except KeyMissingError:
            return False

    def is_there(self, key: str) -> bool:
        """Return whether the headers of an object are shown."""
        try:
            self.store.head(key)
        except KeyMissingError:
            return False
        return True

    def read_in_time(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of what was just put, however late it shows."""
        return self.in_time(lambda: self.read(key, start=start, end=end))

    def head_in_time(self, key: str) -> ObjectHead:
        """Return the headers of what was just put, however late it shows."""
        return self.in_time(lambda: self.store.head(key))

    def in_time(self, look: Callable[[], Shown]) -> Shown:
        """Look again until an object shows. Raises `StoreError` when it does not in time."""
        give_up = self.give_up()
        while True:
            try:
                return look()
            except KeyMissingError as error:
                if self.clock.monotonic() > give_up:
                    raise StoreError(f"It was written, and {SOME_TIME} later not there: {error}") from error
            self.clock.sleep(0.5)

    def give_up(self) -> float:
        """Return the reading of the clock at which to wait no longer."""
        return self.clock.monotonic() + PATIENCE.total_seconds()

    def delete(self, keys: Sequence[str]) -> None:
        """Delete keys. Raises `StoreError` for one that is kept."""
        for failure in self.store.delete(keys):
            raise StoreError(f"{failure.key!r} was not deleted: {failure.code} {failure.message}")

    def clean_up(self) -> None:
        """Delete all that was put; what is left is known whatever happens, also if this is interrupted."""
        there = [key for key in self._put if key in self._made or key not in self._refused]
        kept = dict.fromkeys(there)
        self.left_behind = tuple(kept)
        for first in range(0, len(there), DELETE_BATCH):
            batch = there[first : first + DELETE_BATCH]
            with suppress(StoreError):
                self._forget(kept, set(batch) - {failure.key for failure in self.store.delete(batch)})

    def _forget(self, kept: dict[str, None], deleted: Collection[str]) -> None:
        for key in deleted:
            del kept[key]
        self.left_behind = tuple(kept)


def all_rounds(rounds: int) -> str:
    """Return "all 25 rounds"."""
    return f"all {rounds} rounds" if rounds > 1 else "the only round"
