"""How does a version come to be, exactly once, or not at all?

The rules, in the order of a write (listing index, sequence numbering):

1. Learn the newest number n: one LIST. Compare it with what the writer expects.
2. to 4. PUT key(n+1) with `If-None-Match: *` and a fresh write id in its metadata, within `write_deadline` after n was
   learned, and settle its answer: see `claiming`. A number that was too old before it was sent: go to 1.
5. After a conflict, go to 1 for as long as `patience`; a writer that expects a number is told instead.
6. A pointer to a large body is sent only until `usable_until`: later the collector may take the body for garbage.

With clock numbering the key also carries the write id, so no two writes ever meet: the PUT needs no precondition, may
be sent again freely, and is committed by its first 2xx. Nobody is told of a race there, so `expected` is refused.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html for the status codes;
SlateDB, Icechunk and ClickHouse for rule 4, which each of them learned by losing data.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import BinaryIO

from consistent_s3.core.claiming import Claim, Claimer, NumberStaleError, contend, new_write_id, put_may_land
from consistent_s3.core.errors import (
    AlreadyExistsError,
    AnswerLostError,
    ConflictError,
    DeadlinePassedError,
    OutcomeUnknownError,
    PolicyError,
    PreconditionTrippedError,
    StoreError,
    UploadTooSlowError,
)
from consistent_s3.core.keys import Layout
from consistent_s3.core.numbers import Numbering, next_number
from consistent_s3.core.seams import Attributes, Clock, Index, ObjectStore, PutMode, PutReceipt
from consistent_s3.core.versions import Details, KnownDetails, Version, merge_metadata, to_metadata

SIGNATURE_VALIDITY = timedelta(minutes=15)
"""How long after its signing S3 still accepts a request.
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-authenticating-requests.html"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take. Valid once built.

    Raises: `PolicyError` when `grace` does not outlast the slowest write that may still land.
    """

    write_deadline: timedelta = timedelta(seconds=60)
    """How long a learned number may be used before the newest is looked up again."""
    grace: timedelta = timedelta(days=1)
    """Least time since a version was superseded before anything may collect it."""
    patience: timedelta = timedelta(seconds=30)
    """How long a writer keeps trying against others, and a reader waits for what is not visible yet."""

    def __post_init__(self) -> None:
        for name in ("write_deadline", "grace", "patience"):
            if getattr(self, name) <= timedelta(0):
                raise PolicyError(f"{name} is {getattr(self, name)}. It must be greater than zero.")
        least = self.write_deadline + SIGNATURE_VALIDITY
        if self.grace <= least:
            raise PolicyError(
                f"grace is {self.grace}, but a stalled writer can still create a number {least} after it learned it "
                f"(write_deadline {self.write_deadline} plus {SIGNATURE_VALIDITY} for which a signed request is "
                "valid). Raise grace or lower write_deadline."
            )

    @property
    def rewritable(self) -> timedelta:
        """Return how long after a listing a key that was free in it cannot have been used, superseded and collected."""
        return self.grace - SIGNATURE_VALIDITY


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is to become a version: the bytes and what is told about them."""

    file: BinaryIO
    """Seekable; holds the bytes, or nothing for a tombstone and for a body that is stored already."""
    size: int
    details: Details = field(default_factory=Details)
    """Everything but the write id and the predecessor, which each attempt fills in."""
    attributes: Attributes = field(default_factory=Attributes)
    """The project's own metadata, media type and boto3 arguments."""
    usable_until: float | None = None
    """A reading of the monotonic clock after which the draft must not be published; `None` for no limit."""


