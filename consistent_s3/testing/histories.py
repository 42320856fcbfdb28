"""Was what the clients saw right? Histories of concurrent operations, and their check.

Every operation that succeeded names a version number, so no search is needed: a history of one name is linearizable if

1. no two acknowledged writes share a number, and every acknowledged write is found again, unless the policy let it go;
2. an operation that ended before another began names no higher number than it, and a strictly lower one if the other
   is a write;
3. nobody reads a version before its write began, and a version's bytes are those of its write;
4. a read that found nothing did not begin after a live version was acknowledged and not deleted since.

Writes of unknown outcome may be seen, or not, but not twice.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Operation:
    """One operation of one client; `number` is 0 for a read that found nothing ever written."""

    client: str
    kind: str
    """`write`, `delete`, `read`, or `look` for the newest number only."""
    name: str
    began: float
    ended: float = float("inf")
    outcome: str = "unknown"
    """`ok`, `failed` (nothing of it is visible) or `unknown`."""
    number: int = 0
    content: bytes = b""
    """What was written or read; empty for a deletion, and for a read of a deleted name."""
    expected: int | None = None
    """The number that a write replaces; 0 for none."""

    @property
    def writes(self) -> bool:
        """Return whether it makes a version."""
        return self.kind in {"write", "delete"}


@dataclass(slots=True)
class History:
    """Everything that the clients did, in the order of the beginning."""

    operations: list[Operation] = field(default_factory=list)
    time: Callable[[], float] = float

    def begin(
        self, client: str, kind: str, name: str, *, content: bytes = b"", expected: int | None = None
    ) -> Operation:
        """Note that a client begins an operation."""
        operation = Operation(
            client=client, kind=kind, name=name, began=self.time(), content=content, expected=expected
        )
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, *, outcome: str, number: int = 0, content: bytes | None = None) -> None:
        """Note how it ended."""
        operation.ended, operation.outcome, operation.number = self.time(), outcome, number
        if content is not None:
            operation.content = content

    def violations(
        self, kept: dict[str, dict[int, bytes]] | None = None, *, all_kept: bool = False, gapless: bool = True
    ) -> list[str]:
        """Return what was wrong, in words; empty if nothing was.

        `kept` is what the store holds at the end: for each name the bytes of each number (`b""` for a tombstone).
        With `all_kept` nothing was collected, so every acknowledged write must be among it, and numbers are `gapless`,
        unless they come from a clock.
        """
        found: list[str] = []
        for name in sorted({operation.name for operation in self.operations}):
            of_name = [operation for operation in self.operations if operation.name == name]
            found += _unique(of_name)
            found += _ordered(of_name, gapless=gapless)
            found += _expected(of_name)
            found += _caused(of_name)
            if kept is not None:
                found += _found_again(of_name, kept.get(name, {}), all_kept=all_kept, gapless=gapless)
        return found


def _acknowledged(operations: Iterable[Operation]) -> list[Operation]:
    return [operation for operation in operations if operation.outcome == "ok"]


def _unique(operations: list[Operation]) -> list[str]:
    found: list[str] = []
    owners: dict[int, Operation] = {}
    for operation in _acknowledged(operations):
        if not operation.writes:
            continue
        other = owners.setdefault(operation.number, operation)
        if other is not operation:
            found.append(f"{_words(operation)} has the number of {_words(other)}")
    return found


def _last_deletion(operations: list[Operation], before: float = float("inf")) -> float:
    """Return the number of the last deletion that began before a moment; one that died may have any number."""
    deletions = [found for found in operations if found.kind == "delete" and found.began < before]
    return max(
        [0, *(found.number or (float("inf") if found.outcome == "unknown" else 0) for found in deletions)],
    )


def _ordered(operations: list[Operation], *, gapless: bool) -> list[str]:
    """Sweep by time: the highest number that had ended before an operation began bounds it from below."""
    found: list[str] = []
    ended = sorted(_acknowledged(operations), key=lambda operation: operation.ended)
    highest: Operation | None = None
    position = 0
    for operation in sorted(_acknowledged(operations), key=lambda operation: operation.began):
        while position < len(ended) and ended[position].ended < operation.began:
            if highest is None or ended[position].number > highest.number:
                highest = ended[position]
            position += 1
        if highest is None:
            continue
        nothing = operation.number == 0 and not operation.writes
        if not gapless and nothing and _last_deletion(operations, operation.ended) >= highest.number:
            continue  # the last tombstone was collected
        if operation.number < highest.number or (operation.writes and operation.number == highest.number):
            found.append(f"{_words(operation)} began after {_words(highest)} had ended")
    return found


def _expected(operations: list[Operation]) -> list[str]:
    """Whoever said what it replaces has replaced nothing else."""
    written = sorted(operation.number for operation in _acknowledged(operations) if operation.writes)
    return [
        f"{_words(write)}, which replaced {write.expected}, passed over {written[position - 1]}"
        for write in _acknowledged(operations)
        if write.writes and write.expected and (position := bisect_left(written, write.number))
        if written[position - 1] > write.expected
    ]


def _caused(operations: list[Operation]) -> list[str]:
    found: list[str] = []
    writes = {operation.number: operation for operation in _acknowledged(operations) if operation.writes}
    possible = [operation for operation in operations if operation.writes and operation.outcome == "unknown"]
    for read in _acknowledged(operations):
        if read.kind != "read" or read.number == 0:
            continue
        write = writes.get(read.number)
        if write is not None:
            if write.began > read.ended:
                found.append(f"{_words(read)} saw {_words(write)} before it began")
            elif write.content != read.content:
                found.append(f"{_words(read)} has other bytes than {_words(write)}")
        elif not any(write.content == read.content and write.began <= read.ended for write in possible):
            found.append(f"{_words(read)} saw bytes that nobody wrote, or that were refused")
    return found


def _found_again(operations: list[Operation], kept: dict[int, bytes], *, all_kept: bool, gapless: bool) -> list[str]:
    found: list[str] = []
    last = max(kept, default=0)
    newest: float = last
    if not gapless:  # the last tombstone may go
        newest = max(newest, _last_deletion(operations))
    for write in _acknowledged(operations):
        if not write.writes:
            continue
        if write.number in kept:
            if kept[write.number] != write.content:
                found.append(f"the store has other bytes than {_words(write)}")
        elif all_kept or write.number > newest:
            found.append(f"{_words(write)} is lost")
    contents = [content for content in kept.values() if content]
    found += [
        f"{content!r} is in the history twice" for content in sorted(set(contents)) if contents.count(content) > 1
    ]
    if all_kept and gapless and sorted(kept) != list(range(1, last + 1)):
        found.append(f"the numbers have gaps: {sorted(kept)}")
    return found


def _words(operation: Operation) -> str:
    what = f"{operation.client}'s {operation.kind} of {operation.name!r}"
    return f"{what} as {operation.number} [{operation.began:.3f}, {operation.ended:.3f}]"
