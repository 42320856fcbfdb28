"""How does one writer, of all who reach for a key, take it exactly once, or learn that it did not?

The rules that everything shares whose commit point is a key: versions of names (`protocol`), chunks of streams.

1. The key is learned to be free at a moment, and may be sent for until a deadline counted from that moment.
2. PUT the key with `If-None-Match: *` and a fresh write id in its metadata. The answer is one of three, never guessed:
   - a 2xx: taken by us;
   - 304, 409, 412: tripped. Somebody's object may be there, or our own, written by an attempt whose answer was lost;
   - a refusal (403, 404, 501 ...) of the only attempt: raised as it is;
   - anything else: the PUT may have been applied, or may be applied later.
3. In both latter cases the object itself tells. Our write id: taken by us. Another's: taken, for good, since keys are
   immutable. None there: the same PUT again (same key, same write id, so it cannot count twice). No answer, or time is
   up or the PUT refused while an earlier attempt may still land: the outcome is unknown, an error of its own.
4. After another took the key, learn again and try the next, for as long as `patience` (`contend`).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from consistent_s3.core.errors import (
    AnswerLostError,
    ConflictError,
    DeadlinePassedError,
    KeyMissingError,
    NumberTakenError,
    OutcomeUnknownError,
    PreconditionTrippedError,
    StoreError,
)
from consistent_s3.core.seams import Attributes, Clock, ObjectStore, PutMode, PutReceipt
from consistent_s3.core.versions import from_head

if TYPE_CHECKING:
    from consistent_s3.core.protocol import Timing

Answer = TypeVar("Answer")

STALLS = 5
"""How often a number may be learned in vain, since it was too old before it could be sent."""


class NumberStaleError(Exception):
    """The number was learned too long ago, and nothing was sent with it."""


class Verdict(Enum):
    """Whose object is under a key?"""

    OURS = "ours"
    ANOTHERS = "another's"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One key, and how long it may be reached for."""

    key: str
    write_id: str
    """Is in the metadata of what is put."""
    learned_at: float
    """When the key was learned to be free, by the monotonic clock."""
    deadline: float
    """The reading of the monotonic clock after which nothing more is sent."""
    unknown: Callable[[], OutcomeUnknownError]
    """Makes the error for a put of which nobody can say whether it was applied."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimer:
    """Takes keys."""

    store: ObjectStore
    clock: Clock
    chance: random.Random
    grace: timedelta
    """How long after it was superseded an object is certainly still there."""

    def take(self, claim: Claim, file: BinaryIO, attributes: Attributes) -> PutReceipt:
        """Put under a key that others may reach for; rules 2 and 3.

        Raises: `NumberTakenError` if another has it, `NumberStaleError` if it was too late to send anything,
        `OutcomeUnknownError`, and what the store raises for a refusal.
        """
        may_land = False
        pause = 0.05
        while True:
            try:
                return self.store.put(
                    claim.key, file, mode=PutMode.CREATE, attributes=attributes, deadline=claim.deadline
                )
            except StoreError as error:
                may_land = may_land or put_may_land(error)
                if isinstance(error, DeadlinePassedError) and not may_land:
                    raise NumberStaleError from error
                if not (may_land or isinstance(error, PreconditionTrippedError)):
                    raise
                problem = error
            verdict, receipt = self.whose(claim)
            if receipt is not None:
                return receipt
            if verdict is Verdict.ANOTHERS:
                raise NumberTakenError
            if not isinstance(problem, PreconditionTrippedError | AnswerLostError):
                raise claim.unknown() from problem
            # Absent proves that nothing landed only as long as what had landed could not be collected yet.
            may_land = may_land or self.clock.monotonic() - claim.learned_at >= self.grace.total_seconds()
            self.clock.sleep(pause * (0.5 + self.chance.random()))
            pause = min(pause * 2, 2.0)

    def whose(self, claim: Claim) -> tuple[Verdict, PutReceipt | None]:
        """Return whose object is under the key, and as if it were the put's answer if it is ours."""
        try:
            head = self.store.head(claim.key)
        except KeyMissingError:
            return Verdict.ABSENT, None
        except StoreError as error:
            raise claim.unknown() from error
        if from_head(head).write_id == claim.write_id:
            return Verdict.OURS, PutReceipt(etag=head.info.etag, modified=head.info.modified)
        return Verdict.ANOTHERS, None


def contend(
    attempt: Callable[[], Answer],
    *,
    name: str,
    timing: Timing,
    clock: Clock,
    chance: random.Random,
    beaten: Callable[[], ConflictError],
) -> Answer:
    """Return what an attempt to learn and take a key returns, tried again while others are first; rule 4.

    An attempt says with `NumberTakenError` that another was first, and with `NumberStaleError` that it was too late.

    Raises: what `beaten` makes when others were first for as long as `patience`; `DeadlinePassedError` when every key
    was learned too long before it could be sent for; what an attempt raises.
    """
    give_up = clock.monotonic() + timing.patience.total_seconds()
    pause, stalls = 0.002, 0
    while True:
        try:
            return attempt()
        except NumberStaleError:
            stalls += 1
            if stalls == STALLS:
                raise DeadlinePassedError(
                    f"{name!r} was not written: {STALLS} times more than {timing.write_deadline} passed "
                    "between learning its newest number and sending the next. Find what holds this process up."
                ) from None
            give_up = clock.monotonic() + timing.patience.total_seconds()
        except NumberTakenError:
            if clock.monotonic() > give_up:
                raise beaten() from None
        clock.sleep(pause * (0.5 + chance.random()))
        pause = min(pause * 1.5, 0.25)


def new_write_id(chance: random.Random) -> str:
    """Return 24 hexadecimal digits that nobody else has drawn."""
    return f"{chance.getrandbits(96):024x}"


def put_may_land(error: StoreError) -> bool:
    """Return whether a put that failed may have been applied, or may be applied later."""
    if isinstance(error, PreconditionTrippedError | DeadlinePassedError):
        return error.sent_before
    return isinstance(error, AnswerLostError)