UNWRITTEN = -1
"""Expects that a name has no version and no history: not even a tombstone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """The newest version as a writer saw it, and when by the monotonic clock."""

    newest: Version | None
    at: float

    @property
    def number(self) -> int:
        """Return the newest number; 0 if there is none."""
        return self.newest.number if self.newest else 0

    @property
    def current(self) -> int:
        """Return the current number; 0 if there is none, or it is deleted."""
        return self.newest.number if self.newest and not self.newest.tombstone else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Committer:
    """Turns drafts into versions.

    Guarantees: see the rules of this module; what `commit` returns is in the history exactly once.
    """

    store: ObjectStore
    index: Index
    layout: Layout
    numbering: Numbering
    timing: Timing
    clock: Clock
    chance: random.Random

    @property
    def tells_of_races(self) -> bool:
        """Return whether of two writers who saw the same newest version one is told that it was second."""
        return self.numbering is Numbering.SEQUENCE

    def new_write_id(self) -> str:
        """Return 24 hexadecimal digits that nobody else has drawn."""
        return new_write_id(self.chance)

    def commit(
        self,
        name: str,
        draft: Draft,
        *,
        expected: int | None = None,
        learned: Learned | None = None,
        skip: Callable[[Version | None], bool] | None = None,
        before_put: Callable[[], object] | None = None,
    ) -> Version | None:
        """Write a draft as the next version of a valid name.

        `expected` is the number that must be newest, 0 for "no current version", `UNWRITTEN` for "no history".
        `learned` is what the writer has learned itself: the first attempt goes on from there and asks nobody. `skip`
        looks at the newest version and may call the write off, in which case `None` is returned. `before_put` runs
        after a number was learned and before anything is sent.

        Raises: `ConflictError` when `expected` is not newest, or when others were first for as long as `patience`;
        `OutcomeUnknownError`; `PolicyError` for `expected` without conditional writes; `UploadTooSlowError` for a
        draft past its time; `DeadlinePassedError` when every number was too old before it could be sent.
        """
        if expected is not None and not self.tells_of_races:
            raise PolicyError(
                "expected= needs numbering 'sequence', which needs a store with conditional writes. "
                "With numbering 'clock' nobody can be told that another writer was first."
            )
        write_id = self.new_write_id()
        tries = 0

        def attempt() -> Version | None:
            nonlocal learned, tries
            # What is compared must be what others have committed, also where a transaction reads from a snapshot.
            again, learned_at, tries = tries > 0 or expected is not None, self.clock.monotonic(), tries + 1
            if learned is None or tries > 1:
                learned = Learned(newest=self._learn(name, again=again), at=learned_at)
            self._check_expected(name, expected, learned)
            if skip is not None and skip(learned.newest):
                return None
            self._check_usable(name, draft)
            if before_put is not None:
                before_put()
            return self._create(name, draft, write_id, learned)

        def beaten() -> ConflictError:
            return ConflictError(
                f"Other writers were first at every attempt to write {name!r} for {self.timing.patience}. "
                "Try again later, or write less often.",
                name=name,
                actual=learned.current if learned else 0,
            )

        return contend(attempt, name=name, timing=self.timing, clock=self.clock, chance=self.chance, beaten=beaten)

    def _learn(self, name: str, *, again: bool) -> Version | None:
        """Return the newest version; `again` after another writer was first, or where that is what is asked."""
        return self.index.newest(name)

    def _check_expected(self, name: str, expected: int | None, learned: Learned) -> None:
        if expected is None or expected == learned.number or (expected == 0 and learned.current == 0):
            return
        if expected == UNWRITTEN:
            if learned.number == 0:
                return
            raise AlreadyExistsError(
                f"{name!r} has a history, up to version {learned.number}, and was expected to have none. "
                "Choose another name.",
                name=name,
                expected=expected,
                actual=learned.current,
            )
        if expected == 0:
            raise AlreadyExistsError(
                f"Version {learned.current} of {name!r} is current, but none was expected. "
                "Choose another name, or read it and decide again.",
                name=name,
                expected=0,
                actual=learned.current,
            )
        if learned.current:
            fact = f"Version {learned.current} of {name!r} is current"
            advice = f"Read version {learned.current} and decide again."
        else:
            fact = f"{name!r} was deleted by version {learned.number}" if learned.number else f"{name!r} has no version"
            advice = f"{'Undelete it, or write' if learned.number else 'Write'} with expected=0."
        raise ConflictError(
            f"{fact}, but {expected} was expected. {advice}", name=name, expected=expected, actual=learned.current
        )

    def _create(self, name: str, draft: Draft, write_id: str, learned: Learned) -> Version:
        number = next_number(learned.number, numbering=self.numbering, now=self.clock.now())
        details, attributes = self._describe(draft, write_id, learned)
        if self.numbering is Numbering.SEQUENCE:
            key = self.layout.version_key(name, number)
            receipt = self._create_numbered(key, draft, attributes, learned, number=number, write_id=write_id)
            self._check_not_overtaken(name, number, write_id, learned)
        else:
            key = self.layout.version_key(name, number, write_id=write_id)
            receipt = self._create_unique(key, draft, attributes, learned, number=number, write_id=write_id)
        return new_version(name, number, key, draft, details, receipt)

    def _describe(self, draft: Draft, write_id: str, learned: Learned) -> tuple[Details, Attributes]:
        """Return what is told about the version, and the same as attributes of its object."""
        details = replace(
            draft.details,
            write_id=write_id,
            content_type=draft.attributes.content_type,
            content_encoding=draft.attributes.content_encoding,
            predecessor=learned.number,
            predecessor_etag=learned.newest.etag if learned.newest else "",
        )
        metadata = merge_metadata(to_metadata(details), draft.attributes.metadata)
        return details, replace(draft.attributes, metadata=metadata)

    def _create_numbered(
        self, key: str, draft: Draft, attributes: Attributes, learned: Learned, *, number: int, write_id: str
    ) -> PutReceipt:
        """Put under a key that others may reach for; rules 2 to 4."""
        claimer = Claimer(store=self.store, clock=self.clock, chance=self.chance, grace=self.timing.grace)
        claim = Claim(
            key=key,
            write_id=write_id,
            learned_at=learned.at,
            deadline=self._deadline(draft, learned),
            unknown=lambda: self._unknown(key, number, write_id),
        )
        return claimer.take(claim, draft.file, attributes)

    def _create_unique(
        self, key: str, draft: Draft, attributes: Attributes, learned: Learned, *, number: int, write_id: str
    ) -> PutReceipt:
        """Put under a key that is ours alone: the same PUT as often as it takes, until the deadline."""
        deadline = self._deadline(draft, learned)
        may_land = False
        pause = 0.05
        while True:
            try:
                receipt = self.store.put(
                    key, draft.file, mode=PutMode.OVERWRITE, attributes=attributes, deadline=deadline
                )
                return replace(receipt, repeated=receipt.repeated or may_land)
            except StoreError as error:
                may_land = may_land or put_may_land(error)
                if isinstance(error, DeadlinePassedError) and not may_land:
                    raise NumberStaleError from error
                if not isinstance(error, PreconditionTrippedError | AnswerLostError):
                    if may_land:
                        raise self._unknown(key, number, write_id) from error
                    raise
            self.clock.sleep(pause * (0.5 + self.chance.random()))
            pause = min(pause * 2, 2.0)

    def _deadline(self, draft: Draft, learned: Learned) -> float:
        """Return the reading of the monotonic clock after which nothing more is sent."""
        deadline = learned.at + self.timing.write_deadline.total_seconds()
        return deadline if draft.usable_until is None else min(deadline, draft.usable_until)

    def _check_usable(self, name: str, draft: Draft) -> None:
        if draft.usable_until is not None and self.clock.monotonic() > draft.usable_until:
            raise UploadTooSlowError(
                f"Publishing {name!r} took longer after its upload began than "
                f"{self.timing.grace - SIGNATURE_VALIDITY}, which is what grace leaves of itself for a request on its "
                "way: its bytes may soon count as garbage. Nothing was published. Raise grace, or send the file faster."
            )

    def _check_not_overtaken(self, name: str, number: int, write_id: str, learned: Learned) -> None:
        """After a PUT that took as long as `grace`: the number may have been used and collected meanwhile."""
        if self.clock.monotonic() - learned.at < self.timing.grace.total_seconds():
            return
        unknown = self._unknown(self.layout.version_key(name, number), number, write_id)
        try:
            newest = self.index.newest(name)
        except StoreError as error:
            raise unknown from error
        if newest is None or newest.number != number:
            raise unknown

    def _unknown(self, key: str, number: int, write_id: str) -> OutcomeUnknownError:
        parsed = self.layout.parse(key)
        name = parsed.name if parsed else key
        return OutcomeUnknownError(
            f"Nobody can say whether version {number} of {name!r} was written: it was sent, and no answer came. "
            f"Look in the history for the write id {write_id} before writing again.",
            name=name,
            number=number,
            write_id=write_id,
        )


def new_version(name: str, number: int, key: str, draft: Draft, details: Details, receipt: PutReceipt) -> Version:
    """Return the version that a put has made."""
    return Version(
        name=name,
        number=number,
        key=key,
        size=details.body_size if details.body_key else draft.size,
        modified=receipt.modified,
        etag=receipt.etag,
        tombstone=details.tombstone,
        source=KnownDetails(details),
    )
