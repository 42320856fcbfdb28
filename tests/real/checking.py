"""Was what the processes saw right? The rules of `consistent_s3.testing.histories`, and those that only versions have.

Beside those four, of every name:

5. A token (a write) has at most one number, and a number one token, in all that anybody was told.
6. What was refused, or raised a plain error, is never seen and is not in the history.
7. A write that expected a number lies right above it.
8. An acknowledged version is in the history and has its bytes, unless its successor is older than grace.
9. The bytes of a version are those of one write, all of them; those of a restored version are those of its source.
10. Errors tell the truth: the number that a refusal names was current then; what was gone was superseded for as long as
    grace; there is nothing else.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from consistent_s3.core.errors import ConsistentS3Error
from consistent_s3.storage import ConsistentS3Storage
from consistent_s3.testing.histories import History, Operation
from tests.real.clients import origin_of
from tests.real.journal import Record

INFINITY = float("inf")
GONE = "gone: "
"""Begins what is said where bytes cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One version that is in the history at the end."""

    number: int
    token: str
    tombstone: bool
    restored: int
    origin: str
    """The token whose bytes it has; what went wrong if they cannot be read; nothing for a tombstone."""

    @property
    def has_bytes(self) -> bool:
        """Return whether its bytes are there: a collector that is killed may leave the row of what it took."""
        return not self.origin.startswith(GONE)


def what_is_left(storage: ConsistentS3Storage, name: str) -> list[Left]:
    """Return the history of a name, newest first, with all its bytes."""
    return [
        Left(
            number=version.number,
            token=version.comment,
            tombstone=version.tombstone,
            restored=version.details.restored_from,
            origin="" if version.tombstone else _origin(storage, name, version.number),
        )
        for version in storage.history(name)
    ]


def _origin(storage: ConsistentS3Storage, name: str, number: int) -> str:
    try:
        with storage.open(name, version=number) as file:
            return origin_of(file.read())
    except ConsistentS3Error as error:
        return f"{GONE}{error}"


@dataclass(slots=True, kw_only=True)
class Proof:
    """What there is to judge."""

    records: Sequence[Record]
    left: dict[str, list[Left]]
    grace: float
    """Seconds that a superseded version is kept at the least."""
    ended: float
    """When everybody had ended, by the monotonic clock."""
    counts: bool
    """Numbers are counted: without gaps."""
    cut: bool = False
    """Connections to the database were cut, so plain errors of it are no surprise."""

    def violations(self) -> list[str]:
        """Return what was wrong, in words; empty if nothing was."""
        found = [f"surprise: {record}: {record.error}" for record in self.records if self._surprises(record)]
        for name, left in self.left.items():
            of_name = _OfName([record for record in self.records if record.name == name], left, self)
            found += of_name.violations()
        kept = {name: {one.number: one.token.encode() for one in left} for name, left in self.left.items()}
        found += self._history().violations(kept, gapless=True)
        return found

    def _surprises(self, record: Record) -> bool:
        if record.outcome == "gone":
            return record.ended - record.began < self.grace
        return record.outcome == "surprise" or (record.outcome == "database" and not self.cut)

    def _history(self) -> History:
        """Return the operations as that check knows them: the content of a version is its token."""
        tombstones = {name: _tombstones(self.records, self.left, name) for name in self.left}
        operations = []
        for record in self.records:
            if record.name not in self.left:
                continue
            if record.writes or record.outcome == "ok":
                operations.append(_operation(record, tombstones[record.name]))
            if record.outcome == "refused" and record.number:
                operations.append(_seen(record))
        return History(operations=operations)


def _operation(record: Record, tombstones: dict[int, str]) -> Operation:
    token = tombstones.get(record.number, "") if record.deleted else record.token
    return Operation(
        client=record.client,
        kind="write" if record.kind == "undelete" else record.kind,
        name=record.name,
        began=record.began,
        ended=record.ended if record.outcome != "unknown" else INFINITY,
        outcome=record.outcome if record.outcome in {"ok", "unknown"} else "failed",
        number=record.number,
        content=token.encode(),
        expected=record.expected,
    )


def _seen(record: Record) -> Operation:
    """Return what a refusal says as the read that it is: it names what was current, and no more."""
    return Operation(
        client=f"{record.client} (refused)",
        kind="refusal",
        name=record.name,
        began=record.began,
        ended=record.ended,
        outcome="ok",
        number=record.number,
    )


def _tombstones(records: Iterable[Record], left: dict[str, list[Left]], name: str) -> dict[int, str]:
    """Return the tokens of deletions by their numbers, as far as anybody was told them.

    A deletion whose process was killed is known by its number alone: it gets the token of one that may be it.
    """
    of_name = [record for record in records if record.name == name]
    tokens = {record.number: record.token for record in of_name if record.kind == "delete" and record.outcome == "ok"}
    tokens |= {one.number: one.token for one in left[name] if one.tombstone}
    unknown = [record for record in of_name if record.kind == "delete" and record.outcome == "unknown"]
    for read in of_name:
        if read.deleted and read.number and read.number not in tokens:
            maybe = [one for one in unknown if one.began <= read.ended and one.token not in tokens.values()]
            if maybe:
                tokens[read.number] = maybe[-1].token
    return tokens


class _OfName:
    """The rules for one name."""

    def __init__(self, records: list[Record], left: list[Left], proof: Proof) -> None:
        self.records = records
        self.left = left
        self.proof = proof
        self.acknowledged = {
            record.number: record for record in records if record.writes and record.outcome == "ok" and record.number
        }
        self.unknown = {record.token: record for record in records if record.writes and record.outcome == "unknown"}
        self.refused = {record.token for record in records if record.writes} - {
            *self.unknown,
            *(record.token for record in self.acknowledged.values()),
        }
        self.seen: dict[int, set[str]] = defaultdict(set)
        """The tokens of each number, in all that anybody was told."""
        for record in records:
            if record.outcome == "ok" and record.number and not record.deleted:
                self.seen[record.number].add(record.token)
        for one in left:
            self.seen[one.number].add(one.token)

    def violations(self) -> list[str]:
        checks = (self._tokens, self._refused, self._expected, self._missing, self._bytes, self._nothing, self._gaps)
        return [violation for check in checks for violation in check()]

    def _tokens(self) -> Iterator[str]:
        numbers: dict[str, set[int]] = defaultdict(set)
        for number, tokens in self.seen.items():
            if len(tokens) > 1:
                yield f"number {number} is that of several writes: {sorted(tokens)}"
            for token in tokens:
                numbers[token].add(number)
        for token, several in numbers.items():
            if len(several) > 1:
                yield f"the write {token} has several numbers: {sorted(several)}"
        if not all(upper.number > lower.number for upper, lower in pairwise(self.left)):
            yield "the history is not in order"

    def _refused(self) -> Iterator[str]:
        for number, tokens in self.seen.items():
            for token in tokens & self.refused:
                yield f"{token} was refused, and is version {number}"
            if number not in self.acknowledged and not tokens & self.unknown.keys() - self.refused:
                yield f"version {number} ({sorted(tokens)}) is nobody's write"

    def _expected(self) -> Iterator[str]:
        between = sorted(self.acknowledged)
        for record in self.acknowledged.values():
            if record.expected is None:
                continue
            if self.proof.counts and record.number != record.expected + 1:
                yield f"{record} expected {record.expected}"
            passed = [number for number in between if record.expected < number < record.number]
            if passed or record.number <= record.expected:
                yield f"{record} expected {record.expected}, but there was {passed}"

    def _missing(self) -> Iterator[str]:
        """What is missing must have been superseded longer than grace ago; S3 tells times in whole seconds."""
        left = {one.number: one for one in self.left if one.has_bytes}
        latest = self.proof.ended - self.proof.grace + 1
        unknown = sorted(record.began for record in self.unknown.values())
        superseded = INFINITY
        for number, record in sorted(self.acknowledged.items(), reverse=True):
            if number in left and left[number].token != record.token:
                yield f"{record} is another's in the history: {left[number]}"
            maybe = unknown[bisect_right(unknown, record.began) :][:1]
            if number not in left and min(superseded, *maybe, INFINITY) > latest:
                yield f"{record} is lost"
            superseded = min(superseded, record.began)

    def _bytes(self) -> Iterator[str]:
        seen = [(one.number, one.token, one.origin) for one in self.left if one.has_bytes and not one.tombstone]
        seen += [(read.number, read.token, read.origin) for read in self.records if read.origin]
        origins = {number: origin for number, _, origin in seen}
        restored = {one.number: one.restored for one in self.left}
        restored |= {record.number: record.restored for record in self.records if record.outcome == "ok"}
        kinds = {record.token: record.kind for record in self.records if record.writes}
        for number, token, origin in dict.fromkeys(seen):
            wanted = token
            if kinds.get(token) == "undelete":
                source = restored[number]
                wanted = origins.get(source, origin)
                whose = self.seen.get(source, set())
                if source not in origins and all(kinds.get(one) == "write" for one in whose):
                    wanted = next(iter(whose), origin)
            if origin in self.refused:
                yield f"version {number} ({token}) has the bytes of {origin}, which was refused"
            elif origin != wanted:
                yield f"version {number} ({token}) has the bytes of {origin}, not of {wanted}"

    def _nothing(self) -> Iterator[str]:
        first = min((record.ended for record in self.acknowledged.values()), default=INFINITY)
        for record in self.records:
            if record.deleted and record.number == 0 and record.began > first:
                yield f"{record} found nothing"

    def _gaps(self) -> Iterator[str]:
        if not self.proof.counts or not self.seen:
            return
        gaps = set(range(1, max(self.seen) + 1)) - self.seen.keys()
        unseen = self.unknown.keys() - {token for tokens in self.seen.values() for token in tokens}
        if len(gaps) > len(unseen):
            yield f"the numbers have gaps that nobody can have filled: {sorted(gaps)}"
